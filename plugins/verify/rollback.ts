/**
 * Refuses lists that are older than what was accepted before: with a good signature, an old list brings old holes back.
 * Knows nothing of signatures; what was accepted last is what `imgtask.lock` says.
 * @module
 */
import { join } from "node:path";
import { ExitCode, ImgtaskError, lockFileName, type PinnedList, readLockFile } from "../../lib/mod.ts";
import { compareImageVersions } from "../download/list.ts";

/** What is remembered of a list that was accepted. */
export type AcceptedList = Pick<PinnedList, "signedAt" | "version">;

/**
 * What the lock file says was accepted last of some media. `undefined` where it says nothing.
 *
 * @throws {ImgtaskError} IMG2654, IMG2651 when the file is damaged: who damages it must not bring old lists back.
 */
export async function lastAccepted(project: string, id: string): Promise<AcceptedList | undefined> {
  return (await readLockFile(join(project, lockFileName))).get(id)?.list;
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
