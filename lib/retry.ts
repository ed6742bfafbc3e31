/**
 * When a target that failed is tried again, and after how long. Pure.
 * @module
 */
import { ExitCode, ImgtaskError, isImgtaskError, type Location } from "./error.ts";

/**
 * How often a target is tried again when the network failed it. Only errors that say they are temporary count: code
 * IMG5xxx with exit code 75. Each attempt begins with empty directories, and may take all of the target's `timeout`.
 *
 * The wait before attempt n + 1 is a random time below `delay` × 2^(n-1), `limit` at most: those that failed together
 * do not come back together.
 */
export interface Retries {
  /** Attempts after the first one, 10 at most. */
  readonly times: number;
  /** Milliseconds: the longest wait before the second attempt. @default 1000 */
  readonly delay?: number;
  /** Milliseconds that no wait exceeds. @default 60000 */
  readonly limit?: number;
}

/** Most attempts after the first: a mirror that is gone should not be asked all night. */
const most = 10;
/** Milliseconds; what a timer can wait for. */
const longest = 2 ** 31 - 1;

/**
 * Checks what is declared.
 *
 * @throws {ImgtaskError} IMG2002 for what makes no sense.
 */
export function checkPatience(retries: Retries | undefined, timeout: number | undefined, target: string, location: Location | undefined): void {
  const check = (what: string, value: number | undefined, least: number, limit: number, whole: boolean, unit: string): void => {
    if (value === undefined || (typeof value === "number" && value >= least && value <= limit && (!whole || Number.isInteger(value)))) return;
    throw new ImgtaskError("IMG2002", `Target "${target}" has a bad ${what}`, {
      expected: `${whole ? "a whole number" : "a number"} of ${unit} from ${least} to ${limit}`,
      found: String(value),
      exitCode: ExitCode.usage,
      ...(location === undefined ? {} : { location }),
    });
  };
  check("timeout", timeout, 1, longest, false, "milliseconds");
  if (retries === undefined) return;
  check("number of retries", retries.times ?? Number.NaN, 0, most, true, "attempts");
  check("delay of its retries", retries.delay, 0, longest, false, "milliseconds");
  check("limit of its retries", retries.limit, 0, longest, false, "milliseconds");
}

/** Whether another attempt may cure an error. */
export function isTemporary(error: unknown): boolean {
  return isImgtaskError(error) && error.code.startsWith("IMG5") && error.exitCode === ExitCode.temporary;
}

/**
 * Milliseconds to wait after an attempt that failed.
 *
 * @param attempt number of the attempt that failed, from 1.
 * @param random as `Math.random`.
 */
export function delayAfter(attempt: number, { delay = 1000, limit = 60_000 }: Retries, random: () => number = Math.random): number {
  return random() * Math.min(limit, delay * 2 ** (attempt - 1));
}
