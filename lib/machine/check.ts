/**
 * How the parts of a machine description are checked: one error, and the patterns that several of them share.
 * Knows no part of a machine.
 * @module
 */
import { ExitCode, ImgtaskError } from "../error.ts";
import { type Fit, isObject } from "../fit.ts";
import { checkOptions } from "../option.ts";

/** @throws {ImgtaskError} IMG2101 unless `ok`. */
export function check(ok: boolean, what: string, value: unknown, expected: string): void {
  if (ok) return;
  throw new ImgtaskError("IMG2101", `Bad ${what} in machine(): ${JSON.stringify(value)}`, {
    expected,
    exitCode: ExitCode.usage,
  });
}

/** Refuses what is no such part, for callers that the type checker did not stop: a mistyped key would be lost. @throws {ImgtaskError} IMG2040, IMG2101 */
export function checkPart(value: unknown, fits: Readonly<Record<string, Fit>>, what: string): void {
  check(isObject(value), what.replace(/^an? /, ""), value, `an object with ${Object.keys(fits).join(", ")}`);
  checkOptions(`${what[0]!.toUpperCase()}${what.slice(1)} in machine()`, value, fits);
}

/** Names of accounts and groups. */
export const account: RegExp = /^[a-z_][a-z0-9_-]{0,31}$/;

/** Names of units, and of files that a part of a machine makes. */
export const word: RegExp = /^[A-Za-z0-9][A-Za-z0-9@._+:~-]*$/;

/** One line without control characters, line and paragraph separators, and halves of surrogate pairs, which no file can hold. */
export function isLine(text: string): boolean {
  return !/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(text);
}

/** Whether a path is absolute, in normal form, and free of control characters. */
export function isMachinePath(path: string): boolean {
  return path.startsWith("/") && path !== "/" && isLine(path) && !path.split("/").slice(1).some((part) => part === "" || part === "." || part === "..");
}

/** Whether a value is a whole number of a range. */
export function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** A copy that nothing can change, parts included; handles are frozen already. */
export function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
