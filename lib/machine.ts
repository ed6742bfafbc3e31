/**
 * `machine()`: one description of a machine, from which every answer file and every disk is made.
 * Plain, checked data: knows no distribution and no answer format.
 * @module
 */
import type { Input, Source } from "./artifact.ts";
import { ExitCode, ImgtaskError } from "./error.ts";

/** An account on the machine. Its password is locked: people come in by key. */
export interface User {
  /** Login name: a small letter or `_`, then small letters, digits, `_`, `-`; 32 characters at most. */
  readonly name: string;
  /** Numeric id. @default the next free one */
  readonly uid?: number;
  /** Further groups; missing ones are an error. @default [] */
  readonly groups?: readonly string[];
  /** @default "/bin/bash" */
  readonly shell?: string;
  /** What it may do as root: all without a password, or nothing. Written to `/etc/sudoers.d/NAME`, mode 0440. @default "none" */
  readonly sudo?: "nopasswd" | "none";
  /** Public keys: lines of authorized_keys, or files that hold them. @default [] */
  readonly sshKeys?: readonly (string | Source | Input<"ssh public key">)[];
}

/** A file on the machine. */
export interface MachineFile {
  /** Absolute path on the machine. */
  readonly path: string;
  /** What it holds: text, or a host file. */
  readonly content: string | Source;
  /** Permission bits. @default 0o644 */
  readonly mode?: number;
  /** User name or numeric id. @default "root" */
  readonly owner?: string;
  /** Group name or numeric id. @default "root" */
  readonly group?: string;
}

/** A list of directories to make on the machine. Made by `dirs.list()`. */
export interface DirectoryList {
  /** One path a line, relative; `#` starts a comment. */
  readonly list: Source | Input<"file">;
  /** Absolute path on the machine below which they are made. */
  readonly under: string;
  /** Permission bits. @default 0o755 */
  readonly mode: number;
  /** @default "root" */
  readonly owner: string;
  /** @default "root" */
  readonly group: string;
}

/** What `machine()` takes. */
export interface MachineSpec {
  /** Host name without domain: letters, digits, `-`; 63 characters at most. */
  readonly hostname: string;
  /** @default "C.UTF-8" */
  readonly locale?: string;
  /** Zone name as of the tz database. @default "Etc/UTC" */
  readonly timezone?: string;
  /** Console keyboard layout. @default "us" */
  readonly keyboard?: string;
  /** @default [] */
  readonly users?: readonly User[];
  /** Packages beside those the distribution needs to boot. @default [] */
  readonly packages?: readonly string[];
  /** systemd units, with or without `.service`. @default {} */
  readonly services?: {
    /** Started at boot. @default [] */
    readonly enable?: readonly string[];
    /** Not started at boot. @default [] */
    readonly disable?: readonly string[];
  };
  /** @default [] */
  readonly files?: readonly MachineFile[];
  /** Directory whose content is laid over `/`: owner root:root, modes as on the host. */
  readonly overlay?: Source;
  /** @default [] */
  readonly directories?: DirectoryList | readonly DirectoryList[];
  /** Whether a password opens an SSH session. @default false */
  readonly passwordLogin?: boolean;
  /** `"dhcp"` on every Ethernet interface, or `"none"`: left alone. @default "dhcp" */
  readonly network?: "dhcp" | "none";
}

/** A machine with every default filled in. */
export interface Machine {
  readonly hostname: string;
  readonly locale: string;
  readonly timezone: string;
  readonly keyboard: string;
  readonly users: readonly (Required<Omit<User, "uid">> & { readonly uid?: number })[];
  readonly packages: readonly string[];
  readonly services: { readonly enable: readonly string[]; readonly disable: readonly string[] };
  readonly files: readonly Required<MachineFile>[];
  readonly overlay?: Source;
  readonly directories: readonly DirectoryList[];
  readonly passwordLogin: boolean;
  readonly network: "dhcp" | "none";
}

function check(ok: boolean, what: string, value: unknown, expected: string): void {
  if (ok) return;
  throw new ImgtaskError("IMG2101", `Bad ${what} in machine(): ${JSON.stringify(value)}`, {
    expected,
    exitCode: ExitCode.usage,
  });
}

const word = /^[A-Za-z0-9][A-Za-z0-9@._+:~-]*$/;
const account = /^[a-z_][a-z0-9_-]{0,31}$/;
const printable = /^[^\x00-\x1f\x7f]*$/;

/** Whether a path is absolute, in normal form, and free of control characters. */
function isMachinePath(path: string): boolean {
  return path.startsWith("/") && path !== "/" && printable.test(path) && !path.split("/").slice(1).some((part) => part === "" || part === "." || part === "..");
}

/**
 * Describes a machine.
 *
 * @throws {ImgtaskError} IMG2101 for a value that no machine could have, such as a line break in a host name.
 *
 * @example
 * ```ts
 * const lab = machine({
 *   hostname: "lab",
 *   users: [{ name: "devops", sudo: "nopasswd", sshKeys: [source("config/devops.pub")] }],
 *   packages: ["openssh-server", "chrony"],
 *   services: { enable: ["ssh", "chrony"] },
 * });
 * ```
 */
export function machine(spec: MachineSpec): Machine {
  check(/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(spec.hostname), "hostname", spec.hostname, "letters, digits and inner hyphens, 63 at most");
  check(/^[A-Za-z0-9_.@-]+$/.test(spec.locale ?? "C"), "locale", spec.locale, `a locale name such as "en_US.UTF-8"`);
  check(/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(spec.timezone ?? "UTC"), "timezone", spec.timezone, `a zone name such as "Europe/Berlin"`);
  check(/^[a-z]+(-[a-z0-9]+)*$/.test(spec.keyboard ?? "us"), "keyboard", spec.keyboard, `a layout name such as "us"`);
  for (const name of spec.packages ?? []) check(/^[a-z0-9][a-z0-9.+-]*(:[a-z0-9]+)?$/i.test(name), "package", name, "a package name");
  for (const unit of [...(spec.services?.enable ?? []), ...(spec.services?.disable ?? [])]) check(word.test(unit), "service", unit, "a unit name");
  const users = (spec.users ?? []).map((user) => {
    check(account.test(user.name), "user name", user.name, "a small letter, then small letters, digits, _ or -; 32 at most");
    check(user.name !== "root", "user name", user.name, "an account other than root");
    check(user.uid === undefined || (Number.isInteger(user.uid) && user.uid >= 1000 && user.uid < 60000), "uid", user.uid, "1000 to 59999");
    for (const name of user.groups ?? []) check(account.test(name), "group", name, "a group name");
    check(isMachinePath(user.shell ?? "/bin/bash"), "shell", user.shell, "an absolute path");
    for (const key of user.sshKeys ?? []) {
      if (typeof key === "string") check(printable.test(key) && /^\S+ \S+/.test(key), "SSH key", key, "one line of authorized_keys");
    }
    return {
      name: user.name,
      ...(user.uid === undefined ? {} : { uid: user.uid }),
      groups: user.groups ?? [],
      shell: user.shell ?? "/bin/bash",
      sudo: user.sudo ?? "none",
      sshKeys: user.sshKeys ?? [],
    };
  });
  const files = (spec.files ?? []).map((file) => {
    check(isMachinePath(file.path), "file path", file.path, `an absolute path without "..", "." and empty parts`);
    check(Number.isInteger(file.mode ?? 0) && (file.mode ?? 0) >= 0 && (file.mode ?? 0) <= 0o7777, "file mode", file.mode, "permission bits, 0 to 0o7777");
    for (const name of [file.owner ?? "root", file.group ?? "root"]) check(/^([a-z_][a-z0-9_-]{0,31}|\d{1,10})$/.test(name), "owner", name, "a name or numeric id");
    return { path: file.path, content: file.content, mode: file.mode ?? 0o644, owner: file.owner ?? "root", group: file.group ?? "root" };
  });
  const directories = spec.directories === undefined ? [] : Array.isArray(spec.directories) ? (spec.directories as readonly DirectoryList[]) : [spec.directories as DirectoryList];
  for (const list of directories) check(isMachinePath(list.under), "directory", list.under, "an absolute path");
  return Object.freeze({
    hostname: spec.hostname,
    locale: spec.locale ?? "C.UTF-8",
    timezone: spec.timezone ?? "Etc/UTC",
    keyboard: spec.keyboard ?? "us",
    users,
    packages: spec.packages ?? [],
    services: { enable: spec.services?.enable ?? [], disable: spec.services?.disable ?? [] },
    files,
    ...(spec.overlay === undefined ? {} : { overlay: spec.overlay }),
    directories,
    passwordLogin: spec.passwordLogin ?? false,
    network: spec.network ?? "dhcp",
  });
}
