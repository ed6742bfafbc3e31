/**
 * An installer that runs in an emulated machine with an empty disk, until it powers the machine off. Of all networks it
 * sees one server on the loopback interface.
 * @module
 */
import { spawn, execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { archOf } from "../../plugins/arch/mod.ts";
import { plainText } from "./terminal.ts";

/** Where the installer finds the server. */
export const archiveHost = "10.0.2.100";

/** What is installed, from what, on what. */
export interface Installation {
  /** The ISO, put into the CD drive. */
  readonly iso: string;
  /** Disk to make: qcow2. */
  readonly disk: string;
  /** For the serial console's log and a program. */
  readonly directory: string;
  /** Port on 127.0.0.1 that the installer reaches as port 80 of {@linkcode archiveHost}. */
  readonly port: number;
  /** Milliseconds. */
  readonly timeout: number;
  /** Told each new step that the installer shows. */
  readonly step?: (text: string) => void;
}

/** What came of it. */
export interface Installed {
  /** All from the serial line, as it came. */
  readonly console: string;
  readonly seconds: number;
}

/** Joins its standard input and output with a port: one process for each connection of the guest. */
const relay = `import { connect } from "node:net";
const socket = connect(Number(process.argv[2]), "127.0.0.1");
process.stdin.pipe(socket).pipe(process.stdout);
// Not before all of it is written: standard output is not done when the socket is.
socket.on("close", () => process.stdout.write("", () => process.exit())).on("error", () => process.exit(1));
`;

/**
 * Installs.
 *
 * @throws when the installer asks something, or the machine does not power itself off in time; with what it showed.
 */
export async function install({ iso, disk, directory, port, timeout, step }: Installation): Promise<Installed> {
  const arch = archOf("x86_64");
  const serial = join(directory, "install.log"), log = join(directory, "syslog"), program = join(directory, "relay.mjs");
  writeFileSync(program, relay);
  for (const file of [serial, log]) rmSync(file, { force: true });
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", disk, "10G"]);
  const started = Date.now();
  // The same places on the bus as in a boot test, so that interfaces keep their names.
  const qemu = spawn(arch.qemu.system.name, [
    // One plain processor. Of two that have to share one with others, one waits for the other and burns what it gets;
    // and what newer ones have is emulated step by step.
    ...arch.qemu.machine, "-cpu", "qemu64", "-accel", "tcg,thread=multi", "-m", "2048",
    "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
    "-device", "VGA",
    "-drive", `if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file=${disk}`, "-device", "virtio-blk-pci,drive=disk",
    "-netdev", `user,id=net,restrict=on,guestfwd=tcp:${archiveHost}:80-cmd:${process.execPath} ${program} ${port}`,
    "-device", "virtio-net-pci,netdev=net,romfile=",
    "-device", "virtio-rng-pci",
    "-drive", `if=none,id=cd,format=raw,media=cdrom,readonly=on,file=${iso}`, "-device", "ide-cd,drive=cd,bootindex=0",
    "-serial", `file:${serial}`, "-serial", `file:${log}`,
    "-monitor", `unix:${join(directory, "monitor")},server=on,wait=off`,
  ], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  qemu.stderr.on("data", (data: Buffer) => (said += String(data)));
  const over = new Promise<void>((resolve) => void qemu.once("close", () => resolve()));
  const logged = (): string => (existsSync(log) ? readFileSync(log, "latin1").slice(-3000) : "");
  const text = (): string => (existsSync(serial) ? readFileSync(serial, "latin1") : "");
  let last = "";
  try {
    while (qemu.exitCode === null && qemu.signalCode === null) {
      const all = plainText(text());
      // Dialogues of cdebconf: only questions and errors have a priority in their heading.
      const asks = /\[(?:!!|!|\?|\.)\] [A-Z]/.exec(all);
      if (asks !== null) throw new Error(`the installer asks: ${all.slice(asks.index, asks.index + 1000)}\nits log ends: ${logged()}`);
      if (all.includes("Kernel panic")) throw new Error(`the installer's kernel stopped: ${all.slice(-3000)}`);
      const shown = all.slice(-400);
      const now = /([A-Z][^\n%]{5,60}?) ?\.\.\. ?\d+%/.exec(shown)?.[1] ?? last;
      if (now !== last) step?.(`${((Date.now() - started) / 1000).toFixed(0)} s: ${now}`);
      last = now;
      if (Date.now() - started > timeout) throw new Error(`the installer did not end: ${shown}\nits log ends: ${logged()}`);
      await Promise.race([over, sleep(1000)]);
    }
  } finally {
    qemu.kill("SIGKILL");
    await over;
  }
  if (qemu.exitCode !== 0) throw new Error(`the emulator ended with ${qemu.exitCode}: ${said}`);
  return { console: text(), seconds: (Date.now() - started) / 1000 };
}
