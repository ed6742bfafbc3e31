/**
 * What became of every target that ran: outcome, duration and size, one line a run, for figures over time. Judges
 * nothing: freshness knows only records, and losing this loses figures.
 * @module
 */
import { appendFileSync, closeSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Event } from "./event.ts";

/** Runs of one target; as written, one. Older ones are added up. */
export interface Entry {
  /** Milliseconds since 1970 at which the run, or the last of them, ended. */
  readonly time: number;
  readonly target: string;
  readonly outcome: "done" | "failed";
  /** Milliseconds, of all of them. */
  readonly duration: number;
  /** Bytes of all outputs, of the last of them; only when done. */
  readonly size?: number;
  /** How many. @default 1 */
  readonly runs?: number;
}

/** Bytes from which the older half is added up, to one line a target and outcome. */
const limit = 4 << 20;

function isEntry(value: unknown): value is Entry {
  const { time, target, outcome, duration, size = 0, runs = 1 } = (value ?? {}) as Partial<Entry>;
  return [time, duration, size, runs].every((number) => typeof number === "number" && Number.isFinite(number) && number >= 0) &&
    typeof target === "string" && (outcome === "done" || outcome === "failed");
}

/** Path of the history in a state directory. */
export function historyFile(state: string): string {
  return join(state, "history");
}

/** All that is known, oldest first. A damaged line is passed over. */
export function readHistory(state: string): readonly Entry[] {
  let text: string;
  try {
    text = readFileSync(historyFile(state), "utf8");
  } catch {
    return [];
  }
  return text.split("\n").flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return isEntry(value) ? [value] : [];
    } catch {
      return [];
    }
  });
}

/** Adds up entries, to one a target and outcome. */
export function addUp(entries: readonly Entry[]): readonly Entry[] {
  const sums = new Map<string, Entry>();
  for (const entry of entries) {
    const key = `${entry.outcome} ${entry.target}`;
    const before = sums.get(key);
    sums.set(key, before === undefined ? { runs: 1, ...entry } : { ...before, ...entry, duration: before.duration + entry.duration, runs: before.runs! + (entry.runs ?? 1) });
  }
  return [...sums.values()];
}

const lines = (entries: readonly Entry[]): string => entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");

function endsTorn(file: string): boolean {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return false;
  const fd = openSync(file, "r");
  try {
    const last = Buffer.alloc(1);
    readSync(fd, last, 0, 1, size - 1);
    return last[0] !== 10;
  } finally {
    closeSync(fd);
  }
}

/** Collects what becomes of the targets of one run, and adds it to the history at its end. */
export class History {
  readonly #entries: Entry[] = [];

  /** Takes in an event of the run. */
  on(event: Event): void {
    if (event.type === "target done") {
      const size = event.results.reduce((sum, result) => sum + result.size, 0);
      this.#entries.push({ time: Date.now(), target: event.target, outcome: "done", duration: event.duration, size });
    } else if (event.type === "target failed") this.#entries.push({ time: Date.now(), target: event.target, outcome: "failed", duration: event.duration });
  }

  /** Adds what was collected. Only called while the project's lock is held. */
  write(state: string): void {
    if (this.#entries.length === 0) return;
    const file = historyFile(state);
    appendFileSync(file, `${endsTorn(file) ? "\n" : ""}${lines(this.#entries.splice(0))}`, { mode: 0o600 });
    if (statSync(file).size < limit) return;
    const all = readHistory(state);
    const half = Math.floor(all.length / 2);
    try {
      writeFileSync(`${file}.new`, lines([...addUp(all.slice(0, half)), ...all.slice(half)]), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } finally {
      rmSync(`${file}.new`, { force: true });
    }
  }
}
