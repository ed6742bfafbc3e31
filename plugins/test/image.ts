/**
 * Looks at the head of a disk image before an emulator is given it: which format it is, and whether it would make
 * the emulator read other files of the host. Knows nothing of what is on the disk.
 * @module
 */
import { open } from "node:fs/promises";
import { ImgtaskError } from "../../lib/mod.ts";

/** Formats a boot test can start from. */
export type ImageFormat = "qcow2" | "raw";

const names: readonly (readonly [magic: string, name: string])[] = [
  ["KDMV", "a VMDK image"],
  ["# Disk DescriptorFile", "a VMDK descriptor"],
  ["vhdxfile", "a VHDX image"],
  ["conectix", "a VHD image"],
  ["QED\0", "a QED image"],
];

/**
 * The format of an image, from its first bytes. The emulator is then told the format: left to guess, it would take
 * a raw disk whose owner wrote a qcow2 header into it for a qcow2.
 *
 * @throws {ImgtaskError} IMG3501 when it is none that can be booted, or one that refers to other files.
 */
export async function inspectImage(path: string): Promise<ImageFormat> {
  const file = await open(path, "r");
  const head = Buffer.alloc(1024);
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  const refuse = (message: string, expected: string, found: string): ImgtaskError => new ImgtaskError("IMG3501", message, { expected, found, hint: `Look at it with: qemu-img info -U ${path}` });
  if (head.readUInt32BE(0) === 0x514649fb) {
    const version = head.readUInt32BE(4);
    if (version !== 2 && version !== 3) throw refuse("The disk image cannot be booted", "qcow2 of version 2 or 3", `version ${version}`);
    if (head.readBigUInt64BE(8) !== 0n) throw refuse("The disk image refers to another file", "an image without a backing file", "the offset of a backing file's name in its header");
    if (head.readUInt32BE(32) !== 0) throw refuse("The disk image is encrypted", "no encryption", `method ${head.readUInt32BE(32)}`);
    // Bit 2 of the incompatible features: the data is in another file.
    if (version === 3 && (head.readBigUInt64BE(72) & 4n) !== 0n) throw refuse("The disk image refers to another file", "an image without an external data file", "the flag of an external data file in its header");
    return "qcow2";
  }
  const other = names.find(([magic]) => head.toString("latin1", 0, magic.length) === magic);
  if (other !== undefined) throw refuse("The disk image cannot be booted", `"qcow2" or "raw"`, other[1]);
  if (head.readUInt16LE(510) !== 0xaa55) throw refuse("The disk image cannot be booted", "qcow2, or raw with a partition table", "neither in its first sector");
  return "raw";
}
