/**
 * What a machine prints on its serial console, as plain text that patterns are looked for in.
 * Knows nothing of sockets, emulators or time limits other than the one it is given.
 * @module
 */
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { impossibleFlags } from "./emulator-fault.ts";

/** A text to find as it stands, or a regular expression in a form that JSON can carry. */
export type Pattern = string | { readonly source: string; readonly flags: string };

/** How a wait for a pattern ended. */
export type Sighting =
  | { readonly outcome: "seen"; readonly text: string }
  | { readonly outcome: "late" }
  | { readonly outcome: "ended" }
  | { readonly outcome: "panic"; readonly text: string };

// Complete control sequences of a terminal: CSI, OSC and other strings, charset selection, single letters.
const sequence = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])/g;
// The beginning of one, at the end of what has arrived.
const partial = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?$/;
// A guest with such flags goes on in the wrong place, or hangs.
const panic = new RegExp(`Kernel panic - not syncing[^\\n]*|${impossibleFlags.source}`);
/** Characters kept. A guest that prints without end must not eat the host's memory. */
const limit = 8 * 1024 * 1024;
/** A string sequence longer than this is no sequence but garbage that would hide all that follows. */
const longestSequence = 4096;

/** A regular expression or text, as JSON. */
export function toPattern(value: string | RegExp): Pattern {
  // Sticky and global expressions remember where they stopped; the console does that itself.
  return typeof value === "string" ? value : { source: value.source, flags: value.flags.replace(/[gy]/g, "") };
}

/** A pattern for people. */
export function showPattern(pattern: Pattern): string {
  return typeof pattern === "string" ? JSON.stringify(pattern) : `/${pattern.source}/${pattern.flags}`;
}

/** Where a pattern is in a text: its end, or -1. */
export function endOf(pattern: Pattern, text: string): number {
  if (typeof pattern === "string") {
    const at = text.indexOf(pattern);
    return at < 0 ? -1 : at + pattern.length;
  }
  const match = new RegExp(pattern.source, pattern.flags).exec(text);
  return match === null ? -1 : match.index + match[0].length;
}

/** The text of one console. */
export class Console {
  #decoder = new StringDecoder("utf8");
  #pending = "";
  #text = "";
  /** Up to here patterns have been found already. */
  #cursor = 0;
  #ended = false;
  #wake: () => void = () => {};

  /** Takes what has arrived; it may be cut anywhere, even inside a character or an escape sequence. */
  feed(chunk: Uint8Array): void {
    const raw = this.#pending + this.#decoder.write(Buffer.from(chunk));
    const open = partial.exec(raw);
    const cut = open === null || raw.length - open.index > longestSequence ? raw.length : open.index;
    this.#pending = raw.slice(cut);
    this.#text += raw.slice(0, cut).replace(sequence, "").replace(/[\0\r]/g, "");
    if (this.#text.length > limit) {
      const drop = this.#text.length - limit / 2;
      this.#text = this.#text.slice(drop);
      this.#cursor = Math.max(0, this.#cursor - drop);
    }
    this.#wake();
  }

  /** Nothing more will come. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** All that is kept, without escape sequences and carriage returns. */
  get text(): string {
    return this.#text;
  }

  /** The last lines that are not blank. */
  tail(lines: number): readonly string[] {
    return this.#text.split("\n").map((line) => line.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "").trimEnd()).filter((line) => line !== "").slice(-lines);
  }

  /**
   * Waits for a pattern behind those found before. A kernel panic ends the wait: nothing will come after it.
   *
   * @param deadline milliseconds since 1970.
   */
  async expect(pattern: Pattern, deadline: number, signal: AbortSignal): Promise<Sighting> {
    for (;;) {
      signal.throwIfAborted();
      const rest = this.#text.slice(this.#cursor);
      const end = endOf(pattern, rest);
      if (end >= 0) {
        this.#cursor += end;
        return { outcome: "seen", text: rest.slice(0, end).slice(-200) };
      }
      const died = panic.exec(rest);
      if (died !== null) return { outcome: "panic", text: died[0] };
      if (this.#ended) return { outcome: "ended" };
      const left = deadline - Date.now();
      if (left <= 0) return { outcome: "late" };
      await this.#news(left, signal);
      // A console comes in crumbs: look once for a handful of them.
      await sleep(Math.min(25, left));
    }
  }

  /** All that comes before a pattern, and the match; `undefined` when it does not come. */
  async until(pattern: Exclude<Pattern, string>, deadline: number, signal: AbortSignal): Promise<{ readonly text: string; readonly match: RegExpExecArray } | undefined> {
    const from = this.#cursor;
    if ((await this.expect(pattern, deadline, signal)).outcome !== "seen") return undefined;
    // When too much came, the beginning is gone, and what is left does not add up.
    const text = this.#text.slice(Math.min(from, this.#cursor), this.#cursor);
    const match = new RegExp(pattern.source, pattern.flags).exec(text);
    return match === null ? undefined : { text, match };
  }

  #news(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", done, { once: true });
      this.#wake = done;
    });
  }
}
