/**
 * A machine description as parameters of a target: every handle stands where a recipe will find a path, told apart
 * from text by its key. Knows nothing of how a machine is applied.
 * @module
 */
import type { FullFirewall, FullNetwork, InstalledMachine, Input, PasswordPolicy, Resolved, Source } from "../../lib/mod.ts";

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
  readonly fullName: string;
  readonly uid: number | undefined;
  readonly groups: readonly string[];
  readonly shell: string;
  readonly sudo: "nopasswd" | "password" | "none";
  /** A line of authorized_keys, or a file of such lines. */
  readonly sshKeys: readonly ({ readonly line: string } | { readonly file: Source | Input<"ssh public key"> })[];
  /** Its hash, or the name of the secret that holds it; never the password. */
  readonly password: { readonly hash: string } | { readonly secret: string } | undefined;
};

/** An archive of packages, as parameters. */
export type RepositoryParams =
  | { readonly type: "apt"; readonly name: string; readonly url: string; readonly suites: readonly string[]; readonly components: readonly string[]; readonly key: Source }
  | { readonly type: "dnf"; readonly name: string; readonly title: string; readonly url: string; readonly key: Source };

/** A machine, as parameters. Without its packages: these are installed, not applied. */
export type MachineParams = {
  readonly hostname: string;
  readonly locale: string;
  readonly timezone: string;
  readonly keyboard: string;
  readonly users: readonly UserParams[];
  readonly passwordPolicy: { readonly [K in keyof PasswordPolicy]: number } | undefined;
  readonly repositories: readonly RepositoryParams[];
  readonly services: { readonly enable: readonly string[]; readonly disable: readonly string[] };
  readonly files: readonly FileParams[];
  readonly overlay: Source | undefined;
  readonly directories: readonly DirectoryParams[];
  readonly passwordLogin: boolean;
  readonly network: "dhcp" | "none" | readonly {
    readonly name: string;
    readonly dhcp: boolean;
    readonly addresses: readonly string[];
    readonly gateway: string | undefined;
    readonly gateway6: string | undefined;
    readonly dns: readonly string[];
    readonly search: readonly string[];
  }[];
  readonly firewall: { readonly allow: readonly { readonly first: number; readonly last: number; readonly protocol: "tcp" | "udp" }[] } | undefined;
  readonly selinux: "enforcing" | "permissive" | "disabled" | undefined;
  readonly apparmor: "enabled" | "disabled" | undefined;
  readonly late: readonly ({ readonly argv: readonly string[] } | { readonly script: Source })[];
};

/** A machine as a recipe sees it: paths where the handles stood. */
export type ResolvedMachine = Resolved<MachineParams>;

function network(given: FullNetwork): MachineParams["network"] {
  if (typeof given === "string") return given;
  return given.map(({ name, dhcp, addresses, gateway, gateway6, dns, search }) => ({ name, dhcp, addresses, gateway, gateway6, dns, search }));
}

function firewall({ allow }: FullFirewall): MachineParams["firewall"] {
  return { allow: allow.map(({ first, last, protocol }) => ({ first, last, protocol })) };
}

/** The name of the secret that holds the password of a user. */
export function passwordSecret(user: string): string {
  return `password-${user}`;
}

/** Turns a machine description into parameters. */
export function machineParams(machine: InstalledMachine): MachineParams {
  return {
    hostname: machine.hostname,
    locale: machine.locale,
    timezone: machine.timezone,
    keyboard: machine.keyboard,
    users: machine.users.map(({ name, fullName, uid, groups, shell, sudo, sshKeys, password }) => ({
      name,
      fullName,
      uid,
      groups,
      shell,
      sudo,
      sshKeys: sshKeys.map((key) => (typeof key === "string" ? { line: key } : { file: key })),
      password: password === undefined ? undefined : "hash" in password ? { hash: password.hash } : { secret: passwordSecret(name) },
    })),
    passwordPolicy: machine.passwordPolicy === undefined ? undefined : { ...machine.passwordPolicy },
    repositories: machine.repositories.map((one) => ({ ...one })),
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
    network: network(machine.network),
    firewall: machine.firewall === undefined ? undefined : firewall(machine.firewall),
    selinux: machine.selinux,
    apparmor: machine.apparmor,
    late: machine.late.map((command) => ("script" in command ? { script: command.script } : { argv: command })),
  };
}
