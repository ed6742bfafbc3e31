/**
 * One line an event, for logs and terminals that cannot do more; and the quiet reporter, which only tells trouble.
 * Moves no cursor.
 * @module
 */
import type { Event } from "../event.ts";
import { auditWords } from "./audit.ts";
import { phraseAll } from "./reason.ts";
import type { Reporter, ReportOptions, Sink } from "./reporter.ts";
import { painter, printable } from "./text.ts";
import { doneWords, endWords, failureWords, progressWords, restoredWords, retryingWords, waitingWords, warningWords } from "./words.ts";

/** Milliseconds between two lines of progress of one target. */
const progressInterval = 10_000;

/** A reporter that writes one line an event. Fresh targets are only counted, unless verbose. */
export function plainReporter(sink: Sink, options: ReportOptions & { readonly now?: () => number }): Reporter {
  const paint = painter(options.color);
  const now = options.now ?? Date.now;
  const told = new Map<string, number>();
  const write = (...lines: readonly string[]): void => void sink.write(`${lines.join("\n")}\n`);
  const say = (target: string, words: string): void => write(`${paint("cyan", `[${target}]`)} ${words}`);
  const on = (event: Event): void => {
    switch (event.type) {
      case "waiting":
        return write(waitingWords(event));
      case "run started":
        return;
      case "target fresh":
        return options.verbose === true ? say(event.target, "fresh") : undefined;
      case "target restored":
        return say(event.target, restoredWords(event));
      case "target started":
        told.set(event.target, now());
        return say(event.target, event.reasons.length === 0 ? "started" : `started: ${phraseAll(event.reasons)}`);
      case "target progress": {
        // A percentage that counts up would fill a log.
        if (options.verbose !== true && now() - (told.get(event.target) ?? -Infinity) < progressInterval) return;
        told.set(event.target, now());
        return say(event.target, printable(progressWords(event)));
      }
      case "target retrying":
        return say(event.target, paint("yellow", retryingWords(event)));
      case "target audited":
        return write(...auditWords(event, options));
      case "target done":
        return say(event.target, doneWords(event));
      case "target failed":
        say(event.target, paint("red", "failed"));
        return write(...failureWords(event, options));
      case "target skipped":
        return say(event.target, `skipped, because ${event.because} failed`);
      case "target cancelled":
        return say(event.target, "cancelled");
      case "warning":
        return write(...warningWords(event, options));
      case "run ended":
        return write(endWords(event));
    }
  };
  return { on, close: () => {} };
}

/** A reporter that tells warnings and failures only. */
export function quietReporter(sink: Sink, options: ReportOptions): Reporter {
  const { on } = plainReporter(sink, options);
  return {
    on: (event) => {
      if (event.type === "target failed" || event.type === "target audited" || event.type === "warning") on(event);
    },
    close: () => {},
  };
}
