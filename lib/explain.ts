/**
 * Why one target would run, and why it ran last: its entry of a plan, followed up to what is behind it, and back
 * through the records. Reads state, writes none; words nothing.
 * @module
 */
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { type Content, contentName } from "./content.ts";
import type { Reason } from "./event.ts";
import type { Graph } from "./graph.ts";
import { logTime } from "./log.ts";
import type { PlanEntry } from "./plan.ts";
import type { Record } from "./record.ts";
import type { State } from "./state.ts";

/** A target behind another one. */
export interface Cause {
  readonly target: string;
  /** `"ran"`: it has run already, and made something else than before. The others as in a plan. */
  readonly verdict: "stale" | "depends" | "ran";
  /** As in a plan. */
  readonly on?: string;
  readonly reasons: readonly Reason[];
  /** When it ran, in milliseconds since 1970. */
  readonly time?: number;
}

/** The last run of a target that gave a result. */
export interface LastRun {
  /** Milliseconds since 1970 when it ended. */
  readonly time: number;
  /** Milliseconds that it took. */
  readonly duration: number;
  readonly reasons: readonly Reason[];
  /** What was behind the reasons, nearest first. */
  readonly causes: readonly Cause[];
}

/** A run that left no result: it failed, was interrupted, or has not ended. */
export interface Unfinished {
  /** Milliseconds since 1970 when it began. */
  readonly time: number;
  /** Absolute path of its log. */
  readonly log: string;
}

/** All that is known of why a target would run, and why it ran. */
export interface Explanation {
  readonly entry: PlanEntry;
  /** What is behind it, nearest first: targets that would run, or that have run since. */
  readonly causes: readonly Cause[];
  readonly last: LastRun | undefined;
  /** The newest run, when it left no result. */
  readonly unfinished: Unfinished | undefined;
}

/** Explains one target of a plan that holds all that it needs. */
export function explain(entry: PlanEntry, plan: readonly PlanEntry[], graph: Graph, state: State): Explanation {
  const results = state.records.results(entry.target);
  const last = results.reduce<Record | undefined>((a, b) => (a === undefined || b.time >= a.time ? b : a), undefined);
  const waiting = pending(entry, plan, graph);
  return {
    entry,
    causes: [...waiting, ...past([entry, ...waiting].flatMap(({ reasons }) => reasons), Infinity, state)],
    last: last === undefined ? undefined : { time: last.time, duration: last.duration, reasons: last.reasons, causes: past(last.reasons, last.time, state) },
    unfinished: unfinishedAfter(last?.time ?? 0, entry.target, state),
  };
}

/** The targets that would run before a target, as far as it reads what they make. */
function pending(entry: PlanEntry, plan: readonly PlanEntry[], graph: Graph): readonly Cause[] {
  const entries = new Map(plan.map((one) => [one.target, one]));
  const found = new Map<string, Cause>();
  const queue = [entry.target];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    for (const input of Object.values(graph.get(name)!.declaration.inputs)) {
      if (input.type !== "artifact" || found.has(input.target)) continue;
      const { verdict, on, reasons } = entries.get(input.target)!;
      if (verdict !== "stale" && verdict !== "depends") continue;
      found.set(input.target, { target: input.target, verdict, reasons, ...(on === undefined ? {} : { on }) });
      queue.push(input.target);
    }
  }
  return [...found.values()];
}

/** The runs that made the outputs which reasons speak of, and those behind these. */
function past(reasons: readonly Reason[], before: number, state: State): readonly Cause[] {
  const found = new Map<string, Cause>();
  const queue = [{ reasons, before }];
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
    for (const reason of one.reasons) {
      if (reason.type !== "upstream" || found.has(reason.target)) continue;
      const { before: until } = one;
      const made = state.records.results(reason.target).findLast(({ outputs, time }) => named(outputs[reason.output]) === reason.to && time <= until);
      if (made === undefined) continue;
      found.set(reason.target, { target: reason.target, verdict: "ran", reasons: made.reasons, time: made.time });
      queue.push({ reasons: made.reasons, before: made.time });
    }
  }
  return [...found.values()];
}

function named(content: Content | undefined): string | undefined {
  return content && contentName(content);
}

/** The newest log of a target, when the run that wrote it began after `time`. */
function unfinishedAfter(time: number, target: string, state: State): Unfinished | undefined {
  const directory = join(state.project.state, "logs", target);
  try {
    const name = readlinkSync(join(directory, "latest.log"));
    const began = logTime(name) ?? Number.NaN;
    return began > time ? { time: began, log: join(directory, name) } : undefined;
  } catch {
    return undefined;
  }
}
