/**
 * Digests of files by path and identity, as columns: a few of ten thousands are found without decoding the others.
 * Knows neither files nor when a row holds.
 * @module
 */
import type { Column } from "./columns.ts";
import type { Digest } from "./digest.ts";

/** What is known of a path. */
export interface StatRow {
  /** Device, inode, size, mtime and ctime in nanoseconds, with a space between. */
  readonly identity: string;
  readonly digest: Digest;
  /** Number of the run that asked for it last. */
  run: number;
  /** Written since the host was booted, and perhaps not on disk yet: another boot may find something else. */
  readonly unsynced: boolean;
}

/** Numbers in an identity, and bytes of a digest. */
const parts = 5, digestBytes = 32;

/** Paths that are searched for one by one; for more, all are decoded. */
const few = 64;

/** Rows as they were kept. */
export class StatTable {
  /** Each path, ended by a NUL byte. */
  readonly #paths: Buffer;
  /** Where the path of each row ends. */
  readonly #ends: Uint32Array;
  readonly #identities: BigInt64Array;
  readonly #digests: Buffer;
  readonly runs: Uint32Array;
  readonly #unsynced: Uint32Array;
  #searched = 0;
  #at: ReadonlyMap<string, number> | undefined;

  constructor(columns: readonly Column[] | undefined) {
    const none = Buffer.alloc(0), empty = new Uint32Array();
    const [paths = none, ends = empty, identities = new BigInt64Array(), digests = none, runs = empty, unsynced = empty] = (columns ?? []) as readonly [Buffer?, Uint32Array?, BigInt64Array?, Buffer?, Uint32Array?, Uint32Array?];
    this.#paths = paths;
    this.#ends = ends;
    this.#identities = identities;
    this.#digests = digests;
    this.runs = runs;
    this.#unsynced = unsynced;
  }

  /** Number of the row of a path. */
  indexOf(path: string): number | undefined {
    if (this.#at === undefined && this.#searched++ < few) return this.#search(path);
    this.#at ??= new Map(this.#paths.toString("utf8", 0, Math.max(0, this.#paths.length - 1)).split("\0").map((one, i) => [one, i]));
    return this.runs.length === 0 ? undefined : this.#at.get(path);
  }

  #search(path: string): number | undefined {
    const needle = Buffer.from(`${path}\0`);
    for (let from = this.#paths.indexOf(needle); from >= 0; from = this.#paths.indexOf(needle, from + 1)) {
      if (from > 0 && this.#paths[from - 1] !== 0) continue;
      let low = 0, high = this.#ends.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.#ends[middle]! <= from) low = middle + 1;
        else high = middle;
      }
      return low;
    }
    return undefined;
  }

  #begin(row: number): number {
    return row === 0 ? 0 : this.#ends[row - 1]!;
  }

  path(row: number): string {
    return this.#paths.toString("utf8", this.#begin(row), this.#ends[row]! - 1);
  }

  isUnsynced(row: number): boolean {
    return this.#unsynced[row] !== 0;
  }

  row(row: number): StatRow {
    const [dev, ino, size, mtime, ctime] = this.#identities.subarray(row * parts, (row + 1) * parts);
    return {
      identity: `${BigInt.asUintN(64, dev!)} ${BigInt.asUintN(64, ino!)} ${BigInt.asUintN(64, size!)} ${mtime!} ${ctime!}`,
      digest: this.#digests.toString("hex", row * digestBytes, (row + 1) * digestBytes) as Digest,
      run: this.runs[row]!,
      unsynced: this.isUnsynced(row),
    };
  }

  /** The columns of these rows without some, and with others. */
  with(dropped: ReadonlySet<number>, added: ReadonlyMap<string, StatRow>): readonly Column[] {
    const rows: number[] = [];
    for (let row = 0; row < this.runs.length; row++) if (!dropped.has(row)) rows.push(row);
    const size = rows.length + added.size;
    const paths: Buffer[] = [], ends = new Uint32Array(size), identities = new BigInt64Array(size * parts), digests = Buffer.alloc(size * digestBytes);
    const runs = new Uint32Array(size), unsynced = new Uint32Array(size);
    let length = 0;
    // What stood side by side is copied at once.
    for (let i = 0, next: number; i < rows.length; i = next) {
      for (next = i + 1; next < rows.length && rows[next] === rows[next - 1]! + 1; ) next++;
      const first = rows[i]!, end = rows[next - 1]! + 1, begin = this.#begin(first);
      for (let row = first; row < end; row++) ends[i + row - first] = this.#ends[row]! - begin + length;
      paths.push(this.#paths.subarray(begin, this.#ends[end - 1]!));
      length += this.#ends[end - 1]! - begin;
      identities.set(this.#identities.subarray(first * parts, end * parts), i * parts);
      digests.set(this.#digests.subarray(first * digestBytes, end * digestBytes), i * digestBytes);
      runs.set(this.runs.subarray(first, end), i);
      unsynced.set(this.#unsynced.subarray(first, end), i);
    }
    let at = rows.length, some = "";
    for (const [path, row] of added) {
      some += `${path}\0`;
      ends[at] = length += Buffer.byteLength(path) + 1;
      // Not a piece of memory for each of ten thousands.
      if (some.length > 65_536 || at === size - 1) {
        paths.push(Buffer.from(some));
        some = "";
      }
      row.identity.split(" ").forEach((part, i) => (identities[at * parts + i] = BigInt.asIntN(64, BigInt(part))));
      digests.write(row.digest, at * digestBytes, "hex");
      runs[at] = row.run;
      unsynced[at++] = row.unsynced ? 1 : 0;
    }
    return [Buffer.concat(paths), ends, identities, digests, runs, unsynced];
  }
}
