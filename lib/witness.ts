/**
 * Looks at files for one judgement, and keeps what it saw: the facts that the judgement rests on. As long as they all
 * hold, the judgement need not be made again. Knows no target.
 * @module
 */
import { type BigIntStats, readdirSync } from "node:fs";
import { isForbidden, isRacy, statOf } from "./files.ts";

/** What was seen at a path: an identity, a mere type, or nothing. */
export interface Fact {
  /** Absolute. */
  readonly path: string;
  /** Whether a symbolic link at the path was followed. */
  readonly follow: boolean;
  /** Device, inode, size, mtime and ctime; only the type of file when what is in it does not matter; `undefined` when nothing was there. */
  readonly seen: Identity | FileType | undefined;
  /** Set by the one who looked where only a part counts, which the fingerprint holds: the names in a directory, an entry of a file. Not kept. */
  readonly part?: true;
}

/** Changes whenever a file's content, mode, or, of a directory, the names in it could have. Times in milliseconds. */
export type Identity = readonly [dev: number, ino: number, size: number, mtimeMs: number, ctimeMs: number];

/** Where the ctime stands in an identity: the last part. */
const ctimeAt = 4;

/** The type bits of a mode. */
export type FileType = number;

/** The bits of a mode that tell the type of a file. */
export const typeBits = 0o170000;

/** The identity in a stat: as the stat without nanoseconds has it, which is quicker to take. */
export function identityIn(stat: BigIntStats): Identity {
  return [Number(stat.dev), Number(stat.ino), Number(stat.size), milliseconds(stat.mtimeNs), milliseconds(stat.ctimeNs)];
}

/** Node's own way from seconds and nanoseconds to a float. */
function milliseconds(nanoseconds: bigint): number {
  return Number(nanoseconds / 1_000_000_000n) * 1000 + Number(nanoseconds % 1_000_000_000n) / 1_000_000;
}

/** One look at all that a judgement depends on. */
export class Witness {
  readonly facts: Fact[] = [];
  #sure = true;

  /** Whether a later change would show in the facts: nothing had changed so recently that another change could hide. */
  get sure(): boolean {
    return this.#sure;
  }

  /** Looks at a path whose content counts. */
  stat(path: string, follow = false): BigIntStats | undefined {
    const stat = statOf(path, follow);
    this.#keep(path, follow, stat, stat === undefined ? undefined : identityIn(stat));
    if (stat !== undefined) this.#doubt(stat);
    return stat;
  }

  /** Looks at a place where something may be, as in a directory of `PATH` that others only may enter: then nothing is there. */
  place(path: string): void {
    try {
      this.stat(path, true);
    } catch (error) {
      if (!isForbidden(error)) throw error;
      this.#keep(path, true, undefined, undefined);
    }
  }

  /**
   * Looks at a file that imgtask itself has put there, with a time stamp of long ago: an edit gives it another one,
   * so it is no matter how soon that comes.
   */
  own(path: string): BigIntStats | undefined {
    const stat = statOf(path);
    this.#keep(path, false, stat, stat === undefined ? undefined : identityIn(stat));
    if (stat !== undefined && !stat.isFile()) this.#doubt(stat);
    return stat;
  }

  /** Looks at a path of which only counts whether something is there, and of what type. */
  type(path: string): BigIntStats | undefined {
    const stat = statOf(path);
    this.#keep(path, false, stat, stat === undefined ? undefined : Number(stat.mode) & typeBits);
    return stat;
  }

  /** Looks at a file of which only a part counts. */
  part(path: string): void {
    const stat = statOf(path, true);
    this.facts.push({ path, follow: true, seen: stat === undefined ? undefined : identityIn(stat), part: true });
    if (stat !== undefined) this.#doubt(stat);
  }

  /** The names in a directory, in code unit order. */
  names(path: string): readonly string[] {
    this.stat(path, true);
    return readdirSync(path).sort((a, b) => (a < b ? -1 : 1));
  }

  /** Takes over what another witness saw. */
  include(other: Witness): void {
    for (const fact of other.facts) this.facts.push(fact);
    if (!other.sure) this.#sure = false;
  }

  #keep(path: string, follow: boolean, stat: BigIntStats | undefined, seen: Fact["seen"]): void {
    this.facts.push({ path, follow, seen: stat === undefined ? undefined : seen, ...(stat?.isDirectory() === true ? { part: true } : {}) });
  }

  #doubt(stat: BigIntStats): void {
    if (isRacy(stat)) this.#sure = false;
  }
}

/**
 * Whether two witnesses saw the same files in the same state. What only counts in part is passed over: directories, of
 * which the names count, and the lock file. The fingerprint holds that part. A ctime that moved alone tells of a file that was moved away and back, or of new links to it,
 * as recipes make them of what they read; then there are several.
 */
export function sameFiles(one: Witness, other: Witness): boolean {
  const files = ({ facts }: Witness): readonly Fact[] => facts.filter(({ part }) => part !== true);
  const before = files(one), after = files(other);
  return before.length === after.length && before.every((fact, index) => sameFile(fact, after[index]!));
}

function sameFile(one: Fact, other: Fact): boolean {
  if (one.path !== other.path) return false;
  if (typeof one.seen !== "object" || typeof other.seen !== "object") return one.seen === other.seen;
  const now = other.seen;
  const differs = one.seen.findIndex((part, index) => part !== now[index]);
  return differs < 0 || (differs === ctimeAt && (statOf(one.path, one.follow)?.nlink ?? 0n) > 1n);
}
