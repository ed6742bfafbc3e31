/**
 * Applies a machine description to an unpacked root directory. Runs inside the namespace, as root there.
 * Knows no disk, no boot loader and no package manager.
 * @module
 */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImgtaskError } from "../../lib/mod.ts";
import { parseDirectories } from "../dirs/parse.ts";
import { addUser, idOf } from "./accounts.ts";
import { finishScript, finishSteps } from "./finish.ts";
import { command, followInside, hasInside, inImage, pathInside } from "./inside.ts";
import { keyboardFile, keyboardPath } from "./keyboard.ts";
import { networkdFiles } from "./networkd.ts";
import { layOver } from "./overlay.ts";
import type { ReadyMachine } from "./passwords.ts";
import { repositoryFiles, systemFiles } from "./system-file.ts";

/** Who owns a file, and what may be done with it. */
interface Access {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Makes a directory of the image and those above it; only what is new gets `access`. */
function makeDirectory(root: string, path: string, access: Access = {}): string {
  let here = root;
  const parts = path.split("/").filter((part) => part !== "");
  for (const [index] of parts.entries()) {
    here = followInside(root, `/${parts.slice(0, index + 1).join("/")}`);
    const existing = lstatSync(here, { throwIfNoEntry: false });
    if (existing?.isDirectory() === true) continue;
    if (existing !== undefined) {
      throw new ImgtaskError("IMG3226", `Cannot make the directory "${path}" on the machine: "/${parts.slice(0, index + 1).join("/")}" is a file`);
    }
    mkdirSync(here);
    chmodSync(here, 0o755);
  }
  if (access.mode !== undefined) chmodSync(here, access.mode);
  if (access.uid !== undefined && access.gid !== undefined) chownSync(here, access.uid, access.gid);
  return here;
}

/** Writes a file of the image, replacing what is there. */
export function writeInside(root: string, path: string, content: string | Uint8Array, access: Access = {}): void {
  makeDirectory(root, path.slice(0, path.lastIndexOf("/")));
  const file = pathInside(root, path);
  if (lstatSync(file, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new ImgtaskError("IMG3226", `Cannot write the file "${path}" on the machine: it is a directory`);
  }
  rmSync(file, { force: true });
  writeFileSync(file, content);
  chownSync(file, access.uid ?? 0, access.gid ?? 0);
  // After the owner: changing that takes the set-user-id bit away.
  chmodSync(file, access.mode ?? 0o644);
}

function link(root: string, path: string, to: string): void {
  makeDirectory(root, path.slice(0, path.lastIndexOf("/")));
  const file = pathInside(root, path);
  rmSync(file, { force: true });
  symlinkSync(to, file);
}

function identity(root: string, machine: ReadyMachine): void {
  writeInside(root, "/etc/hostname", `${machine.hostname}\n`);
  writeInside(
    root,
    "/etc/hosts",
    `127.0.0.1\tlocalhost\n127.0.1.1\t${machine.hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n`,
  );
  // Empty, not "uninitialized": the latter makes systemd apply its presets at first boot, over the services chosen here.
  writeInside(root, "/etc/machine-id", "", { mode: 0o444 });
}

function locale(root: string, { locale, timezone, keyboard }: ReadyMachine): void {
  if (!/^(C|POSIX)(\.|$)/.test(locale)) {
    if (!hasInside(root, "/usr/sbin/locale-gen")) {
      throw new ImgtaskError("IMG3227", `The machine cannot make the locale "${locale}"`, { hint: "Add \"locales\" to its `packages`" });
    }
    const charset = locale.split(".")[1]?.replace(/^utf-?8$/i, "UTF-8") ?? "ISO-8859-1";
    writeInside(root, "/etc/locale.gen", `${locale} ${charset}\n`);
    inImage(root, ["locale-gen"]);
  }
  writeInside(root, "/etc/default/locale", `LANG=${locale}\n`);
  writeInside(root, keyboardPath, keyboardFile(keyboard));
  // The console takes its keymap from a file that is made of this one.
  if (hasInside(root, "/usr/bin/setupcon")) inImage(root, ["setupcon", "--save-only"]);
  const zone = `/usr/share/zoneinfo/${timezone}`;
  if (!hasInside(root, zone)) {
    if (/^(Etc\/)?UTC$/.test(timezone)) return;
    throw new ImgtaskError("IMG3228", `The machine has no time zone "${timezone}"`, {
      expected: `a name of the tz database, such as "Europe/Berlin"`,
      hint: "Without the package tzdata there is only UTC; zones of old names are in tzdata-legacy",
    });
  }
  link(root, "/etc/localtime", zone);
  writeInside(root, "/etc/timezone", `${timezone}\n`);
}

function network(root: string, { network: how }: ReadyMachine): void {
  for (const { path, content } of networkdFiles(how)) writeInside(root, path, content);
  if (!hasInside(root, "/lib/systemd/system/systemd-networkd.service", "/usr/lib/systemd/system/systemd-networkd.service")) {
    throw new ImgtaskError("IMG3229", "The machine has no systemd-networkd, by which it would get its address", {
      hint: "Say `network: \"none\"` and configure the network by files",
    });
  }
  inImage(root, ["systemctl", "enable", "systemd-networkd.service"]);
  if (hasInside(root, "/lib/systemd/system/systemd-resolved.service", "/usr/lib/systemd/system/systemd-resolved.service")) {
    inImage(root, ["systemctl", "enable", "systemd-resolved.service"]);
    link(root, "/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
  }
}

/**
 * Host keys are made by each machine at its first boot: two machines of one image must not share them. Where sshd is
 * started by its socket, as in Ubuntu, they come before sockets, which services by default come after: a cycle.
 */
const hostKeys = `[Unit]
Description=Make SSH host keys
DefaultDependencies=no
After=local-fs.target systemd-remount-fs.service
Before=ssh.socket ssh.service sshd.service shutdown.target
Conflicts=shutdown.target
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
`;

function ssh(root: string, machine: ReadyMachine): void {
  if (!hasInside(root, "/usr/sbin/sshd")) return;
  const answer = machine.passwordLogin ? "yes" : "no";
  // The first value that sshd meets counts, so this file must come before all others.
  writeInside(root, "/etc/ssh/sshd_config.d/00-imgtask.conf", `PasswordAuthentication ${answer}\nKbdInteractiveAuthentication ${answer}\nPermitRootLogin prohibit-password\n`);
  const config = followInside(root, "/etc/ssh/sshd_config");
  if (existsSync(config) && !/^\s*Include\s+\/etc\/ssh\/sshd_config\.d\//im.test(readFileSync(config, "utf8"))) {
    throw new ImgtaskError("IMG3230", "The machine's sshd does not read /etc/ssh/sshd_config.d, so password logins could not be ruled out", {
      hint: "Add `Include /etc/ssh/sshd_config.d/*.conf` as the first line of its sshd_config",
    });
  }
  writeInside(root, "/etc/systemd/system/ssh-host-keys.service", hostKeys);
  inImage(root, ["systemctl", "enable", "ssh-host-keys.service"]);
}

function directories(root: string, machine: ReadyMachine): void {
  for (const list of machine.directories) {
    const access: Access = { mode: list.mode, uid: idOf(root, "passwd", list.owner), gid: idOf(root, "group", list.group) };
    makeDirectory(root, list.under, access);
    for (const path of parseDirectories(readFileSync(list.list, "utf8"), list.list)) {
      // Parts on the way are directories of the list as well: they get the same owner and mode.
      const parts = path.split("/");
      for (const [index] of parts.entries()) makeDirectory(root, `${list.under}/${parts.slice(0, index + 1).join("/")}`, access);
    }
  }
}

function services(root: string, machine: ReadyMachine): void {
  for (const verb of ["enable", "disable"] as const) {
    for (const unit of machine.services[verb]) {
      const { code, stderr } = inImage(root, ["systemctl", verb, "--", unit], { mayFail: true });
      if (code === 0) continue;
      const missing = /does not exist|not found|No such file/i.test(stderr);
      throw new ImgtaskError("IMG3231", missing ? `The machine has no service "${unit}"` : `Cannot ${verb} the service "${unit}"`, {
        found: stderr.trim().split("\n").at(-1) ?? `exit code ${code}`,
        ...(missing ? { hint: "Add its package to `packages`, or its unit to `files` or the overlay" } : {}),
      });
    }
  }
}

/** The steps that are the same in images and on installed machines. Services were taken already, with better messages. */
function finish(root: string, machine: ReadyMachine): void {
  const steps = finishSteps({ ...machine, services: { enable: [], disable: [] } });
  if (steps.length === 0) return;
  const place = "/var/lib/imgtask-finish";
  mkdirSync(followInside(root, place), { recursive: true, mode: 0o700 });
  try {
    for (const { name, content, mode } of [...steps, { name: "finish", content: Buffer.from(finishScript), mode: 0o700 }]) writeInside(root, `${place}/${name}`, content, { mode: mode ?? 0o600 });
    const { code, stderr } = inImage(root, ["sh", `${place}/finish`], { mayFail: true });
    if (code !== 0) {
      throw new ImgtaskError("IMG3234", "The last steps on the machine failed", {
        expected: "exit code 0",
        found: `exit code ${code}: ${stderr.trim().split("\n").at(-1) ?? ""}`,
        hint: "The log above has the command; what it needs may be missing in `packages`",
      });
    }
  } finally {
    rmSync(followInside(root, place), { recursive: true, force: true });
  }
}

/** Gives the image's programs the few devices and /proc that they expect, for as long as `body` takes. */
export function withDevices(root: string, body: () => void): void {
  const dev = join(root, "dev"), proc = join(root, "proc");
  const made = [dev, proc].filter((directory) => !existsSync(directory));
  for (const directory of made) mkdirSync(directory);
  command(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", dev]);
  const mounted = [dev];
  try {
    for (const name of ["null", "zero", "full", "random", "urandom"]) {
      writeFileSync(join(dev, name), "");
      // Bound, not made: an ordinary user's namespace may not make devices.
      command(["mount", "--bind", `/dev/${name}`, join(dev, name)]);
      mounted.push(join(dev, name));
    }
    if (command(["mount", "-t", "proc", "proc", proc], { mayFail: true }).code === 0) mounted.push(proc);
    body();
  } finally {
    for (const path of mounted.reverse()) command(["umount", "-l", path]);
    for (const directory of made) rmdirSync(directory);
  }
}

/**
 * Applies a machine to the root directory of an image, whose packages are installed already. Later steps win: overlay,
 * accounts, directories, files, services, late commands.
 *
 * @throws {ImgtaskError} IMG3220 to IMG3234 for what the machine asks and the image cannot give.
 */
export function applyMachine(root: string, machine: ReadyMachine): void {
  withDevices(root, () => {
    // Archives first: an overlay or a file of the machine may replace what follows from the description.
    for (const { path, content, mode } of [...machine.repositories.flatMap(repositoryFiles), ...systemFiles(machine)]) writeInside(root, path, content, mode === undefined ? {} : { mode });
    identity(root, machine);
    locale(root, machine);
    if (machine.overlay !== undefined) layOver(root, machine.overlay);
    for (const user of machine.users) addUser(root, user);
    directories(root, machine);
    for (const file of machine.files) {
      writeInside(root, file.path, "text" in file.content ? file.content.text : readFileSync(file.content.file), {
        mode: file.mode,
        uid: idOf(root, "passwd", file.owner),
        gid: idOf(root, "group", file.group),
      });
    }
    ssh(root, machine);
    if (machine.network !== "none") network(root, machine);
    services(root, machine);
    finish(root, machine);
  });
  removeBackups(root);
}

/** Removes what the tools leave behind that change accounts. */
export function removeBackups(root: string): void {
  for (const name of ["passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", ".pwd.lock"]) {
    rmSync(pathInside(root, `/etc/${name}`), { force: true });
  }
}
