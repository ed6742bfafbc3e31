/**
 * Refuses lists that are older than what was accepted before: with a good signature, an old list brings old holes back.
 * Knows nothing of signatures; what was accepted last is what `imgtask.lock` says.
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";
import { compareImageVersions } from "../download/list.ts";

/** What is remembered of a list that was accepted. */
export interface AcceptedList {
  /** ISO 8601; of the signature. */
  readonly signedAt?: string;
  /** Version of the image that it named. */
  readonly version?: string;
}

/** Name of the lock file, beside the imagefile. */
export const lockFile = "imgtask.lock";

/** What the lock file says was accepted last of some media: `media.ID.list`. `undefined` where it says nothing. */
export async function lastAccepted(project: string, id: string): Promise<AcceptedList | undefined> {
  try {
    const lock = JSON.parse(await readFile(join(project, lockFile), "utf8")) as { readonly media?: Readonly<Record<string, { readonly list?: AcceptedList }>> };
    const entry = lock.media !== undefined && Object.hasOwn(lock.media, id) ? lock.media[id]?.list : undefined;
    return typeof entry === "object" && entry !== null ? entry : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Compares a list with what was accepted last.
 *
 * @throws {ImgtaskError} IMG4047 when it was signed earlier, or its newest image is older.
 */
export function checkRollback(name: string, now: AcceptedList, last: AcceptedList | undefined): void {
  if (last === undefined) return;
  const refuse = (expected: string, found: string): ImgtaskError =>
    new ImgtaskError("IMG4047", `${name} is older than the list that was accepted last: its signature is good, but somebody holds newer ones back`, {
      expected,
      found,
      hint: "To take this one on purpose, pin the image: sha256 in the imagefile",
      exitCode: ExitCode.refused,
    });
  if (last.signedAt !== undefined) {
    if (now.signedAt === undefined) throw refuse(`a list signed on ${last.signedAt} or later`, "a list that does not say when it was signed");
    if (Date.parse(now.signedAt) < Date.parse(last.signedAt)) throw refuse(`a list signed on ${last.signedAt} or later`, `one signed on ${now.signedAt}`);
  }
  if (last.version !== undefined && now.version !== undefined && compareImageVersions(now.version, last.version) < 0) {
    throw refuse(`version ${last.version} or newer`, `version ${now.version}`);
  }
}
