/**
 * The bytes of the log of results as lines, each behind a checksum: those about one target, or all of them. Knows of a
 * line's content the name of its target alone.
 * @module
 */
import { digestOf } from "./digest.ts";

/** Characters of the digest that guards a line. */
export const guard = 16;

/** Where a line stands in the log. */
export interface Line {
  readonly start: number;
  readonly end: number;
}

/** All lines of a log. */
export interface Lines {
  /** By target, oldest first. */
  readonly byTarget: Map<string, Line[]>;
  /** Those whose name has to be read with the rest. */
  readonly others: readonly Line[];
  readonly count: number;
  /** How many of them could not be read. */
  readonly damaged: number;
}

/** What a line of this version begins with. */
const opening = '{"target":"';
const name = /^[A-Za-z0-9._+:-]+$/;

/** A log as it was when it was opened. */
export class RecordLog {
  readonly #bytes: Buffer;
  readonly #end: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#end = bytes.lastIndexOf(10) + 1;
  }

  /** Length of the log without its unfinished last line, when there is one. */
  get unfinished(): number | undefined {
    return this.#end === this.#bytes.length ? undefined : this.#end;
  }

  /** What a line says, without its checksum. */
  text({ start, end }: Line): string {
    return this.#bytes.toString("utf8", start + guard + 1, end);
  }

  /** Lines about a target, oldest first, without a look at the others. */
  linesOf(target: string): Line[] {
    const found: Line[] = [];
    const needle = Buffer.from(` ${opening}${target}"`);
    for (let at = this.#bytes.indexOf(needle); at >= 0 && at < this.#end; at = this.#bytes.indexOf(needle, at + needle.length)) {
      const line = { start: at - guard, end: this.#bytes.indexOf(10, at) };
      if (line.start >= 0 && (line.start === 0 || this.#bytes[line.start - 1] === 10) && this.#nameIn(line) === target) found.push(line);
    }
    return found;
  }

  /** All lines. */
  lines(): Lines {
    const byTarget = new Map<string, Line[]>(), others: Line[] = [];
    let count = 0, damaged = this.unfinished === undefined ? 0 : 1;
    for (let start = 0, end: number; start < this.#end; start = end + 1) {
      end = this.#bytes.indexOf(10, start);
      if (end === start) continue;
      count++;
      const line = { start, end };
      const target = this.#nameIn(line);
      if (target === undefined) damaged++;
      else if (target === "") others.push(line);
      else {
        const lines = byTarget.get(target);
        if (lines === undefined) byTarget.set(target, [line]);
        else lines.push(line);
      }
    }
    return { byTarget, others, count, damaged };
  }

  /**
   * Name of the target that a line is about, without reading the rest: the log of thousands of targets is opened to look
   * up a few. `undefined` when the line is damaged; `""` when its name has to be read with the rest.
   */
  #nameIn({ start, end }: Line): string | undefined {
    const bytes = this.#bytes, body = start + guard + 1;
    if (bytes[body - 1] !== 32 || digestOf(bytes.subarray(body, end)).slice(0, guard) !== bytes.toString("latin1", start, start + guard)) return undefined;
    const from = body + opening.length;
    if (from > end || bytes.toString("latin1", body, from) !== opening) return "";
    const target = bytes.toString("latin1", from, bytes.indexOf(34, from));
    return name.test(target) ? target : "";
  }
}
