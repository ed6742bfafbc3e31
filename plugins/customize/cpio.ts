/**
 * Writes cpio archives in the "newc" format, as the Linux kernel reads them for its initial file system.
 * Entries in, bytes out: reads no file, and the same entries always give the same bytes.
 *
 * Format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux sources, and cpio(5). A header of
 * 110 ASCII characters (magic `070701`, then 13 numbers of 8 hex digits), the name with a NUL, padding to 4 bytes,
 * the content, padding to 4 bytes; an entry `TRAILER!!!` ends it.
 * @module
 */
import { bug } from "../../lib/mod.ts";

/** A file or directory of the archive; owned by root. */
export interface CpioEntry {
  /** Relative, without `./`; its directory must come before it. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Bytes of a regular file; a directory has none. */
  readonly content?: Uint8Array;
}

const directoryBit = 0o040000;
const fileBit = 0o100000;

function padded(...parts: readonly Uint8Array[]): Buffer {
  const joined = Buffer.concat(parts);
  return Buffer.concat([joined, Buffer.alloc((4 - (joined.length % 4)) % 4)]);
}

function header(ino: number, mode: number, mtime: number, size: number, name: string): Buffer {
  const nlink = (mode & directoryBit) !== 0 ? 2 : 1;
  // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
  const numbers = [ino, mode, 0, 0, nlink, mtime, size, 0, 0, 0, 0, Buffer.byteLength(name) + 1, 0];
  if (numbers.some((number) => !Number.isInteger(number) || number < 0 || number > 0xffff_ffff)) {
    throw bug(`"${name}" does not fit into a cpio archive`);
  }
  const text = `070701${numbers.map((number) => number.toString(16).toUpperCase().padStart(8, "0")).join("")}${name}\0`;
  return padded(Buffer.from(text, "utf8"));
}

/**
 * An archive of the entries.
 *
 * @param mtime seconds since 1970, of every entry.
 */
export function cpio(entries: readonly CpioEntry[], mtime: number): Buffer {
  const parts = entries.flatMap(({ path, mode, content }, index) => [
    header(index + 1, mode | (content === undefined ? directoryBit : fileBit), mtime, content?.length ?? 0, path),
    padded(content ?? new Uint8Array()),
  ]);
  return Buffer.concat([...parts, header(0, 0, 0, 0, "TRAILER!!!")]);
}
