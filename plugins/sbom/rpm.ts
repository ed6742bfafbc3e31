/**
 * Packages of RPM: of a database, as rpm itself tells them, and what of them needs what. Nothing of the image runs: rpm of the host
 * opens the database as a file, with the host's own macros.
 * Source: rpm-queryformat(7), tag names of RPM 4.
 * @module
 */
import { basename, dirname } from "node:path";
import { ImgtaskError, type RunContext } from "../../lib/mod.ts";
import type { Component } from "./inventory.ts";
import type { Licensing } from "./licences.ts";
import { byId, idOf, type Package } from "./packages.ts";

/** Where systems of RPM have their database: since Fedora 36 below `usr/lib`, before that below `var/lib`; sqlite, ndb or BDB. */
export const rpmDatabases: readonly string[] = ["usr/lib/sysimage/rpm", "var/lib/rpm"].flatMap((directory) => ["rpmdb.sqlite", "Packages.db", "Packages"].map((name) => `${directory}/${name}`));

/** A package before it is known what its needs are met by. */
export interface RpmPackage {
  readonly name: string;
  readonly epoch: string;
  readonly version: string;
  readonly release: string;
  readonly arch: string;
  /** File name of the source package. */
  readonly sourceRpm: string;
  readonly licence: string;
  readonly packager: string;
  readonly url: string;
  readonly summary: string;
  readonly requires: readonly string[];
  readonly provides: readonly string[];
}

/** Whether the SPDX list has a licence of this very name. */
export type IsLicence = (id: string) => boolean;

/** Whether a text is an expression of licences that the list has. Exceptions (`WITH`) are none of them. */
function isExpression(text: string, isLicence: IsLicence): boolean {
  let depth = 0;
  return text.split(/\s+(?:AND|OR)\s+/).every((term) => {
    const [, open = "", id = "", close = ""] = /^([(\s]*)([A-Za-z0-9.+-]+)([)\s]*)$/.exec(term) ?? [];
    depth += open.replaceAll(/\s/g, "").length;
    depth -= close.replaceAll(/\s/g, "").length;
    return isLicence(id) && depth >= 0;
  }) && depth === 0;
}

/** What the licence tag declares; `undefined` where it is no SPDX expression, as in releases from before that was the rule. */
export function rpmLicensing(text: string, isLicence: IsLicence): Licensing | undefined {
  const expression = text.replaceAll(/(?<=\s)(?:and|or)(?=\s)/g, (word) => word.toUpperCase()).trim();
  return expression !== "" && isExpression(expression, isLicence) ? { expression, others: [] } : undefined;
}

/** `name` and `version-release` of a source package's file name. */
function sourceOf(file: string, own: { readonly name: string; readonly version: string }): Package["source"] {
  const match = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(file);
  return match === null ? own : { name: match[1]!, version: match[2]! };
}

/** Packages with their needs, sorted. @param versioned whether there may be several versions of one */
export function componentsOf(all: readonly RpmPackage[], isLicence: IsLicence, versioned: boolean): readonly Component[] {
  const full = (one: RpmPackage): string => `${/^[1-9]\d*$/.test(one.epoch) ? `${one.epoch}:` : ""}${one.version}-${one.release}`;
  const id = (one: RpmPackage): string => idOf({ name: one.name, arch: one.arch, version: full(one), versioned });
  const providers = new Map<string, string>();
  for (const one of all) for (const name of one.provides) if (!providers.has(name)) providers.set(name, id(one));
  for (const one of all) providers.set(one.name, id(one));
  const seen = new Set<string>();
  return all.filter((one) => !seen.has(id(one)) && seen.add(id(one))).map((one): Component => {
    const needs = one.requires.flatMap((name) => providers.get(name) ?? []).filter((need) => need !== id(one));
    const version = full(one);
    return {
      format: "rpm", name: one.name, version, arch: one.arch,
      source: sourceOf(one.sourceRpm, { name: one.name, version }),
      ...(one.packager === "" ? {} : { maintainer: one.packager }),
      ...(one.url === "" ? {} : { homepage: one.url }),
      ...(one.summary === "" ? {} : { summary: one.summary.split("\n")[0]! }),
      needs: [...new Set(needs)].sort(),
      ...(versioned ? { versioned } : {}),
      licence: rpmLicensing(one.licence, isLicence),
    };
  }).sort(byId);
}

/** Formats of databases by the names of their files. */
const formats: Readonly<Record<string, string>> = { "rpmdb.sqlite": "sqlite", "Packages.db": "ndb", "Packages": "Berkeley DB" };

const tags = ["NAME", "EPOCH", "VERSION", "RELEASE", "ARCH", "SOURCERPM", "LICENSE", "PACKAGER", "URL", "SUMMARY"] as const;

/** As XML, which escapes whatever a header holds; a line with a word around each package and list. */
const format: string = `<package>\\n${tags.map((tag) => `<tag>%{${tag}:xml}</tag>\\n`).join("")}<requires>[%{REQUIRENAME:xml}]</requires>\\n<provides>[%{PROVIDENAME:xml}]</provides>\\n</package>\\n`;

function unescaped(text: string): string {
  const names: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: `"`, apos: "'" };
  return text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name: string) => {
    const point = name.startsWith("#x") ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return name.startsWith("#") ? (point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : "") : (names[name] ?? whole);
  });
}

/** Texts in the XML of a tag; rpm says `(none)` where there is none. */
function values(xml: string): readonly string[] {
  return [...xml.matchAll(/<(string|integer|base64)>([^<]*)<\/\1>/g)].map(([, type, text]) => type === "base64" ? Buffer.from(text!, "base64").toString("utf8") : unescaped(text!));
}

/** Reads what rpm prints in the format of {@linkcode queryDatabase}. */
export function parseQuery(text: string): readonly RpmPackage[] {
  return text.split("<package>\n").slice(1).map((part) => {
    const fields = [...part.matchAll(/<tag>([^]*?)<\/tag>/g)].map(([, xml]) => values(xml!)[0] ?? "");
    const list = (name: string): readonly string[] => values(new RegExp(`<${name}>([^]*?)</${name}>`).exec(part)?.[1] ?? "");
    const of = (tag: (typeof tags)[number]): string => fields[tags.indexOf(tag)] ?? "";
    return {
      name: of("NAME"), epoch: of("EPOCH"), version: of("VERSION"), release: of("RELEASE"), arch: of("ARCH"), sourceRpm: of("SOURCERPM"),
      licence: of("LICENSE"), packager: of("PACKAGER"), url: of("URL"), summary: of("SUMMARY"), requires: list("requires"), provides: list("provides"),
    };
    // Keys that somebody trusts are packages to rpm; there is nothing of them in the image.
  }).filter(({ name, version, release }) => name !== "" && name !== "gpg-pubkey" && version !== "" && release !== "");
}

/**
 * Asks a database.
 *
 * @param file the database, a copy that may be written beside.
 * @throws {ImgtaskError} IMG3582 when rpm cannot read it, or there is no package in it.
 */
export async function queryDatabase(file: string, target: string, { exec }: Pick<RunContext, "exec">): Promise<readonly RpmPackage[]> {
  const { code, stdout } = await exec(["rpm", "--dbpath", dirname(file), "--query", "--all", "--queryformat", format], { stdout: "capture", ok: Array.from({ length: 256 }, (_, index) => index) });
  // A format that it was not built for, rpm passes over without an error, and makes an empty database of its own.
  const packages = code === 0 ? parseQuery(stdout) : [], kind = formats[basename(file)] ?? "rpm's";
  if (packages.length > 0) return packages;
  throw new ImgtaskError("IMG3582", `No database of packages that can be read in "${target}"`, {
    expected: "rpm's, with packages in it, in a format that rpm on this host reads",
    found: code === 0 ? `a database of ${kind} in which it sees no package` : `a database of ${kind}; rpm ended with ${code}`,
    hint: "The log has what rpm said. rpm of Debian reads sqlite alone; ndb and Berkeley databases are read where rpm was built for them",
  });
}
