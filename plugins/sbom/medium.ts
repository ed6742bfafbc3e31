/**
 * What an installer's medium says that it carries: Debian's lists and packages, the manifests of a live system, repositories of RPM.
 * Lists are taken out by xorriso, never mounted, never larger than a bound; what is in them may be hostile. Knows no distribution.
 * @module
 */
import { createReadStream, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { createGunzip } from "node:zlib";
import { pipeline } from "node:stream/promises";
import { createWriteStream } from "node:fs";
import { Transform } from "node:stream";
import { ImgtaskError, type RunContext } from "../../lib/mod.ts";
import { type Medium, readMedium, takeFiles } from "../iso/medium.ts";
import type { Component, Inventory, System } from "./inventory.ts";
import { byId, type Fields, idOf, packagesOf, stanzas } from "./packages.ts";
import { parsePrimary } from "./primary.ts";
import { componentsOf, type IsLicence, type RpmPackage } from "./rpm.ts";

type Context = Pick<RunContext, "exec" | "tmp">;

/** Most bytes of a list as it stands on the medium, and unpacked; most lists, and packages of one. */
const packedLimit = 64 * 1024 ** 2, plainLimit = 256 * 1024 ** 2, listLimit = 200, packageLimit = 200_000;

/** Paths are handed to xorriso: only such as need no quoting are lists. */
const debianList = /^\/dists\/[A-Za-z0-9._/+-]+\/Packages(?:\.gz|\.xz)?$/;
const manifestList = /^\/(?:casper|live)\/[A-Za-z0-9._+-]+\.(?:manifest|packages)$/;
const repositoryList = /^((?:\/[A-Za-z0-9._+-]+)*)\/repodata\/(?:[0-9a-f]+-)?primary\.xml(?:\.gz|\.xz|\.zst)$/;
const debFile = /^\/(?:[^/\x00-\x1f]+\/)*([a-z0-9][a-z0-9+.-]+)_([A-Za-z0-9.+~%-]+)_([a-z0-9-]+)\.u?deb$/;
const rpmFile = /^\/(?:[^/\x00-\x1f]+\/)*([A-Za-z0-9][\w+.-]*)-([\w.+~^]+)-([\w.+~^]+)\.([a-z0-9_]+)\.rpm$/;

/** Names and versions that packages can have. */
const plausible = (name: string | undefined, version: string | undefined, arch: string | undefined): boolean =>
  /^[A-Za-z0-9][\w+.-]{0,200}$/.test(name ?? "") && /^[\w.+~^:-]{1,200}$/.test(version ?? "") && /^[\w-]{0,60}$/.test(arch ?? "");

/** Takes lists out, and unpacks them; gives their texts' files by path. */
async function unpackLists(medium: Medium, paths: readonly string[], { exec, tmp }: Context): Promise<ReadonlyMap<string, string>> {
  const packed = new Map(paths.map((path, index) => [path, join(tmp, `list${index}`)]));
  await takeFiles(medium, packed, { exec, tmp });
  const plain = new Map<string, string>();
  for (const [path, file] of packed) {
    const out = `${file}.plain`;
    const tooLong = (found: string): ImgtaskError => new ImgtaskError("IMG3582", `A list of packages on the medium cannot be read: "${path}"`, { expected: `what unpacks to ${plainLimit} bytes at most`, found });
    if (/\.(?:xz|zst)$/.test(path)) {
      // The limit on file sizes holds for standard output, too.
      const { code } = await exec(["prlimit", `--fsize=${plainLimit}`, path.endsWith(".xz") ? "xz" : "zstd", "--decompress", "--stdout", "--", file], { stdout: { file: out }, ok: Array.from({ length: 256 }, (_, index) => index) });
      if (code !== 0) throw tooLong(`the program that unpacks it ended with ${code}`);
    } else if (path.endsWith(".gz")) {
      let size = 0;
      const bound = new Transform({ transform: (chunk: Buffer, _, done) => ((size += chunk.length) > plainLimit ? done(tooLong("more")) : done(null, chunk)) });
      await pipeline(createReadStream(file), createGunzip(), bound, createWriteStream(out)).catch((error: unknown) => {
        throw error instanceof ImgtaskError ? error : tooLong((error as Error).message);
      });
    }
    plain.set(path, /\.(?:xz|zst|gz)$/.test(path) ? out : file);
  }
  return plain;
}

/** Of several forms of one list, the first there is. */
function oneForm(paths: readonly string[]): readonly string[] {
  const bare = (path: string): string => path.replace(/\.(?:gz|xz|zst)$/, "");
  return [...new Map([...paths].sort((a, b) => b.length - a.length || (a < b ? 1 : -1)).map((path) => [bare(path), path])).values()].sort();
}

/** Text of a small file of the medium; `undefined` when there is none. */
async function textOf(medium: Medium, path: string, context: Context): Promise<string | undefined> {
  if ((medium.files.get(path) ?? Infinity) > 1_000_000) return undefined;
  const to = join(context.tmp, `text-${posix.basename(path)}`);
  await takeFiles(medium, new Map([[path, to]]), context);
  return readFileSync(to, "utf8");
}

/** Text of foreign origin on one line. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+/g, " ").trim().slice(0, 200);
}

const firstWord = (text: string): string => /^[A-Za-z]+/.exec(text)?.[0].toLowerCase() ?? "linux";

/** The system by `.disk/info` (`Debian GNU/Linux 12.5.0 "Bookworm" - …`) or `.treeinfo`; else the volume's name. */
async function systemOf(medium: Medium, context: Context): Promise<System> {
  const info = await textOf(medium, "/.disk/info", context);
  const named = /^([A-Za-z][^0-9]*?)\s+(\d[\w.]*)(?:[^"]*"([^"]+)")?/.exec(info ?? "");
  if (named !== null) {
    const [, name, version, codename] = named;
    return { id: firstWord(name!), version: version!, ...(codename === undefined ? {} : { codename: oneLine(codename).split(" ")[0]!.toLowerCase() }), title: oneLine(info!) };
  }
  const tree = (await textOf(medium, "/.treeinfo", context)) ?? "";
  const field = (name: string): string | undefined => new RegExp(`^${name}\\s*=\\s*(.+)$`, "m").exec(tree)?.[1]?.trim();
  const family = field("short") ?? field("family") ?? field("name");
  const version = field("version");
  if (family === undefined) return { id: "linux", title: oneLine(medium.volume) };
  return { id: firstWord(family), ...(version === undefined || !/^\d[\w.]*$/.test(version) ? {} : { version }), title: oneLine(field("name") ?? family) };
}

/** What is left out, counted. */
class Gaps {
  readonly #counts = new Map<string, number>();

  add(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  get clauses(): readonly string[] {
    return [...this.#counts].map(([what, count]) => `${count} ${what}`).sort();
  }
}

/** Packages in Debian's format: those of lists that are on the medium, and those that are on it and in no list. */
function debPackages(medium: Medium, lists: ReadonlyMap<string, string>, gaps: Gaps): readonly Component[] {
  const listed = new Set<string>();
  const all = new Map<string, Fields>();
  for (const file of lists.values()) {
    for (const fields of stanzas(readFileSync(file, "utf8"))) {
      const path = `/${(fields.get("filename") ?? "").replace(/^\.?\/+/, "")}`;
      if (!plausible(fields.get("package"), fields.get("version"), fields.get("architecture")) || fields.get("architecture") === "") gaps.add("entries of lists that name no package");
      else if (!medium.files.has(path)) gaps.add("packages that lists name and that are not on the medium");
      else {
        listed.add(path);
        all.set(`${fields.get("package")}:${fields.get("architecture")}@${fields.get("version")}`, fields);
      }
    }
  }
  for (const path of medium.files.keys()) {
    const [, name, version, arch] = (listed.has(path) ? null : debFile.exec(path)) ?? [];
    if (name === undefined) continue;
    gaps.add("epochs and dependencies, of packages that are known by the names of their files alone");
    all.set(`${name}:${arch}@${version}`, new Map([["package", name], ["version", version!.replaceAll("%3a", ":")], ["architecture", arch!]]));
  }
  return packagesOf([...all.values()], true).map((one) => ({ ...one, licence: undefined }));
}

/** Packages of live systems: `name[:arch]<tab>version`. */
function manifestPackages(lists: ReadonlyMap<string, string>, known: readonly Component[], gaps: Gaps): readonly Component[] {
  const have = new Set(known.map(({ name, version }) => `${name} ${version}`));
  const found = new Map<string, Component>();
  for (const file of lists.values()) {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      if (line.trim() === "") continue;
      if (line.startsWith("snap:")) {
        gaps.add("snaps");
        continue;
      }
      const [, name, arch = "", version] = /^([^\s:]+)(?::(\S+))?\s+(\S+)\s*$/.exec(line) ?? [];
      if (!plausible(name, version, arch)) gaps.add("entries of lists that name no package");
      else if (!have.has(`${name!} ${version!}`)) {
        const one: Component = { name: name!, version: version!, arch, source: { name: name!, version: version! }, needs: [], versioned: true, licence: undefined };
        found.set(idOf(one), one);
      }
    }
  }
  return [...found.values()];
}

async function rpmPackages(medium: Medium, lists: ReadonlyMap<string, string>, isLicence: IsLicence, gaps: Gaps): Promise<readonly Component[]> {
  const all: RpmPackage[] = [], listed = new Set<string>();
  for (const [path, file] of lists) {
    const base = repositoryList.exec(path)![1]!;
    const packages = await parsePrimary(createReadStream(file, "utf8") as AsyncIterable<string>, packageLimit).catch((error: unknown) => {
      throw new ImgtaskError("IMG3582", `A list of packages on the medium cannot be read: "${path}"`, { expected: `XML with ${packageLimit} packages at most`, found: oneLine((error as Error).message) });
    });
    for (const one of packages) {
      const place = posix.normalize(`${base}/${one.href}`);
      if (!plausible(one.name, `${one.version}-${one.release}`, one.arch)) gaps.add("entries of lists that name no package");
      else if (!medium.files.has(place)) gaps.add("packages that lists name and that are not on the medium");
      else {
        listed.add(place);
        all.push(one);
      }
    }
  }
  for (const path of medium.files.keys()) {
    const [, name, version, release, arch] = (listed.has(path) ? null : rpmFile.exec(path)) ?? [];
    if (name === undefined) continue;
    gaps.add("epochs and dependencies, of packages that are known by the names of their files alone");
    all.push({ name, epoch: "", version: version!, release: release!, arch: arch!, sourceRpm: "", licence: "", packager: "", url: "", summary: "", requires: [], provides: [] });
  }
  return componentsOf(all, isLicence, true);
}

/**
 * What a medium carries.
 *
 * @throws {ImgtaskError} IMG3450 when it is no ISO image, IMG3582 when it says nothing of packages, or what it says cannot be read.
 */
export async function readIso(image: string, target: string, isLicence: IsLicence, context: Context): Promise<Inventory> {
  const medium = await readMedium(image, context);
  const paths = oneForm([...medium.files].filter(([path, size]) => size <= packedLimit && [debianList, manifestList, repositoryList].some((form) => form.test(path))).map(([path]) => path)).slice(0, listLimit);
  const lists = await unpackLists(medium, paths, context);
  const some = (form: RegExp): ReadonlyMap<string, string> => new Map([...lists].filter(([path]) => form.test(path)));
  const gaps = new Gaps();
  const debs = debPackages(medium, some(debianList), gaps);
  const packages = [...debs, ...manifestPackages(some(manifestList), debs, gaps), ...(await rpmPackages(medium, some(repositoryList), isLicence, gaps))].sort(byId);
  if (packages.length === 0) {
    throw new ImgtaskError("IMG3582", `Nothing on the medium says which packages are in "${target}"`, {
      expected: "dists/…/Packages, pool/….deb, casper/….manifest, repodata/…primary.xml or ….rpm",
      found: lists.size === 0 ? "none of them" : "no package in them",
      hint: "A medium that installs from the network has no packages: publish it without sbom()",
    });
  }
  const missing = ["what is in squashfs images, initial file systems and boot loaders, beyond what the lists name", ...gaps.clauses];
  return { system: await systemOf(medium, context), kernels: [], packages, coverage: { lists: paths.length === 0 ? ["the names of its files"] : paths, missing } };
}
