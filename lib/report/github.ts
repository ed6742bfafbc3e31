/**
 * For GitHub Actions: a group a target with its log, annotations at the line of the imagefile, a table in the
 * job's summary.
 * @module
 */
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Event } from "../event.ts";
import { formatDuration } from "./duration.ts";
import { shownPath } from "./error.ts";
import { auditWords } from "./audit.ts";
import { phraseAll } from "./reason.ts";
import type { Reporter, ReportOptions, Sink } from "./reporter.ts";
import { printable } from "./text.ts";
import { doneWords, endWords, failureWords, made, plainLine, restoredWords, retryingWords, tail, waitingWords } from "./words.ts";

/** Lines of a log that stand in a target's group. */
const groupLines = 200;

/** Escapes the text of a workflow command. */
export function escapeData(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** Escapes the value of a property of a workflow command. */
export function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

function cell(text: string): string {
  return printable(text).replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** What {@linkcode githubReporter} takes beside the common options. */
export interface GithubOptions extends ReportOptions {
  /** File that receives the summary, from `GITHUB_STEP_SUMMARY`. */
  readonly summary?: string | undefined;
  /** Makes the word that ends a stretch of text without commands. For tests. */
  readonly token?: () => string;
}

interface Row {
  readonly target: string;
  readonly outcome: string;
  readonly time: string;
  readonly note: string;
}

/** A reporter for the log of a GitHub Actions job. */
export function githubReporter(sink: Sink, options: GithubOptions): Reporter {
  const logs = new Map<string, string>();
  const rows: Row[] = [];
  const token = options.token ?? randomUUID;
  const write = (...lines: readonly string[]): void => void sink.write(`${lines.join("\n")}\n`);
  const group = (title: string, log: string | undefined): void => {
    const lines = log === undefined ? [] : tail(resolve(options.cwd, log), groupLines);
    if (lines.length === 0) return write(title);
    // What a tool prints must not be taken for a command to the runner.
    const word = token();
    write(`::group::${escapeData(title)}`, `::stop-commands::${word}`, ...lines.map(plainLine), `::${word}::`, "::endgroup::");
  };
  const row = (target: string, outcome: string, time = "", note = ""): void => void rows.push({ target, outcome, time, note });
  const on = (event: Event): void => {
    switch (event.type) {
      case "waiting":
        return write(waitingWords(event));
      case "target fresh":
        return row(event.target, "fresh");
      case "target restored":
        row(event.target, "restored");
        return write(`${event.target} ${restoredWords(event)}`);
      case "target started":
        logs.set(event.target, event.log);
        return write(`${event.target} started${event.reasons.length === 0 ? "" : `: ${phraseAll(event.reasons)}`}`);
      case "target retrying":
        return write(`${event.target} ${retryingWords(event)}`);
      case "target audited":
        return write(...auditWords(event, options));
      case "target done":
        row(event.target, "done", formatDuration(event.duration), made(event.results));
        return group(`${event.target} ${doneWords(event)}`, logs.get(event.target));
      case "target failed": {
        const { error } = event;
        row(event.target, "**failed**", formatDuration(event.duration), `${error.code}: ${error.message}`);
        group(`${event.target} failed`, event.log);
        const place = error.location === undefined ? "" : ` file=${escapeProperty(shownPath(error.location.file, options.cwd))},line=${error.location.line}`
          + `${error.location.column === undefined ? "" : `,col=${error.location.column}`},`;
        const details = [
          `${event.target}: ${error.message}`,
          ...(error.expected === undefined ? [] : [`expected ${error.expected}`]),
          ...(error.found === undefined ? [] : [`found ${error.found}`]),
          ...(error.hint === undefined ? [] : [`hint: ${error.hint}`]),
        ].join("\n");
        write(`::error${place === "" ? " " : place}title=${escapeProperty(error.code)}::${escapeData(details)}`);
        const word = token();
        return write(`::stop-commands::${word}`, ...failureWords(event, options), `::${word}::`);
      }
      case "target skipped":
        row(event.target, "skipped", "", `${event.because} failed`);
        return write(`${event.target} skipped, because ${event.because} failed`);
      case "target cancelled":
        row(event.target, "cancelled");
        return write(`${event.target} cancelled`);
      case "warning":
        return write(`::warning title=${escapeProperty(event.code)}::${escapeData(event.hint === undefined ? event.message : `${event.message}\n${event.hint}`)}`);
      case "run ended":
        write(endWords(event));
        return summarise(endWords(event), rows, options.summary);
      case "run started":
      case "target progress":
        return;
    }
  };
  return { on, close: () => {} };
}

function summarise(title: string, rows: readonly Row[], file: string | undefined): void {
  if (file === undefined || file === "") return;
  const lines = [
    `### imgtask: ${title}`, "", "| Target | Result | Time | |", "| --- | --- | --- | --- |",
    ...rows.map((row) => `| \`${row.target}\` | ${row.outcome} | ${row.time} | ${cell(row.note)} |`), "",
  ];
  try {
    appendFileSync(file, `${lines.join("\n")}\n`);
  } catch {
    // A summary that cannot be written must not fail the build.
  }
}
