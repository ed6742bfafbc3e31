/**
 * What a run did when, as a trace in Chrome's format, which Perfetto opens: targets on tracks, one below the other,
 * as many as ran at once; freshness decisions; cores and memory in use. Keeps everything in memory until the end.
 * @module
 */
import { randomBytes } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";

/** Facts about an event, shown when it is clicked on. */
export type TraceArgs = Readonly<Record<string, unknown>>;

/** A stretch of time that has begun. */
export interface TraceSpan {
  /** Begins the next part of it; what was begun before ends. */
  part(name: string): void;
  /** Ends it and its last part; only the first time counts. */
  end(args?: TraceArgs): void;
}

/** Where spans stand: what runs, and what is looked at for freshness. */
export type Track = "targets" | "freshness";

const processes: Readonly<Record<Track, number>> = { targets: 1, freshness: 2 };

interface Open {
  readonly name: string;
  readonly track: Track;
  readonly lane: number;
  readonly begin: number;
  args: TraceArgs;
  end?: number;
}

/**
 * A trace.
 *
 * @example
 * ```ts
 * const trace = new Trace();
 * const span = trace.begin("targets", "iso:debian", { kind: "iso" });
 * span.part("recipe");
 * span.end({ outcome: "done" });
 * trace.write("trace.json", () => []);
 * ```
 */
export class Trace {
  readonly #now: () => number;
  readonly #zero: number;
  readonly #spans: Open[] = [];
  readonly #parts: Open[] = [];
  readonly #others: object[] = [];
  readonly #lanes: Readonly<Record<Track, boolean[]>> = { targets: [], freshness: [] };

  /** @param now milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#zero = now();
  }

  /** Whole microseconds since the trace began. */
  #time(): number {
    return Math.round((this.#now() - this.#zero) * 1000);
  }

  /** Begins a span on the first track that is free. */
  begin(track: Track, name: string, args: TraceArgs = {}): TraceSpan {
    const lanes = this.#lanes[track];
    const free = lanes.indexOf(false);
    const lane = free === -1 ? lanes.length : free;
    lanes[lane] = true;
    const span: Open = { name, track, lane, begin: this.#time(), args };
    this.#spans.push(span);
    let part: Open | undefined;
    return {
      part: (of) => {
        const begin = this.#time();
        if (part !== undefined) part.end = begin;
        part = { name: of, track, lane, begin, args: {} };
        this.#parts.push(part);
      },
      end: (more = {}) => {
        if (span.end !== undefined) return;
        span.end = this.#time();
        if (part !== undefined) part.end = span.end;
        span.args = { ...span.args, ...more };
        lanes[lane] = false;
      },
    };
  }

  /** Notes something that takes no time. */
  instant(name: string, args: TraceArgs = {}): void {
    this.#others.push({ name, cat: "event", ph: "i", s: "p", ts: this.#time(), pid: processes.targets, tid: 0, args });
  }

  /** Notes how much of something is in use from now on. */
  counter(name: string, value: number): void {
    this.#others.push({ name, ph: "C", ts: this.#time(), pid: processes.targets, tid: 0, args: { [name]: value } });
  }

  /** Names of the targets on the path that ended last: each with the one it waited for longest. */
  #critical(dependenciesOf: (name: string) => readonly string[]): ReadonlySet<string> {
    const ends = new Map(this.#spans.filter(({ track }) => track === "targets").map(({ name, end }) => [name, end ?? Infinity]));
    const latest = (names: Iterable<string>): string | undefined => {
      let found: string | undefined;
      for (const name of names) if (ends.has(name) && (found === undefined || ends.get(name)! > ends.get(found)!)) found = name;
      return found;
    };
    const path = new Set<string>();
    for (let name = latest(ends.keys()); name !== undefined && !path.has(name); name = latest(dependenciesOf(name))) path.add(name);
    return path;
  }

  /**
   * The trace as JSON. What has not ended is said to end now.
   *
   * @param dependenciesOf by which the critical path is found.
   */
  text(dependenciesOf: (name: string) => readonly string[]): string {
    const now = this.#time();
    const critical = this.#critical(dependenciesOf);
    const complete = (span: Open, category: string, args: TraceArgs): object => ({
      name: span.name, cat: category, ph: "X", ts: span.begin, dur: (span.end ?? now) - span.begin,
      pid: processes[span.track], tid: span.lane + 1, args,
    });
    const spans = this.#spans.map((span) => {
      const args = span.end === undefined ? { ...span.args, outcome: "unfinished" } : span.args;
      if (span.track !== "targets") return complete(span, "freshness", args);
      return complete(span, critical.has(span.name) ? "target,critical" : "target", { ...args, critical: critical.has(span.name) });
    });
    const parts = this.#parts.map((part) => complete(part, "part", {}));
    // Stable: a span comes before its parts, which may begin and end with it.
    const events = [...spans, ...parts, ...this.#others].sort((a, b) => (a as { ts: number }).ts - (b as { ts: number }).ts);
    const meta = (Object.keys(processes) as Track[]).flatMap((track) => {
      const pid = processes[track];
      const about = (name: string, tid: number, args: TraceArgs): object => ({ name, ph: "M", ts: 0, pid, tid, args });
      return [
        about("process_name", 0, { name: track }),
        about("process_sort_index", 0, { sort_index: pid }),
        ...this.#lanes[track].map((_, lane) => about("thread_name", lane + 1, { name: `${track} ${lane + 1}` })),
      ];
    });
    return `{"displayTimeUnit":"ms","traceEvents":[\n${[...meta, ...events].map((event) => JSON.stringify(event)).join(",\n")}\n]}\n`;
  }

  /** Writes the trace: all of it, or nothing. */
  write(file: string, dependenciesOf: (name: string) => readonly string[]): void {
    const beside = `${file}.${randomBytes(4).toString("hex")}.new`;
    try {
      writeFileSync(beside, this.text(dependenciesOf), { flag: "wx" });
      renameSync(beside, file);
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
  }
}
