/**
 * Why one target would run or not, and why it ran last, on one screen. Decides nothing.
 * @module
 */
import type { Reason } from "../event.ts";
import type { Cause, Explanation } from "../explain.ts";
import type { PlanEntry } from "../plan.ts";
import type { CodeChange } from "../recipe-change.ts";
import { formatDuration } from "./duration.ts";
import { entryData, restoreWords, verdictWords } from "./plan.ts";
import { listChange, namedItems, phrase, phraseAll, reasonData } from "./reason.ts";
import { cut, pad, type Paint, painter, printable, width } from "./text.ts";
import { count } from "./words.ts";

/** How {@linkcode why} writes. */
export interface WhyOptions {
  readonly color: boolean;
  /** Columns of the terminal; longer lines are cut. @default Infinity */
  readonly columns?: number;
  /** Rows that may be filled; what does not fit is counted. @default 22 */
  readonly rows?: number;
  /** Changed lines of the recipes that reasons speak of. */
  readonly changes?: ReadonlyMap<Reason, readonly CodeChange[]>;
  /** How a path is shown. @default as it is */
  readonly shownPath?: (path: string) => string;
  /** Milliseconds since 1970. @default now */
  readonly now?: number;
}

/** A line that is told, and what is told of it when there is room. */
interface Item {
  readonly kind: string;
  readonly text: string;
  readonly details: readonly string[];
  /** The same in fewer words. */
  readonly brief?: readonly string[];
}

interface Section {
  readonly title: string;
  readonly items: readonly Item[];
}

/** Longest value that is told in full. */
const longestValue = 400;

/** What the lines of one explanation have in common. */
interface Telling {
  readonly paint: Paint;
  readonly now: number;
  readonly changes: WhyOptions["changes"];
  /** Targets that ran already, and made what reasons speak of. */
  readonly ran: ReadonlyMap<string, Cause>;
}

function details(reason: Reason, telling: Telling, seen: ReadonlySet<string> = new Set()): readonly string[] {
  if (reason.type === "recipe") return (telling.changes?.get(reason) ?? []).flatMap((change) => codeLines(change, telling.paint));
  if (reason.type === "upstream") return behind(reason.target, telling, seen);
  if (reason.type !== "option" && reason.type !== "tool" && reason.type !== "input" && reason.type !== "outputs") return [];
  const { from, to } = reason;
  const list = listChange(from, to);
  if (list !== undefined) return list.slice(namedItems).map((item) => `  ${item}`);
  const word = (value: string | undefined): string => (value === undefined ? "unset" : cut(printable(value), longestValue));
  // Short values are in the phrase itself.
  return Math.max(width(word(from)), width(word(to))) <= 40 ? [] : [`  was ${word(from)}`, `  now ${word(to)}`];
}

/** Why an upstream target ran, reason by reason, down to where it began. */
function behind(target: string, telling: Telling, seen: ReadonlySet<string>): readonly string[] {
  const cause = telling.ran.get(target);
  if (cause === undefined || seen.has(target)) return [];
  const inner = new Set([...seen, target]);
  return [
    `  it ran ${formatDuration(telling.now - cause.time!)} ago, because:`,
    ...cause.reasons.flatMap((reason) => [phrase(reason), ...details(reason, telling, inner)].map((line) => `    ${line}`)),
  ];
}

/** The same with one line a target. */
function behindBriefly(target: string, { ran }: Telling): readonly string[] {
  const lines: string[] = [];
  const seen = new Set<string>();
  for (let cause = ran.get(target); cause !== undefined && !seen.has(cause.target); ) {
    seen.add(cause.target);
    lines.push(`  ${cause.target} ran: ${phraseAll(cause.reasons)}`);
    const next = cause.reasons.find((reason) => reason.type === "upstream" && ran.has(reason.target) && !seen.has(reason.target)) as { readonly target: string } | undefined;
    cause = next === undefined ? undefined : ran.get(next.target);
  }
  return lines;
}

function codeLines({ file, name, line, removed, added }: CodeChange, paint: Paint): readonly string[] {
  // What all lines are indented by says nothing here.
  const indent = Math.min(...[...removed, ...added].filter((text) => text.trim() !== "").map((text) => /^\s*/.exec(text)![0].length));
  const told = (text: string): string => text.slice(indent).split("\t").map(printable).join("  ");
  return [
    paint("dim", `  ${printable(file)}:${line}${name === "" ? "" : ` in ${printable(name)}`}`),
    ...removed.map((text) => paint("red", `  - ${told(text)}`)),
    ...added.map((text) => paint("green", `  + ${told(text)}`)),
  ];
}

/** Time and how long ago that was: `"2 min 05 s ago (2026-01-02T03:04:05Z)"`. */
function when(time: number, now: number): string {
  return `${formatDuration(now - time)} ago (${new Date(time).toISOString().replace(/\.\d+Z$/, "Z")})`;
}

function head({ entry }: Explanation, now: number, paint: Paint): string {
  const { verdict, on, earlier } = entry;
  const name = paint("bold", entry.target);
  const fits = earlier === undefined ? "" : `: the result of ${when(earlier, now)} fits, and nothing would run`;
  switch (verdict) {
    case "fresh":
      return `${name} is fresh${fits === "" ? ": nothing that it depends on has changed since its last run" : fits}`;
    case "restore":
      return `${name} would be restored from the store${fits === "" ? ", and nothing would run:" : fits}`;
    case "depends":
      return `${name} depends on ${on ?? "another target"}: it would run if that makes something else than before`;
    case "stale":
      return `${name} is stale: it would run, because:`;
  }
}

function reasonItem(reason: Reason, telling: Telling): Item {
  const brief = reason.type === "upstream" ? { brief: behindBriefly(reason.target, telling) } : {};
  return { kind: reason.type, text: phrase(reason), details: details(reason, telling), ...brief };
}

/** What would run before it: a line a target, and the reasons of each one by one. */
function waitingItems(causes: readonly Cause[], telling: Telling): readonly Item[] {
  const column = Math.min(32, Math.max(0, ...causes.map(({ target }) => width(target))));
  return causes.map(({ target, verdict, on, reasons }) => ({
    // Where it began is told before what is in between.
    kind: on === undefined ? "began" : "target",
    text: `${pad(target, column)}  ${verdict === "depends" ? `depends on ${on!}` : `stale: ${phraseAll(reasons)}`}`,
    details: reasons.flatMap((reason, index) => (index === 0 ? details(reason, telling) : [phrase(reason), ...details(reason, telling)].map((line) => `  ${line}`))),
  }));
}

function sections(explanation: Explanation, options: WhyOptions): readonly Section[] {
  const { entry, causes, last, unfinished } = explanation;
  const now = options.now ?? Date.now();
  const telling = (list: readonly Cause[]): Telling => ({
    paint: painter(options.color), now, changes: options.changes, ran: new Map(list.filter(({ verdict }) => verdict === "ran").map((cause) => [cause.target, cause])),
  });
  const restore = (entry.restore ?? []).map((one) => ({ kind: "output", text: restoreWords(one, entry.earlier !== undefined), details: [] }));
  const found: Section[] = [
    { title: head(explanation, now, painter(options.color)), items: [...restore, ...entry.reasons.map((reason) => reasonItem(reason, telling(causes)))] },
  ];
  const waiting = causes.filter(({ verdict }) => verdict !== "ran");
  if (waiting.length > 0) found.push({ title: entry.verdict === "depends" ? "What it depends on:" : "What it waits for:", items: waitingItems(waiting, telling(causes)) });
  if (unfinished !== undefined) {
    const text = `log ${printable((options.shownPath ?? String)(unfinished.log))}`;
    found.push({ title: `Begun ${when(unfinished.time, now)} without a result: it failed, was ended, or still runs`, items: [{ kind: "log", text, details: [] }] });
  }
  if (last !== undefined) {
    found.push({
      title: `Last run ${when(last.time, now)}, took ${formatDuration(last.duration)}${last.reasons.length === 0 ? "" : ", because:"}`,
      items: last.reasons.map((reason) => reasonItem(reason, telling(last.causes))),
    });
  } else if (unfinished === undefined && entry.reasons[0]?.type !== "never run") found.push({ title: "Last run: none on record", items: [] });
  return found;
}

/** Names of what is counted, by kind. */
const nouns: Readonly<Record<string, string>> = { source: "source", option: "option", upstream: "output", environment: "environment variable", tool: "tool", target: "target", began: "target" };

/** Those of a section's items that fit a number of rows, then their details as far as there is room. */
function fit(items: readonly Item[], rows: number): readonly string[] {
  const room = items.length <= rows ? rows : Math.max(0, rows - 1);
  // One of each kind comes before a second of any.
  const firsts = new Set(items.map(({ kind }) => items.findIndex((item) => item.kind === kind)));
  const chosen = new Set([...firsts, ...items.keys()].slice(0, firsts.size + items.length));
  const shown = [...chosen].slice(0, room).sort((a, b) => a - b).map((index) => items[index]!);
  let left = rows - shown.length - (shown.length < items.length ? 1 : 0);
  const lines = shown.flatMap(({ text, details: inner, brief }) => {
    const fits = inner.length <= left ? inner : shorten(brief ?? inner, left, brief !== undefined);
    left -= fits.length;
    return [text, ...fits];
  });
  if (shown.length === items.length) return lines;
  const hidden = items.filter((item) => !shown.includes(item));
  const noun = hidden.every(({ kind }) => kind === hidden[0]!.kind) ? nouns[hidden[0]!.kind] : undefined;
  return [...lines, noun === undefined ? `and ${hidden.length} more (-v tells all)` : `and ${hidden.length} more ${hidden.length === 1 ? noun : `${noun}s`} (-v tells all)`];
}

/** Lines without those that there is no room for: the last ones, or, of a chain, those before the last. */
function shorten(lines: readonly string[], room: number, chain: boolean): readonly string[] {
  if (lines.length <= room) return lines;
  if (room < 2) return chain && room === 1 ? lines.slice(-1) : [];
  const kept = chain ? lines.slice(-1) : [];
  const first = lines.slice(0, room - 1 - kept.length);
  return [...first, `  … ${count(lines.length - first.length - kept.length, "more line")}`, ...kept];
}

/** Shares rows out: each section gets what it wants as far as there is, the first ones more when there is not. */
function share(wanted: readonly number[], rows: number): readonly number[] {
  const given = wanted.map(() => 0);
  for (let left = Math.min(rows, wanted.reduce((a, b) => a + b, 0)); left > 0; ) {
    const before = left;
    wanted.forEach((want, index) => {
      // Twice as many for what would happen as for what did.
      for (let turn = index === 0 ? 2 : 1; turn > 0 && left > 0 && given[index]! < want; turn--) {
        given[index]!++;
        left--;
      }
    });
    if (left === before) break;
  }
  return given;
}

function lay(found: readonly Section[], options: WhyOptions): string {
  const columns = options.columns ?? Infinity;
  const fixed = found.length * 2 - 1;
  const wanted = found.map((section) => section.items.reduce((sum, item) => sum + 1 + item.details.length, 0));
  const rows = share(wanted, Math.max(found.length, (options.rows ?? 22) - fixed));
  const text = found.map(({ title, items: all }, index) => [title, ...fit(all, rows[index]!).map((line) => `  ${line}`)].map((line) => cutLine(line, columns)).join("\n"));
  return `${text.join("\n\n")}\n`;
}

// eslint-disable-next-line no-control-regex
const colors = /\u001b\[\d+m/g;

/** Cuts a line that may hold colours. */
function cutLine(line: string, columns: number): string {
  const bare = line.replace(colors, "");
  if (width(bare) <= columns) return line;
  const [start, end] = [line.match(colors)?.[0], line.match(colors)?.at(-1)];
  // A line of one colour keeps it.
  return line.trimStart().startsWith("\u001b") && line.match(colors)!.length === 2 ? `${start!}${cut(bare, columns)}${end!}` : cut(bare, columns);
}

/** The verdict on one target with all its reasons, with a newline at the end. */
export function why(explanation: Explanation, options: WhyOptions): string {
  return lay(sections(explanation, options), options);
}

/** What would happen with the targets of a group, with a newline at the end. */
export function whyGroup(name: string, entries: readonly PlanEntry[], options: WhyOptions): string {
  const paint = painter(options.color);
  const acting = entries.filter(({ verdict }) => verdict !== "fresh");
  const number = (verdict: PlanEntry["verdict"]): number => entries.filter((entry) => entry.verdict === verdict).length;
  const words = [[number("stale"), "would run"], [number("depends"), "may run"], [number("restore"), "would be restored"], [number("fresh"), "fresh"]] as const;
  const title = `${paint("bold", name)} is a group: with what it needs, ${count(entries.length, "target")}, ${words.filter(([some]) => some > 0).map(([some, word]) => `${some} ${word}`).join(", ")}`;
  const column = Math.min(40, Math.max(0, ...acting.map(({ target }) => width(target))));
  const lines = acting.map((entry) => ({ kind: "target", text: `${pad(entry.target, column)}  ${verdictWords(entry)}`, details: [] }));
  const hint: readonly Section[] = acting.length === 0 ? [] : [{ title: paint("dim", `\`imgtask why ${acting[0]!.target}\` says more`), items: [] }];
  return lay([{ title, items: lines }, ...hint], options);
}

function reasonsData(reasons: readonly Reason[], changes: WhyOptions["changes"]): readonly object[] {
  return reasons.map((reason) => (reason.type === "recipe" ? { ...reasonData(reason), changes: changes?.get(reason) ?? null } : reasonData(reason)));
}

/** The same as data, for `--json`. Of a group, the verdicts of its targets and all that they need. */
export function whyData({ entry, causes, last, unfinished }: Explanation, options: Pick<WhyOptions, "changes" | "shownPath">): object {
  const shown = options.shownPath ?? ((path: string) => path);
  const data = (reasons: readonly Reason[]): readonly object[] => reasonsData(reasons, options.changes);
  const iso = (time: number): string => new Date(time).toISOString();
  const causesData = (list: readonly Cause[]): readonly object[] =>
    list.map(({ target, verdict, on, reasons, time }) => ({ target, verdict, on: on ?? null, reasons: data(reasons), time: time === undefined ? null : iso(time) }));
  return {
    ...entryData(entry),
    reasons: data(entry.reasons),
    causes: causesData(causes),
    last: last === undefined ? null : { time: iso(last.time), duration: last.duration, reasons: data(last.reasons), causes: causesData(last.causes) },
    unfinished: unfinished === undefined ? null : { time: iso(unfinished.time), log: shown(unfinished.log) },
  };
}
