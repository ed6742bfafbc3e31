/**
 * The log, as the part of a recipe that runs in a namespace of its own writes it: its standard error is the
 * target's log file.
 * @module
 */

/** Writes a line to the target's log. */
export function logLine(line: string): void {
  process.stderr.write(line.endsWith("\n") ? line : `${line}\n`);
}
