/**
 * Puts a fixed time into every inode of an ext4 file system in an image file.
 *
 * `mke2fs -d` copies the change time (ctime) of the files that it reads, which no program can set beforehand, and
 * e2fsprogs before 1.47.1 knows no SOURCE_DATE_EPOCH. So the inodes are patched afterwards, checksums included.
 * Knows nothing of files and directories.
 * @module
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { ImgtaskError } from "../../lib/mod.ts";

const table = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  table[index] = value;
}

/** CRC-32C as ext4 uses it: neither started nor ended with an inversion. */
export function crc32c(start: number, bytes: Uint8Array): number {
  let crc = start >>> 0;
  for (let index = 0; index < bytes.length; index++) crc = table[(crc ^ bytes[index]!) & 0xff]! ^ (crc >>> 8);
  return crc >>> 0;
}

const incompat64Bit = 0x80, incompatChecksumSeed = 0x2000, roMetadataChecksum = 0x400, groupInodesUninitialized = 1;

/**
 * Sets access, change and creation time of every inode to `epoch`, and modification times after it too. Offsets are
 * those of the kernel's `Documentation/filesystems/ext4/` (super, group_descr, inodes, checksums).
 *
 * @param offset of the file system in the file, in bytes.
 * @param epoch seconds since 1970, before 2106.
 * @returns the number of inodes changed.
 */
export function fixTimes(file: string, offset: number, epoch: number): number {
  const fd = openSync(file, "r+");
  try {
    const read = (at: number, length: number): Buffer => {
      const buffer = Buffer.alloc(length);
      if (readSync(fd, buffer, 0, length, offset + at) !== length) throw new ImgtaskError("IMG3241", `"${file}" ends inside its ext4 file system`);
      return buffer;
    };
    const superblock = read(1024, 1024);
    if (superblock.readUInt16LE(0x38) !== 0xef53) throw new ImgtaskError("IMG3241", `"${file}" has no ext4 file system at byte ${offset}`);
    const blockSize = 1024 << superblock.readUInt32LE(0x18);
    const inodesPerGroup = superblock.readUInt32LE(0x28);
    const inodeSize = superblock.readUInt16LE(0x58);
    const incompat = superblock.readUInt32LE(0x60);
    const checksums = (superblock.readUInt32LE(0x64) & roMetadataChecksum) !== 0;
    const wide = (incompat & incompat64Bit) !== 0;
    const descriptorSize = wide ? superblock.readUInt16LE(0xfe) : 32;
    const groups = Math.ceil(superblock.readUInt32LE(0x00) / inodesPerGroup);
    const seed = (incompat & incompatChecksumSeed) !== 0 ? superblock.readUInt32LE(0x270) : crc32c(0xffffffff, superblock.subarray(0x68, 0x78));
    const descriptors = read((superblock.readUInt32LE(0x14) + 1) * blockSize, groups * descriptorSize);
    let changed = 0;
    for (let group = 0; group < groups; group++) {
      const descriptor = descriptors.subarray(group * descriptorSize, (group + 1) * descriptorSize);
      if ((descriptor.readUInt16LE(0x12) & groupInodesUninitialized) !== 0) continue;
      const high = wide && descriptorSize >= 64;
      const unused = descriptor.readUInt16LE(0x1c) + (high ? descriptor.readUInt16LE(0x32) * 0x10000 : 0);
      const block = descriptor.readUInt32LE(0x08) + (high ? descriptor.readUInt32LE(0x28) * 2 ** 32 : 0);
      const used = inodesPerGroup - unused;
      if (used <= 0) continue;
      const inodes = read(block * blockSize, used * inodeSize);
      for (let index = 0; index < used; index++) {
        const inode = inodes.subarray(index * inodeSize, (index + 1) * inodeSize);
        if (inode.readUInt16LE(0) === 0) continue;
        setTimes(inode, epoch);
        if (checksums) setChecksum(inode, seed, group * inodesPerGroup + index + 1);
        changed++;
      }
      writeSync(fd, inodes, 0, inodes.length, offset + block * blockSize);
    }
    return changed;
  } finally {
    closeSync(fd);
  }
}

/** How many bytes of an inode beyond the first 128 are in use. */
function extraSize(inode: Buffer): number {
  return inode.length > 128 ? inode.readUInt16LE(0x80) : 0;
}

function setTimes(inode: Buffer, epoch: number): void {
  const extra = extraSize(inode);
  // Seconds are signed, with two more bits above them in the extra field: up to 2106 these are 0 or 1.
  const bits = epoch >= 2 ** 31 ? 1 : 0;
  const set = (at: number, extraAt: number): void => {
    inode.writeUInt32LE(epoch >>> 0, at);
    if (extra >= extraAt + 4 - 0x80) inode.writeUInt32LE(bits, extraAt);
  };
  const modified = inode.readInt32LE(0x10) + (extra >= 0x0c ? (inode.readUInt32LE(0x88) & 3) * 2 ** 32 : 0);
  set(0x08, 0x8c);
  set(0x0c, 0x84);
  if (modified >= epoch) set(0x10, 0x88);
  if (extra >= 0x18) set(0x90, 0x94);
}

function setChecksum(inode: Buffer, seed: number, number: number): void {
  const wide = extraSize(inode) >= 4;
  inode.writeUInt16LE(0, 0x7c);
  if (wide) inode.writeUInt16LE(0, 0x82);
  const key = Buffer.alloc(8);
  key.writeUInt32LE(number, 0);
  inode.copy(key, 4, 0x64, 0x68);
  const checksum = crc32c(crc32c(seed, key), inode);
  inode.writeUInt16LE(checksum & 0xffff, 0x7c);
  if (wide) inode.writeUInt16LE(checksum >>> 16, 0x82);
}
