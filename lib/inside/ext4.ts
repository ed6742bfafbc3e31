/**
 * Files of an ext4 file system by the blocks they have (the kernel's Documentation/filesystems/ext4/: super, group_descr,
 * inodes, ifork, directory). Extents and the older block map; no encryption, no files within inodes.
 * @module
 */
import { type Part, type Reader, u64, type View } from "./view.ts";

const rootInode = 2, journalInode = 8;
const incompat64Bit = 0x80, incompatFileType = 0x02;
const flagExtents = 0x80000;

/** Something of a file system with blocks of its own. */
interface Owner {
  readonly path: string;
  readonly inode: number;
  readonly directory: boolean;
  readonly runs: readonly Run[];
  /** Bytes. */
  readonly size: number;
}

/** Blocks of a file: the `length` ones from block `start` of the file system, which are those from `logical` of the file. */
interface Run {
  readonly logical: number;
  readonly start: number;
  readonly length: number;
}

/** An ext4 file system, as far as it takes to find out whose a block is. */
class Ext4 {
  readonly #view: View;
  readonly #super: Buffer;
  readonly blockSize: number;
  readonly #inodeSize: number;
  readonly #inodesPerGroup: number;
  readonly #descriptors: Buffer;
  readonly #descriptorSize: number;
  /** Owners of the inodes' blocks and of the inodes themselves, found by walking once. */
  #owners: readonly Owner[] | undefined;

  constructor(view: View, superblock: Buffer) {
    this.#view = view;
    this.#super = superblock;
    this.blockSize = 1024 * 2 ** Math.min(superblock.readUInt32LE(0x18), 6);
    this.#inodesPerGroup = superblock.readUInt32LE(0x28);
    this.#inodeSize = superblock.readUInt16LE(0x58);
    const wide = (superblock.readUInt32LE(0x60) & incompat64Bit) !== 0;
    this.#descriptorSize = wide ? superblock.readUInt16LE(0xfe) : 32;
    const groups = Math.min(Math.ceil(superblock.readUInt32LE(0) / Math.max(1, this.#inodesPerGroup)), 1_000_000);
    this.#descriptors = view.read((superblock.readUInt32LE(0x14) + 1) * this.blockSize, groups * this.#descriptorSize);
  }

  /** First block of a group's table of inodes. */
  #table(group: number): number {
    const at = group * this.#descriptorSize;
    return this.#descriptors.readUInt32LE(at + 8) + (this.#descriptorSize >= 64 ? this.#descriptors.readUInt32LE(at + 0x28) * 2 ** 32 : 0);
  }

  #inode(number: number): Buffer | undefined {
    const group = Math.floor((number - 1) / this.#inodesPerGroup), index = (number - 1) % this.#inodesPerGroup;
    if (number < 1 || (group + 1) * this.#descriptorSize > this.#descriptors.length) return undefined;
    const inode = this.#view.read(this.#table(group) * this.blockSize + index * this.#inodeSize, this.#inodeSize);
    return inode.length === this.#inodeSize ? inode : undefined;
  }

  #extents(node: Buffer, depth: number, runs: Run[]): void {
    if (node.length < 12 || node.readUInt16LE(0) !== 0xf30a || depth > 5) return;
    const count = Math.min(node.readUInt16LE(2), Math.floor((node.length - 12) / 12));
    for (let index = 0; index < count; index++) {
      const at = 12 + index * 12;
      if (node.readUInt16LE(6) === 0) {
        const length = node.readUInt16LE(at + 4);
        runs.push({ logical: node.readUInt32LE(at), length: length > 32768 ? length - 32768 : length, start: node.readUInt32LE(at + 8) + node.readUInt16LE(at + 6) * 2 ** 32 });
      } else this.#extents(this.#view.read((node.readUInt32LE(at + 4) + node.readUInt16LE(at + 8) * 2 ** 32) * this.blockSize, this.blockSize), depth + 1, runs);
    }
  }

  #mapped(block: number, depth: number, runs: Run[], logical: number): number {
    if (depth === 0) {
      if (block !== 0) runs.push({ logical, start: block, length: 1 });
      return logical + 1;
    }
    if (block === 0) return logical + (this.blockSize / 4) ** depth;
    const table = this.#view.read(block * this.blockSize, this.blockSize);
    for (let at = 0; at + 4 <= table.length; at += 4) logical = this.#mapped(table.readUInt32LE(at), depth - 1, runs, logical);
    return logical;
  }

  #runs(inode: Buffer): readonly Run[] {
    const runs: Run[] = [];
    if ((inode.readUInt32LE(0x20) & flagExtents) !== 0) this.#extents(inode.subarray(0x28, 0x64), 0, runs);
    else {
      let logical = 0;
      for (let index = 0; index < 15; index++) logical = this.#mapped(inode.readUInt32LE(0x28 + index * 4), Math.max(0, index - 11), runs, logical);
    }
    return runs;
  }

  *#entries(inode: Buffer): Generator<readonly [string, number]> {
    const typed = (this.#super.readUInt32LE(0x60) & incompatFileType) !== 0;
    for (const { start, length } of this.#runs(inode)) {
      const bytes = this.#view.read(start * this.blockSize, Math.min(length, 65_536) * this.blockSize);
      for (let at = 0; at + 8 <= bytes.length; ) {
        const size = bytes.readUInt16LE(at + 4);
        if (size < 8 || at + size > bytes.length) break;
        const nameLength = typed ? bytes[at + 6]! : bytes.readUInt16LE(at + 6);
        const number = bytes.readUInt32LE(at);
        const name = bytes.toString("utf8", at + 8, at + 8 + nameLength);
        if (number !== 0 && name !== "." && name !== "..") yield [name, number];
        at += size;
      }
    }
  }

  #walk(): readonly Owner[] {
    const owners: Owner[] = [];
    const seen = new Set<number>();
    const waiting: (readonly [string, number])[] = [["", rootInode]];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [path, number] = next;
      const inode = this.#inode(number);
      if (inode === undefined || seen.has(number)) continue;
      seen.add(number);
      const type = inode.readUInt16LE(0) & 0xf000;
      const directory = type === 0x4000;
      const size = inode.readUInt32LE(4) + inode.readUInt32LE(0x6c) * 2 ** 32;
      // A short link stands in the inode itself.
      const runs = type === 0x8000 || directory || (type === 0xa000 && size >= 60) ? this.#runs(inode) : [];
      owners.push({ path: path === "" ? "/" : path, inode: number, directory, runs, size });
      if (directory) for (const [name, inner] of this.#entries(inode)) waiting.push([`${path}/${name}`, inner]);
    }
    const journal = this.#inode(journalInode);
    if (journal !== undefined) owners.push({ path: "journal", inode: journalInode, directory: false, runs: this.#runs(journal), size: 0 });
    return owners;
  }

  locate(offset: number): Part | undefined {
    this.#owners ??= this.#walk();
    const block = Math.floor(offset / this.blockSize);
    for (const { path, directory, runs, size } of this.#owners) {
      const run = runs.find(({ start, length }) => block >= start && block < start + length);
      if (run === undefined) continue;
      if (directory) return { name: `directory ${path}` };
      const view: View = { size, read: (at, length) => this.#read(runs, size, at, length) };
      return { name: path, view, offset: (run.logical + block - run.start) * this.blockSize + (offset % this.blockSize) };
    }
    const tableBlocks = Math.ceil((this.#inodesPerGroup * this.#inodeSize) / this.blockSize);
    for (let group = 0; (group + 1) * this.#descriptorSize <= this.#descriptors.length; group++) {
      const first = this.#table(group);
      if (block < first || block >= first + tableBlocks) continue;
      const number = group * this.#inodesPerGroup + Math.floor((offset - first * this.blockSize) / this.#inodeSize) + 1;
      const owner = this.#owners.find(({ inode }) => inode === number);
      return { name: owner === undefined ? `inode ${number}` : `inode ${number} of ${owner.path}` };
    }
    if (offset >= 1024 && offset < 2048) return { name: "superblock" };
    return { name: "tables of ext4" };
  }

  #read(runs: readonly Run[], size: number, offset: number, length: number): Buffer {
    const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
    for (let done = 0; done < buffer.length; ) {
      const at = offset + done, block = Math.floor(at / this.blockSize), within = at % this.blockSize;
      const part = Math.min(this.blockSize - within, buffer.length - done);
      const run = runs.find(({ logical, length: blocks }) => block >= logical && block < logical + blocks);
      if (run !== undefined) this.#view.read((run.start + block - run.logical) * this.blockSize + within, part).copy(buffer, done);
      done += part;
    }
    return buffer;
  }
}

/** Recognises a file system of the ext family by its magic. */
export const ext4: Reader = (view) => {
  const superblock = view.read(1024, 1024);
  if (superblock.length < 1024 || superblock.readUInt16LE(0x38) !== 0xef53 || superblock.readUInt32LE(0x28) === 0 || superblock.readUInt16LE(0x58) < 128) return undefined;
  // More blocks than fit: what it says cannot be believed.
  if (u64(Buffer.concat([superblock.subarray(4, 8), Buffer.alloc(4)]), 0) * 1024 > view.size + 2 ** 32) return undefined;
  const system = new Ext4(view, superblock);
  return (offset) => system.locate(offset);
};
