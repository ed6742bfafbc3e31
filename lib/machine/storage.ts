/**
 * How the disk of a machine is divided when an installer divides it: partitions, or volumes of LVM.
 * Plain, checked data: knows no installer.
 * @module
 */
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { check, checkPart, isMachinePath } from "./check.ts";

/** A size in binary units, or all that is left. */
export type VolumeSize = `${number}M` | `${number}G` | `${number}T` | "rest";

/** A file system on a partition or volume. */
export interface FileSystem {
  /** Where it is mounted, or `"swap"`. */
  readonly mount: string;
  /** Of all file systems beside each other, one may take the rest. */
  readonly size: VolumeSize;
  /** @default "ext4"; of swap "swap" */
  readonly type?: "ext4" | "xfs" | "btrfs" | "swap";
}

/** A logical volume. */
export interface Volume extends FileSystem {
  /** Name within its group: letters, digits, `_`. */
  readonly name: string;
}

/**
 * How a disk is divided: a GUID partition table; what the firmware needs (an EFI system partition, a BIOS boot
 * partition) is made by itself, then come the partitions in their order, then, where there are volumes, LVM on all that
 * is left.
 */
export interface Storage {
  /** Disk to install on, as `/dev/vda`; all that is on it is lost. @default the only one; with several, the installer asks or takes the largest */
  readonly disk?: string;
  /**
   * Firmware that is to start it. Installers see for themselves; those that want to be told refuse `"any"`.
   * @default "any"
   */
  readonly firmware?: "bios" | "uefi" | "any";
  /** @default [] */
  readonly partitions?: readonly FileSystem[];
  /** @default none */
  readonly lvm?: {
    /** @default "vg0" */
    readonly group?: string;
    readonly volumes: readonly Volume[];
  };
}

/** A file system with every default filled in; the size in MiB. */
export interface FullFileSystem {
  readonly mount: string;
  readonly size: number | "rest";
  readonly type: "ext4" | "xfs" | "btrfs" | "swap";
}

/** A division of a disk with every default filled in. */
export interface FullStorage {
  readonly disk?: string;
  readonly firmware: "bios" | "uefi" | "any";
  readonly partitions: readonly FullFileSystem[];
  readonly lvm?: { readonly group: string; readonly volumes: readonly (FullFileSystem & { readonly name: string })[] };
}

const fits: Fits<Storage> = { disk: fit.text, firmware: fit.text, partitions: fit.list, lvm: fit.record };
const fileSystemFits: Fits<FileSystem> = { mount: fit.needed(fit.text), size: fit.needed(fit.text), type: fit.text };
const volumeFits: Fits<Volume> = { name: fit.needed(fit.text), ...fileSystemFits };
const lvmFits: Fits<NonNullable<Storage["lvm"]>> = { group: fit.text, volumes: fit.needed(fit.list) };

const units: Readonly<Record<string, number>> = { M: 1, G: 1024, T: 1024 ** 2 };
/** Smaller than this no file system of the four can be made. */
const least = 64;

function mebibytes(size: VolumeSize, mount: string): number | "rest" {
  if (size === "rest") return size;
  const match = /^([1-9]\d{0,8})([MGT])$/.exec(size);
  const value = match === null ? 0 : Number(match[1]) * units[match[2]!]!;
  check(value >= least, `size of "${mount}"`, size, `a whole number of M, G or T, ${least}M at least, or "rest"`);
  return value;
}

function fullFileSystem(given: FileSystem): FullFileSystem {
  const { mount } = given;
  const swap = mount === "swap";
  check(swap || mount === "/" || (isMachinePath(mount) && /^[A-Za-z0-9/._-]+$/.test(mount)), "mount", mount, `"/", an absolute path of letters, digits, ".", "_" and "-", or "swap"`);
  check(mount !== "/boot/efi", "mount", mount, "a path other than that of the EFI system partition, which is made by itself");
  const type = given.type ?? (swap ? "swap" : "ext4");
  check(["ext4", "xfs", "btrfs", "swap"].includes(type) && (type === "swap") === swap, `type of "${mount}"`, type, swap ? `"swap"` : `"ext4", "xfs" or "btrfs"`);
  return { mount, size: mebibytes(given.size, mount), type };
}

/** Checks a division of a disk and fills in its defaults. */
export function fullStorage(given: Storage): FullStorage {
  checkPart(given, fits, "storage");
  const firmware = given.firmware ?? "any";
  check(given.disk === undefined || /^\/dev\/[A-Za-z0-9][A-Za-z0-9._:/-]*$/.test(given.disk), "storage.disk", given.disk, `a device such as "/dev/vda"`);
  check(["bios", "uefi", "any"].includes(firmware), "storage.firmware", firmware, `"bios", "uefi" or "any"`);
  for (const one of given.partitions ?? []) checkPart(one, fileSystemFits, "a partition");
  const partitions = (given.partitions ?? []).map(fullFileSystem);
  const { lvm } = given;
  if (lvm !== undefined) {
    checkPart(lvm, lvmFits, "storage.lvm");
    check(/^[A-Za-z][A-Za-z0-9_]{0,31}$/.test(lvm.group ?? "vg0"), "volume group", lvm.group, "a letter, then letters, digits and _; 32 at most");
    check(lvm.volumes.length > 0, "storage.lvm.volumes", lvm.volumes, "one at least");
  }
  const volumes = (lvm?.volumes ?? []).map((one) => {
    checkPart(one, volumeFits, "a volume");
    check(/^[A-Za-z][A-Za-z0-9_]{0,31}$/.test(one.name) && !["snapshot", "pvmove"].includes(one.name), "volume name", one.name, "a letter, then letters, digits and _; 32 at most");
    return { name: one.name, ...fullFileSystem(one) };
  });
  const names = volumes.map(({ name }) => name);
  check(new Set(names).size === names.length, "volume names", names, "each once");
  const mounts = [...partitions, ...volumes].map(({ mount }) => mount).filter((mount) => mount !== "swap");
  check(new Set(mounts).size === mounts.length, "mounts", mounts, "each path once");
  check(mounts.includes("/"), "mounts", mounts, `one that is "/"`);
  const rests = (all: readonly FullFileSystem[]): number => all.filter(({ size }) => size === "rest").length;
  check(rests(partitions) <= (lvm === undefined ? 1 : 0), "partitions", given.partitions, `"rest" once; with LVM, which takes the rest, never`);
  check(rests(volumes) <= 1, "volumes", lvm?.volumes, `"rest" once`);
  check(lvm === undefined || !partitions.some(({ mount }) => mount === "/") || volumes.every(({ mount }) => mount !== "/boot"), "volumes", lvm?.volumes, "/boot on a partition");
  return {
    ...(given.disk === undefined ? {} : { disk: given.disk }),
    firmware,
    partitions,
    ...(lvm === undefined ? {} : { lvm: { group: lvm.group ?? "vg0", volumes } }),
  };
}
