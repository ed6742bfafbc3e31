/**
 * Vendor-shaped ISOs that were remastered by imgtask, and machines that start from them: by BIOS and by UEFI, as a CD
 * and as a stick.
 * @module
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type IsoLayout } from "../../lib/mod.ts";
import { run } from "../../lib/process.ts";
import type { Argv, ExecOptions, RunContext } from "../../lib/target.ts";
import { archOf } from "../../plugins/arch/mod.ts";
import { cpio } from "../../plugins/customize/cpio.ts";
import { type Customization, remaster, type Remaster } from "../../plugins/iso/remaster.ts";
import type { Shape } from "./vendor-iso.ts";

/** How each shape is laid out, where its answers are, and how its kernel is told of them. */
export const shapes: Readonly<Record<Shape, { readonly layout: IsoLayout; readonly answers: string; readonly arguments: readonly string[]; readonly told: RegExp }>> = {
  debian: { layout: "debian-cd", answers: "preseed.cfg", arguments: ["auto=true", "priority=critical"], told: / auto=true priority=critical --- quiet console=tty0 console=ttyS0,115200/ },
  ubuntu: { layout: "casper", answers: "nocloud/user-data", arguments: ["autoinstall", "ds=nocloud;s=/cdrom/nocloud/"], told: / autoinstall ds=nocloud;s=\/cdrom\/nocloud\/ --- console=tty0 console=ttyS0,115200/ },
  el9: { layout: "anaconda", answers: "ks.cfg", arguments: ["inst.ks=hd:LABEL={volume}:/ks.cfg"], told: / inst\.stage2=hd:LABEL=Rocky-9-5-x86_64-dvd inst\.ks=hd:LABEL=Rocky-9-5-x86_64-dvd:\/ks\.cfg / },
  fedora: { layout: "anaconda", answers: "ks.cfg", arguments: ["inst.ks=hd:LABEL={volume}:/ks.cfg"], told: / inst\.stage2=hd:LABEL=Fedora-S-dvd-x86_64-42 inst\.ks=hd:LABEL=Fedora-S-dvd-x86_64-42:\/ks\.cfg / },
};

/** An installer tree with answers that nothing would install by; for Debian's installer ones that it says it has read. */
export function answersTree(directory: string, shape: Shape): string {
  const { layout, answers, arguments: words } = shapes[shape];
  const text = shape === "debian" ? "d-i preseed/early_command string echo IMGTASK_PRESEED_READ > /dev/console\n" : `# answers of ${shape}\n`;
  mkdirSync(dirname(join(directory, answers)), { recursive: true });
  writeFileSync(join(directory, answers), text);
  if (shape === "debian") writeFileSync(join(directory, "preseed.cpio"), cpio([{ path: "preseed.cfg", mode: 0o644, content: Buffer.from(text) }], 0));
  const customization: Customization = { format: 1, layout, arguments: words, initrds: shape === "debian" ? ["/preseed.cpio"] : [] };
  writeFileSync(join(directory, "customize.json"), JSON.stringify(customization));
  return directory;
}

/** Remasters without the engine. */
export async function remasterIn(directory: string, options: Pick<Remaster, "image" | "tree" | "out"> & Partial<Remaster>, prefix: readonly string[] = []): Promise<string> {
  const tmp = mkdtempSync(join(directory, "tmp-"));
  const logFd = openSync(join(tmp, "log"), "a");
  const env = { PATH: process.env["PATH"], HOME: tmp, TMPDIR: tmp, LC_ALL: "C.UTF-8", TZ: "UTC", SOURCE_DATE_EPOCH: "1700000000" };
  const { signal } = new AbortController();
  const context = {
    exec: (argv: Argv, how: ExecOptions) => run([...prefix, ...argv] as unknown as Argv, { cwd: tmp, env, logFd, signal }, how),
    epoch: 1_700_000_000,
    tmp,
    log: () => {},
    progress: () => {},
  } as unknown as RunContext;
  await remaster({ arch: archOf("x86_64"), console: "serial+vga", timeout: 1, title: "Unattended installation", ...options }, context);
  return options.out;
}

/** SHA-256 of a file. */
export function digestOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** How a machine starts. */
export interface Start {
  readonly firmware: "bios" | "uefi";
  readonly as: "cd" | "stick";
}

/** Starts a machine without a disk or a network until its serial line shows all texts; gives what it showed. */
export async function startFrom(image: string, { firmware, as }: Start, directory: string, wanted: readonly (string | RegExp)[], seconds = 400): Promise<string> {
  const arch = archOf("x86_64");
  const own = mkdtempSync(join(directory, `${firmware}-${as}-`));
  const serial = join(own, "serial");
  const { code, vars } = arch.qemu.firmware;
  const index = code.anyOf.findIndex((path) => existsSync(path));
  if (firmware === "uefi") copyFileSync(vars.anyOf[index]!, join(own, "vars"));
  const qemu = spawn(arch.qemu.system.name, [
    "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-display", "none", "-no-reboot", "-monitor", "none", "-nic", "none", "-serial", `file:${serial}`,
    ...(firmware === "uefi" ? ["-drive", `if=pflash,format=raw,readonly=on,file=${code.anyOf[index]!}`, "-drive", `if=pflash,format=raw,file=${join(own, "vars")}`] : []),
    ...(as === "cd" ? ["-cdrom", image] : ["-drive", `file=${image},format=raw,snapshot=on,if=ide`]),
  ], { stdio: ["ignore", "ignore", "inherit"] });
  const text = (): string => (existsSync(serial) ? readFileSync(serial, "latin1").replaceAll(/\x1b\[[0-9;?=]*[A-Za-z]/g, "") : "");
  const missing = (): readonly (string | RegExp)[] => wanted.filter((one) => (typeof one === "string" ? !text().includes(one) : !one.test(text())));
  const deadline = Date.now() + seconds * 1000;
  try {
    while (missing().length > 0) {
      if (qemu.exitCode !== null || Date.now() > deadline) throw new Error(`${firmware} ${as}: not seen: ${missing().map(String).join(", ")}\n${text().slice(-3000)}`);
      await sleep(300);
    }
    return text();
  } finally {
    qemu.kill("SIGKILL");
  }
}

/** What a started shape must show: its kernel was told of the answers, and the installer has read them or can. */
export function expected(shape: Shape, tree: string): readonly (string | RegExp)[] {
  const { told, answers } = shapes[shape];
  const read = shape === "debian" ? ["IMGTASK_PRESEED_READ"] : [];
  return [new RegExp(`RIG cmdline: .*${told.source}`), `RIG file: ${digestOf(join(tree, answers))}  /rig/${answers}`, ...read];
}
