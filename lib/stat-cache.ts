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

/** The columns of the file, and the place in them of each path. */
interface Kept {
  readonly at: ReadonlyMap<string, number>;
  readonly identities: readonly string[];
  readonly digests: readonly Digest[];
  readonly runs: Uint32Array;
  readonly unsynced: Uint32Array;
}

const none = new Uint32Array();

/** Text that changes whenever a file's content could have. */
export function identityOf(stat: BigIntStats): string {
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

/** Digests by path and identity. */
export class StatCache {
  readonly #file: string;
  /** What was read from the file, and where in it each path is; entries are made of it when they are asked for. */
  #kept: Kept | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #forgotten = new Set<string>();
  #run = 1;
  #dirty = false;
  readonly #carried = new Map<string, { readonly from: BigIntStats; readonly to: BigIntStats }>();
  readonly #boot: string | undefined = bootId();

  /** Reads nothing yet. A missing or damaged file is an empty cache. */
  constructor(file: string) {
    this.#file = file;
  }

  #read(): Kept {
    if (this.#kept !== undefined) return this.#kept;
    const file = readColumns(this.#file, format);
    const [paths = [], identities = [], digests = [], runs = none, unsynced = none] = (file?.columns ?? []) as readonly [string[]?, string[]?, Digest[]?, Uint32Array?, Uint32Array?];
    const sameBoot = this.#boot !== undefined && file?.own === this.#boot;
    const at = new Map<string, number>();
    for (let i = 0; i < paths.length; i++) {
      if (runs[i]! >= this.#run) this.#run = runs[i]! + 1;
      if (sameBoot || unsynced[i] === 0) at.set(paths[i]!, i);
    }
    return (this.#kept = { at, identities, digests, runs, unsynced });
  }

  #entry(path: string): Entry | undefined {
    const { at, identities, digests, runs, unsynced } = this.#read();
    const entry = this.#entries.get(path);
    if (entry !== undefined || this.#forgotten.has(path)) return entry;
    const i = at.get(path);
    return i === undefined ? undefined : { identity: identities[i]!, digest: digests[i]!, run: runs[i]!, unsynced: unsynced[i] !== 0 };
  }

  #set(path: string, entry: Entry): void {
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
  get moved(): { has(path: string): boolean; readonly size: number } {
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
    const { at } = this.#read();
    const paths: string[] = [], entries: Entry[] = [];
    for (const path of new Set([...at.keys(), ...this.#entries.keys()])) {
      const entry = this.#entry(path);
      if (entry === undefined || (this.#run - entry.run >= maxIdle && !this.#still(path, entry))) continue;
      paths.push(path);
      entries.push(entry);
    }
    const columns: readonly Column[] = [
      paths,
      entries.map(({ identity }) => identity),
      entries.map(({ digest }) => digest),
      Uint32Array.from(entries, ({ run }) => run),
      Uint32Array.from(entries, ({ unsynced }) => (unsynced ? 1 : 0)),
    ];
    writeColumns(this.#file, format, this.#boot ?? null, columns);
    this.#dirty = false;
  }
}
