/**
 * One running QEMU: starts it, holds its console and its control socket, ends it.
 * Knows nothing of what is expected of the guest.
 * @module
 */
import { chmodSync, constants, copyFileSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Arch, type Argv, type HostFile, ImgtaskError, type RunContext, tool, type Tool } from "../../lib/mod.ts";
import type { Acceleration } from "./accel.ts";
import type { BootImage } from "./image.ts";
import { pngOf } from "./png.ts";
import { connectSoon, Qmp } from "./qmp.ts";
import { Console } from "./serial.ts";

/** What is booted, and on what. */
export interface Hardware {
  readonly arch: Arch;
  readonly acceleration: Acceleration;
  readonly medium: (BootImage & { readonly type: "disk" }) | { readonly type: "iso"; readonly path: string };
  /** An ISO with data for cloud-init. */
  readonly seed?: string | undefined;
  /** @default virtio */
  readonly devices?: "vmware" | undefined;
  readonly firmware: "bios" | "uefi";
  /** An instruction that an emulated processor is not to have. @default none */
  readonly without?: string | undefined;
  /** MiB. */
  readonly memory: number;
  readonly cpus: number;
  /** Seconds after which it is ended come what may. */
  readonly limit: number;
  /** Where everything from the serial console goes, as it came. */
  readonly consoleLog: string;
}

/** A machine that runs. */
export interface Running {
  readonly console: Console;
  /** Milliseconds since 1970 of power-on. */
  readonly started: number;
  /** Types into the serial console. */
  readonly type: (text: string) => void;
  /** Port on 127.0.0.1 that leads to the guest's port 22. */
  readonly sshPort: number;
  /** Whether the emulator has ended, and why. */
  readonly ended: () => string | undefined;
  /** Writes what is on the screen as PNG. */
  screenshot(path: string): Promise<void>;
  /** Ends it, at once and whatever it does; may be called again. */
  stop(): Promise<void>;
}

type Context = Pick<RunContext, "exec" | "tmp" | "signal" | "log">;

/** A file name inside a QEMU option, where a comma ends a value. */
function option(path: string): string {
  return path.replaceAll(",", ",,");
}

function firmwareFile(file: HostFile): { readonly path: string; readonly index: number } {
  const index = file.anyOf.findIndex((path) => existsSync(path));
  if (index >= 0) return { path: file.anyOf[index]!, index };
  throw new ImgtaskError("IMG1001", `${file.name} is missing`, {
    expected: file.anyOf.join(" or "),
    hint: `Install the package ${Object.values(file.packages)[0] ?? "that has it"}`,
    exitCode: 4,
  });
}

/** The command that starts a machine, stopped before its first instruction. */
export function qemuArgv(hardware: Hardware, sockets: string, vars: string | undefined): Argv {
  const { arch, medium } = hardware;
  const accel = hardware.acceleration.kind === "kvm" ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg,thread=multi"];
  const firmware = vars === undefined ? [] : [
    "-drive", `if=pflash,unit=0,format=raw,readonly=on,file=${option(firmwareFile(arch.qemu.firmware.code).path)}`,
    "-drive", `if=pflash,unit=1,format=raw,file=${option(vars)}`,
  ];
  // PCs have had SATA for CDs and a VGA for ever; other machines have neither.
  const pc = arch.grub.bios !== undefined;
  const vmware = hardware.devices === "vmware";
  const media = medium.type === "disk"
    ? ["-drive", `if=none,id=medium,format=${medium.format},snapshot=on,file=${option(medium.path)}`, ...(vmware ? ["-device", "pvscsi", "-device", "scsi-hd,drive=medium,bootindex=0"] : ["-device", "virtio-blk-pci,drive=medium,bootindex=0"])]
    : ["-drive", `if=none,id=medium,format=raw,media=cdrom,readonly=on,file=${option(medium.path)}`,
      ...(pc ? ["-device", "ide-cd,drive=medium,bootindex=0"] : ["-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=medium,bootindex=0"])];
  // As a disk that cannot be written to: kernels for clouds know few drives for CDs, and cloud-init looks at labels alone.
  const seed = hardware.seed === undefined ? [] : ["-drive", `if=none,id=seed,format=raw,readonly=on,file=${option(hardware.seed)}`, "-device", "virtio-blk-pci,drive=seed"];
  return [
    arch.qemu.system.name,
    ...arch.qemu.machine,
    ...accel,
    ...(hardware.without === undefined ? [] : ["-cpu", `max,-${hardware.without}`]),
    "-m", String(hardware.memory),
    "-smp", String(hardware.cpus),
    "-nodefaults", "-no-user-config", "-no-reboot", "-S",
    "-display", "none",
    "-device", pc ? "VGA" : "virtio-gpu-pci",
    ...firmware,
    ...media,
    ...seed,
    // The guest cannot reach the host or the net. romfile: nothing to boot from the net either.
    "-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22",
    "-device", `${vmware ? "vmxnet3" : "virtio-net-pci"},netdev=net,romfile=`,
    "-device", "virtio-rng-pci",
    "-chardev", `pipe,id=serial,path=${option(join(sockets, serial))},logfile=${option(hardware.consoleLog)},logappend=off`,
    "-serial", "chardev:serial",
    "-chardev", `socket,id=control,path=${option(join(sockets, "qmp"))},server=on,wait=off`,
    "-mon", "chardev=control,mode=control",
    "-pidfile", join(sockets, "pid"),
  ];
}

/** Name of the pipes of the serial console, without `.in` and `.out`. */
const serial = "serial";

/**
 * The serial console: two pipes. Of a socket, each byte that QEMU writes by itself takes a whole buffer: after some three
 * hundred that were not read at once QEMU throws away what the guest prints. A pipe holds 64 KiB.
 */
const makePipe = tool("mkfifo", { packages: { apt: "coreutils", dnf: "coreutils" } });

/** What a running machine runs on, beside the emulator. */
export const machineTools: readonly Tool[] = [makePipe];

/** Opens an end of a pipe whose other end QEMU holds. */
function pipeEnd(path: string, end: "readable" | "writable"): Socket {
  const fd = openSync(path, (end === "readable" ? constants.O_RDONLY : constants.O_WRONLY) | constants.O_NONBLOCK);
  const socket = new Socket({ fd, readable: end === "readable", writable: end === "writable" });
  // The emulator may vanish; `close` tells.
  return socket.on("error", () => {});
}

/** A directory for sockets: their paths must stay under 108 bytes, which those of a deep project do not. */
function socketDirectory(tmp: string): { readonly path: string; readonly remove: () => void } {
  const here = join(tmp, "qemu-XXXXXX");
  const path = mkdtempSync(Buffer.byteLength(join(here, "serial")) < 100 ? join(tmp, "qemu-") : "/tmp/imgtask-");
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

async function forwardedPort(qmp: Qmp): Promise<number> {
  const text = String(await qmp.execute("human-monitor-command", { "command-line": "info usernet" }));
  const port = Number(/TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(text)?.[1]);
  if (port > 0) return port;
  throw new ImgtaskError("IMG3502", "The emulator forwards no port to the guest", { expected: "a line HOST_FORWARD in `info usernet`", found: text });
}

/**
 * Powers a machine on.
 *
 * @throws {ImgtaskError} IMG3502 when the emulator does not start.
 */
export async function powerOn(hardware: Hardware, context: Context): Promise<Running> {
  const sockets = socketDirectory(context.tmp);
  let vars: string | undefined;
  let ended: string | undefined;
  let qmp: Qmp | undefined;
  let typed: Socket | undefined;
  const screen = new Console();
  const giveUp = new AbortController();
  const signal = AbortSignal.any([context.signal, giveUp.signal]);
  let over: Promise<void> = Promise.resolve();
  let silent: Promise<unknown> = Promise.resolve();
  const stop = async (): Promise<void> => {
    if (ended === undefined) {
      await Promise.race([qmp?.execute("quit").catch(() => {}), sleep(2000)]);
      const left = await Promise.race([over.then(() => false), sleep(8000, true, { ref: false })]);
      if (left) {
        try {
          process.kill(Number(readFileSync(join(sockets.path, "pid"), "utf8")), "SIGKILL");
          await over;
        } catch {
          // It has ended in between.
        }
      }
    }
    qmp?.close();
    typed?.destroy();
    sockets.remove();
  };
  try {
    if (hardware.firmware === "uefi") {
      const { index } = firmwareFile(hardware.arch.qemu.firmware.code);
      const { vars: store } = hardware.arch.qemu.firmware;
      const fitting = store.anyOf[index];
      vars = join(context.tmp, "uefi-vars");
      copyFileSync(fitting !== undefined && existsSync(fitting) ? fitting : firmwareFile(store).path, vars);
      chmodSync(vars, 0o600);
    }
    await context.exec([makePipe.name, "-m", "600", join(sockets.path, `${serial}.in`), join(sockets.path, `${serial}.out`)]);
    over = context.exec(qemuArgv(hardware, sockets.path, vars), { timeout: (hardware.limit + 60) * 1000, env: { TMPDIR: context.tmp } }).then(
      () => void (ended = qmp?.stopped ?? "it ended"),
      (error: Error) => void (ended = error instanceof ImgtaskError && error.found !== undefined ? `${error.message}: ${error.found}` : error.message),
    ).then(async () => {
      giveUp.abort();
      // What it said last is read first, and why it ended is known before anybody hears that it did.
      await Promise.race([silent, sleep(2000, undefined, { ref: false })]);
      screen.end();
    });
    qmp = new Qmp(await connectSoon(join(sockets.path, "qmp"), 20_000, signal));
    await qmp.execute("qmp_capabilities");
    // QEMU answers, so it has opened its ends; the guest has not begun.
    const printed = pipeEnd(join(sockets.path, `${serial}.out`), "readable").on("data", (data: Buffer) => screen.feed(data));
    silent = new Promise((resolve) => printed.once("close", resolve));
    typed = pipeEnd(join(sockets.path, `${serial}.in`), "writable");
    const sshPort = await forwardedPort(qmp);
    const started = Date.now();
    // A guest that resets at once takes the emulator, and its answer, with it: that is for the checks to find.
    await qmp.execute("cont").catch((error: unknown) => {
      if (qmp?.stopped === undefined && ended === undefined && !context.signal.aborted) context.log(`No answer to "cont": ${String(error)}`);
    });
    const control = qmp;
    return {
      console: screen,
      type: (text) => void typed?.write(text),
      started,
      sshPort,
      ended: () => (ended === undefined ? undefined : control.stopped ?? ended),
      async screenshot(path) {
        const picture = join(context.tmp, "screen.ppm");
        await control.execute("screendump", { filename: picture });
        await writeFile(path, pngOf(await readFile(picture)));
        rmSync(picture);
      },
      stop,
    };
  } catch (error) {
    await stop();
    if (context.signal.aborted) throw error;
    if (ended === undefined) throw error;
    throw new ImgtaskError("IMG3502", "The emulator did not start", { found: ended, hint: "What it said is in this target's log", cause: error });
  }
}
