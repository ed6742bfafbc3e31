/**
 * The packages of a dpkg database, as data: what `var/lib/dpkg/status` says is installed, and what of it needs what.
 * Pure. The format is that of deb-control(5) and dpkg's own status file.
 * @module
 */

/** An installed package. */
export interface Package {
  readonly name: string;
  readonly version: string;
  /** As the distribution calls it: `amd64`, or `all`. */
  readonly arch: string;
  /** Source package that it was built from. */
  readonly source: { readonly name: string; readonly version: string };
  /** `Name <address>`. */
  readonly maintainer?: string;
  readonly homepage?: string;
  /** First line of the description. */
  readonly summary?: string;
  /** Names of installed packages that it needs, sorted: `name:arch`, as {@linkcode idOf} has it. */
  readonly needs: readonly string[];
}

/** What tells an installed package from all others of an image. */
export function idOf({ name, arch }: Pick<Package, "name" | "arch">): string {
  return `${name}:${arch}`;
}

type Fields = ReadonlyMap<string, string>;

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
  const installed = stanzas(text).filter((fields) => /^\S+ \S+ (?:installed|triggers-pending|triggers-awaited|half-configured|unpacked)$/.test(fields.get("status") ?? ""));
  const byName = new Map<string, string>();
  for (const fields of installed) {
    const id = `${fields.get("package")}:${fields.get("architecture")}`;
    for (const [provided] of alternatives(fields.get("provides"))) if (!byName.has(provided!)) byName.set(provided!, id);
  }
  // A package itself comes before who merely provides its name.
  for (const fields of installed) byName.set(fields.get("package")!, `${fields.get("package")}:${fields.get("architecture")}`);
  return installed.map((fields): Package => {
    const name = fields.get("package")!, version = fields.get("version")!, arch = fields.get("architecture")!;
    const source = /^(\S+)(?: \((\S+)\))?$/.exec(fields.get("source") ?? name);
    const needs = [...alternatives(fields.get("pre-depends")), ...alternatives(fields.get("depends"))]
      .flatMap((group) => group.map((one) => byName.get(one)).find((one) => one !== undefined) ?? [])
      .filter((id) => id !== `${name}:${arch}`);
    const maintainer = fields.get("maintainer"), homepage = fields.get("homepage"), summary = fields.get("description")?.split("\n")[0];
    return {
      name, version, arch,
      source: { name: source?.[1] ?? name, version: source?.[2] ?? version },
      ...(maintainer === undefined ? {} : { maintainer }),
      ...(homepage === undefined ? {} : { homepage }),
      ...(summary === undefined ? {} : { summary }),
      needs: [...new Set(needs)].sort(),
    };
  }).sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

/** A component of a purl, percent-encoded; colons stay, as the specification has it. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll("%3A", ":");
}

/**
 * The package URL of a Debian package.
 * Source: purl-spec, type `deb`.
 *
 * @example
 * ```ts
 * purlOf({ name: "libstdc++6", version: "12.2.0-14", arch: "amd64" }, { id: "debian", version: "12" });
 * // "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12"
 * ```
 */
export function purlOf({ name, version, arch }: Pick<Package, "name" | "version" | "arch">, system: { readonly id: string; readonly version?: string }): string {
  const distro = system.version === undefined ? "" : `&distro=${encoded(`${system.id}-${system.version}`)}`;
  return `pkg:deb/${encoded(system.id)}/${encoded(name)}@${encoded(version)}?arch=${encoded(arch)}${distro}`;
}
