/**
 * The errors of a transfer. Knows what to say, and decides nothing.
 * @module
 */
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";
import type { Interruption } from "./interruption.ts";
import { printable, redact } from "./mirror.ts";
import type { Entry } from "./release.ts";

/** What the errors speak of. */
export interface Subject {
  readonly url: string;
  readonly mirrorEnv: string;
  readonly expected?: Entry;
  /** Most bytes. */
  readonly limit: number;
  /** What to do where the limit is too low. */
  readonly limitHint?: string;
}

/** Other bytes than a list names. */
export function differs({ url, mirrorEnv, expected }: Subject, found: string): ImgtaskError {
  return new ImgtaskError("IMG4020", `${redact(url)} was damaged or tampered with: its bytes are not those that the archive's list names`, {
    expected: `SHA-256 ${expected!.sha256}`,
    found: `SHA-256 ${found}`,
    hint: `A mirror in the middle of an update gives this too: try again, or name another one in ${mirrorEnv}`,
    exitCode: ExitCode.refused,
  });
}

/** More bytes than there may be. */
export function tooLong({ url, limit, limitHint, mirrorEnv, expected }: Subject, found: string): ImgtaskError {
  const hint = expected !== undefined && expected.size <= limit ? `Is this mirror in the middle of an update? ${mirrorEnv} names another one` : limitHint;
  return new ImgtaskError("IMG5005", `${redact(url)} is longer than it may be`, { expected: `${limit} bytes at most`, found, ...(hint === undefined ? {} : { hint }) });
}

/** Fewer bytes than a list names. */
export function tooShort({ url, mirrorEnv, expected }: Subject, found: number): ImgtaskError {
  return new ImgtaskError("IMG5002", `${redact(url)} is truncated`, {
    expected: `${expected!.size} bytes`,
    found: `${found} bytes`,
    hint: `Try again, or name another mirror in ${mirrorEnv}`,
  });
}

/** The error for an answer that is something else than the file, such as a login page. */
export function page(url: string, mirrorEnv: string, found: string): ImgtaskError {
  return new ImgtaskError("IMG5003", `${redact(url)} gave something else than the file`, {
    found,
    hint: `Is a login or error page in between? ${mirrorEnv} names another mirror, http_proxy and https_proxy a proxy`,
  });
}

/** An answer that says that there is no such file, or none for us. */
export function notThere({ url, mirrorEnv }: Subject, found: string): ImgtaskError {
  if (found.startsWith("401")) {
    return new ImgtaskError("IMG5004", `${redact(url)} is for those only who log in`, { expected: "the answer 200", found, hint: "Give download() `credentials` for this server's origin; they are not sent to where another one redirects. Some proxies answer so, too: look at http_proxy" });
  }
  if (found.startsWith("403")) {
    return new ImgtaskError("IMG5004", `The server refuses ${redact(url)}`, { expected: "the answer 200", found, hint: `Some mirrors refuse a file that is not there, some the address that asks. ${mirrorEnv} names another one` });
  }
  return new ImgtaskError("IMG5004", `${redact(url)} is not there`, { expected: "the answer 200", found, hint: `Is the release still on this mirror? ${mirrorEnv} names another one` });
}

/** An answer that says that the credentials are not good enough. */
export function noEntry({ url }: Subject, found: string): ImgtaskError {
  return new ImgtaskError("IMG5014", `The credentials do not open ${redact(url)}`, { expected: "the answer 200", found, hint: "Has the password or token expired? Is the account allowed to download this?", exitCode: ExitCode.failed });
}

/** A download took longer than it may. */
export function tooSlow(url: string, bytes: number, seconds: number, kept: boolean): ImgtaskError {
  return new ImgtaskError("IMG5010", `${redact(url)} took too long`, {
    expected: `the whole download within ${seconds} s`,
    found: `${bytes} bytes until then`,
    hint: `${kept ? "What came is kept: the next run goes on with it. " : ""}\`limits: { time }\` of download() allows more`,
  });
}

/** A mirror was tried often enough. */
export function gaveUp({ url, mirrorEnv, expected: entry }: Subject, bytes: number, error: Interruption, attempts: number): ImgtaskError {
  const found = `${printable(error.message)}, after ${attempts} attempts`;
  const details = { exitCode: ExitCode.temporary, cause: error } as const;
  const place = redact(url);
  if (error.reason === "unreachable") {
    return new ImgtaskError("IMG5001", `The mirror cannot be reached: ${place}`, {
      ...details,
      found,
      hint: `Check the network, or name another mirror: ${mirrorEnv}=URL`,
    });
  }
  const expected = entry === undefined ? "the whole file" : `${entry.size} bytes`;
  const hint = `Try again, or name another mirror in ${mirrorEnv}`;
  if (error.reason === "stalled" || error.reason === "slow") return new ImgtaskError("IMG5006", `${place} stalled`, { ...details, expected, found: `${bytes} bytes, then ${found}`, hint });
  return new ImgtaskError("IMG5002", `${place} is truncated: the connection was cut again and again`, { ...details, expected, found: `${bytes} bytes, ${found}`, hint });
}

/** Of several mirrors, none gave the file. */
export function allFailed(file: string, errors: readonly ImgtaskError[]): ImgtaskError {
  const [first] = errors;
  if (errors.length === 1) return first!;
  // Where the image's own mirrors were asked one after the other, that one error has every mirror in it.
  const whole = errors.find(({ code }) => code === "IMG5011");
  if (whole !== undefined) return whole;
  const codes = errors.map(({ exitCode }) => exitCode);
  return new ImgtaskError("IMG5011", `None of ${errors.length} mirrors gave ${file}`, {
    expected: "the file that the list names, from one of them",
    found: errors.map(({ code, message, found }) => `${code}: ${message}${found === undefined ? "" : ` (${found})`}`).join("\n"),
    hint: "Try again later, or name another mirror",
    // What another attempt may cure, or else the worst.
    exitCode: codes.includes(ExitCode.temporary) ? ExitCode.temporary : codes.includes(ExitCode.refused) ? ExitCode.refused : first!.exitCode,
    cause: first,
  });
}
