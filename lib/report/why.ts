/**
 * Why one target would run or not, on one screen. Decides nothing.
 * @module
 */
import type { Reason } from "../event.ts";
import type { PlanEntry } from "../plan.ts";
import { formatDuration } from "./duration.ts";
import { reasonData, verdictWords } from "./plan.ts";
import { phrase } from "./reason.ts";
import { painter, printable } from "./text.ts";

/** What is known of a target's last run. */
export interface LastRun {
  /** Milliseconds since 1970 when it ended. */
  readonly time: number;
  /** Milliseconds it took. */
  readonly duration: number;
  /** Why it ran then, when that is known. */
  readonly reasons?: readonly Reason[];
}

/** What {@linkcode why} is told beside the verdict. */
export interface WhyOptions {
  readonly color: boolean;
  readonly last: LastRun | undefined;
  /** Milliseconds since 1970. @default now */
  readonly now?: number;
}

/** Reasons that are listed one by one; more would not fit one screen. */
const shownReasons = 12;
const valueLength = 400;

function values(reason: Reason): readonly string[] {
  if (reason.type !== "option" && reason.type !== "tool") return [];
  const word = (value: string | undefined): string => {
    if (value === undefined) return "unset";
    const text = printable(value);
    return text.length > valueLength ? `${text.slice(0, valueLength)}…` : text;
  };
  // Short values are in the phrase itself.
  if (Math.max(word(reason.from).length, word(reason.to).length) <= 40) return [];
  return [`    was ${word(reason.from)}`, `    now ${word(reason.to)}`];
}

const explanations: Readonly<Record<PlanEntry["verdict"], string>> = {
  fresh: "nothing that it reads, no option, tool or code of it has changed since its last run",
  stale: "it would run",
  depends: "it would run if that target makes something else than last time",
  restore: "its outputs would come back from the store; nothing would run",
};

/** The verdict on one target with all its reasons, with a newline at the end. */
export function why(entry: PlanEntry, options: WhyOptions): string {
  const paint = painter(options.color);
  const head = entry.reasons.length > 0 && entry.verdict !== "depends" ? entry.verdict : verdictWords(entry);
  const lines = [`${paint("bold", entry.target)} ${entry.verdict === "depends" ? "" : "is "}${head === "restore" ? "to be restored" : head}: ${explanations[entry.verdict]}`];
  for (const reason of entry.reasons.slice(0, shownReasons)) lines.push(`  - ${phrase(reason)}`, ...values(reason));
  if (entry.reasons.length > shownReasons) lines.push(`  - and ${entry.reasons.length - shownReasons} more; see --json`);
  const { last } = options;
  if (last === undefined) lines.push("Last run: none on record");
  else {
    const ago = formatDuration((options.now ?? Date.now()) - last.time);
    lines.push(`Last run: ${new Date(last.time).toISOString().replace(/\.\d+Z$/, "Z")}, ${ago} ago, took ${formatDuration(last.duration)}`);
    for (const reason of (last.reasons ?? []).slice(0, 4)) lines.push(`  - ran because: ${phrase(reason)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The same as data, for `--json`. */
export function whyData(entry: PlanEntry, last: LastRun | undefined): object {
  return {
    target: entry.target,
    verdict: entry.verdict,
    on: entry.on ?? null,
    reasons: entry.reasons.map(reasonData),
    last: last === undefined ? null : { time: new Date(last.time).toISOString(), duration: last.duration, reasons: (last.reasons ?? []).map(reasonData) },
  };
}
