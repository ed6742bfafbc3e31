/**
 * The failure of a request that another attempt may cure. Knows no request.
 * @module
 */

/** A failure that another attempt may cure. */
export class Interruption extends Error {
  readonly reason: "unreachable" | "cut" | "stalled" | "slow";
  constructor(reason: "unreachable" | "cut" | "stalled" | "slow", message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}
