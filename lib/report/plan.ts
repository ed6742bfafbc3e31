/**
 * A plan as text: one line a target. Decides nothing.
 * @module
 */
import type { PlanEntry, Restore } from "../plan.ts";
import { formatDuration } from "./duration.ts";
import { phraseAll, reasonData } from "./reason.ts";
import { pad, painter, printable, width } from "./text.ts";
import { count } from "./words.ts";

/** `"artifacts/a.iso is missing"`, `"artifacts/a.iso was edited"`. */
export function restoreWords({ path, problem }: Restore, earlier: boolean): string {
  return `${printable(path)} ${problem === "missing" ? "is missing" : earlier ? "is of another result" : "was edited"}`;
}

/** `"stale: source a changed"`, `"depends on rootfs:debian"`, `"restore: artifacts/a was edited"` or `"fresh"`. */
export function verdictWords({ verdict, reasons, on, restore = [], earlier }: Omit<PlanEntry, "target">): string {
  switch (verdict) {
    case "fresh":
      return "fresh";
    case "stale":
      return `stale: ${phraseAll(reasons)}`;
    case "depends":
      return `depends on ${on ?? "another target"}`;
    case "restore":
      return `restore: ${restoreWords(restore[0]!, earlier !== undefined)}${restore.length > 1 ? ` (and ${restore.length - 1} more)` : ""}`;
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
  return { targets: entries.map(entryData) };
}

/** One target of a plan as data; every field is there every time. */
export function entryData({ target, verdict, reasons, on, restore = [], earlier }: PlanEntry): object {
  const time = earlier === undefined ? null : new Date(earlier).toISOString();
  return { target, verdict, on: on ?? null, reasons: reasons.map(reasonData), restore, earlier: time };
}
