/**
 * Remembers digests of files by (device, inode, size, mtime, ctime), so that an unchanged file is not read again.
 * An entry made so soon after the file's last change that a later change could hide behind the same time stamp
 * is not kept (git's "racy" rule). Only a cache: losing it costs time, never correctness.
 * @module
 */
import type { BigIntStats } from "node:fs";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { type Digest, digestFile, digestFileSync, digestOf, isDigest } from "./digest.ts";

/** Nanoseconds that a file's time stamps must lie back before an entry for it is kept: several kernel ticks. */
const racyWindow = 40_000_000n;
/** Entries unused for this many runs are dropped. */
const maxIdle = 30;

interface Entry {
  readonly identity: string;
  readonly digest: Digest;
  run: number;
}

/** Text that changes whenever a file's content could have. */
export function identityOf(stat: BigIntStats): string {
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

/** Digests by path and identity. */
export class StatCache {
  readonly #file: string;
  readonly #entries = new Map<string, Entry>();
  #run = 1;
  #dirty = false;

  /** Reads the cache; a missing or damaged file is an empty cache. */
  constructor(file: string) {
    this.#file = file;
    try {
      const text = readFileSync(file, "utf8");
      const end = text.indexOf("\n");
      if (text.slice(0, end) !== digestOf(text.slice(end + 1))) return;
      const data = JSON.parse(text.slice(end + 1)) as { run: number; entries: [string, string, string, number][] };
      this.#run = data.run + 1;
      for (const [path, identity, digest, run] of data.entries) if (isDigest(digest)) this.#entries.set(path, { identity, digest, run });
    } catch {
      // A cache that cannot be read is no cache.
    }
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
   * @param read milliseconds since 1970 at which reading it began, or `"own"`: the file is written by imgtask
   * alone, so the racy rule need not apply
   */
  remember(path: string, stat: BigIntStats, digest: Digest, read: number | "own"): void {
    const now = read === "own" ? 0n : BigInt(read) * 1_000_000n;
    const newest = stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs;
    if (read !== "own" && now - newest < racyWindow) {
      if (this.#entries.delete(path)) this.#dirty = true;
      return;
    }
    this.#entries.set(path, { identity: identityOf(stat), digest, run: this.#run });
    this.#dirty = true;
  }

  /** Digest of a regular file: remembered, or read now. */
  async digest(path: string, stat: BigIntStats): Promise<Digest> {
    const known = this.lookup(path, stat);
    if (known !== undefined) return known;
    // Not the time after reading: while a big file is read, it may be written to in the tick of its time stamps.
    const began = Date.now();
    const digest = stat.size < 1_000_000n ? digestFileSync(path) : await digestFile(path);
    this.remember(path, stat, digest, began);
    return digest;
  }

  /** Writes the cache when it changed. Failing to is no error. */
  flush(): void {
    if (!this.#dirty) return;
    const entries = [...this.#entries].filter(([, entry]) => this.#run - entry.run < maxIdle).map(([path, entry]) => [path, entry.identity, entry.digest, entry.run]);
    const body = JSON.stringify({ run: this.#run, entries });
    try {
      const temporary = `${this.#file}.new`;
      const fd = openSync(temporary, "w", 0o600);
      try {
        writeFileSync(fd, `${digestOf(body)}\n${body}`);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.#file);
      this.#dirty = false;
    } catch {
      // The next run reads the files again.
    }
  }
}
