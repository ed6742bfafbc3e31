/**
 * Rules for passwords on a machine: how they must be made, and how long they last.
 * Plain, checked data.
 * @module
 */
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { check, checkPart, isWhole } from "./check.ts";

/** Rules for passwords. What is left out stays as the distribution has it. */
export interface PasswordPolicy {
  /** Characters at least, 6 to 128 (pam_pwquality's `minlen`). */
  readonly minLength?: number;
  /** Kinds of characters at least, of small and capital letters, digits and others: 1 to 4 (`minclass`). */
  readonly minClasses?: number;
  /** Days after which a password must be changed, 1 to 99999 (`PASS_MAX_DAYS`). */
  readonly maxAgeDays?: number;
  /** Days before which it may not be changed again, 0 to 99999 (`PASS_MIN_DAYS`). */
  readonly minAgeDays?: number;
  /** Days before its end that people are told, 0 to 99999 (`PASS_WARN_AGE`). */
  readonly warnDays?: number;
}

const ranges: Readonly<Record<keyof PasswordPolicy, readonly [number, number]>> = {
  minLength: [6, 128],
  minClasses: [1, 4],
  maxAgeDays: [1, 99999],
  minAgeDays: [0, 99999],
  warnDays: [0, 99999],
};

const fits: Fits<PasswordPolicy> = { minLength: fit.number, minClasses: fit.number, maxAgeDays: fit.number, minAgeDays: fit.number, warnDays: fit.number };

/** Checks the rules. */
export function checkedPolicy(policy: PasswordPolicy): PasswordPolicy {
  checkPart(policy, fits, "passwordPolicy");
  for (const [key, [least, most]] of Object.entries(ranges)) {
    const value = policy[key as keyof PasswordPolicy];
    check(value === undefined || isWhole(value, least, most), `passwordPolicy.${key}`, value, `a whole number, ${least} to ${most}`);
  }
  const { minAgeDays, maxAgeDays } = policy;
  check((minAgeDays ?? 0) <= (maxAgeDays ?? Infinity), "passwordPolicy.minAgeDays", minAgeDays, `at most maxAgeDays, ${maxAgeDays}`);
  return { ...policy };
}
