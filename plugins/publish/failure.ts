/**
 * What can go wrong at a place that is published to, told in the same words for every place.
 * Knows no protocol: publishers say which of these it was.
 * @module
 */
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";

/** One line of what a place said, safe to show. */
export function said(text: string): string {
  const line = text.split("\n").map((one) => one.trim()).filter((one) => one !== "").at(-1) ?? "nothing";
  // eslint-disable-next-line no-control-regex
  return line.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "?").slice(0, 300);
}

type Details = { readonly expected?: string; readonly found?: string; readonly hint?: string; readonly cause?: unknown };

/** The place is another one than was pinned. */
export const strangerAt = (place: string, details: Details): ImgtaskError =>
  new ImgtaskError("IMG3520", `${place} is not who it was when its host key was pinned: nothing was sent`, { ...details, exitCode: ExitCode.refused });
/** Wrong credentials. */
export const credentialsRefused = (place: string, details: Details): ImgtaskError => new ImgtaskError("IMG3521", `${place} does not accept the credentials`, details);
export const placeFull = (place: string, details: Details): ImgtaskError => new ImgtaskError("IMG3522", `${place} has no room`, details);
export const writingDenied = (place: string, details: Details): ImgtaskError => new ImgtaskError("IMG3523", `${place} does not let these credentials write`, details);
/** A tool, a feature, a bucket, a repository: what must be there before anything is published. */
export const missingThere = (place: string, what: string, details: Details): ImgtaskError => new ImgtaskError("IMG3524", `${place} lacks ${what}`, details);
export const unexpectedAnswer = (place: string, details: Details): ImgtaskError => new ImgtaskError("IMG3525", `${place} gave an answer that was not expected`, details);
export const tooLarge = (place: string, name: string, details: Details): ImgtaskError => new ImgtaskError("IMG3526", `"${name}" is too large for ${place}: nothing was sent`, details);
/** What is published once stays as it is. */
export const otherBytesThere = (place: string, name: string, details: Details): ImgtaskError => new ImgtaskError("IMG3527", `${place} has other bytes as "${name}", which are not replaced`, details);

/** Credentials would be read by everybody on the way. */
export const clearText = (what: string, details: Details): ImgtaskError =>
  new ImgtaskError("IMG3540", `${what} is not reached by TLS: no credentials were sent`, { ...details, exitCode: ExitCode.refused });

/** A package that only this publisher needs. */
export const packageMissing = (name: string, cause: unknown): ImgtaskError =>
  new ImgtaskError("IMG3528", `Package "${name}" is not installed`, { hint: `Run: npm install --save-dev ${name}`, cause, exitCode: ExitCode.prerequisite });

/** The network failed: another attempt may cure it. */
export const unreachable = (place: string, details: Details): ImgtaskError => new ImgtaskError("IMG5060", `${place} cannot be reached`, { ...details, exitCode: ExitCode.temporary });
export const damagedOnTheWay = (place: string, name: string, details: Details = {}): ImgtaskError =>
  new ImgtaskError("IMG5061", `"${name}" did not arrive whole at ${place}, and was not published`, { ...details, exitCode: ExitCode.temporary });
export const busy = (place: string, details: Details): ImgtaskError => new ImgtaskError("IMG5062", `${place} is busy`, { ...details, exitCode: ExitCode.temporary });
/** Somebody else published meanwhile. */
export const changedMeanwhile = (place: string, details: Details): ImgtaskError => new ImgtaskError("IMG5063", `${place} was changed by somebody else meanwhile`, { ...details, exitCode: ExitCode.temporary });

/** Refuses options of a publisher. */
export function badOption(publisher: string, option: string, value: unknown, expected: string): ImgtaskError {
  return new ImgtaskError("IMG2520", `Bad ${option} of ${publisher}(): ${JSON.stringify(value) ?? "nothing"}`, { expected, exitCode: ExitCode.usage });
}
