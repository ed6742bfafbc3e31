/**
 * `source()`: handles to host files outside the graph. Declares only: reads no file.
 * @module
 */
import { makeSource, makeSourceGlob, type Source, type SourceGlob } from "./artifact.ts";
import { callerLocation } from "./caller.ts";
import { ExitCode, ImgtaskError } from "./error.ts";

/** Declares host files: `source(path)` for one file or directory, `source.glob(…)` for those that match patterns. */
export interface SourceFunction {
  /**
   * Declares a host file or directory that targets read; hashed with its mode, a directory with all below it.
   *
   * @param path relative to the directory of the imagefile.
   * @throws {ImgtaskError} IMG2006 for an empty path.
   */
  (path: string): Source;
  /**
   * Declares the host files that match patterns; a file that appears or vanishes makes its targets stale.
   *
   * @param patterns as of the package `globby`, relative to the directory of the imagefile; `!` excludes.
   *
   * @example
   * ```ts
   * source.glob("overlay/**", "!overlay/old")
   * ```
   */
  readonly glob: (...patterns: readonly [string, ...string[]]) => SourceGlob;
}

function sourcePath(path: string): Source {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return makeSource(path);
  const location = callerLocation();
  throw new ImgtaskError("IMG2006", `Bad source path ${JSON.stringify(path)}`, {
    expected: "a path relative to the imagefile's directory",
    exitCode: ExitCode.usage,
    ...(location === undefined ? {} : { location }),
  });
}

/** {@inheritDoc SourceFunction} */
export const source: SourceFunction = Object.assign(sourcePath, {
  glob: (...patterns: readonly [string, ...string[]]): SourceGlob => makeSourceGlob(patterns),
});
