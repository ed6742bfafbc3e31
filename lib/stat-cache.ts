/**
 * Remembers digests of files by (device, inode, size, mtime, ctime), so that an unchanged file is not read again.
 * An entry made so soon after the file's last change that a later change could hide behind the same time stamp
 * is not kept (git's "racy" rule). Only a cache: losing it costs time, never correctness.
 * @module
 */
import type { BigIntStats } from "node:fs";
import { type Column, readColumns, writeColumns } from "./columns.ts";
import { type Digest, digestFile, digestFileSync } from "./digest.ts";
import { bootId, isRacy, statOf } from "./files.ts";

/** Entries unused for this many runs are looked at, and dropped when the file is another. */
const maxIdle = 30;
/** Files up to this many bytes are read at once. */
const small = 1_000_000n;

const format = "imgtask stat-cache 1";

interface Entry {
  readonly identity: string;
  readonly digest: Digest;
  run: number;
  /** Written since the host was booted, and perhaps not on disk yet: another boot may find something else. */
  readonly unsynced: boolean;
}

/** Text that changes whenever a file's content could have. */
export function identityOf(stat: BigIntStats): string {
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

/** Digests by path and identity. */
export class StatCache {
  readonly #file: string;
  #read: Map<string, Entry> | undefined;
  #run = 1;
  #dirty = false;
  readonly #carried = new Map<string, { readonly from: BigIntStats; readonly to: BigIntStats }>();
  readonly #boot: string | undefined = bootId();

  /** Reads nothing yet. A missing or damaged file is an empty cache. */
  constructor(file: string) {
    this.#file = file;
  }

  get #entries(): Map<string, Entry> {
    if (this.#read !== undefined) return this.#read;
    this.#read = new Map();
    const kept = readColumns(this.#file, format);
    if (kept === undefined) return this.#read;
    const [paths, identities, digests, runs, unsynced] = kept.columns as readonly [readonly string[], readonly string[], readonly Digest[], Uint32Array, Uint32Array];
    const sameBoot = this.#boot !== undefined && kept.own === this.#boot;
    for (let i = 0; i < paths.length; i++) {
      const run = runs[i]!;
      if (sameBoot || unsynced[i] === 0) this.#read.set(paths[i]!, { identity: identities[i]!, digest: digests[i]!, run, unsynced: unsynced[i] !== 0 });
      if (run >= this.#run) this.#run = run + 1;
    }
    return this.#read;
  }

  /** The digest known for a path whose stat is at hand, or `undefined`. */
  lookup(path: string, stat: BigIntStats): Digest | undefined {
    const entry = this.#entries.get(path);
    if (entry === undefined || entry.identity !== identityOf(stat)) return undefined;
    entry.run = this.#run;
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
    if (typeof read === "number" && isRacy(stat, read)) {
      if (this.#entries.delete(path)) this.#dirty = true;
      return;
    }
    this.#entries.set(path, { identity: identityOf(stat), digest, run: this.#run, unsynced: read === "unsynced" });
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

  /** Whether a file whose digest is known may not be on disk yet. */
  isUnsynced(path: string): boolean {
    return this.#entries.get(path)?.unsynced ?? false;
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
  #still(path: string, entry: Entry): boolean {
    // A key may say before the path what the digest is of.
    const stat = statOf(path.slice(Math.max(0, path.indexOf("/"))));
    if (stat === undefined || identityOf(stat) !== entry.identity) return false;
    entry.run = this.#run;
    return true;
  }

  /** Writes the cache when it changed. Failing to is no error. */
  flush(): void {
    if (!this.#dirty) return;
    const kept = [...this.#entries].filter(([path, entry]) => this.#run - entry.run < maxIdle || this.#still(path, entry));
    const columns: readonly Column[] = [
      kept.map(([path]) => path),
      kept.map(([, entry]) => entry.identity),
      kept.map(([, entry]) => entry.digest),
      Uint32Array.from(kept, ([, entry]) => entry.run),
      Uint32Array.from(kept, ([, entry]) => (entry.unsynced ? 1 : 0)),
    ];
    writeColumns(this.#file, format, this.#boot ?? null, columns);
    this.#dirty = false;
  }
}
