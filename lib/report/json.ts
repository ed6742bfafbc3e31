/**
 * The events of a run as NDJSON, for programs: one event a line, field names as in `event.ts`, errors as data.
 * @module
 */
import { resolve } from "node:path";
import type { Event } from "../event.ts";
import { errorData, shownPath } from "./error.ts";
import { reasonData } from "./reason.ts";
import type { Reporter, Sink } from "./reporter.ts";

/** A reporter that writes one JSON object a line. Paths below `cwd` are relative to it; unknown values are `null`. */
export function jsonReporter(sink: Sink, options: { readonly cwd: string }): Reporter {
  return {
    on: (event) => void sink.write(`${JSON.stringify(eventData(event, options.cwd))}\n`),
    close: () => {},
  };
}

/** An event as it stands in the output of {@linkcode jsonReporter}. */
export function eventData(event: Event, cwd: string): object {
  const log = (path: string): string => shownPath(resolve(cwd, path), cwd);
  switch (event.type) {
    case "target started":
      return { ...event, reasons: event.reasons.map(reasonData), log: log(event.log) };
    case "target retrying":
      return { ...event, error: errorData(event.error, cwd) };
    case "target done":
      return { ...event, results: event.results.map((result) => ({ ...result, path: result.path ?? null })) };
    case "target failed":
      return { ...event, error: errorData(event.error, cwd), log: event.log === undefined ? null : log(event.log) };
    case "warning":
      return { ...event, hint: event.hint ?? null };
    case "run ended":
      return { ...event, signal: event.signal ?? null };
    default:
      return event;
  }
}
