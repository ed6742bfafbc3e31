/**
 * Packages as data, whatever tells of them: their identity, their package URLs, and what of them needs what; and what
 * control files of Debian's format say. Pure. The format is that of deb-control(5), dpkg's status file and its Packages files.
 * @module
 */

/** A package that is installed, or on a medium. */
export interface Package {
  /** @default "deb" */
  readonly format?: "deb" | "rpm";
  readonly name: string;
  /** As the format writes it, with the epoch in front where there is one. */
  readonly version: string;
  /** As the distribution calls it: `amd64`, or `all`. `""` where a list does not say it. */
  readonly arch: string;
  /** Source package that it was built from. */
  readonly source: { readonly name: string; readonly version: string };
  /** `Name <address>`. */
  readonly maintainer?: string;
  readonly homepage?: string;
  /** First line of the description. */
  readonly summary?: string;
  /** Other packages of the image that it needs, sorted: as {@linkcode idOf} has them. */
  readonly needs: readonly string[];
  /** Whether the image may hold it in several versions, as media do. @default false */
  readonly versioned?: boolean;
}

/** What tells a package from all others of an image. */
export function idOf({ name, arch, version, versioned }: Pick<Package, "name" | "arch" | "version" | "versioned">): string {
  return versioned === true ? `${name}:${arch}@${version}` : `${name}:${arch}`;
}

/** Fields of a stanza, by lower-case name. */
export type Fields = ReadonlyMap<string, string>;

/** Stanzas of a control file. Continued lines keep their line breaks. */
export function stanzas(text: string): readonly Fields[] {
  return text.split(/\n{2,}/).filter((part) => part.trim() !== "").map((part) => {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of part.split("\n")) {
      const match = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line);
      if (/^[ \t]/.test(line) && last !== "") fields.set(last, `${fields.get(last)!}\n${line.slice(1)}`);
      else if (match !== null) fields.set((last = match[1]!.toLowerCase()), match[2]!);
    }
    return fields;
  });
}

function alternatives(field: string | undefined): readonly (readonly string[])[] {
  return (field ?? "").replaceAll("\n", " ").split(",").map((group) => group.split("|").map((one) => one.trim().split(/[\s:(]/)[0]!).filter((name) => name !== "")).filter((group) => group.length > 0);
}

/** Packages whose files are on the system, sorted by name: those removed with their settings left behind are not. */
export function parseStatus(text: string): readonly Package[] {
  return packagesOf(stanzas(text).filter((fields) => /^\S+ \S+ (?:installed|triggers-pending|triggers-awaited|half-configured|unpacked)$/.test(fields.get("status") ?? "")));
}

/** Packages of stanzas that belong together, sorted. @param versioned whether there may be several versions of one */
export function packagesOf(all: readonly Fields[], versioned: boolean = false): readonly Package[] {
  const id = (fields: Fields): string => idOf({ name: fields.get("package")!, arch: fields.get("architecture")!, version: fields.get("version")!, versioned });
  const byName = new Map<string, string>();
  for (const fields of all) for (const [provided] of alternatives(fields.get("provides"))) if (!byName.has(provided!)) byName.set(provided!, id(fields));
  // A package itself comes before who merely provides its name.
  for (const fields of all) byName.set(fields.get("package")!, id(fields));
  return all.map((fields): Package => {
    const name = fields.get("package")!, version = fields.get("version")!, arch = fields.get("architecture")!;
    const source = /^(\S+)(?: \((\S+)\))?$/.exec(fields.get("source") ?? name);
    const needs = [...alternatives(fields.get("pre-depends")), ...alternatives(fields.get("depends"))]
      .flatMap((group) => group.map((one) => byName.get(one)).find((one) => one !== undefined) ?? [])
      .filter((one) => one !== id(fields));
    const maintainer = fields.get("maintainer"), homepage = fields.get("homepage"), summary = fields.get("description")?.split("\n")[0];
    return {
      name, version, arch,
      source: { name: source?.[1] ?? name, version: source?.[2] ?? version },
      ...(maintainer === undefined ? {} : { maintainer }),
      ...(homepage === undefined ? {} : { homepage }),
      ...(summary === undefined ? {} : { summary }),
      needs: [...new Set(needs)].sort(),
      ...(versioned ? { versioned } : {}),
    };
  }).sort(byId);
}

/** Order of packages. */
export function byId(a: Package, b: Package): number {
  return idOf(a) < idOf(b) ? -1 : 1;
}

/** A component of a purl, percent-encoded; colons stay, as the specification has it. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll("%3A", ":");
}

/**
 * The package URL of a package. That of an RPM has the epoch as a qualifier.
 * Source: purl-spec, types `deb` and `rpm`.
 *
 * @example
 * ```ts
 * purlOf({ name: "libstdc++6", version: "12.2.0-14", arch: "amd64" }, { id: "debian", version: "12" });
 * // "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12"
 * ```
 */
export function purlOf({ format = "deb", name, version, arch }: Pick<Package, "format" | "name" | "version" | "arch">, system: { readonly id: string; readonly version?: string }): string {
  const [, epoch, rest] = (format === "rpm" ? /^(\d+):(.*)$/s.exec(version) : null) ?? [undefined, undefined, version];
  const qualifiers = [
    ...(arch === "" ? [] : [`arch=${encoded(arch)}`]),
    ...(system.version === undefined ? [] : [`distro=${encoded(`${system.id}-${system.version}`)}`]),
    ...(epoch === undefined ? [] : [`epoch=${epoch}`]),
  ];
  return `pkg:${format}/${encoded(system.id)}/${encoded(name)}@${encoded(rest!)}${qualifiers.length === 0 ? "" : `?${qualifiers.join("&")}`}`;
}
