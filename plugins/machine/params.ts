/**
 * A machine description as parameters of a target: every handle stands where a recipe will find a path, told apart
 * from text by its key. Knows nothing of how a machine is applied.
 * @module
 */
import type { Input, Machine, Resolved, Source } from "../../lib/mod.ts";

/** A list of directories, as parameters. */
export type DirectoryParams = {
  readonly list: Source | Input<"file">;
  readonly under: string;
  readonly mode: number;
  readonly owner: string;
  readonly group: string;
};

/** A file, as parameters. */
export type FileParams = {
  readonly path: string;
  readonly content: { readonly text: string } | { readonly file: Source };
  readonly mode: number;
  readonly owner: string;
  readonly group: string;
};

/** An account, as parameters. */
export type UserParams = {
  readonly name: string;
  readonly uid: number | undefined;
  readonly groups: readonly string[];
  readonly shell: string;
  readonly sudo: "nopasswd" | "none";
  /** A line of authorized_keys, or a file of such lines. */
  readonly sshKeys: readonly ({ readonly line: string } | { readonly file: Source | Input<"ssh public key"> })[];
};

/** A machine, as parameters. Without its packages: these are installed, not applied. */
export type MachineParams = {
  readonly hostname: string;
  readonly locale: string;
  readonly timezone: string;
  readonly keyboard: string;
  readonly users: readonly UserParams[];
  readonly services: { readonly enable: readonly string[]; readonly disable: readonly string[] };
  readonly files: readonly FileParams[];
  readonly overlay: Source | undefined;
  readonly directories: readonly DirectoryParams[];
  readonly passwordLogin: boolean;
  readonly network: "dhcp" | "none";
};

/** A machine as a recipe sees it: paths where the handles stood. */
export type ResolvedMachine = Resolved<MachineParams>;

/** Turns a machine description into parameters. */
export function machineParams(machine: Machine): MachineParams {
  return {
    hostname: machine.hostname,
    locale: machine.locale,
    timezone: machine.timezone,
    keyboard: machine.keyboard,
    users: machine.users.map(({ name, uid, groups, shell, sudo, sshKeys }) => ({
      name,
      uid,
      groups,
      shell,
      sudo,
      sshKeys: sshKeys.map((key) => (typeof key === "string" ? { line: key } : { file: key })),
    })),
    services: { enable: machine.services.enable, disable: machine.services.disable },
    files: machine.files.map(({ path, content, mode, owner, group }) => ({
      path,
      content: typeof content === "string" ? { text: content } : { file: content },
      mode,
      owner,
      group,
    })),
    overlay: machine.overlay,
    directories: machine.directories.map(({ list, under, mode, owner, group }) => ({ list, under, mode, owner, group })),
    passwordLogin: machine.passwordLogin,
    network: machine.network,
  };
}
