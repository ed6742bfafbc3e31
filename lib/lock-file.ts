/**
 * `imgtask.lock` beside the imagefile: which media `newest` stands for, by digest. Committed, so sorted, one value a line,
 * and read with mistrust (`lock-schema.ts`). Knows no target and no network.
 * @module
 */
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LockEntry, lockFileName } from "./lock-entry.ts";

export { isPin, type LockEntry, lockFileName, type Pin, type PinnedList } from "./lock-entry.ts";

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o644 });
  renameSync(`${path}.new`, path);
}

/**
 * All entries of a lock file as it is now; none when there is no file. The schema is loaded only when there is one.
 *
 * @throws {ImgtaskError} IMG2654 when it is no lock file, IMG2651 for an entry that is none.
 */
export async function readLockFile(path: string): Promise<ReadonlyMap<string, LockEntry>> {
  const text = readText(path);
  return text === undefined ? new Map() : (await import("./lock-schema.ts")).parseLock(text, path);
}

/** The lock file of a project. */
export class LockFile {
  readonly path: string;
  /** Holds how often each was pinned. */
  readonly counts: string;
  readonly #state: string;

  /**
   * @param directory of the imagefile.
   * @param state directory for how often something was pinned.
   */
  constructor(directory: string, state: string) {
    this.path = join(directory, lockFileName);
    this.#state = state;
    this.counts = join(state, "pinned");
  }

  /** All entries as the file is now, see {@linkcode readLockFile}. */
  entries(): Promise<ReadonlyMap<string, LockEntry>> {
    return readLockFile(this.path);
  }

  /**
   * How often media were pinned here: what was resolved before the last time does not count any more when the pin is
   * gone. Losing the number may bring back an older result, never an unverified one.
   */
  times(id: string): number {
    const count = this.#times().get(id);
    return Number.isSafeInteger(count) ? count! : 0;
  }

  #times(): ReadonlyMap<string, number> {
    try {
      return new Map(Object.entries(JSON.parse(readText(this.counts) ?? "{}") as Readonly<Record<string, number>>));
    } catch {
      return new Map();
    }
  }

  /** Replaces some entries, and leaves the others. The file is whole at any moment. Only under the project's lock. */
  async write(changes: ReadonlyMap<string, LockEntry>): Promise<void> {
    const { formatLock, parseLock } = await import("./lock-schema.ts");
    // Nothing is waited for from here on: another target may write at the same time.
    const before = readText(this.path);
    const text = formatLock(new Map([...(before === undefined ? [] : parseLock(before, this.path)), ...changes]));
    const times = new Map([...this.#times(), ...[...changes.keys()].map((id) => [id, this.times(id) + 1] as const)]);
    mkdirSync(this.#state, { recursive: true, mode: 0o700 });
    writeWhole(this.counts, JSON.stringify(Object.fromEntries(times)));
    let { path } = this;
    try {
      path = realpathSync(path);
    } catch {
      // None yet.
    }
    writeWhole(path, text);
  }
}
