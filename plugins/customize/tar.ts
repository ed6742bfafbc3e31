/**
 * Writes tar archives (POSIX ustar, with GNU's records for long names) that GNU tar unpacks on the machine.
 * Entries in, bytes out: reads no file, and the same entries always give the same bytes. Owners are names, resolved
 * where it is unpacked.
 *
 * Format: tar(5), and "Basic Tar Format" and "GNU Extensions to the Archive Format" in the manual of GNU tar.
 * @module
 */
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";

/** An entry of the archive. */
export interface TarEntry {
  /** Relative, without `./`. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** User name or numeric id. @default "root" */
  readonly owner?: string;
  /** Group name or numeric id. @default "root" */
  readonly group?: string;
  /** What it is: bytes of a regular file, the text of a symbolic link, or a directory. */
  readonly is: { readonly file: Uint8Array } | { readonly link: string } | "directory";
}

const blockSize = 512;
const nameField = 100;
/** The owner's name must end with a NUL in its 32 bytes. */
const longestOwner = 31;
/** 11 octal digits. */
const largestFile = 8 ** 11 - 1;

function blocks(content: Uint8Array): Buffer {
  const size = Math.ceil(content.length / blockSize) * blockSize;
  return Buffer.concat([content, Buffer.alloc(size - content.length)]);
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, "0")}\0`;
}

function refuse(what: string, expected: string): never {
  throw new ImgtaskError("IMG2314", `${what} cannot be put on the machine by its installer`, { expected, exitCode: ExitCode.usage });
}

interface Head {
  readonly name: Buffer;
  readonly mode: number;
  readonly owner: string;
  readonly group: string;
  readonly size: number;
  readonly mtime: number;
  readonly type: string;
  readonly link: Buffer;
}

function head({ name, mode, owner, group, size, mtime, type, link }: Head): Buffer {
  const block = Buffer.alloc(blockSize);
  const text = (value: string, offset: number): number => block.write(value, offset, "latin1");
  const id = (value: string): number => (/^\d+$/.test(value) ? Number(value) : 0);
  const label = (value: string): string => (/^\d+$/.test(value) ? "" : value);
  name.copy(block, 0, 0, nameField);
  text(octal(mode, 7), 100);
  text(octal(id(owner), 7), 108);
  text(octal(id(group), 7), 116);
  text(octal(size, 11), 124);
  text(octal(mtime, 11), 136);
  text("        ", 148);
  text(type, 156);
  link.copy(block, 157, 0, nameField);
  text("ustar\u000000", 257);
  text(label(owner), 265);
  text(label(group), 297);
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/** GNU's record that gives the next entry a longer name (`L`) or link text (`K`) than its header has room for. */
function long(type: "L" | "K", value: Buffer): Buffer {
  if (value.length <= nameField) return Buffer.alloc(0);
  const content = Buffer.concat([value, Buffer.alloc(1)]);
  const name = Buffer.from("././@LongLink");
  const common = { mode: 0, owner: "root", group: "root", mtime: 0, link: Buffer.alloc(0) };
  return Buffer.concat([head({ ...common, name, size: content.length, type }), blocks(content)]);
}

/**
 * An archive of the entries.
 *
 * @param mtime seconds since 1970, of every entry.
 * @throws {ImgtaskError} IMG2314 for a file of 8 GiB or more, an id beyond 2097151, or an owner's name beyond 31 bytes.
 */
export function tar(entries: readonly TarEntry[], mtime: number): Buffer {
  const parts = entries.map(({ path, mode, owner = "root", group = "root", is }) => {
    for (const who of [owner, group]) {
      if (/^\d+$/.test(who) ? Number(who) >= 8 ** 7 : Buffer.byteLength(who) > longestOwner) {
        refuse(`"/${path}" of ${JSON.stringify(who)}`, `an owner's name of at most ${longestOwner} bytes, or an id below ${8 ** 7}`);
      }
    }
    const content = typeof is === "object" && "file" in is ? is.file : new Uint8Array();
    if (content.length > largestFile) refuse(`"/${path}"`, "a file of less than 8 GiB");
    const name = Buffer.from(is === "directory" ? `${path}/` : path);
    const link = Buffer.from(typeof is === "object" && "link" in is ? is.link : "");
    const type = is === "directory" ? "5" : "link" in is ? "2" : "0";
    const header = head({ name, mode, owner, group, size: content.length, mtime, type, link });
    return Buffer.concat([long("L", name), long("K", link), header, blocks(content)]);
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * blockSize)]);
}
