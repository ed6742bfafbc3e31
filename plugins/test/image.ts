/**
 * Looks at a disk image before an emulator is given it: which format it is, and whether it would make the emulator read
 * other files of the host. Knows nothing of what is on the disk.
 * @module
 */
import { lstatSync, readdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { ImgtaskError, type RunContext } from "../../lib/mod.ts";

/** What a disk's artifact is, by its type: `disk` is raw or qcow2. */
export type DiskType = "disk" | "vmdk" | "vmdk directory" | "vhdx" | "vhd" | "ova";

/** An image as the emulator is told of it. */
export interface BootImage {
  readonly path: string;
  /** QEMU's name of the format: left to guess, it would take a raw disk whose owner wrote a qcow2 header into it for a qcow2. */
  readonly format: "qcow2" | "raw" | "vmdk" | "vhdx" | "vpc";
}

const magics: readonly (readonly [magic: string, name: string])[] = [
  ["QFI\xfb", "a qcow2 image"],
  ["KDMV", "a VMDK image"],
  ["# Disk DescriptorFile", "a VMDK descriptor"],
  ["vhdxfile", "a VHDX image"],
  ["conectix", "a VHD image"],
  ["QED\0", "a QED image"],
];

function refuse(message: string, expected: string, found: string, path: string): ImgtaskError {
  return new ImgtaskError("IMG3501", message, { expected, found, hint: `Look at it with: qemu-img info -U ${path}` });
}

async function part(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    await file.read(bytes, 0, length, offset < 0 ? Math.max(0, (await file.stat()).size + offset) : offset);
    return bytes;
  } finally {
    await file.close();
  }
}

function qcow2OrRaw(head: Buffer, path: string): "qcow2" | "raw" {
  if (head.readUInt32BE(0) === 0x514649fb) {
    const version = head.readUInt32BE(4);
    if (version !== 2 && version !== 3) throw refuse("The disk image cannot be booted", "qcow2 of version 2 or 3", `version ${version}`, path);
    if (head.readBigUInt64BE(8) !== 0n) throw refuse("The disk image refers to another file", "an image without a backing file", "the offset of a backing file's name in its header", path);
    if (head.readUInt32BE(32) !== 0) throw refuse("The disk image is encrypted", "no encryption", `method ${head.readUInt32BE(32)}`, path);
    // Bit 2 of the incompatible features: the data is in another file.
    if (version === 3 && (head.readBigUInt64BE(72) & 4n) !== 0n) throw refuse("The disk image refers to another file", "an image without an external data file", "the flag of an external data file in its header", path);
    return "qcow2";
  }
  const other = magics.find(([magic]) => head.toString("latin1", 0, magic.length) === magic);
  if (other !== undefined) throw refuse("The disk image cannot be booted", `"qcow2" or "raw"`, other[1], path);
  if (head.readUInt16LE(510) !== 0xaa55) throw refuse("The disk image cannot be booted", "qcow2, or raw with a partition table", "neither in its first sector", path);
  return "raw";
}

/** A descriptor must name no file but those given (VMware, "Virtual Disk Format 5.0": extents and parents). */
function checkDescriptor(text: string, files: readonly string[], path: string): void {
  const parent = /^\s*parentFileNameHint\s*=.*$/im.exec(text)?.[0] ?? /^\s*parentCID\s*=\s*(?!f{8}\s*$).*$/im.exec(text)?.[0];
  if (parent !== undefined) throw refuse("The disk image refers to another file", "an image without a parent", JSON.stringify(parent), path);
  for (const [line, file] of text.matchAll(/^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+[A-Z0-9]+(?:\s+"([^"\n]*)".*|.*)$/gim)) {
    if (file === undefined || !files.includes(file)) throw refuse("The disk image refers to another file", files.length === 0 ? "an image in one file" : `extents in ${files.join(", ")}`, JSON.stringify(line), path);
  }
}

/** A VMDK of one file: a sparse extent with its descriptor in it. */
async function checkSparse(head: Buffer, path: string): Promise<void> {
  if (head.toString("latin1", 0, 4) !== "KDMV") throw refuse("The disk image cannot be booted", "a VMDK image of one file", "another beginning", path);
  // Without a capacity of its own QEMU takes the descriptor for one of other files.
  const capacity = head.readBigUInt64LE(12), offset = head.readBigUInt64LE(28), length = head.readBigUInt64LE(36);
  if (capacity === 0n || length > 2048n || offset > 2048n) throw refuse("The disk image refers to another file", "a sparse extent with a capacity", `capacity ${capacity}, a descriptor of ${length} sectors`, path);
  const text = (await part(path, Number(offset) * 512, Number(length) * 512)).toString("latin1").split("\0")[0]!;
  // Its one extent is the file itself, under the name that it was made with.
  checkDescriptor(text.replace(/^\s*RW\s+\d+\s+SPARSE\s+"[^"/\n]*"\s*$/im, ""), [], path);
}

/** A directory with a descriptor and the one file with the data. */
async function flat(directory: string): Promise<BootImage> {
  const names = readdirSync(directory).filter((name) => lstatSync(join(directory, name)).isFile());
  const descriptor = names.find((name) => name.endsWith(".vmdk") && !name.endsWith("-flat.vmdk"));
  if (descriptor === undefined) throw refuse("The disk image cannot be booted", "a directory with a VMDK descriptor", names.join(", ") || "nothing", directory);
  const path = join(directory, descriptor), text = (await part(path, 0, 65_536)).toString("latin1").split("\0")[0]!;
  if (!text.startsWith("# Disk DescriptorFile")) throw refuse("The disk image cannot be booted", "a VMDK descriptor", "another beginning", path);
  checkDescriptor(text, names.filter((name) => name !== descriptor), path);
  return { path, format: "vmdk" };
}

/** The disk of an OVA, taken out of it. */
async function unpacked(ova: string, { exec, tmp }: Pick<RunContext, "exec" | "tmp">): Promise<string> {
  const { stdout } = await exec(["tar", "--list", "--file", ova], { stdout: "capture" });
  const disks = stdout.split("\n").filter((name) => name.endsWith(".vmdk"));
  const [disk] = disks;
  if (disk === undefined || disks.length > 1 || !/^[A-Za-z0-9_+][A-Za-z0-9._+-]*$/.test(disk)) throw refuse("The OVA cannot be booted", "one disk, a VMDK at its top", disks.join(", ") || "none", ova);
  const path = join(tmp, "ova-disk.vmdk");
  await exec(["tar", "--extract", "--to-stdout", "--file", ova, "--", disk], { stdout: { file: path } });
  return path;
}

/**
 * What the emulator is to be told of an image, by what its target says it is and by its first bytes.
 *
 * @throws {ImgtaskError} IMG3501 when it is none that can be booted, or one that refers to other files.
 */
export async function inspectImage(given: string, type: DiskType, context: Pick<RunContext, "exec" | "tmp">): Promise<BootImage> {
  if (type === "vmdk directory") return await flat(given);
  const path = type === "ova" ? await unpacked(given, context) : given;
  const head = await part(path, 0, 1024);
  switch (type) {
    case "disk":
      return { path, format: qcow2OrRaw(head, path) };
    case "vhdx":
      // QEMU opens no parents of these.
      if (head.toString("latin1", 0, 8) !== "vhdxfile") throw refuse("The disk image cannot be booted", "a VHDX image", "another beginning", path);
      return { path, format: "vhdx" };
    case "vhd":
      // The footer is the last sector; a dynamic one begins with its copy.
      if ((await part(path, -512, 8)).toString("latin1") !== "conectix") throw refuse("The disk image cannot be booted", "a VHD image", "no footer at its end", path);
      return { path, format: "vpc" };
    default:
      await checkSparse(head, path);
      return { path, format: "vmdk" };
  }
}
