/**
 * What a transfer is asked to bring, on which terms, and what it did. Data only.
 * @module
 */
import type { RunContext } from "../../lib/mod.ts";
import type { Login } from "./credentials.ts";
import type { Limits } from "./limits.ts";
import type { Entry } from "./release.ts";

/** A file to bring. */
export interface Transfer {
  /** `http:`, `https:` or `file:` URL. */
  readonly url: string;
  /** URLs of the same file on further mirrors, asked in this order when one before them fails. @default none */
  readonly mirrors?: readonly string[];
  /** Where the file goes. Nothing is there before it is whole and, with `expected`, has the right digest. */
  readonly file: string;
  /** What a list says of it. Without it only `limit` holds. */
  readonly expected?: Entry;
  /** Most bytes that are taken. @default the expected size */
  readonly limit?: number;
  /** Environment variable that names another mirror, for the hint. */
  readonly mirrorEnv: string;
  /** What to do where the limit is too low. @default nothing is said */
  readonly limitHint?: string;
  /** Milliseconds without a byte after which the connection is given up. @default that of the terms */
  readonly idle?: number;
  /** Milliseconds before the second attempt; doubled for each further one. @default 500 */
  readonly backoff?: number;
  /** Connections at once, for files of which the digest is known and that are large enough. @default 4 */
  readonly segments?: number;
  /** Bytes of a part that one connection is asked for. @default 8 MiB */
  readonly piece?: number;
  /** Bytes from which a file comes in parts. @default 32 MiB */
  readonly wide?: number;
  /** Directory that keeps what came of files that are not whole, for the next run. @default it is not kept */
  readonly kept?: string;
}

/** What holds for all transfers of a download together. */
export interface Terms {
  readonly limits: Limits;
  /** Aborts when the run is to end, or the time is over. */
  readonly signal: AbortSignal;
  /** Says whether the time is over. */
  readonly deadline: AbortSignal;
  readonly logins: readonly Login[];
}

/**
 * Terms that begin now.
 *
 * @param within whose time is over, theirs is. @default they end by themselves
 */
export function termsOf(limits: Limits, logins: readonly Login[], signal: AbortSignal, within?: Terms): Terms {
  const time = AbortSignal.timeout(limits.time), deadline = within === undefined ? time : AbortSignal.any([time, within.deadline]);
  return { limits, logins, deadline, signal: AbortSignal.any([signal, deadline]) };
}

/** What a recipe of `download` is given, with the terms of it all. */
export type DownloadContext = RunContext & { readonly terms: Terms };

/** What a transfer did, for the log. */
export interface Brought extends Entry {
  /** Bytes that came from servers, those included that had to come again. */
  readonly fetched: number;
  /** Bytes that an earlier run had brought. */
  readonly found: number;
  /** Bytes that were read from the disk again to hash them. */
  readonly readBack: number;
}
