/**
 * What an installer puts on the machine beside packages: files, accounts and services, as two tar archives and lists,
 * and the scripts that apply them. The scripts are fixed text; what a machine holds is data beside them, so that no
 * value of it is ever part of a command.
 *
 * A tar within the installer's memory, not base64 in the answer file: it carries owners, modes and links of any
 * number of files, has no limit on a line's length, and nothing in it needs to be escaped.
 * @module
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";
import { parseDirectories, withParents } from "../dirs/parse.ts";
import type { ResolvedMachine } from "../machine/params.ts";
import type { CpioEntry } from "./cpio.ts";
import { tar, type TarEntry } from "./tar.ts";

/** Directory in the installer's initial file system that holds the payload. */
export const payloadDirectory = "imgtask";

/** Bytes beyond which it would not fit into the memory of a small machine beside the installer itself. */
const largest = 256 * 1024 * 1024;

/** Runs in the installer, when the system is installed below /target. */
const lateScript = `#!/bin/sh
# Takes the payload into the new system and applies it there.
set -e
mkdir -p /target/var/tmp/imgtask
cp /${payloadDirectory}/* /target/var/tmp/imgtask/
in-target sh /var/tmp/imgtask/apply
rm -rf /target/var/tmp/imgtask
echo IMGTASK_LATE_DONE > /dev/console
`;

/** Runs in the new system. */
const applyScript = `#!/bin/sh
# Applies the machine description. Every value is read from the files beside this one.
set -eu
umask 022
cd /var/tmp/imgtask
while IFS=: read -r name uid groups shell; do
  if ! getent passwd "$name" >/dev/null; then
    useradd --create-home --user-group \${uid:+--uid "$uid"} -- "$name"
  fi
  usermod --shell "$shell" --groups "$groups" -- "$name"
  usermod --lock -- "$name"
done < users
while IFS=: read -r database name; do
  if ! getent "$database" "$name" >/dev/null; then
    echo "imgtask: no entry \\"$name\\" in $database, but files are to belong to it" >&2
    exit 1
  fi
done < owners
tar --extract --preserve-permissions --no-overwrite-dir --keep-directory-symlink --directory=/ --file=overlay.tar
tar --extract --preserve-permissions --keep-directory-symlink --directory=/ --file=files.tar
if command -v visudo >/dev/null; then visudo --check --quiet; fi
while read -r unit; do systemctl enable "$unit"; done < enable
while read -r unit; do systemctl disable "$unit"; done < disable
`;

/** Files that belong to the machine's description as such, not to a part of it that names files. */
function ownFiles(machine: ResolvedMachine): TarEntry[] {
  const file = (path: string, mode: number, text: string): TarEntry => ({ path, mode, is: { file: Buffer.from(text) } });
  const sshd = [
    `PasswordAuthentication ${machine.passwordLogin ? "yes" : "no"}`,
    `KbdInteractiveAuthentication ${machine.passwordLogin ? "yes" : "no"}`,
    "PermitRootLogin no",
  ];
  return [
    file("etc/default/locale", 0o644, `LANG=${machine.locale}\n`),
    file("etc/ssh/sshd_config.d/10-imgtask.conf", 0o644, `${sshd.join("\n")}\n`),
    ...machine.users.filter((user) => user.sudo === "nopasswd").map((user) =>
      file(`etc/sudoers.d/${user.name}`, 0o440, `${user.name} ALL=(ALL:ALL) NOPASSWD: ALL\n`)
    ),
  ];
}

/** The lines of a user's authorized_keys: those given as text, and those of files. */
function keyLines(keys: ResolvedMachine["users"][number]["sshKeys"]): readonly string[] {
  return keys.flatMap((key) =>
    "line" in key ? [key.line] : readFileSync(key.file, "utf8").split(/\r?\n/).filter((line) => line.trim() !== "" && !line.startsWith("#"))
  );
}

function keyFiles(machine: ResolvedMachine): TarEntry[] {
  return machine.users.flatMap(({ name, sshKeys }): TarEntry[] => {
    const lines = keyLines(sshKeys);
    if (lines.length === 0) return [];
    const common = { owner: name, group: name };
    return [
      { path: `home/${name}/.ssh`, mode: 0o700, is: "directory", ...common },
      { path: `home/${name}/.ssh/authorized_keys`, mode: 0o600, is: { file: Buffer.from(`${lines.join("\n")}\n`) }, ...common },
    ];
  });
}

function listedDirectories(machine: ResolvedMachine, origins: readonly string[]): TarEntry[] {
  return machine.directories.flatMap(({ list, under, mode, owner, group }, index) => {
    const below = withParents(parseDirectories(readFileSync(list, "utf8"), origins[index] ?? list));
    const top = under.slice(1);
    return [top, ...below.map((path) => `${top}/${path}`)].map((path): TarEntry => ({ path, mode, owner, group, is: "directory" }));
  });
}

/** The content of a host directory, owned by root, with the modes of the host; directories before what is in them. */
function overlay(directory: string, below = ""): TarEntry[] {
  return readdirSync(join(directory, below)).sort().flatMap((name): TarEntry[] => {
    const path = below === "" ? name : `${below}/${name}`;
    const host = join(directory, path);
    const stats = lstatSync(host);
    const mode = stats.mode & 0o7777;
    if (stats.isDirectory()) return [{ path, mode, is: "directory" }, ...overlay(directory, path)];
    if (stats.isSymbolicLink()) return [{ path, mode: 0o777, is: { link: readlinkSync(host) } }];
    if (stats.isFile()) return [{ path, mode, is: { file: readFileSync(host) } }];
    throw new ImgtaskError("IMG2315", `"${path}" of the overlay is no file, directory or symbolic link`, {
      hint: "Sockets, pipes and devices belong to the running system: leave them out of the overlay",
      exitCode: ExitCode.usage,
    });
  });
}

/** Accounts and groups that own something, as lines of `getent` database and name. */
function owners(entries: readonly TarEntry[]): readonly string[] {
  const all = entries.flatMap(({ owner = "root", group = "root" }) => [`passwd:${owner}`, `group:${group}`]);
  return [...new Set(all)].filter((line) => !/:(root|\d+)$/.test(line)).sort();
}

/**
 * The payload of a machine, as entries of the installer's initial file system.
 *
 * @param origins what the lists of directories were read from, for messages.
 * @param epoch seconds since 1970, of every file on the machine.
 * @throws {ImgtaskError} IMG2314 and IMG2315 for files that cannot be put on a machine this way, IMG2316 when all of
 * them are too much for an installer's memory.
 */
export function payload(machine: ResolvedMachine, origins: readonly string[], epoch: number): readonly CpioEntry[] {
  const files: TarEntry[] = [
    ...ownFiles(machine),
    ...keyFiles(machine),
    ...listedDirectories(machine, origins),
    ...machine.files.map(({ path, content, mode, owner, group }): TarEntry => ({
      path: path.slice(1),
      mode,
      owner,
      group,
      is: { file: "text" in content ? Buffer.from(content.text) : readFileSync(content.file) },
    })),
  ];
  const laidOver = machine.overlay === undefined ? [] : overlay(machine.overlay);
  const lines = (all: readonly string[]): Buffer => Buffer.from(all.map((line) => `${line}\n`).join(""));
  const entry = (name: string, content: Uint8Array, mode = 0o600): CpioEntry => ({ path: `${payloadDirectory}/${name}`, mode, content });
  const entries = [
    { path: payloadDirectory, mode: 0o755 },
    entry("late", Buffer.from(lateScript), 0o755),
    entry("apply", Buffer.from(applyScript), 0o755),
    entry("users", lines(machine.users.map(({ name, uid, groups, shell }) => [name, uid ?? "", groups.join(","), shell].join(":")))),
    entry("owners", lines(owners(files))),
    entry("enable", lines(machine.services.enable)),
    entry("disable", lines(machine.services.disable)),
    entry("overlay.tar", tar(laidOver, epoch)),
    entry("files.tar", tar(files, epoch)),
  ];
  const size = entries.reduce((total, { content }) => total + (content?.length ?? 0), 0);
  if (size > largest) {
    throw new ImgtaskError("IMG2316", "The machine's files are too much for an installer's memory", {
      expected: `at most ${largest / 2 ** 20} MiB of overlay and files`,
      found: `${Math.ceil(size / 2 ** 20)} MiB`,
      hint: "Ship large files as packages, or fetch them after the installation",
      exitCode: ExitCode.usage,
    });
  }
  return entries;
}
