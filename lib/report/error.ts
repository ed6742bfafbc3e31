/**
 * Words errors for people: code, message, expected, found, the line of the imagefile, a hint.
 * Throws nothing and decides no exit code.
 * @module
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { isImgtaskError, type Location } from "../error.ts";
import { type Paint, painter, printable, printableLines } from "./text.ts";

/** How an error is shown. */
export interface ErrorFormat {
  readonly color: boolean;
  /** Absolute path of the directory that paths are shown relative to. */
  readonly cwd: string;
  /** Show stack traces. @default whether IMGTASK_DEBUG is 1 */
  readonly debug?: boolean;
}

/** A path as a person in `cwd` would write it: relative when it is below, absolute otherwise. */
export function shownPath(path: string, cwd: string): string {
  const below = relative(cwd, path);
  return below === "" ? "." : below.startsWith("..") ? path : below;
}

/** `file:line:column` of a location. */
export function shownLocation(location: Location, cwd: string): string {
  return `${printable(shownPath(location.file, cwd))}:${location.line}${location.column === undefined ? "" : `:${location.column}`}`;
}

/** Fields after the first line, with their continuation lines aligned. */
function field(name: string, text: string, paint: Paint): string {
  const [first, ...rest] = printableLines(text).split("\n");
  return [`  ${paint("dim", name.padEnd(8))} ${first ?? ""}`, ...rest.map((line) => `           ${line}`)].join("\n");
}

/** The line that a location names, with a caret below the column; nothing when the file cannot be read. */
function excerpt(location: Location, paint: Paint): readonly string[] {
  let line: string | undefined;
  try {
    line = readFileSync(location.file, "utf8").split(/\r?\n/)[location.line - 1];
  } catch {
    return [];
  }
  if (line === undefined || line.trim() === "" || line.length > 400) return [];
  const number = String(location.line);
  const lines = [`  ${paint("dim", `${number} |`)} ${printableLines(line)}`];
  if (location.column !== undefined && location.column <= line.length + 1) {
    const blank = line.slice(0, location.column - 1).replace(/[^\t]/g, " ");
    lines.push(`  ${paint("dim", `${" ".repeat(number.length)} |`)} ${blank}${paint("red", "^")}`);
  }
  return lines;
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  return typeof error === "string" ? error : `a value was thrown that is no error: ${String(error)}`;
}

/** Messages of the errors that led to an error, each once, outermost first. */
function causes(error: unknown): readonly string[] {
  const found: string[] = [];
  const seen = new Set<unknown>([error]);
  for (let cause = (error as Error).cause; cause !== undefined && cause !== null && !seen.has(cause) && found.length < 5; cause = (cause as Error).cause) {
    seen.add(cause);
    found.push(messageOf(cause));
  }
  return found;
}

/**
 * An error as text of several lines, without a newline at the end.
 *
 * @example
 * ```text
 * error IMG2004: Unknown target "iso:kli"
 *   expected one of the 9 declared targets, or a pattern such as "iso:*"
 *   at       imagefile.ts:12:3
 *   12 | run("iso:kli");
 *      |     ^
 *   hint     Did you mean "iso:kali"?
 * ```
 */
export function formatError(error: unknown, options: ErrorFormat): string {
  const paint = painter(options.color);
  const debug = options.debug ?? process.env["IMGTASK_DEBUG"] === "1";
  const known = isImgtaskError(error);
  const code = known ? error.code : "IMG9000";
  const message = known ? error.message : `Unexpected error: ${messageOf(error)}`;
  const lines = [`${paint("red", `error ${code}:`)} ${paint("bold", printableLines(message))}`];
  if (known && error.expected !== undefined) lines.push(field("expected", error.expected, paint));
  if (known && error.found !== undefined) lines.push(field("found", error.found, paint));
  if (typeof error === "object" && error !== null) {
    // What was said in other words already is not said again.
    let said = `${message}\n${(known ? error.found : undefined) ?? ""}`;
    for (const cause of causes(error)) {
      if (said.includes(cause)) continue;
      lines.push(field("cause", cause, paint));
      said += `\n${cause}`;
    }
  }
  if (known && error.location !== undefined) {
    lines.push(field("at", shownLocation(error.location, options.cwd), paint), ...excerpt(error.location, paint));
  }
  const hint = known ? error.hint : "This is probably a mistake in imgtask itself; set IMGTASK_DEBUG=1 to see where it comes from";
  if (hint !== undefined) lines.push(field("hint", hint, paint));
  if (debug && error instanceof Error && error.stack !== undefined) lines.push(paint("dim", printableLines(error.stack)));
  return lines.join("\n");
}

/** An error as data, for `--json`. */
export interface ErrorData {
  readonly code: string;
  readonly message: string;
  readonly expected: string | null;
  readonly found: string | null;
  readonly hint: string | null;
  /** Relative to the project when it is below. */
  readonly file: string | null;
  readonly line: number | null;
}

/** An error as data; every field is there, `null` where nothing is known. */
export function errorData(error: unknown, cwd: string): ErrorData {
  const known = isImgtaskError(error) ? error : undefined;
  return {
    code: known?.code ?? "IMG9000",
    message: known?.message ?? messageOf(error),
    expected: known?.expected ?? null,
    found: known?.found ?? null,
    hint: known?.hint ?? null,
    file: known?.location === undefined ? null : shownPath(known.location.file, cwd),
    line: known?.location?.line ?? null,
  };
}
