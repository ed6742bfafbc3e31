/**
 * The log of results: which fingerprint of a target gave which outputs. Append-only, one checksummed line a
 * result, written after the outputs are safe in the store. A damaged line is a result forgotten, never a wrong one.
 * @module
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync, truncateSync, writeSync } from "node:fs";
import { type Digest, digestOf } from "./digest.ts";
import type { Reason } from "./event.ts";
import type { Manifest } from "./fingerprint.ts";

/** A stored output. */
export interface StoredOutput {
  readonly digest: Digest;
  /** Bytes of all its files. */
  readonly size: number;
  /** Where it appeared, relative to the project. */
  readonly path?: string;
}

/** One result of one target. */
export interface Record {
  readonly target: string;
  readonly fingerprint: Digest;
  readonly manifest: Manifest;
  readonly outputs: Readonly<{ [name: string]: StoredOutput }>;
  /** Milliseconds since 1970 at the end of the run. */
  readonly time: number;
  /** Milliseconds that the recipe took. */
  readonly duration: number;
  /** Why it ran. */
  readonly reasons: readonly Reason[];
}

/** Results kept of one target, so that going back to an earlier state restores instead of running. */
const keptPerTarget = 8;

/** Characters of the digest that guards a line. */
const guard = 16;

function encode(record: Record): string {
  const body = JSON.stringify(record);
  // The newline before it lets reading find this line even when the end of the one before was lost.
  return `\n${digestOf(body).slice(0, guard)} ${body}\n`;
}

/** Writes all of a text: one call may write a part only, as when the disk is nearly full. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function decode(line: string): Record | undefined {
  const body = line.slice(guard + 1);
  if (line[guard] !== " " || digestOf(body).slice(0, guard) !== line.slice(0, guard)) return undefined;
  return JSON.parse(body) as Record;
}

/** The results on record. */
export class Records {
  readonly #file: string;
  /** Newest last. */
  readonly #byTarget = new Map<string, Record[]>();
  #lines = 0;
  /** Lines that could not be read; each was a result and is forgotten. */
  readonly damaged: number;
  /** Length of the log without its unfinished last line, when there is one. */
  #unfinished: number | undefined;

  /** Reads the log. A damaged line is left out; an unfinished last line is cut off before the next is written. */
  constructor(file: string) {
    this.#file = file;
    let bytes: Buffer = Buffer.alloc(0);
    try {
      bytes = readFileSync(file);
    } catch {
      // No results yet.
    }
    const end = bytes.lastIndexOf(10) + 1;
    const lines = bytes.toString("utf8", 0, end).split("\n").filter((line) => line !== "");
    let damaged = end === bytes.length ? 0 : 1;
    for (const line of lines) {
      const record = decode(line);
      if (record === undefined) damaged++;
      else this.#remember(record);
    }
    this.#lines = lines.length;
    this.damaged = damaged;
    this.#unfinished = end === bytes.length ? undefined : end;
  }

  #remember(record: Record): void {
    const list = (this.#byTarget.get(record.target) ?? []).filter((other) => other.fingerprint !== record.fingerprint);
    list.push(record);
    if (list.length > keptPerTarget) list.shift();
    this.#byTarget.set(record.target, list);
  }

  /** The result of a target with this fingerprint, or `undefined`. */
  find(target: string, fingerprint: Digest): Record | undefined {
    return this.#byTarget.get(target)?.findLast((record) => record.fingerprint === fingerprint);
  }

  /** The newest result of a target, or `undefined`. */
  latest(target: string): Record | undefined {
    return this.#byTarget.get(target)?.at(-1);
  }

  /** Every result that is kept. */
  *all(): Iterable<Record> {
    for (const list of this.#byTarget.values()) yield* list;
  }

  /** Appends a result and waits until it is on disk. Its outputs must be there already. */
  append(record: Record): void {
    if (this.#unfinished !== undefined) {
      truncateSync(this.#file, this.#unfinished);
      this.#unfinished = undefined;
    }
    const fd = openSync(this.#file, "a", 0o600);
    const before = fstatSync(fd).size;
    try {
      writeAll(fd, encode(record));
      fsyncSync(fd);
    } catch (error) {
      // A full disk may have taken half of the line.
      ftruncateSync(fd, before);
      throw error;
    } finally {
      closeSync(fd);
    }
    this.#remember(record);
    this.#lines++;
  }

  /** Writes the log anew when most of its lines are superseded or damaged. Failing to is no error: the old one stays. */
  compact(): void {
    const kept = [...this.all()];
    if (this.#lines < 64 || this.#lines < kept.length * 2) return;
    const temporary = `${this.#file}.new`;
    try {
      const fd = openSync(temporary, "w", 0o600);
      try {
        writeAll(fd, kept.sort((a, b) => a.time - b.time).map(encode).join(""));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.#file);
      this.#lines = kept.length;
    } catch {
      rmSync(temporary, { force: true });
    }
  }
}
