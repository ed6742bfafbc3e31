/**
 * Words for media that are pinned and those that are newest, as text and as data. Decides nothing.
 * @module
 */
import type { ImgtaskError } from "../error.ts";
import { isPin, type LockEntry } from "../lock-file.ts";
import { errorData } from "./error.ts";
import { pad, painter, printable, width } from "./text.ts";

/** Media of the lock file, and what would be pinned now. */
export interface Offer {
  /** Id of the media. */
  readonly id: string;
  /** Targets that take them. */
  readonly targets: readonly string[];
  readonly pinned: LockEntry | undefined;
  readonly newest: LockEntry;
  /** Whether the two differ. */
  readonly outdated: boolean;
}

/** Media of which nobody can tell what is newest. */
export interface Failure extends Pick<Offer, "id" | "targets" | "pinned"> {
  readonly error: ImgtaskError;
}

function name(entry: LockEntry | undefined): string {
  if (isPin(entry)) return printable(entry.file);
  return entry?.list?.version === undefined ? "nothing" : printable(entry.list.version);
}

/** One line for each: what is pinned, and what is newest. */
export function offersText(offers: readonly Offer[], failures: readonly Failure[], options: { readonly color: boolean }): string {
  if (offers.length + failures.length === 0) return "No target takes media that can be pinned\n";
  const paint = painter(options.color);
  const column = Math.max(...[...offers, ...failures].map(({ id }) => width(printable(id))));
  const lines = offers.map(({ id, pinned, newest, outdated }) => {
    if (!outdated) return `${pad(printable(id), column)}  ${name(pinned)}  ${paint("green", "newest")}\n`;
    const same = isPin(pinned) && isPin(newest) && pinned.file === newest.file;
    return `${pad(printable(id), column)}  ${name(pinned)} → ${paint("yellow", name(newest))}${same ? ", with other bytes" : ""}\n`;
  });
  return [...lines, ...failures.map(({ id, pinned, error: { code, message, expected, found, hint } }) => {
    const details = [["expected", expected], ["found   ", found], ["hint    ", hint]].flatMap(([key, value]) => (value === undefined ? [] : [`  ${key} ${printable(value!)}\n`]));
    return `${pad(printable(id), column)}  ${name(pinned)}  ${paint("red", `${code}: ${printable(message)}`)}\n${details.join("")}`;
  })].join("");
}

/** What was pinned anew. */
export function updatedText(offers: readonly Offer[], options: { readonly color: boolean }): string {
  const changed = offers.filter(({ outdated }) => outdated);
  return changed.length === 0 ? "Nothing to update\n" : offersText(changed, [], options);
}

/** The same for programs. */
export function offersData(offers: readonly Offer[], failures: readonly Failure[], cwd: string): object {
  return {
    media: offers.map(({ id, targets, pinned, newest, outdated }) => ({ id, targets, pinned: pinned ?? null, newest, outdated })),
    ...(failures.length === 0 ? {} : { failed: failures.map(({ id, targets, pinned, error }) => ({ id, targets, pinned: pinned ?? null, error: errorData(error, cwd) })) }),
  };
}
