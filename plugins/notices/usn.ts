/**
 * Ubuntu's security notices, by the JSON that its site gives in pages of twenty. TLS alone vouches for them, and they have no
 * ratings. Source: ubuntu.com/security/api/docs.
 * @module
 */
import { z } from "zod";
import type { NoticeAnswer, NoticePackage, NoticeSource } from "../../lib/mod.ts";
import { redact } from "../download/mirror.ts";
import { concerning, type Published } from "./choose.ts";
import { type AskContext, baseOf, bringText, trustOfAddress } from "./fetch.ts";
import { parseJson } from "./json.ts";
import type { Subject } from "./present.ts";
import { compareDebVersions } from "./version.ts";
import { cvesIn, dayOf, idOf, lineOf, linkOf, packageOf } from "./words.ts";

type Source = Extract<NoticeSource, { format: "usn" }>;

const listed = z.object({ name: z.string(), version: z.string().nullish(), is_source: z.union([z.boolean(), z.string()]).nullish() });
const pageSchema = z.object({
  total_results: z.number().int().nonnegative(),
  notices: z.array(z.object({
    id: z.string(),
    title: z.string().nullish(),
    published: z.string(),
    cves_ids: z.array(z.string()).nullish(),
    release_packages: z.record(z.string(), z.array(listed)).nullish(),
  })).max(1000),
});

/** Notices of a page, at most what the site gives, and most pages. */
const size = 20, mostPages = 250, limit = 32_000_000;

/** Reads one page. */
export function readUsn(text: string, what: string, codename: string, link: string): { readonly total: number; readonly notices: readonly Published[] } {
  const { total_results: total, notices } = parseJson(pageSchema, text, what);
  return {
    total,
    notices: notices.flatMap((one): readonly Published[] => {
      const id = idOf(one.id), date = dayOf(one.published), title = lineOf(one.title ?? "");
      if (id === undefined) return [];
      const all = (one.release_packages ?? {})[codename] ?? [];
      const binaries = all.filter(({ is_source: isSource }) => isSource !== true && isSource !== "true");
      const packages = (binaries.length === 0 ? all : binaries).flatMap(({ name, version }): NoticePackage | readonly NoticePackage[] => packageOf(name, version) ?? []);
      return [{ id, link: linkOf(link, id), ...(date === undefined ? {} : { date }), ...(title === undefined ? {} : { title }), cves: cvesIn((one.cves_ids ?? []).join(" ")), packages }];
    }),
  };
}

/** Asks for pages, the newest first, until they are older than what they could concern. */
export async function ubuntuNotices(source: Source, subject: Subject, context: AskContext): Promise<readonly NoticeAnswer[]> {
  const url = baseOf(source.env, source.url, context), place = redact(url);
  if (subject.since === undefined) return [{ source: place, state: "unavailable", why: "it is not known when the medium was made: build the target once" }];
  const published: Published[] = [], day = subject.since.slice(0, 10);
  for (let page = 0; ; page++) {
    if (page === mostPages) return [{ source: place, state: "unavailable", why: `there are more than ${mostPages * size} notices since ${day}: take a newer medium` }];
    const address = `${url}?release=${source.codename}&order=newest&limit=${size}&offset=${page * size}`;
    const { total, notices } = readUsn(await bringText(address, `usn-${page}`, limit, source.env, context), "the page of notices", source.codename, source.link);
    published.push(...notices);
    if (notices.length === 0 || (page + 1) * size >= total || notices.some(({ date }) => date !== undefined && date < day)) break;
  }
  const chosen = concerning(published, subject, compareDebVersions)!;
  return [{ source: place, trust: trustOfAddress(url), ...chosen }];
}
