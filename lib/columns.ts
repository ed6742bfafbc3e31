/**
 * Files of columns, for caches that are read whole at every start: long lists of texts and numbers that need no
 * parsing. Guarded by a checksum. Knows nothing of what the columns mean.
 *
 * A line with the SHA-256 of all that follows, a line of JSON (format, lengths of the columns, and a small head of the
 * owner's), then the columns: texts end with a NUL byte each, numbers are 64-bit integers, 64-bit floats or 32-bit
 * integers as the machine has them, bytes are what they are.
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { digestOf } from "./digest.ts";

/** One column. Texts hold no NUL. */
export type Column = readonly string[] | BigInt64Array | Float64Array | Uint32Array | Buffer;

type Kind = "text" | "i64" | "f64" | "u32" | "u8";

interface Head {
  readonly format: string;
  readonly own: unknown;
  readonly columns: readonly (readonly [kind: Kind, bytes: number])[];
}

// Columns of numbers are read as the machine has them: a file from one of the other kind is no file.
const order = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? "little" : "big";

/** What a file holds. */
export interface ColumnFile {
  readonly own: unknown;
  readonly columns: readonly Column[];
  /** SHA-256 of the content; tells versions of the file apart. */
  readonly digest: string;
}

/** Reads a file of a format; `undefined` when it is missing, damaged, or of another format. */
export function readColumns(file: string, format: string): ColumnFile | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return undefined;
  }
  const digest = bytes.toString("latin1", 0, 64);
  if (bytes[64] !== 10 || digestOf(bytes.subarray(65)) !== digest) return undefined;
  const start = bytes.indexOf(10, 65) + 1;
  const head = JSON.parse(bytes.toString("utf8", 65, start - 1)) as Head;
  if (head.format !== `${format} ${order}`) return undefined;
  let at = start;
  const columns = head.columns.map(([kind, length]): Column => {
    const part = bytes.subarray(at, (at += length));
    if (kind === "text") return length === 0 ? [] : part.toString("utf8", 0, length - 1).split("\0");
    if (kind === "u8") return part;
    // A copy begins where numbers may begin.
    const numbers = part.buffer.slice(part.byteOffset, part.byteOffset + length);
    return kind === "i64" ? new BigInt64Array(numbers) : kind === "f64" ? new Float64Array(numbers) : new Uint32Array(numbers);
  });
  return { own: head.own, columns, digest };
}

/** Writes a file, all at once. Failing to is no error: what reads it does without. */
export function writeColumns(file: string, format: string, own: unknown, columns: readonly Column[]): void {
  const parts = columns.map((column): readonly [Kind, Buffer] => {
    if (column instanceof BigInt64Array) return ["i64", bytesOf(column)];
    if (column instanceof Float64Array) return ["f64", bytesOf(column)];
    if (column instanceof Uint32Array) return ["u32", bytesOf(column)];
    if (Buffer.isBuffer(column)) return ["u8", column];
    return ["text", Buffer.from(column.length === 0 ? "" : `${column.join("\0")}\0`)];
  });
  const head: Head = { format: `${format} ${order}`, own, columns: parts.map(([kind, part]) => [kind, part.length]) };
  const body = [Buffer.from(`${JSON.stringify(head)}\n`), ...parts.map(([, part]) => part)];
  const hash = createHash("sha256");
  for (const part of body) hash.update(part);
  const temporary = `${file}.new`;
  try {
    const fd = openSync(temporary, "w", 0o600);
    try {
      // Not waited for: what the power takes of it is told by the checksum.
      for (const part of [Buffer.from(`${hash.digest("hex")}\n`), ...body]) for (let done = 0; done < part.length; ) done += writeSync(fd, part, done);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, file);
  } catch {
    try {
      rmSync(temporary, { force: true });
    } catch {
      // Overwritten next time.
    }
  }
}

function bytesOf(column: BigInt64Array | Float64Array | Uint32Array): Buffer {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength);
}
