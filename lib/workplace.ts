/**
 * Private directories for recipes to run in, each with `out`, `tmp` and `in`. One that was left empty serves the next
 * recipe, under another name: making and removing four directories takes longer than a quick recipe does. Knows no
 * target.
 * @module
 */
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";

const parts = ["out", "tmp", "in"] as const;

/** The private directories of one process. */
export class Workplaces {
  readonly #prefix: string;
  readonly #free: string[] = [];
  #serial = 0;

  /** @param prefix what their paths begin with; a number follows */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** An empty one, of mode 0700, at a path that none had before: what an earlier recipe still does misses it. */
  take(): string {
    const place = `${this.#prefix}${this.#serial++}`;
    const free = this.#free.pop();
    if (free !== undefined) {
      renameSync(free, place);
      return place;
    }
    for (const part of parts) mkdirSync(join(place, part), { recursive: true, mode: 0o700 });
    return place;
  }

  /**
   * Gives one back; what is still in it is removed.
   *
   * @param reuse whether it may serve again: not after a recipe that was given up and may still be at work in it
   */
  async giveBack(place: string, reuse: boolean): Promise<void> {
    try {
      if (reuse && parts.every((part) => readdirSync(join(place, part)).length === 0)) {
        this.#free.push(place);
        return;
      }
    } catch {
      // The recipe removed or locked a part of it.
    }
    await rm(place, { recursive: true, force: true }).catch(() => {
      // Files of subordinate ids; removed at the start of the next run.
    });
  }

  /** Removes those that nobody uses. */
  close(): void {
    for (const place of this.#free.splice(0)) {
      try {
        rmSync(place, { recursive: true, force: true });
      } catch {
        // Removed at the start of the next run.
      }
    }
  }
}
