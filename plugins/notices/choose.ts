/**
 * Which notices concern a medium or an image: by the versions of its packages, or by the day when these are not known. Pure.
 * @module
 */
import type { Notice, NoticePackage, NoticeReport } from "../../lib/mod.ts";
import type { Present, Subject } from "./present.ts";
import type { CompareVersions } from "./version.ts";

/** A notice as a format has it: of several versions of a package the lowest counts. */
export type Published = Omit<Notice, "packages"> & { readonly packages: readonly NoticePackage[] };

const grades = ["critical", "important", "moderate", "low"];

/** The gravest first, then the newest; those that are not rated at the end. */
function byGravity(a: Notice, b: Notice): number {
  const grade = ({ severity }: Notice): number => (severity === undefined ? grades.length : grades.indexOf(severity));
  return grade(a) - grade(b) || ((b.date ?? "") < (a.date ?? "") ? -1 : (b.date ?? "") > (a.date ?? "") ? 1 : 0) || (a.id < b.id ? -1 : 1);
}

const keyOf = ({ name, stream = "" }: { readonly name: string; readonly stream?: string }): string => `${name} ${stream}`;

/** One entry a package and stream, of the lowest version, in order of names. */
function merged(packages: readonly NoticePackage[], compare: CompareVersions): readonly NoticePackage[] {
  const found = new Map<string, NoticePackage>();
  for (const one of packages) {
    const known = found.get(keyOf(one));
    if (known === undefined || (one.fixed !== undefined && (known.fixed === undefined || compare(one.fixed, known.fixed) < 0))) found.set(keyOf(one), one);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

/** What a notice says of a package, without the mark of a stream that it does not name. */
function said({ stream, ...one }: NoticePackage): NoticePackage {
  return stream === undefined || stream === "?" ? one : { ...one, stream };
}

/**
 * The package that is there of which a notice speaks. A package of a module is none of another stream, nor one of no module; of which
 * stream it is, or of which the notice speaks, need not be known (`?`).
 */
function met(one: NoticePackage, present: ReadonlyMap<string, Present>): { readonly there: Present; readonly unsure?: true } | undefined {
  const exact = one.stream === "?" ? undefined : present.get(keyOf(one));
  if (exact !== undefined || one.stream === undefined) return exact === undefined ? undefined : { there: exact };
  const there = one.stream === "?" ? [...present.values()].find(({ name, stream }) => name === one.name && stream !== undefined) : present.get(keyOf({ name: one.name, stream: "?" }));
  return there === undefined ? undefined : { there, unsure: true };
}

/**
 * Chooses the notices that concern a subject.
 *
 * @param nameOf what notices call a package that is there. @default its name
 * @returns the part of a report that follows; `undefined` when neither packages nor a day are known.
 */
export function concerning(
  published: readonly Published[], { packages, since }: Subject, compare: CompareVersions, nameOf: (one: { readonly name: string; readonly source?: string }) => string | undefined = ({ name }) => name,
): Pick<NoticeReport, "basis" | "since" | "packages" | "notices"> | undefined {
  // The same notice may stand in several repositories.
  const all = new Map<string, Published>();
  for (const one of published) {
    const known = all.get(one.id);
    all.set(one.id, known === undefined ? one : { ...known, packages: [...known.packages, ...one.packages] });
  }
  if (packages !== undefined) {
    // The newest of what is there: an image may hold several kernels.
    const present = new Map<string, Present>();
    for (const one of packages) {
      const name = nameOf(one);
      if (name === undefined) continue;
      const as = { ...one, name }, known = present.get(keyOf(as));
      if (known === undefined || compare(one.version, known.version) > 0) present.set(keyOf(as), as);
    }
    const notices = [...all.values()].flatMap((notice): readonly Notice[] => {
      const hit = merged(notice.packages, compare).flatMap((one): readonly NoticePackage[] => {
        const { there, unsure } = met(one, present) ?? {};
        if (there === undefined || one.fixed === undefined) return [];
        const { version: found, anyEpoch } = there;
        return compare(found, anyEpoch === true ? one.fixed.replace(/^\d+:/, "") : one.fixed) < 0 ? [{ ...said(one), found, ...(unsure === undefined ? {} : { unsure }) }] : [];
      });
      return hit.length === 0 ? [] : [{ ...notice, packages: hit }];
    });
    return { basis: "packages", packages: packages.length, notices: notices.sort(byGravity) };
  }
  if (since === undefined) return undefined;
  const day = since.slice(0, 10);
  const notices = [...all.values()].filter(({ date }) => date !== undefined && date > day).map((one): Notice => ({ ...one, packages: merged(one.packages, compare).map(said) }));
  return { basis: "date", since: day, notices: notices.sort(byGravity) };
}
