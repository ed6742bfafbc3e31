/**
 * `resize()`: a disk image with more room: its last partition, and the ext4 file system there, grown offline.
 * Needs neither root nor loop devices; knows no distribution.
 * @module
 */
import { checkCall, ExitCode, fit, type Fits, ImgtaskError, output, type OutputSpec, type RunContext, type Target, target, tool } from "../../lib/mod.ts";
import { join } from "node:path";
import { closeSync, openSync, readSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import type { Size } from "./disk.ts";
import { type ArchOf, diskFit, type DiskImage, givenImage, withArch } from "./given.ts";
import { inspect, qemuImg } from "./inspect.ts";
import { parseSize, sector } from "./layout.ts";

/** What `resize()` takes beside the name. */
export interface ResizeOptions<From extends DiskImage = DiskImage> {
  /** The image; it stays as it is. */
  readonly from: From;
  /** Size that the machine sees, in GiB (`"80G"`) or MiB; larger than before. The file takes only what is used of it. */
  readonly size: Size;
  /** @default "qcow2" */
  readonly format?: "qcow2" | "raw";
}

const fits: Fits<ResizeOptions> = { from: fit.needed(diskFit), size: fit.needed(fit.text), format: fit.word("qcow2", "raw") };

/** A resized disk; of the architecture of the disk that it was. */
export type Resized<Name extends string = string, From = DiskImage> = Target<`resize:${Name}`, { readonly out: OutputSpec<"disk"> }> & ArchOf<From>;

interface Partition {
  /** Sectors. */
  readonly start: number;
  readonly size: number;
}

/**
 * Declares a larger copy of a disk image with a GUID partition table. The partition that lies last grows, with the ext4
 * file system in it; the second partition table moves to the new end. With another file system there it is refused: give
 * the machine the package cloud-guest-utils, whose `growpart` does it when the machine starts.
 *
 * @throws {ImgtaskError} IMG2120 for a bad size.
 *
 * @example
 * ```ts
 * export const large = resize("debian", { from: debianDisk, size: "80G" });
 * ```
 */
export function resize<const Name extends string, const From extends DiskImage>(name: Name, options: ResizeOptions<From>): Resized<Name, From> {
  checkCall("resize", name, options, fits);
  const { from } = options;
  const format = options.format ?? "qcow2";
  const given = givenImage(from);
  const made = target(`resize:${name}`, {
    description: `Disk image (${format}) grown to ${options.size}`,
    inputs: { image: given.image },
    params: { from: given.format, format, size: parseSize(options.size) },
    tools: [
      qemuImg,
      tool("sfdisk", { packages: { apt: "fdisk", dnf: "util-linux-core" } }),
      tool("e2fsck", { versionArgs: ["-V"], packages: { apt: "e2fsprogs", dnf: "e2fsprogs" } }),
      tool("resize2fs", { versionArgs: ["--help"], packages: { apt: "e2fsprogs", dnf: "e2fsprogs" } }),
    ],
    outputs: { out: output("file", "disk", { path: `artifacts/disk/${name}.${format}` }) },
    resources: { cpu: 1, memory: "512M", disk: "4G" },
    module: import.meta.url,
    async run(context) {
      const { params, inputs, outputs, tmp, exec } = context;
      const { format: source, size: before } = await inspect(inputs.image, params.from, context);
      if (params.size <= before) throw refuse(`The disk has ${before} bytes already`, `more than that; "size" is ${params.size} bytes`);
      const old = join(tmp, "old.raw"), grown = join(tmp, "new.raw");
      await exec(["qemu-img", "convert", "-f", source, "-O", "raw", inputs.image, old]);
      const { start } = lastPartition(await partitions(old, context));
      writeFileSync(grown, "");
      truncateSync(grown, params.size);
      await copy(old, grown, { length: start * sector }, context);
      await growLast(old, grown, context);
      const found = lastPartition(await partitions(grown, context));
      await growFileSystem(old, grown, found, context);
      rmSync(old);
      await exec(["qemu-img", "convert", "-f", "raw", "-O", params.format, grown, outputs.out]);
    },
  });
  return withArch(made, from);
}

type Context = Pick<RunContext, "exec" | "epoch" | "tmp">;

function refuse(message: string, expected: string): ImgtaskError {
  return new ImgtaskError("IMG3143", message, { expected, hint: "Let the machine grow it when it starts: `growpart` of the package cloud-guest-utils", exitCode: ExitCode.failed });
}

async function partitions(disk: string, { exec }: Context): Promise<readonly Partition[]> {
  const { stdout } = await exec(["sfdisk", "--json", disk], { stdout: "capture", ok: [0, 1] });
  const table = stdout === "" ? undefined : (JSON.parse(stdout) as { readonly partitiontable: { readonly label: string; readonly partitions?: readonly Partition[] } }).partitiontable;
  if (table?.label !== "gpt" || table.partitions === undefined) throw refuse("The disk cannot be grown: it has no GUID partition table", "a GUID partition table with partitions");
  return table.partitions;
}

function lastPartition(all: readonly Partition[]): Partition {
  return all.reduce((one, other) => (other.start > one.start ? other : one));
}

/** Copies the data between two places and passes holes over; the target is a hole there already. qemu-img asks for the holes, dd would read them. */
async function copy(from: string, to: string, { skip = 0, seek = 0, length }: { readonly skip?: number; readonly seek?: number; readonly length: number }, { exec }: Context): Promise<void> {
  const part = (file: string, offset: number): string => `driver=raw,offset=${offset},size=${length},file.driver=file,file.filename=${file.replaceAll(",", ",,")}`;
  await exec(["qemu-img", "convert", "-n", "--target-is-zero", "--image-opts", "--target-image-opts", part(from, skip), part(to, seek)]);
}

/** Moves the second table to the end, and the end of the last partition up to it. */
async function growLast(old: string, grown: string, context: Context): Promise<void> {
  const { exec } = context;
  await exec(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--relocate", "gpt-bak-std", grown]);
  const { stdout } = await exec(["sfdisk", "--json", old], { stdout: "capture" });
  const { partitions: all } = (JSON.parse(stdout) as { readonly partitiontable: { readonly partitions: readonly (Partition & { readonly node: string })[] } }).partitiontable;
  const { node } = all.reduce((one, other) => (other.start > one.start ? other : one));
  const number = /\d+$/.exec(node.slice(old.length))![0];
  await exec(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "-N", number, grown], { input: ",+\n" });
}

async function growFileSystem(old: string, grown: string, { start, size }: Partition, context: Context): Promise<void> {
  const { exec, epoch, tmp } = context;
  const before = lastPartition(await partitions(old, context));
  // In a file of its own: resize2fs cuts the file that it is given to the size of the file system.
  const system = join(tmp, "root.ext4");
  writeFileSync(system, "");
  truncateSync(system, before.size * sector);
  await copy(old, system, { skip: before.start * sector, length: before.size * sector }, context);
  if (!isExt(system)) throw refuse("The disk cannot be grown: its last partition holds no ext4 file system", "ext4, ext3 or ext2 in the partition that lies last");
  const env = { E2FSPROGS_FAKE_TIME: String(epoch), E2FSCK_TIME: String(epoch) };
  // 1: it corrected something.
  await exec(["e2fsck", "-f", "-p", system], { env, ok: [0, 1] });
  truncateSync(system, Math.floor((size * sector) / 2 ** 20) * 2 ** 20);
  await exec(["resize2fs", system], { env });
  await copy(system, grown, { seek: start * sector, length: statSync(system).size }, context);
}

function isExt(file: string): boolean {
  const fd = openSync(file, "r");
  try {
    const magic = Buffer.alloc(2);
    readSync(fd, magic, 0, 2, 1024 + 0x38);
    return magic.readUInt16LE(0) === 0xef53;
  } finally {
    closeSync(fd);
  }
}
