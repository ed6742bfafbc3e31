/**
 * The live view for a terminal: finished lines stay, one spinning line below them names what runs.
 * Loads ora when the first target starts, so that a run with nothing to do does not wait for it.
 * @module
 */
import type { Ora } from "ora";
import type { Event } from "../event.ts";
import { formatDuration } from "./duration.ts";
import { auditWords } from "./audit.ts";
import { phraseAll } from "./reason.ts";
import type { Reporter, ReportOptions } from "./reporter.ts";
import { cut, painter, printable } from "./text.ts";
import { doneWords, endWords, failureWords, progressWords, restoredWords, retryingWords, waitingWords, warningWords } from "./words.ts";

/** Milliseconds between two looks at the clock. */
const tick = 200;
/** Columns of the spinner and the blank after it, and one that stays free so that nothing wraps. */
const margin = 3;
/** Where a terminal's cursor may not be seen. */
const showCursor = "\u001b[?25h";

interface Running {
  readonly since: number;
  progress: string;
}

/** The line that names what runs, cut to a width: `"iso:debian 3 s (42 %), rootfs:debian 41 s"`. */
export function liveLine(running: ReadonlyMap<string, { readonly since: number; readonly progress: string }>, now: number, columns: number): string {
  const words = [...running].map(([target, { since, progress }]) => {
    const time = formatDuration(Math.floor((now - since) / 1000) * 1000 || 0).replace(/^0\.00/, "0").replace(/^(\d)\.0 s$/, "$1 s");
    return `${target} ${time}${progress === "" ? "" : ` (${printable(progress)})`}`;
  });
  return cut(words.join(", "), columns);
}

/** A reporter that keeps one live line at the bottom of a terminal. */
export function ttyReporter(stream: NodeJS.WriteStream, options: ReportOptions): Reporter {
  const paint = painter(options.color);
  const running = new Map<string, Running>();
  let spinner: Ora | undefined;
  let loading = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  const columns = (): number => stream.columns ?? 0;
  const refresh = (): void => {
    if (spinner === undefined || closed) return;
    // Without a width there is no line to keep; the spinner comes back with the width.
    if (running.size === 0 || columns() <= margin) {
      if (spinner.isSpinning) spinner.stop();
      return;
    }
    // Commands have seconds to end: meanwhile it is to be seen that Ctrl-C was.
    spinner.text = cut(`${options.signal?.aborted === true ? "ending " : ""}${liveLine(running, Date.now(), columns() - margin)}`, columns() - margin);
    if (!spinner.isSpinning) spinner.start();
  };
  const load = async (): Promise<void> => {
    if (loading || closed) return;
    loading = true;
    const { default: ora } = await import("ora");
    if (closed) return;
    // Ora divides by the width, which may be 0. It also puts its own `write` on the stream and, separately, on
    // standard error: were they one object here, it would not find its way back to the first.
    const own = new Map<string | symbol, unknown>();
    const steady = new Proxy(stream, {
      get: (target, key) => {
        if (key === "columns") return columns() > margin ? columns() : 80;
        if (own.has(key)) return own.get(key);
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
      set: (_, key, value) => own.set(key, value) === own,
    });
    // Standard input stays as it is: Ctrl-C must reach the process as the signal it is.
    spinner = ora({ stream: steady, discardStdin: false, isEnabled: true, color: options.color ? "cyan" : false });
    timer = setInterval(refresh, tick);
    timer.unref();
    stream.on("resize", refresh);
    process.on("SIGTSTP", stop);
    refresh();
  };
  /** Ctrl-Z: the shell gets a terminal whose cursor is seen, and the line comes back with `fg`. */
  const stop = (): void => {
    if (spinner?.isSpinning === true) spinner.stop();
    stream.write(showCursor);
    process.off("SIGTSTP", stop);
    process.once("SIGCONT", () => {
      if (closed) return;
      process.on("SIGTSTP", stop);
      refresh();
    });
    process.kill(process.pid, "SIGTSTP");
  };
  const write = (...lines: readonly string[]): void => {
    const spun = spinner?.isSpinning === true;
    if (spun) spinner!.clear();
    stream.write(`${lines.join("\n")}\n`);
    if (spun) spinner!.render();
  };
  const say = (mark: string, target: string, words: string): void => write(`${mark} ${paint("bold", target)} ${words}`);
  const ended = (target: string): void => {
    running.delete(target);
    refresh();
  };
  const on = (event: Event): void => {
    switch (event.type) {
      case "waiting":
        return write(waitingWords(event));
      case "run started":
        return;
      case "target fresh":
        return options.verbose === true ? say(paint("dim", "·"), event.target, paint("dim", "fresh")) : undefined;
      case "target restored":
        return say(paint("green", "✔"), event.target, restoredWords(event));
      case "target started":
        running.set(event.target, { since: Date.now(), progress: "" });
        if (event.reasons.length > 0) say(paint("cyan", "▸"), event.target, paint("dim", phraseAll(event.reasons)));
        void load();
        return refresh();
      case "target progress": {
        const entry = running.get(event.target);
        if (entry !== undefined) entry.progress = progressWords(event);
        return;
      }
      case "target retrying": {
        const entry = running.get(event.target);
        if (entry !== undefined) entry.progress = "waits to be tried again";
        return say(paint("yellow", "↻"), event.target, retryingWords(event));
      }
      case "target audited":
        return write(...auditWords(event, options));
      case "target done":
        ended(event.target);
        return say(paint("green", "✔"), event.target, doneWords(event));
      case "target failed":
        ended(event.target);
        say(paint("red", "✖"), event.target, paint("red", "failed"));
        return write(...failureWords(event, options));
      case "target skipped":
        return say(paint("yellow", "↷"), event.target, `skipped, because ${event.because} failed`);
      case "target cancelled":
        ended(event.target);
        return say(paint("yellow", "↷"), event.target, "cancelled");
      case "warning":
        return write(...warningWords(event, options));
      case "run ended":
        close();
        return void stream.write(`${endWords(event)}\n`);
    }
  };
  const close = (): void => {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    stream.off("resize", refresh);
    process.off("SIGTSTP", stop);
    if (spinner !== undefined) {
      spinner.stop();
      stream.write(showCursor);
    }
  };
  return { on, close };
}
