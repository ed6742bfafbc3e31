/**
 * What the repositories on a medium say of its RPM packages: epochs, and module streams, which names of files do not tell. By
 * `primary.xml` and `modules.yaml`, taken out by xorriso; opens no package. Knows no distribution by name.
 * Sources: createrepo_c's output; modulemd version 2 (github.com/fedora-modularity/libmodulemd, yaml_specs).
 * @module
 */
import { createReadStream } from "node:fs";
import { join, posix } from "node:path";
import type { NoticeContext } from "../../lib/mod.ts";
import { parsePrimary } from "../sbom/primary.ts";
import { unpacked } from "./fetch.ts";
import { isModular, type Present } from "./present.ts";
import { streamOf } from "./words.ts";

/** Most bytes of a list when it is unpacked, packages of one, and lists: the largest have 30 MB, 10,000 and 2. */
const limits = { primary: 256_000_000, modules: 32_000_000, packages: 100_000, lists: 20 } as const;

const primaryList = /^((?:\/[A-Za-z0-9._+-]+)*)\/repodata\/(?:[0-9a-f]+-)?primary\.xml(?:\.gz|\.xz|\.zst)?$/;
const modulesList = /^((?:\/[A-Za-z0-9._+-]+)*)\/repodata\/(?:[0-9a-f]+-)?modules\.yaml(?:\.gz|\.xz|\.zst)?$/;

/** Streams by `NAME-EPOCH:VERSION-RELEASE.ARCH` of their packages. */
export async function readModules(text: string): Promise<ReadonlyMap<string, string>> {
  const { parseAllDocuments } = await import("yaml");
  const streams = new Map<string, string>();
  // Every scalar is a text: stream 1.10 is not 1.1.
  const documents = parseAllDocuments(text, { schema: "failsafe", uniqueKeys: false });
  for (const document of Array.isArray(documents) ? documents : []) {
    const { document: kind, data } = (document.toJS({ maxAliasCount: 100 }) ?? {}) as { readonly document?: unknown; readonly data?: { readonly name?: unknown; readonly stream?: unknown; readonly artifacts?: { readonly rpms?: unknown } } };
    const { name, stream, artifacts } = data ?? {};
    const of = streamOf(name, stream);
    if (kind !== "modulemd" || of === undefined || !Array.isArray(artifacts?.rpms)) continue;
    for (const one of artifacts.rpms as readonly unknown[]) if (typeof one === "string") streams.set(one, of);
  }
  return streams;
}

/**
 * The packages that lists on a medium name and that are there.
 *
 * @param paths all files of the medium.
 * @returns them, and their paths.
 * @throws when a list cannot be read, or is longer than any.
 */
export async function listedRpms(image: string, paths: readonly string[], context: NoticeContext): Promise<{ readonly packages: readonly Present[]; readonly files: ReadonlySet<string> }> {
  const there = new Set(paths), files = new Set<string>(), packages: Present[] = [];
  let serial = 0;
  const take = async (path: string, limit: number): Promise<AsyncIterable<Buffer>> => {
    const file = join(context.tmp, `list-${serial++}`);
    await context.exec(["xorriso", "-osirrox", "on", "-indev", `stdio:${image}`, "-extract", path, file], { timeout: 60_000 });
    return /\.(?:xml|yaml)$/.test(path) ? createReadStream(file) : unpacked(file, path, limit, context);
  };
  for (const path of paths.filter((one) => primaryList.test(one)).slice(0, limits.lists)) {
    const base = primaryList.exec(path)![1]!;
    const streams = new Map<string, string>();
    for (const modules of paths.filter((one) => modulesList.exec(one)?.[1] === base)) {
      const chunks: Buffer[] = [];
      for await (const chunk of await take(modules, limits.modules)) chunks.push(chunk);
      for (const [name, stream] of await readModules(Buffer.concat(chunks).toString("utf8"))) streams.set(name, stream);
    }
    for (const { name, epoch, version, release, arch, href } of await parsePrimary(texts(await take(path, limits.primary)), limits.packages)) {
      const place = posix.normalize(`${base}/${href}`), known = streams.get(`${name}-${epoch === "" ? "0" : epoch}:${version}-${release}.${arch}`);
      if (!there.has(place) || arch === "src") continue;
      files.add(place);
      const stream = known ?? (isModular(release) ? "?" : undefined);
      packages.push({ name, version: `${/^[1-9]\d*$/.test(epoch) ? `${epoch}:` : ""}${version}-${release}`, ...(stream === undefined ? {} : { stream }) });
    }
  }
  return { packages, files };
}

async function* texts(chunks: AsyncIterable<Buffer>): AsyncIterable<string> {
  const decoder = new TextDecoder("utf-8");
  for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}
