/**
 * What is run once on a machine at the end, when all else is done.
 * Plain, checked data.
 * @module
 */
import type { Source } from "../artifact.ts";
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { check, checkPart } from "./check.ts";

/** An argument vector, which no shell reads, or an executable script of the host. */
export type LateCommand = readonly [string, ...string[]] | { readonly script: Source };

const fits: Fits<Exclude<LateCommand, readonly string[]>> = { script: fit.needed(fit.sourceHandle) };

/** Checks a command. */
export function lateCommand(command: LateCommand): LateCommand {
  if (fit.isObject(command)) {
    checkPart(command, fits, "a late command");
    return { script: command.script };
  }
  check(Array.isArray(command) && command.length > 0 && command[0] !== "", "late command", command, `a list of a program and its arguments, as ["systemctl", "mask", "x"]`);
  for (const part of command) {
    check(typeof part === "string" && !/[\0\p{Cs}]/u.test(part), "late command", command, "arguments without NUL and halves of surrogate pairs");
  }
  return [...command];
}
