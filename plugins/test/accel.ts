/**
 * Finds out whether the host's hardware really runs a guest. `/dev/kvm` alone proves nothing: some hosts open it
 * and start the machine, then emulate each instruction in the kernel, so that a guest seems to hang for ever.
 * Knows nothing of what is booted.
 * @module
 */
import { accessSync, chmodSync, constants, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Arch, RunContext } from "../../lib/mod.ts";

/** How a machine is run, and why so. */
export interface Acceleration {
  readonly kind: "kvm" | "tcg";
  /** For the log. */
  readonly reason: string;
}

// A boot sector that goes where every kernel goes: paging, 64-bit mode; then counts to 300 million, asks CPUID and
// ends the emulator with code 43. Real hardware takes 0.1 s and TCG 0.7 s; a kernel that emulates takes minutes.
//   cli; xor ax,ax; ds=es=ss=0; sp=0x7c00; A20 by port 0x92; zero 0x1000..0x4000;
//   [0x1000]=0x2003 (PML4); [0x2000]=0x3003 (PDPT); [0x3000]=0x83 (one 2 MiB page); lgdt; CR4=PAE; CR3=0x1000;
//   EFER|=LME; CR0|=PG|PE; ljmp 8:long; long: mov ecx,300000000; 1: dec ecx; jnz 1b; cpuid(0); out 0xf4,0x15; hlt
const probeSector = "+jHAjtiOwI7QvAB85JIMAiT+5pL8vwAQZjHAuQAMZvOrZscGABADIAAAZscGACADMAAAZscGADCDAAAADwEWmHxmuCAAAAAPIuBmuAAQAAAPIthmuYAAAMAPMmYNAAEAAA8wDyDAZg0BAACADyLA6nR8CAC5AKPhEf/JdfwxwA+isBXm9PRmkAAAAAAAAAAAAAAAAACaIAAPAIh8AAA=";
const probeCode = (0x15 << 1) | 1;
/** Milliseconds. */
const probeLimit = 5000;
const anyCode: readonly number[] = Array.from({ length: 256 }, (_, code) => code);

/** A disk that a BIOS boots. SeaBIOS passes over SATA and virtio disks below a cylinder or so, hence 1 MiB. */
function probeDisk(): Buffer {
  const disk = Buffer.alloc(1 << 20);
  Buffer.from(probeSector, "base64").copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

/** Whether the probe comes to its end in time with an accelerator. */
export async function probe(kind: "kvm" | "tcg", arch: Arch, context: Pick<RunContext, "exec" | "tmp" | "signal">): Promise<boolean> {
  const disk = join(context.tmp, "probe.img");
  writeFileSync(disk, probeDisk());
  const cpu = kind === "kvm" ? ["-cpu", "host"] : [];
  try {
    const { code } = await context.exec(
      [arch.qemu.system.name, ...arch.qemu.machine, "-accel", kind, ...cpu, "-m", "64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive", `file=${disk.replaceAll(",", ",,")},format=raw,if=ide,readonly=off`],
      { ok: anyCode, timeout: probeLimit },
    );
    return code === probeCode;
  } catch (error) {
    context.signal.throwIfAborted();
    void error; // Not in time, or not at all: both mean no.
    return false;
  }
}

/** Where the results of probes are kept: a directory for all users, in which only files of one's own count. */
export const probeMemory = "/tmp/imgtask-kvm";

/** The result is kept until the host boots again: the probe takes its whole limit where KVM does not work. */
function memory(arch: Arch): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return join(probeMemory, `${process.getuid?.() ?? 0}-${arch.name}-${boot}`);
  } catch {
    return undefined;
  }
}

function recall(file: string): boolean | undefined {
  try {
    const stat = lstatSync(file); // In a directory for all: only a file of our own counts.
    if (!stat.isFile() || stat.uid !== process.getuid?.()) return undefined;
    const text = readFileSync(file, "utf8");
    return text === "works\n" ? true : text === "fails\n" ? false : undefined;
  } catch {
    return undefined;
  }
}

/** Chooses KVM where it really works for an architecture, TCG otherwise. */
export async function accelerationFor(arch: Arch, context: Pick<RunContext, "exec" | "tmp" | "signal">): Promise<Acceleration> {
  if (arch.node !== process.arch) return { kind: "tcg", reason: `the host is no ${arch.name}` };
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch {
    return { kind: "tcg", reason: "/dev/kvm is missing or not accessible" };
  }
  if (arch.grub.bios === undefined) return { kind: "tcg", reason: `there is no probe for KVM on ${arch.name} yet` };
  const file = memory(arch);
  const known = file === undefined ? undefined : recall(file);
  const works = known ?? (await probe("kvm", arch, context));
  if (file !== undefined && known === undefined) {
    try {
      // As /tmp itself: everybody may write there, and nobody may remove what is another's.
      if (mkdirSync(probeMemory, { recursive: true }) !== undefined) chmodSync(probeMemory, 0o1777);
      const fresh = `${file}.${process.pid}`;
      writeFileSync(fresh, works ? "works\n" : "fails\n", { flag: "wx", mode: 0o600 });
      renameSync(fresh, file);
    } catch {
      // It is probed again next time.
    }
  }
  return works
    ? { kind: "kvm", reason: "KVM ran the probe" }
    : { kind: "tcg", reason: `/dev/kvm is there but does not run a 64-bit guest at speed (probe took more than ${probeLimit / 1000} s or failed)` };
}
