/**
 * Red Hat's advisories, by the index of its security data API. TLS alone vouches for it; the CSAF documents behind it are
 * signed, but there is one for each of thousands. Source: docs.redhat.com, "Red Hat Security Data API", CSAF.
 * @module
 */
import { z } from "zod";
import type { NoticeAnswer, NoticePackage, NoticeSource } from "../../lib/mod.ts";
import { redact } from "../download/mirror.ts";
import { concerning, type Published } from "./choose.ts";
import { type AskContext, baseOf, bringText, trustOfAddress } from "./fetch.ts";
import { parseJson } from "./json.ts";
import { isModular, type Subject } from "./present.ts";
import { compareRpmVersions } from "./version.ts";
import { cvesIn, dayOf, idOf, linkOf, packageOf, severityOf } from "./words.ts";

type Source = Extract<NoticeSource, { format: "redhat" }>;

const indexSchema = z.array(z.object({
  RHSA: z.string(),
  severity: z.string().nullish(),
  released_on: z.string().nullish(),
  CVEs: z.array(z.string()).nullish(),
  released_packages: z.array(z.string()).nullish(),
})).max(10_000);

const size = 1000, mostPages = 60, limit = 128_000_000;

/** `openssl-1:3.5.1-7.el9_7.x86_64`, if it is of a release. */
function released(text: string, tag: string): NoticePackage | undefined {
  const match = /^([A-Za-z0-9][A-Za-z0-9.+_-]*?)-(?:(\d{1,9}):)?([A-Za-z0-9.+~^_]+)-([A-Za-z0-9.+~^_]+?)(?:\.(?:x86_64|aarch64|ppc64le|s390x|i686|noarch|src))?$/.exec(text.slice(0, 300));
  if (match === null || !new RegExp(`[.+]${tag}(?![0-9])`).test(match[4]!) || text.endsWith(".src")) return undefined;
  const one = packageOf(match[1], `${Number(match[2] ?? 0) > 0 ? `${match[2]!}:` : ""}${match[3]!}-${match[4]!}`);
  // The index does not say of which stream.
  return one === undefined || !isModular(match[4]!) ? one : { ...one, stream: "?" };
}

/** Reads one page; advisories of other products are left out. */
export function readRedhat(text: string, what: string, tag: string, link: string): { readonly listed: number; readonly notices: readonly Published[] } {
  const index = parseJson(indexSchema, text, what);
  return {
    listed: index.length,
    notices: index.flatMap((one): readonly Published[] => {
      const id = idOf(one.RHSA), packages = (one.released_packages ?? []).flatMap((name) => released(name, tag) ?? []);
      if (id === undefined || packages.length === 0) return [];
      const severity = severityOf(one.severity ?? ""), date = dayOf(one.released_on ?? undefined);
      return [{ id, ...(severity === undefined ? {} : { severity }), ...(date === undefined ? {} : { date }), packages, cves: cvesIn((one.CVEs ?? []).join(" ")), link: linkOf(link, id) }];
    }),
  };
}

/** Asks for all advisories since the medium was made. */
export async function redhatNotices(source: Source, subject: Subject, context: AskContext): Promise<readonly NoticeAnswer[]> {
  const url = baseOf(source.env, source.url, context), place = redact(url);
  if (subject.since === undefined) return [{ source: place, state: "unavailable", why: "it is not known when the medium was made: build the target once" }];
  const published: Published[] = [], day = subject.since.slice(0, 10);
  for (let page = 1; ; page++) {
    if (page > mostPages) return [{ source: place, state: "unavailable", why: `there are more than ${mostPages * size} advisories since ${day}: take a newer medium` }];
    const address = `${url}?after=${day}&per_page=${size}&page=${page}&isCompressed=false`;
    const { listed, notices } = readRedhat(await bringText(address, `redhat-${page}`, limit, source.env, context), "the index of advisories", source.tag, source.link);
    published.push(...notices);
    if (listed < size) break;
  }
  const chosen = concerning(published, subject, compareRpmVersions)!;
  return [{ source: place, trust: trustOfAddress(url), ...chosen }];
}
