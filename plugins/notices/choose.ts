/**
 * Which notices concern a medium or an image: by the versions of its packages, or by the day when these are not known. Pure.
 * @module
 */
import type { Notice, NoticePackage, NoticeReport } from "../../lib/mod.ts";
import type { Subject } from "./subject.ts";
import type { CompareVersions } from "./version.ts";

/** A notice as a format has it: of several versions of a package the lowest counts. */
export type Published = Omit<Notice, "packages"> & { readonly packages: readonly NoticePackage[] };

const grades = ["critical", "important", "moderate", "low"];

/** The gravest first, then the newest; those that are not rated at the end. */
function byGravity(a: Notice, b: Notice): number {
  const grade = ({ severity }: Notice): number => (severity === undefined ? grades.length : grades.indexOf(severity));
  return grade(a) - grade(b) || ((b.date ?? "") < (a.date ?? "") ? -1 : (b.date ?? "") > (a.date ?? "") ? 1 : 0) || (a.id < b.id ? -1 : 1);
}

/** One entry a package, of the lowest version, in order of names. */
function merged(packages: readonly NoticePackage[], compare: CompareVersions): readonly NoticePackage[] {
  const found = new Map<string, NoticePackage>();
  for (const one of packages) {
    const known = found.get(one.name);
    if (known === undefined || (one.fixed !== undefined && (known.fixed === undefined || compare(one.fixed, known.fixed) < 0))) found.set(one.name, one);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
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
    const present = new Map<string, string>();
    for (const one of packages) {
      const name = nameOf(one), known = name === undefined ? undefined : present.get(name);
      if (name !== undefined && (known === undefined || compare(one.version, known) > 0)) present.set(name, one.version);
    }
    const notices = [...all.values()].flatMap((notice): readonly Notice[] => {
      const hit = merged(notice.packages, compare).flatMap((one): readonly NoticePackage[] => {
        const found = present.get(one.name);
        return found !== undefined && one.fixed !== undefined && compare(found, one.fixed) < 0 ? [{ ...one, found }] : [];
      });
      return hit.length === 0 ? [] : [{ ...notice, packages: hit }];
    });
    return { basis: "packages", packages: packages.length, notices: notices.sort(byGravity) };
  }
  if (since === undefined) return undefined;
  const day = since.slice(0, 10);
  const notices = [...all.values()].filter(({ date }) => date !== undefined && date > day).map((one): Notice => ({ ...one, packages: merged(one.packages, compare) }));
  return { basis: "date", since: day, notices: notices.sort(byGravity) };
}
