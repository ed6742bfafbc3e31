/**
 * Which parts of a file are there: spans of bytes, joined where they meet. Pure; knows no file.
 * @module
 */

/** Bytes from `from` up to, and without, `to`. */
export type Span = readonly [from: number, to: number];

/** A set of bytes of a file. */
export class Coverage {
  #spans: Span[];

  /** @throws {RangeError} when spans are no spans, overlap, or are out of order. */
  constructor(spans: readonly Span[] = []) {
    let last = -1;
    for (const [from, to] of spans) {
      if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from <= last || to <= from) throw new RangeError("bad spans");
      last = to;
    }
    this.#spans = [...spans];
  }

  /** In order, and apart from each other. */
  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** How many bytes from the beginning are there without a gap. */
  get prefix(): number {
    const first = this.#spans[0];
    return first === undefined || first[0] > 0 ? 0 : first[1];
  }

  /** Number of bytes. */
  get bytes(): number {
    return this.#spans.reduce((sum, [from, to]) => sum + to - from, 0);
  }

  /** Where the last byte that is there ends. */
  get end(): number {
    return this.#spans.at(-1)?.[1] ?? 0;
  }

  /** Adds bytes. What is there already may be added again. */
  add(from: number, to: number): void {
    if (to <= from) return;
    const kept: Span[] = [];
    let start = from, end = to, at = 0;
    for (const span of this.#spans) {
      if (span[1] < start) {
        kept.push(span);
        at = kept.length;
      } else if (span[0] > end) kept.push(span);
      else {
        start = Math.min(start, span[0]);
        end = Math.max(end, span[1]);
      }
    }
    kept.splice(at, 0, [start, end]);
    this.#spans = kept;
  }

  /** The first gap below `size`, no longer than `most`; `undefined` when there is none. */
  gap(size: number, most: number): Span | undefined {
    let from = 0;
    for (const span of this.#spans) {
      if (span[0] > from) break;
      from = span[1];
    }
    if (from >= size) return undefined;
    const next = this.#spans.find((span) => span[0] > from)?.[0] ?? size;
    return [from, Math.min(next, size, from + most)];
  }

  /** These bytes and those of others. */
  with(others: Iterable<Span>): Coverage {
    const all = new Coverage(this.#spans);
    for (const [from, to] of others) all.add(from, to);
    return all;
  }
}
