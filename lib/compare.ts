/**
 * Two files, byte by byte: where they differ first, and how much. Knows no format, no store and no target.
 * @module
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** A stretch of two files that differs: differing bytes with no more than fifteen equal ones between them. */
export interface DifferentBytes {
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  /** Bytes up to the last one that differs. */
  readonly length: number;
  /** The first bytes of the stretch in hexadecimal digits, sixteen at most; less where a file ends. */
  readonly stored: string;
  readonly rebuilt: string;
}

/** What two files have in common. */
export interface FileComparison {
  readonly equal: boolean;
  /** Bytes. */
  readonly sizes: { readonly stored: number; readonly rebuilt: number };
  /** How many bytes differ, the longer file's rest included. */
  readonly bytes: number;
  /** How many stretches differ. */
  readonly stretches: number;
  /** The first of them. */
  readonly first: readonly DifferentBytes[];
}

const chunk = 4 * 1024 * 1024;
const shown = 16;

/** Reads until the buffer is full or the file ends. */
function fill(fd: number, buffer: Buffer, position: number): Buffer {
  let length = 0;
  while (length < buffer.length) {
    const read = readSync(fd, buffer, length, buffer.length - length, position + length);
    if (read === 0) break;
    length += read;
  }
  return buffer.subarray(0, length);
}

function hex(fd: number, offset: number, length: number): string {
  return fill(fd, Buffer.alloc(length), offset).toString("hex");
}

/** Collects the stretches while the files are read. */
class Stretches {
  readonly all: { start: number; end: number }[] = [];
  count = 0;
  bytes = 0;
  #last: { start: number; end: number } | undefined;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Notes differing bytes from `start` to before `end`; called in order. */
  add(start: number, end: number): void {
    this.bytes += end - start;
    if (this.#last !== undefined && start - this.#last.end < shown) {
      this.#last.end = end;
      return;
    }
    this.#last = { start, end };
    this.count++;
    if (this.all.length < this.#limit) this.all.push(this.#last);
  }
}

/**
 * Compares two files from their beginning to the end of the longer one.
 *
 * @param limit how many stretches are told. @default 10
 */
export function compareFiles(stored: string, rebuilt: string, limit = 10): FileComparison {
  const one = openSync(stored, "r"), other = openSync(rebuilt, "r");
  try {
    const sizes = { stored: fstatSync(one).size, rebuilt: fstatSync(other).size };
    const common = Math.min(sizes.stored, sizes.rebuilt);
    const found = new Stretches(limit);
    const left = Buffer.alloc(chunk), right = Buffer.alloc(chunk);
    for (let position = 0; position < common; position += chunk) {
      const a = fill(one, left, position), b = fill(other, right, position);
      if (a.equals(b)) continue;
      const length = Math.min(a.length, b.length);
      for (let index = 0; index < length; index++) {
        if (a[index] === b[index]) continue;
        let end = index + 1;
        while (end < length && a[end] !== b[end]) end++;
        found.add(position + index, position + end);
        index = end;
      }
    }
    const longest = Math.max(sizes.stored, sizes.rebuilt);
    if (longest > common) found.add(common, longest);
    const first = found.all.map(({ start, end }) => ({
      offset: start,
      length: end - start,
      stored: hex(one, start, Math.min(shown, end - start)),
      rebuilt: hex(other, start, Math.min(shown, end - start)),
    }));
    return { equal: found.count === 0, sizes, bytes: found.bytes, stretches: found.count, first };
  } finally {
    closeSync(one);
    closeSync(other);
  }
}
