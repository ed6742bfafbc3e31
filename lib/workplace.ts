/**
 * Private directories for recipes to run in, each with `out`, `tmp` and `in`. One that was left empty serves the next
 * recipe: making and removing four directories takes longer than a quick recipe does. Knows no target.
 * @module
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
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

  /** An empty one, of mode 0700. */
  take(): string {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const place = `${this.#prefix}${this.#serial++}`;
    for (const part of parts) mkdirSync(join(place, part), { recursive: true, mode: 0o700 });
    return place;
  }

  /** Gives one back; what is still in it is removed. */
  async giveBack(place: string): Promise<void> {
    try {
      if (parts.every((part) => readdirSync(join(place, part)).length === 0)) {
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
    for (const place of this.#free.splice(0)) rmSync(place, { recursive: true, force: true });
  }
}
