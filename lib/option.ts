/**
 * Whether the options of a call are those that there are, looked at when it is made: an imagefile is run without a type
 * checker having read it. A mistyped name would be lost without a word, and media that nobody verified would pass for
 * verified ones. Knows no kind.
 * @module
 */
import { ExitCode, ImgtaskError } from "./error.ts";
import { type Fit, isObject, kindOf, type Optional } from "./fit.ts";
import { nearest } from "./nearest.ts";

/** The fit of each option of an interface: one that is left out, or is needed by one of the two only, does not compile. */
export type Fits<Options> = {
  readonly [Name in keyof Options]-?: {} extends Pick<Options, Name> ? Optional : Fit & { readonly needed: true };
};

function refused(message: string, details: { readonly expected: string; readonly found?: string; readonly hint?: string }): ImgtaskError {
  return new ImgtaskError("IMG2040", message, { ...details, exitCode: ExitCode.usage });
}

/** Refuses names that are not among the known ones. @throws {ImgtaskError} IMG2040 */
export function checkNames(call: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw refused(`${call} has no option "${name}"`, {
      expected: `${known.length > 1 ? "one of " : ""}${known.map((one) => `"${one}"`).join(", ")}`,
      ...(near === undefined ? {} : { hint: `Did you mean "${near}"?` }),
    });
  }
}

/**
 * Checks options.
 *
 * @param call what people call it: `disk("debian")`.
 * @throws {ImgtaskError} IMG2040 for an option that there is not, one that is missing, and one that is something else.
 */
export function checkOptions(call: string, options: unknown, fits: Readonly<Record<string, Fit>>): void {
  const required = Object.keys(fits).filter((name) => fits[name]!.needed === true);
  if (!isObject(options)) {
    throw refused(`${call} lacks its options`, {
      expected: required.length === 0 ? "an object" : `an object with ${required.map((name) => `"${name}"`).join(", ")}`,
      found: kindOf(options),
    });
  }
  checkNames(call, options, Object.keys(fits));
  for (const [name, { expected, fits: fitting, needed }] of Object.entries(fits)) {
    const value = options[name];
    if (value === undefined ? needed !== true : fitting(value)) continue;
    throw refused(value === undefined ? `${call} lacks its option "${name}"` : `Option "${name}" of ${call} is of the wrong type`, { expected, found: kindOf(value) });
  }
}

/**
 * Checks name and options of the call by which a target is declared.
 *
 * @param kind the function: `disk`.
 * @throws {ImgtaskError} IMG2040, as {@linkcode checkOptions}, and when there is no name.
 *
 * @example
 * ```ts
 * const fits: Fits<SeedOptions> = { machine: needed(machineFit), packageManager: word("apt", "dnf"), instanceId: text };
 * checkCall("seed", name, options, fits);
 * ```
 */
export function checkCall(kind: string, name: unknown, options: unknown, fits: Readonly<Record<string, Fit>>): void {
  if (typeof name !== "string") throw refused(`${kind}() lacks its name`, { expected: `a string before the options, as in ${kind}("lab", { … })`, found: kindOf(name) });
  checkOptions(`${kind}("${name}")`, options, fits);
}
