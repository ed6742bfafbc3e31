/**
 * A probe: one question to a guest, as a piece of POSIX shell, and the judgement of what it printed. One file a noun that
 * is asked about; a new one is another file here. Pure: knows nothing of how the guest is reached.
 * @module
 */
import type { Check } from "../report.ts";

/** One thing to look at inside a guest. */
export interface Probe {
  /** What it is, for people: `port 22/tcp is open`. */
  readonly name: string;
  /** Commands of a POSIX shell. They run as root where the login can become root, and print at most 1 MiB. */
  readonly shell: string;
  /** What was expected and found, from what they printed; nothing when all is well. */
  readonly judge: (printed: string) => { readonly expected: string; readonly found: string } | undefined;
}

/** A word for a POSIX shell, whatever is in it. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The outcome of a probe; `undefined` stands for no answer at all. */
export function checkOf({ name, judge }: Probe, printed: string | undefined): Check {
  const wrong = printed === undefined ? { expected: "an answer", found: "none" } : judge(printed);
  return wrong === undefined ? { name, outcome: "passed" } : { name, outcome: "failed", code: "IMG3506", ...wrong };
}
