/**
 * The sentences of a run that several reporters say: a finished target, a failure with the end of its log, the
 * closing line. Writes nowhere.
 * @module
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { isImgtaskError } from "../error.ts";
import type { Event, Outcome, Result } from "../event.ts";
import { formatDuration } from "./duration.ts";
import { formatError, shownPath } from "./error.ts";
import { nothingWords } from "./nothing.ts";
import type { ReportOptions } from "./reporter.ts";
import { formatSize } from "./size.ts";
import { painter, printable } from "./text.ts";

type Of<Type extends Event["type"]> = Extract<Event, { readonly type: Type }>;

/** Lines of a log that are shown when its target failed. */
export const shownLogLines = 20;

/** Number and noun: `count(1, "target")` is `"1 target"`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** What a finished target made: `"artifacts/iso/debian.iso 61.4 MB"`, at most three. */
export function made(results: readonly Result[]): string {
  const shown = results.filter((result) => result.path !== undefined);
  const words = shown.slice(0, 3).map((result) => `${printable(result.path!)} ${formatSize(result.size)}`);
  if (shown.length > 3) words.push(`${shown.length - 3} more`);
  return words.join(", ");
}

/** `"done in 3.2 s, artifacts/iso/debian.iso 61.4 MB"`. */
export function doneWords(event: Of<"target done">): string {
  const parts = [`done in ${formatDuration(event.duration)}`];
  if (event.unchanged) parts.push("same content as before");
  const results = made(event.results);
  if (results !== "") parts.push(results);
  return parts.join(", ");
}

/** `"debian.iso: 1.2 GB of 4.1 GB, 35.0 MB/s, 1 min 23 s left"`, or the text alone. */
export function progressWords({ text, amount }: Of<"target progress">): string {
  if (amount === undefined) return text;
  const { bytes, total, rate } = amount;
  const words = [total === undefined ? formatSize(bytes) : `${formatSize(bytes)} of ${formatSize(total)}`];
  if (rate > 0) words.push(`${formatSize(Math.round(rate))}/s`);
  if (rate > 0 && total !== undefined && total > bytes) words.push(`${formatDuration(Math.ceil((total - bytes) / rate) * 1000)} left`);
  return `${text === "" ? "" : `${text}: `}${words.join(", ")}`;
}

/** `"IMG5001: The mirror cannot be reached; attempt 2 of 3 in 1.4 s"`. */
export function retryingWords(event: Of<"target retrying">): string {
  return `${event.error.code}: ${printable(event.error.message)}; attempt ${event.attempt} of ${event.attempts} in ${formatDuration(event.delay)}`;
}

/** `"restored artifacts/a.iso"`, or how many paths. */
export function restoredWords(event: Of<"target restored">): string {
  const [first] = event.paths;
  return event.paths.length === 1 ? `restored ${printable(first!)}` : `restored ${count(event.paths.length, "path")}`;
}

/** `"waiting for process 4711"`: what holds the project. */
export function waitingWords(event: Of<"waiting">): string {
  return `Waiting for another imgtask on this project: ${printable(event.holder)}`;
}

/** The last lines of a file, without reading more than its last 64 KiB. Nothing when it cannot be read, or is encrypted. */
export function tail(file: string, lines: number, bytes: number = 65_536): readonly string[] {
  if (file.endsWith(".age")) return [];
  let text: string;
  try {
    const fd = openSync(file, "r");
    try {
      const { size } = fstatSync(fd);
      const buffer = Buffer.alloc(Math.min(bytes, size));
      const read = readSync(fd, buffer, 0, buffer.length, size - buffer.length);
      text = buffer.toString("utf8", 0, read);
      if (size > buffer.length) text = text.slice(text.indexOf("\n") + 1);
    } finally {
      closeSync(fd);
    }
  } catch {
    return [];
  }
  const all = text.replace(/\n$/, "").split("\n");
  // Of a line that was drawn over, a terminal would show the last state.
  return all[0] === "" && all.length === 1 ? [] : all.slice(-lines).map((line) => line.replace(/\r+$/, "").split("\r").at(-1)!);
}

/** Of a target that was tried again, what its log has of the last attempt. */
function lastAttempt(lines: readonly string[]): readonly string[] {
  return lines.slice(lines.findLastIndex((line) => /^imgtask: IMG\d+: .*; attempt \d+ of \d+ in /.test(line)) + 1);
}

/** An error of the network is the whole of what a transfer of imgtask's own has to tell; a command, as curl, may have said more. */
function worthTelling(error: unknown, lines: readonly string[]): readonly string[] {
  return isImgtaskError(error) && error.code.startsWith("IMG5") && !lines.some((line) => line.startsWith("$ ")) ? [] : lines;
}

/** A failed target: error, end of the log, place of the log. */
export function failureWords(event: Of<"target failed">, options: ReportOptions): readonly string[] {
  const paint = painter(options.color);
  const lines = formatError(event.error, options).split("\n");
  if (event.log === undefined) return lines;
  const end = worthTelling(event.error, lastAttempt(tail(resolve(options.cwd, event.log), shownLogLines)));
  const log = printable(shownPath(resolve(options.cwd, event.log), options.cwd));
  if (end.length > 0) lines.push(`  ${paint("dim", `the last ${count(end.length, "line")} of the log:`)}`, ...end.map((line) => `  ${paint("dim", "|")} ${plainLine(line)}`));
  lines.push(`  ${paint("dim", "log".padEnd(8))} ${log}`);
  return lines;
}

/** A line of a log without colours, and with whatever else could move the cursor made visible. */
export function plainLine(line: string): string {
  // eslint-disable-next-line no-control-regex
  return line.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "").split("\t").map(printable).join("\t");
}

/** In the order in which they are told. */
const told: readonly (readonly [Outcome, string])[] = [
  ["failed", "failed"], ["skipped", "skipped"], ["cancelled", "cancelled"], ["done", "done"], ["restored", "restored"], ["fresh", "fresh"],
];

/** The closing line of a run. */
export function endWords(event: Of<"run ended">): string {
  const { outcomes } = event;
  const time = formatDuration(event.duration);
  const acted = told.filter(([outcome]) => outcome !== "fresh").some(([outcome]) => outcomes[outcome] > 0);
  if (!acted && event.signal === undefined) return nothingWords(outcomes.fresh, event.duration);
  const counts = told.filter(([outcome]) => outcomes[outcome] > 0).map(([outcome, word]) => `${outcomes[outcome]} ${word}`).join(", ");
  const words = `${counts === "" ? "nothing done" : counts} in ${time}`;
  return event.signal === undefined ? words : `Interrupted by ${event.signal}: ${words}`;
}

/** A warning as lines. */
export function warningWords(event: Of<"warning">, options: ReportOptions): readonly string[] {
  const paint = painter(options.color);
  const lines = [`${paint("yellow", `warning ${event.code}:`)} ${printable(event.message)}`];
  if (event.hint !== undefined) lines.push(`  ${paint("dim", "hint".padEnd(8))} ${printable(event.hint)}`);
  return lines;
}
