/**
 * Notices in Debian's forms: what the signed security archive has newer than what is there, and the advisories by the
 * security tracker's lists, which only the connection vouches for.
 * @module
 */
import { createReadStream } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Keyring, NoticeAnswer, NoticeSource, PackageMedia } from "../../lib/mod.ts";
import { chooseIndex, unpackIndex } from "../download/index-file.ts";
import { findMirror, redact } from "../download/mirror.ts";
import { checkFile } from "../verify/file.ts";
import { keyringFor, keysFor } from "../verify/keyring.ts";
import { verifyClearsigned } from "../verify/openpgp.ts";
import { checkRelease } from "../verify/release.ts";
import { answering } from "./answer.ts";
import { concerning, type Published } from "./choose.ts";
import { type AskContext, baseOf, bring, bringListed, bringText, trustOfAddress } from "./fetch.ts";
import { readSecurityList } from "./security-lists.ts";
import type { Present, Subject } from "./present.ts";
import { compareDebVersions } from "./version.ts";
import { malformed, packageOf } from "./words.ts";

type Source = Extract<NoticeSource, { format: "debian" }>;

/** Most bytes: the largest have 0.2, 10 and 2 MB. */
const limits = { release: 8_000_000, index: 200_000_000, list: 32_000_000 } as const;

/** A package of the security archive. */
interface Fixed {
  readonly version: string;
  readonly source: string;
}

interface Archive {
  readonly url: string;
  readonly packages: ReadonlyMap<string, Fixed>;
  readonly signer: string;
}

/** Names of source packages as advisories have them: kernels and boot loaders that are signed are built from packages beside theirs. */
function plainSource(name: string): string {
  return name.replace(/-signed(?:-(?:amd64|arm64|i386|armhf))?$/, "");
}

/** The newest version of each package of an index, by name. */
async function packagesOfIndex(file: string): Promise<ReadonlyMap<string, Fixed>> {
  const packages = new Map<string, Fixed>();
  let fields: Record<string, string> = {};
  const finish = (): void => {
    const { Package: name, Version: version, Source: source = "" } = fields;
    fields = {};
    const one = packageOf(name, version);
    if (one?.fixed === undefined) return;
    const known = packages.get(one.name);
    if (known === undefined || compareDebVersions(one.fixed, known.version) > 0) packages.set(one.name, { version: one.fixed, source: plainSource(/^[a-z0-9][a-z0-9.+-]*/.exec(source)?.[0] ?? one.name) });
  };
  for await (const line of createInterface({ input: createReadStream(file, { encoding: "utf8" }), crlfDelay: Infinity })) {
    if (line === "") finish();
    const match = /^(Package|Version|Source): (.*)$/.exec(line);
    if (match !== null) fields[match[1]!] ??= match[2]!;
  }
  finish();
  return packages;
}

/** Key → InRelease → Packages, each by the one before. */
async function readArchive({ archive: place }: Source, trust: Keyring, context: AskContext): Promise<Archive> {
  const { archive, suite, component, architecture } = place;
  const media: Pick<PackageMedia, "package"> = { package: { archive, suite, component, architecture, name: "" } };
  const mirror = await findMirror(archive, context), url = `${mirror}/dists/${suite}/InRelease`;
  const path = await bring(url, "InRelease", limits.release, archive.mirrorEnv, context);
  const keyring = join(await mkdtemp(join(context.tmp, "keys-")), "keyring.gpg");
  await writeFile(keyring, keyringFor(trust, "archive"));
  const { text, signer } = await verifyClearsigned({ path, name: "InRelease" }, { keyring, keys: keysFor(trust, "archive") }, context);
  const { release } = checkRelease(text, media, Date.now() / 1000);
  const chosen = chooseIndex(release, media);
  if (chosen === undefined) throw malformed(url, `an index of ${component}/${architecture}`, "none");
  const file = await bringListed(`${mirror}/dists/${suite}/${chosen.path}`, chosen.form, { path: chosen.path, ...chosen.entry }, limits.index, archive.mirrorEnv, context);
  await checkFile(file, chosen.entry, `The index ${chosen.path}`);
  return { url: redact(url), packages: await packagesOfIndex(await unpackIndex(file, chosen, context)), signer: signer.userId };
}

/** What the archive has newer than what is there, by source package. The archive says neither why nor since when. */
function newer(present: readonly Present[], { packages }: Archive): readonly Published[] {
  const bySource = new Map<string, Published & { packages: { name: string; fixed: string }[] }>();
  for (const { name } of present) {
    const fixed = packages.get(name);
    if (fixed === undefined) continue;
    const known = bySource.get(fixed.source) ?? { id: `${fixed.source}-update`, title: "a newer version is in the security archive", packages: [], cves: [], link: `https://security-tracker.debian.org/tracker/source-package/${encodeURIComponent(fixed.source)}` };
    known.packages.push({ name, fixed: fixed.version });
    bySource.set(fixed.source, known);
  }
  return [...bySource.values()];
}

/** Asks archive and tracker; what one of them cannot say, the other still may. */
export async function debianNotices(source: Source, subject: Subject, trust: Keyring, context: AskContext): Promise<readonly NoticeAnswer[]> {
  const { archive: place } = source;
  const answers: NoticeAnswer[] = [];
  let archive: Archive | undefined;
  answers.push(...(await answering(`${place.suite} of the security archive`, context, async () => {
    archive = await readArchive(source, trust, context);
    const { url, signer } = archive;
    const chosen = subject.packages === undefined ? undefined : concerning(newer(subject.packages, archive), subject, compareDebVersions);
    if (chosen === undefined) return [{ source: url, state: "unavailable", why: "it is not known which packages are there: build the target once" }];
    return [{ source: url, trust: "signed", signer, ...chosen }];
  })));
  const base = baseOf(source.env, source.url, context);
  answers.push(...(await answering(redact(base), context, async () => {
    const published: Published[] = [];
    for (const [index, list] of source.lists.entries()) published.push(...readSecurityList(await bringText(`${base}/${list}`, `list-${index}`, limits.list, source.env, context), list, source.codename, source.link));
    // Advisories speak of source packages. Which one a package comes from, the archive knows: what it lacks had no update.
    const nameOf = ({ name, source: of }: { readonly name: string; readonly source?: string }): string | undefined =>
      of !== undefined ? plainSource(of) : archive === undefined ? name : archive.packages.get(name)?.source;
    const chosen = concerning(published, subject, compareDebVersions, nameOf);
    const place = redact(`${base}/${source.lists.length === 1 ? source.lists[0]! : `{${source.lists.join(",")}}`}`);
    if (chosen === undefined) return [{ source: place, state: "unavailable", why: "it is not known what they could concern: build the target once" }];
    return [{ source: place, trust: trustOfAddress(base), ...chosen }];
  })));
  return answers;
}
