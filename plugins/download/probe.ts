/**
 * How long a file is that a list names without its size. What a server says is a hint: the digest decides.
 * @module
 */
import type { RunContext } from "../../lib/mod.ts";
import { get } from "./http.ts";
import { defaultLimits } from "./limits.ts";
import type { Terms, Transfer } from "./wanted.ts";

/**
 * Asks the first mirror that answers for one byte, and so for the size.
 *
 * @returns bytes; `undefined` when nobody says it, or it is more than the limit: the transfer tells why.
 */
export async function sizeOf(what: Transfer, context: Pick<RunContext, "env" | "signal"> & { readonly terms?: Terms }): Promise<number | undefined> {
  const signal = context.terms?.signal ?? context.signal;
  for (const url of [what.url, ...(what.mirrors ?? [])]) {
    if (url.startsWith("file:")) return undefined;
    try {
      const answer = await get(url, { range: "bytes=0-0" }, {
        env: context.env, signal, idle: what.idle ?? (context.terms?.limits ?? defaultLimits).idle, logins: context.terms?.logins ?? [],
      });
      answer.destroy();
      const total = /\/(\d{1,15})$/.exec(answer.statusCode === 206 ? (answer.headers["content-range"] ?? "") : "")?.[1];
      const size = Number(total ?? NaN);
      if (Number.isFinite(size)) return size <= (what.limit ?? Infinity) ? size : undefined;
      if (answer.statusCode === 200) return undefined;
    } catch (error) {
      if (signal.aborted) throw error;
    }
  }
  return undefined;
}
