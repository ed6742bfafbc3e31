/**
 * `sysprep()`: a disk image without what makes its machine one certain machine: keys, ids, logs, leases, caches.
 * What virt-sysprep removes, offline, with e2fsprogs alone: needs neither root nor libguestfs. Knows no distribution.
 * @module
 */
import { closeSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { checkCall, ExitCode, fit, type Fits, ImgtaskError, output, type OutputSpec, type RunContext, type Target, target, tool } from "../../lib/mod.ts";
import { type Debugfs, debugfsOf, type Entry, find, type Pattern, quote } from "./ext4-tree.ts";
import { type ArchOf, diskFit, type DiskImage, givenImage, withArch } from "./given.ts";
import { inspect, qemuImg } from "./inspect.ts";
import { sector } from "./layout.ts";
import { type Operation, operations, type SysprepOperation } from "./sysprep-operations.ts";

/** What `sysprep()` takes beside the name. */
export interface SysprepOptions<From extends DiskImage = DiskImage> {
  /** The image; it stays as it is. */
  readonly from: From;
  /**
   * Operations switched on or off, by virt-sysprep's names: `{ "ssh-userdir": true, "logfiles": false }`.
   * @default what virt-sysprep does by default, without `ssh-userdir`
   */
  readonly operations?: Readonly<Partial<Record<SysprepOperation, boolean>>>;
  /** @default "qcow2" */
  readonly format?: "qcow2" | "raw";
}

const fits: Fits<SysprepOptions> = { from: fit.needed(diskFit), operations: fit.record, format: fit.word("qcow2", "raw") };

/** A disk to make machines from; of the architecture of the disk that it was. */
export type Sysprepped<Name extends string = string, From = DiskImage> = Target<`sysprep:${Name}`, { readonly out: OutputSpec<"disk"> }> & ArchOf<From>;

/**
 * Declares a copy of a disk image for making machines from. The root is the ext4 file system with a directory `/etc` that
 * lies last; freed blocks and inodes become zero, so that removed keys are not in the image. The journal and the slack of directories stay: names may be there, and in the journal
 * content too if the file system was mounted with `data=journal`. Other file systems of the disk stay as they are.
 *
 * The machine makes its host keys when it starts: images of `disk()` do, other Debian images with cloud-init.
 *
 * @throws {ImgtaskError} IMG2175 for an operation that there is not. When run, IMG3601 for a disk without a root on ext4,
 * IMG3602 for a file that cannot be removed.
 *
 * @example
 * ```ts
 * export const template = sysprep("template", { from: labDisk, operations: { "ssh-userdir": true } });
 * ```
 */
export function sysprep<const Name extends string, const From extends DiskImage>(name: Name, options: SysprepOptions<From>): Sysprepped<Name, From> {
  checkCall("sysprep", name, options, fits);
  const { from } = options;
  const format = options.format ?? "qcow2";
  const given = givenImage(from);
  const made = target(`sysprep:${name}`, {
    description: `Disk image (${format}) without what belongs to one machine`,
    inputs: { image: given.image },
    params: { from: given.format, format, operations: chosen(options.operations ?? {}) },
    tools: [
      qemuImg,
      tool("sfdisk", { packages: { apt: "fdisk", dnf: "util-linux-core" } }),
      tool("e2fsck", { versionArgs: ["-V"], packages: { apt: "e2fsprogs", dnf: "e2fsprogs" } }),
      tool("debugfs", { versionArgs: ["-V"], packages: { apt: "e2fsprogs", dnf: "e2fsprogs" } }),
    ],
    outputs: { out: output("file", "disk", { path: `artifacts/disk/${name}.${format}` }) },
    resources: { cpu: 1, memory: "512M", disk: "4G" },
    module: import.meta.url,
    async run(context) {
      const { params, inputs, outputs, exec } = context;
      const { format: source } = await inspect(inputs.image, params.from, context);
      await exec(["qemu-img", "convert", "-f", source, "-O", "raw", inputs.image, join(context.tmp, raw)]);
      await clean(await rootStart(context), params.operations, context);
      await exec(["qemu-img", "convert", "-f", "raw", "-O", params.format, join(context.tmp, raw), outputs.out]);
    },
  });
  return withArch(made, from);
}

type Context = Pick<RunContext, "exec" | "epoch" | "tmp" | "log">;

/** The disk, in the working directory: e2fsprogs takes what is behind a "?" in a path for options. */
const raw = "disk.raw";

function chosen(given: Readonly<Partial<Record<string, boolean>>>): readonly string[] {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(operations, name));
  if (unknown !== undefined) throw new ImgtaskError("IMG2175", `There is no operation "${unknown}"`, { expected: Object.keys(operations).join(", "), found: unknown, exitCode: ExitCode.usage });
  return Object.entries(operations as Readonly<Record<string, Operation>>).filter(([name, { default: on }]) => given[name] ?? on).map(([name]) => name);
}

function refuse(found: string): ImgtaskError {
  return new ImgtaskError("IMG3601", "The disk has no root on ext4 that could be cleaned", { expected: "a partition table, and ext4, ext3 or ext2 with a directory /etc in a partition", found, exitCode: ExitCode.failed });
}

/** Byte at which the root begins. Repairs file systems on the way: one that was in use has its last changes in the journal. */
async function rootStart(context: Context): Promise<number> {
  const { exec, tmp } = context;
  const { stdout } = await exec(["sfdisk", "--json", raw], { cwd: tmp, stdout: "capture", ok: [0, 1] });
  const starts = stdout === "" ? [] : ((JSON.parse(stdout) as { readonly partitiontable: { readonly partitions?: readonly { readonly start: number }[] } }).partitiontable.partitions ?? []).map(({ start }) => start * sector);
  if (starts.length === 0) throw refuse("no partitions");
  const systems = starts.sort((one, other) => other - one).filter((start) => superblock(join(tmp, raw), start) !== undefined);
  for (const start of systems) {
    await fsck(start, [], context);
    let etc = false;
    await find([{ parts: ["etc"], of: undefined, deep: false }], fileSystem(start, context, false), ({ kind }) => (etc ||= kind === "directory"));
    if (etc) return start;
  }
  throw refuse(systems.length === 0 ? `${starts.length} partitions, none of them ext4` : "no /etc");
}

const fileSystem = (start: number, context: Context, write: boolean): Debugfs => debugfsOf(`${raw}?offset=${start}`, "debugfs.txt", context, (file, text) => writeFileSync(join(context.tmp, file), text), write);

async function fsck(start: number, options: readonly string[], { exec, tmp, epoch }: Context): Promise<void> {
  // 1: it corrected something.
  await exec(["e2fsck", "-f", "-y", ...options, `${raw}?offset=${start}`], { cwd: tmp, env: { E2FSPROGS_FAKE_TIME: String(epoch), E2FSCK_TIME: String(epoch) }, ok: [0, 1] });
}

/** @returns bytes in a block, of ext2 and its successors */
function superblock(file: string, start: number): number | undefined {
  const bytes = Buffer.alloc(1024);
  const fd = openSync(file, "r");
  try {
    readSync(fd, bytes, 0, bytes.length, start + 1024);
  } finally {
    closeSync(fd);
  }
  return bytes.readUInt16LE(0x38) === 0xef53 ? 1024 << bytes.readUInt32LE(0x18) : undefined;
}

interface Work {
  readonly entry: Entry;
  readonly operation: string;
  readonly action: "remove" | "empty";
}

/** What a pattern is looked for. */
interface Wanted extends Pick<Work, "operation" | "action"> {
  /** Whether a directory counts, with all that is in it. */
  readonly directories: boolean;
  readonly except: readonly string[];
}

/** What is to be done, by path. A file that one operation removes and another empties is removed. */
async function survey(names: readonly string[], debugfs: Debugfs): Promise<ReadonlyMap<string, Work>> {
  const table: Readonly<Record<string, Operation>> = operations;
  const patterns = names.flatMap((operation) => {
    const { remove = [], also = [], files = [], empty = [], except = [] } = table[operation]!;
    const pattern = (action: Work["action"], path: string, directories: boolean): Pattern<Wanted> => ({ parts: path.slice(1).split("/"), of: { operation, action, directories, except }, deep: directories });
    return [...[...remove, ...also].map((path) => pattern("remove", path, true)), ...files.map((path) => pattern("remove", path, false)), ...empty.map((path) => pattern("empty", path, false))];
  });
  const work = new Map<string, Work>();
  await find(patterns, debugfs, (entry, { operation, action, directories, except }) => {
    if ((entry.kind === "directory" && !directories) || except.includes(entry.path)) return;
    if (action === "empty" && (entry.kind !== "regular" || entry.size === 0)) return;
    if (work.get(entry.path)?.action !== "remove" && !(action === "empty" && work.has(entry.path))) work.set(entry.path, { entry, operation, action });
  });
  return work;
}

async function clean(start: number, names: readonly string[], context: Context): Promise<void> {
  const look = fileSystem(start, context, false), change = fileSystem(start, context, true);
  const work = [...(await survey(names, look)).values()];
  // Of short links and devices the inode holds no blocks, but debugfs prints what it holds as if it were some.
  const blocks = await blocksOf(work.filter(({ entry }) => entry.kind !== "other").map(({ entry }) => entry.inode), look);
  // Backwards: what is in a directory before the directory.
  const commands = work.toReversed().flatMap(({ entry, action }) => (action === "empty" ? [`punch <${entry.inode}> 0`, `sif <${entry.inode}> size 0`] : [`${entry.kind === "directory" ? "rmdir" : "rm"} ${quote(entry.path)}`]));
  await change(commands);
  await fsck(start, [], context);
  const [left] = (await survey(names, look)).values();
  if (left !== undefined) throw new ImgtaskError("IMG3602", `A file on the disk could not be ${left.action === "remove" ? "removed" : "emptied"}`, { found: left.entry.path, hint: `Look at it with \`debugfs\`, or switch off the operation "${left.operation}"`, exitCode: ExitCode.failed });
  await forget(start, work, blocks, context);
  for (const name of names) {
    const count = work.filter(({ operation }) => operation === name).length;
    if (count > 0) context.log(`${name}: ${count} ${count === 1 ? "entry" : "entries"}`);
  }
}

async function blocksOf(inodes: readonly number[], look: Debugfs): Promise<ReadonlyMap<number, readonly number[]>> {
  const found = new Map<number, readonly number[]>();
  let inode: number | undefined;
  for (const line of inodes.length === 0 ? [] : (await look(inodes.map((one) => `blocks <${one}>`))).split("\n")) {
    const command = /^debugfs: blocks <(\d+)>$/.exec(line.trim());
    if (command !== null) inode = Number(command[1]);
    else if (inode !== undefined && /^[\d ]+$/.test(line)) found.set(inode, line.trim().split(/ +/).map(Number));
  }
  return found;
}

/** Makes what was freed zero: inodes, their blocks, and with them every free block. A file with other names keeps its own. */
async function forget(start: number, work: readonly Work[], blocks: ReadonlyMap<number, readonly number[]>, context: Context): Promise<void> {
  if (work.length > 0) {
    const used = new Set<number>();
    const inodes = [...new Set(work.map(({ entry }) => entry.inode))];
    const answer = await fileSystem(start, context, false)(inodes.map((inode) => `testi <${inode}>`));
    for (const [, inode] of answer.matchAll(/^Inode (\d+) is marked in use$/gm)) used.add(Number(inode));
    const freed = inodes.filter((inode) => !used.has(inode));
    await fileSystem(start, context, true)(freed.map((inode) => `clri <${inode}>`));
    const emptied = work.filter(({ action }) => action === "empty").map(({ entry }) => entry.inode);
    const size = superblock(join(context.tmp, raw), start)!;
    const fd = openSync(join(context.tmp, raw), "r+");
    try {
      const zeros = Buffer.alloc(size);
      for (const inode of new Set([...freed, ...emptied])) for (const block of blocks.get(inode) ?? []) writeSync(fd, zeros, 0, size, start + block * size);
    } finally {
      closeSync(fd);
    }
  }
  await fsck(start, ["-E", "discard"], context);
}
