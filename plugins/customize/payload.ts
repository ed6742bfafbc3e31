/**
 * What an installer puts on the machine beside packages: files, accounts and services, as two tar archives and lists,
 * and the scripts that apply them. The scripts are fixed text; what a machine holds is data beside them, so that no
 * value of it is ever part of a command.
 *
 * A tar within the installer's memory, not base64 in the answer file: it carries owners, modes and links of any
 * number of files, has no limit on a line's length, and nothing in it needs to be escaped.
 * @module
 */
import { readFileSync } from "node:fs";
import { ExitCode, ImgtaskError, type InstalledMachine } from "../../lib/mod.ts";
import { finishScript, finishSteps } from "../machine/finish.ts";
import { keyboardFile, keyboardPath } from "../machine/keyboard.ts";
import { networkdFiles } from "../machine/networkd.ts";
import type { ReadyMachine } from "../machine/passwords.ts";
import { keyLines, repositoryFiles, sudoersFile, systemFiles } from "../machine/system-file.ts";
import type { CpioEntry } from "./cpio.ts";
import { listedDirectories, overlayEntries } from "./entries.ts";
import { tar, type TarEntry } from "./tar.ts";

/** Directory in the installer's initial file system that holds the payload. */
export const payloadDirectory = "imgtask";

/** Bytes beyond which it would not fit into the memory of a small machine beside the installer itself. */
const largest = 256 * 1024 * 1024;

/** Runs in the installer, when the system is installed below /target. */
const lateScript = `#!/bin/sh
# Takes the payload into the new system and applies it there.
set -e
mkdir -p -m 0700 /target/var/tmp/imgtask
cp "\${0%/*}"/* /target/var/tmp/imgtask/
in-target sh /var/tmp/imgtask/apply
rm -rf /target/var/tmp/imgtask
echo IMGTASK_LATE_DONE > /dev/console
`;

/** Files that belong to the machine's description as such, not to a part of it that names files. */
function ownFiles(machine: ReadyMachine, preseeded: boolean): TarEntry[] {
  const file = (path: string, mode: number, content: string | Buffer): TarEntry => ({ path: path.slice(1), mode, is: { file: Buffer.from(content) } });
  const sshd = [
    `PasswordAuthentication ${machine.passwordLogin ? "yes" : "no"}`,
    `KbdInteractiveAuthentication ${machine.passwordLogin ? "yes" : "no"}`,
    "PermitRootLogin no",
  ];
  return [
    // The installer has a place neither for every locale nor for interfaces by name, and asks for no keyboard on a serial console.
    ...(preseeded ? [file("/etc/default/locale", 0o644, `LANG=${machine.locale}\n`), file(keyboardPath, 0o644, keyboardFile(machine.keyboard))] : []),
    ...(preseeded && typeof machine.network !== "string" ? networkdFiles(machine.network).map(({ path, content }) => file(path, 0o644, content)) : []),
    file("/etc/ssh/sshd_config.d/10-imgtask.conf", 0o644, `${sshd.join("\n")}\n`),
    ...[...systemFiles(machine), ...machine.users.map(sudoersFile)].flatMap((one) => (one === undefined ? [] : [file(one.path, one.mode ?? 0o644, one.content)])),
  ];
}

/** The machine with the services that its interfaces by name need. */
function withNetworkd(machine: ReadyMachine): ReadyMachine {
  if (typeof machine.network === "string") return machine;
  const resolves = machine.network.some(({ dns, dhcp }) => dhcp || dns.length > 0);
  const enable = ["systemd-networkd", ...(resolves ? ["systemd-resolved"] : []), ...machine.services.enable];
  return { ...machine, services: { ...machine.services, enable } };
}

function keyFiles(machine: ReadyMachine): TarEntry[] {
  return machine.users.flatMap(({ name, sshKeys }): TarEntry[] => {
    const lines = keyLines(sshKeys, name);
    if (lines.length === 0) return [];
    const common = { owner: name, group: name };
    return [
      { path: `home/${name}/.ssh`, mode: 0o700, is: "directory", ...common },
      { path: `home/${name}/.ssh/authorized_keys`, mode: 0o600, is: { file: Buffer.from(`${lines.join("\n")}\n`) }, ...common },
    ];
  });
}

/** Accounts and groups that own something, as lines of `getent` database and name. */
function owners(entries: readonly TarEntry[]): readonly string[] {
  const all = entries.flatMap(({ owner = "root", group = "root" }) => [`passwd:${owner}`, `group:${group}`]);
  return [...new Set(all)].filter((line) => !/:(root|\d+)$/.test(line)).sort();
}

/** What a payload depends on beside the machine. */
export interface PayloadContext {
  /** What the lists of directories were read from, for messages. */
  readonly origins: readonly string[];
  /** Seconds since 1970, of every file on the machine. */
  readonly epoch: number;
  /** Format of the answers beside it: what they say to the installer is not done again. @default "preseed" */
  readonly format?: "preseed" | "kickstart" | "autoinstall";
  /** Packages that are installed by it and not by the installer: see {@linkcode latePackages}. @default none */
  readonly packages?: readonly string[];
}

/** A regular file of the payload's directory. */
export interface PayloadFile {
  readonly name: string;
  readonly content: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

/**
 * The files of a machine's payload, for one directory: `apply` (to be run as root in the new system, in that
 * directory) and its data.
 *
 * @throws {ImgtaskError} IMG2314 and IMG2315 for files that cannot be put on a machine this way, IMG2316 when all of
 * them are too much for an installer's memory.
 */
export function payloadFiles(machine: ReadyMachine, { origins, epoch, format = "preseed", packages = [] }: PayloadContext): readonly PayloadFile[] {
  const file = (path: string, mode: number | undefined, content: Uint8Array): TarEntry => ({ path: path.slice(1), mode: mode ?? 0o644, is: { file: content } });
  const archives = machine.repositories.flatMap(repositoryFiles);
  const files: TarEntry[] = [
    ...ownFiles(machine, format === "preseed"),
    ...keyFiles(machine),
    ...listedDirectories(machine, origins),
    ...machine.files.map(({ path, content, mode, owner, group }): TarEntry => ({
      ...file(path, mode, "text" in content ? Buffer.from(content.text) : readFileSync(content.file)),
      owner,
      group,
    })),
  ];
  const lines = (name: string, all: readonly string[]): PayloadFile => ({ name, mode: 0o600, content: Buffer.from(all.map((line) => `${line}\n`).join("")) });
  const all: readonly PayloadFile[] = [
    { name: "apply", mode: 0o755, content: Buffer.from(finishScript) },
    lines("users", machine.users.map(({ name, uid, groups, shell, fullName }) => [name, uid ?? "", groups.join(","), shell, fullName].join(":"))),
    lines("owners", owners(files)),
    ...finishSteps(format === "preseed" ? withNetworkd(machine) : machine, packages).map(({ mode = 0o600, ...step }) => ({ ...step, mode })),
    ...(archives.length === 0 ? [] : [{ name: "archives.tar", mode: 0o600, content: tar(archives.map(({ path, mode, content }) => file(path, mode, content)), epoch) }]),
    ...(machine.overlay === undefined ? [] : [{ name: "overlay.tar", mode: 0o600, content: tar(overlayEntries(machine.overlay), epoch) }]),
    { name: "files.tar", mode: 0o600, content: tar(files, epoch) },
  ];
  const size = all.reduce((total, { content }) => total + content.length, 0);
  if (size > largest) {
    throw new ImgtaskError("IMG2316", "The machine's files are too much for an installer's memory", {
      expected: `at most ${largest / 2 ** 20} MiB of overlay and files`,
      found: `${Math.ceil(size / 2 ** 20)} MiB`,
      hint: "Ship large files as packages, or fetch them after the installation",
      exitCode: ExitCode.usage,
    });
  }
  return all;
}

/** The payload as entries of the installer's initial file system, with the script that takes it into the new system. */
export function payload(machine: ReadyMachine, context: PayloadContext): readonly CpioEntry[] {
  const files = [{ name: "late", mode: 0o755, content: Buffer.from(lateScript) }, ...payloadFiles(machine, context)];
  return [{ path: payloadDirectory, mode: 0o755 }, ...files.map(({ name, mode, content }) => ({ path: `${payloadDirectory}/${name}`, mode, content }))];
}

/** Packages that Debian's installer would be asked about: what its answers say to its own questions is not said to these. */
const asking: ReadonlySet<string> = new Set(["console-setup", "keyboard-configuration"]);

/**
 * Packages that an installer cannot have. With archives of the machine's own, all of its packages are installed at the
 * end, when these archives are there: an installer that was told their names would stop at those it does not find. Some
 * others ask when an installer brings them, and do not at the end.
 */
export function latePackages(machine: Pick<InstalledMachine, "repositories">, wanted: readonly string[]): { readonly now: readonly string[]; readonly late: readonly string[] } {
  if (machine.repositories.length > 0) return { now: [], late: wanted };
  return { now: wanted.filter((name) => !asking.has(name)), late: wanted.filter((name) => asking.has(name)) };
}
