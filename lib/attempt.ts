/**
 * One attempt at a target within its time. Knows neither the graph nor what comes after a failure.
 * @module
 */
import { setMaxListeners } from "node:events";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ImgtaskError } from "./error.ts";
import { type RunOptions, type RunResult, runTarget } from "./run.ts";

/** The last thing that a log says: the last command when there is one in its end, else the last line. */
function lastOf(path: string): string | undefined {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, 16_384));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    const lines = buffer.toString("utf8").split("\n").filter((line) => line.trim() !== "");
    return (lines.findLast((line) => line.startsWith("$ ")) ?? lines.at(-1))?.slice(0, 200);
  } finally {
    closeSync(fd);
  }
}

/**
 * Runs a stale target once, as {@linkcode runTarget} does, and ends it when its `timeout` is over: its commands as on an
 * abort, its recipe by its signal. A recipe that takes no notice is given up after the usual patience.
 *
 * @throws {ImgtaskError} IMG3003 when it took too long, and whatever the recipe throws.
 */
export async function attempt(options: RunOptions, log: { readonly fd: number; readonly path: string }): Promise<RunResult> {
  const { name, timeout } = options.registered.declaration;
  if (timeout === undefined) return runTarget(options, log);
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  setMaxListeners(0, signal);
  const timer = setTimeout(() => over.abort(), timeout);
  const started = Date.now();
  try {
    return await runTarget({ ...options, signal }, log);
  } catch (error) {
    if (!over.signal.aborted || options.signal.aborted) throw error;
    const last = options.registered.declaration.sensitive === true ? undefined : lastOf(log.path);
    throw new ImgtaskError("IMG3003", `"${name}" took too long`, {
      expected: `an end within ${timeout / 1000} s`,
      found: `still running after ${((Date.now() - started) / 1000).toFixed(1)} s${last === undefined ? "" : `; its log ends with: ${last}`}`,
      hint: `Its "timeout" in the imagefile says how long it may take`,
    });
  } finally {
    clearTimeout(timer);
  }
}
