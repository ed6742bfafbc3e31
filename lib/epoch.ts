/**
 * The time that stands in outputs. Knows no clock.
 * @module
 */
import { ExitCode, ImgtaskError } from "./error.ts";

/** Time stamp of outputs when `SOURCE_DATE_EPOCH` is not set: 2026-01-01T00:00:00Z. */
const defaultEpoch = 1_767_225_600;

/**
 * The time for an output's time stamps, in seconds since 1970.
 *
 * @param value of `SOURCE_DATE_EPOCH`
 * @throws {ImgtaskError} IMG2021 when it is no whole number
 */
export function epochOf(value: string | undefined): number {
  if (value === undefined || value === "") return defaultEpoch;
  const epoch = Number(value);
  if (Number.isSafeInteger(epoch) && epoch >= 0) return epoch;
  throw new ImgtaskError("IMG2021", `Bad SOURCE_DATE_EPOCH "${value}"`, { expected: "whole seconds since 1970", exitCode: ExitCode.usage });
}
