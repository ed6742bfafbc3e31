/**
 * A plan as text: one line a target. Decides nothing.
 * @module
 */
import type { PlanEntry } from "../plan.ts";
import { formatDuration } from "./duration.ts";
import { phraseAll } from "./reason.ts";
import { pad, painter, width } from "./text.ts";
import { count } from "./words.ts";

/** `"stale: source a changed"`, `"depends on rootfs:debian"`, `"restore: …"` or `"fresh"`. */
export function verdictWords(entry: PlanEntry): string {
  const because = entry.reasons.length === 0 ? "" : `: ${phraseAll(entry.reasons)}`;
  switch (entry.verdict) {
    case "fresh":
      return "fresh";
    case "stale":
      return `stale${because}`;
    case "depends":
      return entry.on === undefined ? `depends${because}` : `depends on ${entry.on}`;
    case "restore":
      return `restore${because}`;
  }
}

/** What {@linkcode planText} is told beside the plan. */
export interface PlanTextOptions {
  readonly color: boolean;
  /** Milliseconds that planning took; told in the closing line when given. */
  readonly duration?: number;
}

/** A plan as text, with a newline at the end. */
export function planText(entries: readonly PlanEntry[], options: PlanTextOptions): string {
  const paint = painter(options.color);
  const column = Math.min(40, Math.max(0, ...entries.map(({ target }) => width(target))));
  const styles = { fresh: "dim", stale: "yellow", depends: "cyan", restore: "green" } as const;
  const lines = entries.map((entry) => `${pad(entry.target, column)}  ${paint(styles[entry.verdict], verdictWords(entry))}`);
  const number = (verdict: PlanEntry["verdict"]): number => entries.filter((entry) => entry.verdict === verdict).length;
  const time = options.duration === undefined ? "" : ` (${formatDuration(options.duration)})`;
  const parts = [
    [number("stale"), "would run"], [number("depends"), "may run"], [number("restore"), "would be restored"], [number("fresh"), "fresh"],
  ] as const;
  const closing = number("fresh") === entries.length
    ? `Nothing to do: ${count(entries.length, "target")} fresh`
    : parts.filter(([some]) => some > 0).map(([some, words]) => `${some} ${words}`).join(", ");
  return `${[...lines, `${closing}${time}`].join("\n")}\n`;
}

/** A plan as data, for `--json`. */
export function planData(entries: readonly PlanEntry[]): object {
  return { targets: entries.map(({ target, verdict, reasons, on }) => ({ target, verdict, reasons: reasons.map(reasonData), on: on ?? null })) };
}

/** A reason with `null` where a value was or is not there, so that its fields are the same every time. */
export function reasonData(reason: PlanEntry["reasons"][number]): object {
  return "from" in reason ? { ...reason, from: reason.from ?? null, to: reason.to ?? null } : reason;
}
