/**
 * Reads the lists of advisories of the Debian security tracker (`data/DSA/list`, `data/DLA/list`). Pure.
 * Source: the tracker's own documentation of its data files, and these files.
 *
 *     [02 Aug 2026] DSA-6410-1 libssh - security update
 *     	{CVE-2026-0964 CVE-2026-0965}
 *     	[trixie] - libssh 0.11.5-0+deb13u1
 * @module
 */
import type { NoticePackage } from "../../lib/mod.ts";
import type { Published } from "./choose.ts";
import { cvesIn, dayOf, lineOf, linkOf, malformed, mostNotices, packageOf } from "./words.ts";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * The advisories that name a release; packages are source packages.
 *
 * @throws {ImgtaskError} IMG4081 when no line is an advisory.
 */
export function readSecurityList(text: string, what: string, codename: string, link: string): readonly Published[] {
  const notices: Published[] = [];
  let head: Omit<Published, "packages" | "cves"> | undefined, cves: readonly string[] = [], packages: NoticePackage[] = [], count = 0;
  const finish = (): void => {
    if (head !== undefined && packages.length > 0) notices.push({ ...head, cves, packages });
    [head, cves, packages] = [undefined, [], []];
  };
  for (const line of text.split("\n")) {
    const begin = /^\[(\d{1,2}) ([A-Z][a-z]{2}) (\d{4})\] (D[SL]A-\d{1,6}(?:-\d{1,3})?)(?: (.*))?$/.exec(line);
    if (begin !== null) {
      finish();
      if (++count > mostNotices) throw malformed(what, `at most ${mostNotices} advisories`, "more");
      const month = String(months.indexOf(begin[2]!) + 1).padStart(2, "0");
      const date = dayOf(`${begin[3]!}-${month}-${begin[1]!.padStart(2, "0")}`), title = lineOf(begin[5] ?? ""), id = begin[4]!;
      head = { id, link: linkOf(link, id), ...(date === undefined ? {} : { date }), ...(title === undefined ? {} : { title }) };
      continue;
    }
    if (head === undefined || line.length > 20_000) continue;
    const known = /^\s+\{([^}]*)\}/.exec(line);
    if (known !== null) cves = cvesIn(known[1]!);
    // Instead of a version there may be <end-of-life> or <not-affected>.
    const fixed = /^\s+\[([a-z]+)\] - (\S+) (\d\S*)/.exec(line);
    const one = fixed !== null && fixed[1] === codename ? packageOf(fixed[2], fixed[3]) : undefined;
    if (one !== undefined) packages.push(one);
  }
  finish();
  if (count === 0) throw malformed(what, "lines as [02 Aug 2026] DSA-6410-1 libssh - security update", text.slice(0, 80));
  return notices;
}
