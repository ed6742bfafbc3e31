/**
 * Makes an answer of what could not be had: notices that are not there are said, and hinder nothing else.
 * @module
 */
import { ImgtaskError, type NoticeAnswer, type NoticeContext } from "../../lib/mod.ts";

/** Calls what asks; what the network, a missing program or a refused signature stops becomes an answer. */
export async function answering(source: string, context: Pick<NoticeContext, "signal">, ask: () => Promise<readonly NoticeAnswer[]>): Promise<readonly NoticeAnswer[]> {
  try {
    return await ask();
  } catch (error) {
    if (context.signal.aborted || !(error instanceof ImgtaskError)) throw error;
    const { code, message, found } = error;
    return [{ source, state: "unavailable", why: found === undefined ? message : `${message}: ${found}`, code }];
  }
}
