/**
 * Judges a signed Release file: is it the one that was asked for, and is it of now?
 * Knows nothing of signatures; its text must be verified before.
 * @module
 */
import { ExitCode, ImgtaskError, type PackageMedia } from "../../lib/mod.ts";
import { printable } from "../download/mirror.ts";
import { parseRelease, type ReleaseFile } from "../download/release.ts";

/** Seconds by which the archive's clock may be ahead of this host's; as apt's `Max-FutureTime`. */
const maxFuture = 10;

/** Parses `Sat, 11 Jul 2026 10:16:37 UTC`; the only form that the format allows. */
function parseDate(text: string | undefined): number | undefined {
  if (text === undefined || !/^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (UTC|GMT|\+0000|Z)$/.test(text)) return undefined;
  const time = Date.parse(text.replace(/(UTC|GMT|\+0000|Z)$/, "GMT"));
  return Number.isNaN(time) ? undefined : time / 1000;
}

/**
 * Checks a Release file whose signature is good.
 *
 * @param now seconds since 1970.
 * @returns what it says, and its date in seconds since 1970.
 * @throws {ImgtaskError} exit code 3: IMG4010 another archive or suite, IMG4011 no longer valid, IMG4012 from the
 * future, IMG4013 malformed.
 */
export function checkRelease(text: string, media: Pick<PackageMedia, "package">, now: number): { readonly release: ReleaseFile; readonly date: number } {
  const release = parseRelease(text);
  const refuse = (code: string, message: string, expected: string, found: string, hint?: string): ImgtaskError =>
    new ImgtaskError(code, message, { expected, found: printable(found), exitCode: ExitCode.refused, ...(hint === undefined ? {} : { hint }) });
  const { suite, archive } = media.package;
  const codename = release.fields.get("codename"), alias = release.fields.get("suite"), origin = release.fields.get("origin");
  if (origin !== archive.origin) {
    throw refuse("IMG4010", "InRelease belongs to another archive", `Origin: ${archive.origin}`, `Origin: ${origin ?? "none"}`, "Does the mirror serve what its address says?");
  }
  if (codename !== suite && alias !== suite) {
    throw refuse("IMG4010", `InRelease belongs to another suite than "${suite}": signed, but put in the place of the one that was asked for`, `"${suite}"`, `Suite: ${alias ?? "none"}, Codename: ${codename ?? "none"}`, "Does the mirror serve what its address says?");
  }
  if (archive.label !== undefined && release.fields.get("label") !== archive.label) {
    throw refuse("IMG4010", "InRelease belongs to another archive of the same origin", `Label: ${archive.label}`, `Label: ${release.fields.get("label") ?? "none"}`);
  }
  const date = parseDate(release.fields.get("date"));
  if (date === undefined) throw refuse("IMG4013", "InRelease has no usable date", "Date: as in Sat, 11 Jul 2026 10:16:37 UTC", release.fields.get("date") ?? "none");
  if (date > now + maxFuture) {
    throw refuse("IMG4012", "InRelease is dated in the future", `at most ${new Date(now * 1000).toISOString()}`, new Date(date * 1000).toISOString(), "Is this host's clock right?");
  }
  if (release.fields.has("valid-until")) {
    const until = parseDate(release.fields.get("valid-until"));
    if (until === undefined) throw refuse("IMG4013", "InRelease has an unusable Valid-Until", "a date as in Date", release.fields.get("valid-until") ?? "none");
    if (until < now) {
      throw refuse("IMG4011", "InRelease is no longer valid: the mirror is out of date, or holds newer lists back", `valid at ${new Date(now * 1000).toISOString()}`, `valid until ${new Date(until * 1000).toISOString()}`, `Name another mirror in ${archive.mirrorEnv}`);
    }
  }
  if (release.files.size === 0) throw refuse("IMG4013", "InRelease lists no files with SHA-256 digests", "SHA256:", "none");
  return { release, date };
}
