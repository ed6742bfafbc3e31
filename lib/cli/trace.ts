/**
 * The option `--trace`: a trace of the run for Perfetto. Loaded only when it is asked for.
 * @module
 */
import { accessSync, constants, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ExitCode, ImgtaskError } from "../error.ts";
import type { Listener } from "../event.ts";
import { Trace } from "../trace.ts";

/** A trace that goes into a file. */
export interface TraceFile {
  readonly trace: Trace;
  /** Writes it. That it cannot be written is a warning: what was built is there. */
  write(dependenciesOf: (name: string) => readonly string[], on: Listener): void;
}

/**
 * Begins a trace.
 *
 * @throws {ImgtaskError} IMG2020 for a place where no file can be written.
 */
export function openTrace(file: string, cwd: string): TraceFile {
  const path = resolve(cwd, file);
  try {
    accessSync(dirname(path), constants.W_OK);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isFile()) throw new Error("something else than a file is there");
  } catch (error) {
    throw new ImgtaskError("IMG2020", `No trace can be written to "${path}"`, {
      expected: "a file in a directory that exists and is writable",
      found: (error as Error).message,
      exitCode: ExitCode.usage,
    });
  }
  const trace = new Trace();
  return {
    trace,
    write(dependenciesOf, on) {
      try {
        trace.write(path, dependenciesOf);
      } catch (error) {
        on({ type: "warning", code: "IMG6004", message: `The trace could not be written: ${(error as Error).message}`, hint: undefined });
      }
    },
  };
}
