/**
 * Words what came of making targets again: equal, or which bytes of which file differ first. Writes nowhere.
 * @module
 */
import { ImgtaskError, ExitCode } from "../error.ts";
import type { Difference, EntryDifference, OutputComparison } from "../rebuild.ts";
import { formatDuration } from "./duration.ts";
import { formatSize } from "./size.ts";
import { painter, printable } from "./text.ts";
import { count } from "./words.ts";

/** What came of one target. */
export interface Rebuilt {
  readonly target: string;
  /** `skipped`: making it again would change something outside of it. */
  readonly outcome: "equal" | "different" | "skipped";
  /** Milliseconds. */
  readonly duration: number;
  readonly outputs: readonly OutputComparison[];
}

/** Differences that are told of one output. */
const shown = 10;

/** The data of `verify --rebuild --json`. Of each output at most a hundred entries are told; `differing` counts all. */
export function rebuiltData(results: readonly Rebuilt[]): object {
  return {
    targets: results.map(({ target, outcome, duration, outputs }) => ({
      target,
      outcome,
      duration,
      outputs: outputs.map(({ output, form, differences }) => ({ output, form, differing: differences.length, differences: differences.slice(0, 100) })),
    })),
  };
}

/** The error that ends a verification which found a difference. */
export function rebuiltError(results: readonly Rebuilt[]): ImgtaskError | undefined {
  const different = results.filter(({ outcome }) => outcome === "different");
  if (different.length === 0) return undefined;
  return new ImgtaskError("IMG4090", `${count(different.length, "target")} of ${results.length} made again came out another way`, {
    found: different.map(({ target }) => target).join(", "),
    hint: "Time stamps are to come from `context.epoch`, orders from sorting, identifiers from names",
    exitCode: ExitCode.refused,
  });
}

function groups(hex: string): string {
  return hex === "" ? "(end of the file)" : hex.replace(/(..)(?!$)/g, "$1 ");
}

/** The same bytes as text, where they are text. */
function letters(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  return bytes.length > 0 && bytes.every((byte) => byte >= 0x20 && byte < 0x7f) ? `  "${bytes.toString("latin1")}"` : "";
}

function stretchWords({ offset, length, stored, rebuilt, inside, insideOffset }: Difference): readonly string[] {
  const place = inside.length === 0 ? "" : `: ${inside.map(printable).join(" › ")}${insideOffset === null ? "" : `, byte ${insideOffset}`}`;
  return [`  byte ${offset}${length === 1 ? "" : ` to ${offset + length - 1}`}${place}`, `    stored   ${groups(stored)}${letters(stored)}`, `    rebuilt  ${groups(rebuilt)}${letters(rebuilt)}`];
}

function entryWords(difference: EntryDifference): readonly string[] {
  const name = difference.path === "" ? "" : `${printable(difference.path)}: `;
  switch (difference.type) {
    case "added":
      return [`${name}only there when it is made again`];
    case "missing":
      return [`${name}not there when it is made again`];
    case "content": {
      const { sizes, bytes, stretches, first } = difference;
      const size = sizes.stored === sizes.rebuilt ? `${bytes} of ${sizes.stored} bytes differ` : `${formatSize(sizes.stored)} (${sizes.stored} bytes) became ${sizes.rebuilt} bytes, ${bytes} differ`;
      const rest = stretches - first.length;
      return [`${name}${size}, in ${count(stretches, "place")}`, ...first.flatMap(stretchWords), ...(rest > 0 ? [`  and ${count(rest, "place")} more`] : [])];
    }
    default:
      return [`${name}${difference.type} ${printable(difference.stored)} became ${printable(difference.rebuilt)}`];
  }
}

function outputLines({ output, differences }: OutputComparison): readonly string[] {
  const lines = differences.slice(0, shown).flatMap((difference) => entryWords(difference).map((line, index) => (index === 0 ? `  ${output}: ${line}` : `  ${line}`)));
  return differences.length > shown ? [...lines, `  ${output}: and ${differences.length - shown} more`] : lines;
}

/** A report for people, a line a target and the first differences below. */
export function rebuiltText(results: readonly Rebuilt[], options: { readonly color: boolean }): string {
  const paint = painter(options.color);
  const lines = results.flatMap(({ target, outcome, duration, outputs }) => {
    if (outcome === "skipped") return [`${paint("dim", target)} not made again: it writes outside of its outputs`];
    if (outcome === "equal") return [`${paint("green", target)} came out the same, byte for byte, in ${formatDuration(duration)}`];
    return [`${paint("red", target)} came out another way`, ...outputs.flatMap(outputLines)];
  });
  return `${lines.join("\n")}\n`;
}
