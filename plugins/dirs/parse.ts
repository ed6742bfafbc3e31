/**
 * Reads a list of directories: one relative path a line. Text in, paths out.
 * Knows neither where they will be made nor by whom.
 * @module
 */
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";

/** Longest path in bytes of UTF-8: PATH_MAX of Linux. */
const longestPath = 4096;
/** Longest component in bytes of UTF-8: NAME_MAX of Linux file systems. */
const longestComponent = 255;

/** What is wrong with a path, and what would be right; `undefined` when it is good. */
function fault(path: string): { readonly expected: string; readonly found: string } | undefined {
  const control = /[\p{Cc}\p{Zl}\p{Zp}]/u.exec(path);
  if (control !== null) {
    const code = control[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    return { expected: "no control characters", found: `U+${code} at column ${control.index + 1}` };
  }
  if (/\p{Surrogate}/u.test(path) || path.includes("\ufffd")) return { expected: "text in UTF-8", found: "bytes that are not" };
  if (path.startsWith("/")) return { expected: "a relative path", found: "an absolute one" };
  if (path.endsWith("\\")) return { expected: "one path a line", found: "a backslash at the end of the line" };
  if (Buffer.byteLength(path) > longestPath) {
    return { expected: `at most ${longestPath} bytes a path`, found: `${Buffer.byteLength(path)} bytes` };
  }
  for (const part of path.split("/")) {
    if (part === "") return { expected: `a path without empty parts ("a/b", not "a//b" or "a/")`, found: "an empty part" };
    if (part === "." || part === "..") return { expected: `a path without "." and ".."`, found: `"${part}"` };
    if (Buffer.byteLength(part) > longestComponent) {
      return { expected: `at most ${longestComponent} bytes between two "/"`, found: `${Buffer.byteLength(part)} bytes` };
    }
  }
  return undefined;
}

/** A line as it can be shown: everything but printable ASCII escaped, cut to 80 characters. */
function shown(line: string): string {
  const escaped = JSON.stringify(line).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return escaped.length <= 80 ? escaped : `${escaped.slice(0, 76)}..."`;
}

/**
 * Reads a list of directories.
 *
 * One relative path a line, `/` between parts. Blank lines and lines that start with `#` are skipped, white space
 * around a line is not part of it, and a path that is listed twice counts once.
 *
 * @param origin what the text was read from, for messages: `config/directories.txt`.
 * @returns the paths in the order of the list, without duplicates.
 * @throws {ImgtaskError} IMG2201 for an absolute path, `.` or `..`, an empty part, a control character, a backslash
 * at the end, a path beyond 4096 or a part beyond 255 bytes; names the line.
 *
 * @example
 * ```ts
 * parseDirectories("# teams\nalpha/prod\nbeta/prod\n", "config/directories.txt"); // ["alpha/prod", "beta/prod"]
 * ```
 */
export function parseDirectories(text: string, origin: string): readonly string[] {
  const paths = new Set<string>();
  // A byte order mark is how some editors start a file; a CR before the LF is how they end a line.
  const lines = text.replace(/^\ufeff/, "").split("\n");
  for (const [index, raw] of lines.entries()) {
    const line = raw.replace(/\r$/, "").replace(/^[ \t]+|[ \t]+$/g, "");
    if (line === "" || line.startsWith("#")) continue;
    const wrong = fault(line);
    if (wrong !== undefined) {
      throw new ImgtaskError("IMG2201", `Bad directory ${shown(line)} at ${origin}:${index + 1}`, {
        ...wrong,
        hint: `Correct or remove line ${index + 1} of "${origin}"; "#" at its start makes it a comment`,
        location: { file: origin, line: index + 1 },
        exitCode: ExitCode.usage,
      });
    }
    paths.add(line);
  }
  return [...paths];
}

/**
 * The directories and all that is above them, each once, parents first.
 *
 * @example
 * ```ts
 * withParents(["a/b/c", "a/d"]); // ["a", "a/b", "a/b/c", "a/d"]
 * ```
 */
export function withParents(paths: readonly string[]): readonly string[] {
  const all = new Set<string>();
  for (const path of paths) {
    const parts = path.split("/");
    for (let length = 1; length <= parts.length; length++) all.add(parts.slice(0, length).join("/"));
  }
  return [...all].sort();
}
