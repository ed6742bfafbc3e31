/**
 * Remembers digests of files by (device, inode, size, mtime, ctime), so that an unchanged file is not read again.
 * An entry made so soon after the file's last change that a later change could hide behind the same time stamp
 * is not kept (git's "racy" rule). Only a cache: losing it costs time, never correctness.
 * @module
 */
import type { BigIntStats } from "node:fs";
import { readColumns, writeColumns } from "./columns.ts";
import { type Digest, digestFile, digestFileSync } from "./digest.ts";
import { bootId, isRacy, statOf } from "./files.ts";
import { type StatRow, StatTable } from "./stat-table.ts";

/** Entries unused for this many runs are looked at, and dropped when the file is another. */
const maxIdle = 30;
/** Files up to this many bytes are read at once. */
const small = 1_000_000n;

const format = "imgtask stat-cache 2";

/** Text that changes whenever a file's content could have. */
export function identityOf(stat: BigIntStats): string {
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

/** Digests by path and identity. */
export class StatCache {
  readonly #file: string;
  /** What was read from the file; entries are made of it when they are asked for. */
  #kept: StatTable | undefined;
  readonly #entries = new Map<string, StatRow>();
  readonly #forgotten = new Set<string>();
  #run = 1;
  #dirty = false;
  readonly #carried = new Map<string, { readonly from: BigIntStats; readonly to: BigIntStats }>();
  readonly #boot: string | undefined = bootId();
  #sameBoot = false;

  /** Reads nothing yet. A missing or damaged file is an empty cache. */
  constructor(file: string) {
    this.#file = file;
  }

  #read(): StatTable {
    if (this.#kept !== undefined) return this.#kept;
    const file = readColumns(this.#file, format);
    this.#kept = new StatTable(file?.columns);
    this.#sameBoot = this.#boot !== undefined && file?.own === this.#boot;
    this.#run = this.#kept.runs.reduce((most, run) => Math.max(most, run), 0) + 1;
    return this.#kept;
  }

  #entry(path: string): StatRow | undefined {
    const kept = this.#read();
    const entry = this.#entries.get(path);
    if (entry !== undefined || this.#forgotten.has(path)) return entry;
    const row = kept.indexOf(path);
    return row === undefined || !this.#vouched(kept, row) ? undefined : kept.row(row);
  }

  /** Whether what a row tells of is on disk, or was written since the host was booted. */
  #vouched(kept: StatTable, row: number): boolean {
    return this.#sameBoot || !kept.isUnsynced(row);
  }

  #set(path: string, entry: StatRow): void {
    this.#forgotten.delete(path);
    this.#entries.set(path, entry);
  }

  /** The digest known for a path whose stat is at hand, or `undefined`. */
  lookup(path: string, stat: BigIntStats): Digest | undefined {
    const entry = this.#entry(path);
    if (entry === undefined || entry.identity !== identityOf(stat)) return undefined;
    entry.run = this.#run;
    this.#entries.set(path, entry);
    return entry.digest;
  }

  /**
   * Remembers a digest.
   *
   * @param stat taken **before** the content was read
   * @param read milliseconds since 1970 at which reading it began. Or `"own"`: the file is written by imgtask alone, so
   * the racy rule need not apply; `"unsynced"` when it may not be on disk yet
   */
  remember(path: string, stat: BigIntStats, digest: Digest, read: number | "own" | "unsynced"): void {
    this.#read();
    if (typeof read === "number" && isRacy(stat, read)) {
      if (this.#entry(path) !== undefined) this.#dirty = true;
      this.#entries.delete(path);
      this.#forgotten.add(path);
      return;
    }
    this.#set(path, { identity: identityOf(stat), digest, run: this.#run, unsynced: read === "unsynced" });
    this.#dirty = true;
  }

  /**
   * Carries a digest over a change of a file's stat that is known not to have touched its bytes, as when a link to it
   * was made.
   *
   * @param before taken just before that change
   */
  carry(path: string, before: BigIntStats): void {
    const known = this.lookup(path, before);
    const after = statOf(path);
    if (known === undefined || after === undefined) return;
    this.remember(path, after, known, this.isUnsynced(path) ? "unsynced" : "own");
    const earlier = this.#carried.get(path);
    this.#carried.set(path, { from: earlier !== undefined && identityOf(earlier.to) === identityOf(before) ? earlier.from : before, to: after });
  }

  /** The stat that one taken earlier in this run, which `is` knows, has become by {@linkcode StatCache.carry}. */
  carried(path: string, is: (stat: BigIntStats) => boolean): BigIntStats | undefined {
    const one = this.#carried.get(path);
    return one !== undefined && is(one.from) ? one.to : undefined;
  }

  /** Paths that {@linkcode StatCache.carry} was used for. */
  get moved(): { has(path: string): boolean; keys(): Iterable<string>; readonly size: number } {
    return this.#carried;
  }

  /** Whether a file whose digest is known may not be on disk yet. */
  isUnsynced(path: string): boolean {
    return this.#entry(path)?.unsynced ?? false;
  }

  /** Digest of a regular file: remembered, or read now. */
  digest(path: string, stat: BigIntStats): Digest | Promise<Digest> {
    const known = this.lookup(path, stat);
    if (known !== undefined) return known;
    // Not the time after reading: while a big file is read, it may be written to in the tick of its time stamps.
    const began = Date.now();
    const keep = (digest: Digest): Digest => {
      this.remember(path, stat, digest, began);
      return digest;
    };
    return stat.size < small ? keep(digestFileSync(path)) : digestFile(path).then(keep);
  }

  /** Whether an entry that nobody asked for lately still says something: who rests on evidence does not ask. */
  #still(path: string, entry: StatRow): boolean {
    // A key may say before the path what the digest is of.
    const stat = statOf(path.slice(Math.max(0, path.indexOf("/"))));
    if (stat === undefined || identityOf(stat) !== entry.identity) return false;
    entry.run = this.#run;
    return true;
  }

  /** Writes the cache when it changed. Failing to is no error. */
  flush(): void {
    if (!this.#dirty) return;
    const kept = this.#read(), dropped = new Set<number>(), added = new Map(this.#entries);
    for (const path of [...added.keys(), ...this.#forgotten]) {
      const row = kept.indexOf(path);
      if (row !== undefined) dropped.add(row);
    }
    for (let row = 0; row < kept.runs.length; row++) {
      if (dropped.has(row)) continue;
      const idle = this.#run - kept.runs[row]! >= maxIdle, vouched = this.#vouched(kept, row);
      if (vouched && !idle) continue;
      dropped.add(row);
      const path = kept.path(row), entry = kept.row(row);
      if (vouched && this.#still(path, entry)) added.set(path, entry);
    }
    writeColumns(this.#file, format, this.#boot ?? null, kept.with(dropped, added));
    this.#dirty = false;
  }
}
