/**
 * Errors a person can act on: a code, what was expected, what was found, where, and what to do.
 * Knows nothing of how they are shown.
 * @module
 */

/** A place in a file of the project. */
export interface Location {
  /** Absolute path. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based. */
  readonly column?: number;
}

/** Exit codes of the command line; scripts and CI may rely on them. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  prerequisite: 4,
  wouldChange: 5,
  temporary: 75,
  interrupted: 130,
  terminated: 143,
} as const;

/** One of the values of {@linkcode ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What is known about an error beside its code and message. */
export interface ErrorDetails {
  /** What should have been there. */
  readonly expected?: string;
  /** What was there. */
  readonly found?: string;
  /** What the reader can do about it; one or two sentences, or a command. */
  readonly hint?: string;
  /** Where in the imagefile (or another input file) it comes from. */
  readonly location?: Location;
  /** Exit code of the process when this error ends it. @default 1 */
  readonly exitCode?: ExitCode;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

const brand = Symbol.for("imgtask.error@1");

/**
 * An error that is part of the product.
 *
 * Messages start in upper case, quote names, and have no final period.
 *
 * @example
 * ```ts
 * throw new ImgtaskError("IMG2004", `Unknown target "iso:kli"`, {
 *   hint: `Did you mean "iso:kali"?`,
 *   exitCode: ExitCode.usage,
 * });
 * ```
 */
export class ImgtaskError extends Error {
  /** Stable identifier, documented in README.md ("Errors"): `IMG` and four digits. */
  readonly code: string;
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly hint: string | undefined;
  readonly location: Location | undefined;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "ImgtaskError";
    this.code = code;
    this.expected = details.expected;
    this.found = details.found;
    this.hint = details.hint;
    this.location = details.location;
    this.exitCode = details.exitCode ?? ExitCode.failed;
    Object.defineProperty(this, brand, { value: true });
  }

  /** The same error with a location, unless it has one already. */
  at(location: Location | undefined): ImgtaskError {
    if (this.location !== undefined || location === undefined) return this;
    const { code, message, expected, found, hint, exitCode, cause } = this;
    return new ImgtaskError(code, message, {
      location,
      exitCode,
      cause,
      ...(expected === undefined ? {} : { expected }),
      ...(found === undefined ? {} : { found }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Whether a value is an {@linkcode ImgtaskError}, even one made by another copy of this package. */
export function isImgtaskError(value: unknown): value is ImgtaskError {
  return typeof value === "object" && value !== null && brand in value;
}

/** The error for a broken assumption of imgtask itself: tells the reader that it is not their mistake. */
export function bug(message: string, cause?: unknown): ImgtaskError {
  return new ImgtaskError("IMG9000", `BUG: ${message}`, {
    hint: "This is a mistake in imgtask itself; please report it with the output of `imgtask --version`",
    cause,
  });
}
