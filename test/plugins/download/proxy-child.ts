/**
 * Started by `proxy.test.ts`, in a process that trusts a test's authority: transfers, one after the other. Prints what came of
 * each as JSON.
 * @module
 */
import type { ImgtaskError } from "../../../lib/mod.ts";
import { defaultLimits } from "../../../plugins/download/limits.ts";
import { transfer, type Transfer } from "../../../plugins/download/transfer.ts";
import { termsOf } from "../../../plugins/download/wanted.ts";

const { env: common, jobs } = JSON.parse(process.argv[2]!) as { readonly env: Record<string, string>; readonly jobs: readonly (Transfer & { readonly time?: number; readonly login?: string; readonly env?: Record<string, string> })[] };
const results: unknown[] = [];
for (const { time = 60_000, login, env = common, ...what } of jobs) {
  const { signal } = new AbortController();
  const logins = login === undefined ? [] : [{ origin: new URL(what.url).origin, name: "authorization", value: login }];
  try {
    const context = { env, signal, log: () => {}, progress: () => {}, terms: termsOf({ ...defaultLimits, time }, logins, signal) };
    results.push(await transfer({ backoff: 1, idle: 5000, ...what }, context));
  } catch (error) {
    const { code, message, hint } = error as ImgtaskError;
    results.push({ code, message, hint });
  }
}
console.log(JSON.stringify(results));
process.exit();
