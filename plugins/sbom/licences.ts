/**
 * Licences of Debian packages, from machine-readable copyright files, as SPDX expressions.
 * Pure. Source: the "Machine-readable debian/copyright file" format 1.0, and the SPDX specification 2.3, annex D.
 * @module
 */
import { createHash } from "node:crypto";
import { stanzas } from "./packages.ts";

/** A licence that the SPDX list lacks, under a name of its own. */
export interface OtherLicence {
  /** `LicenseRef-…`. */
  readonly id: string;
  /** As the copyright file calls it. */
  readonly name: string;
  readonly text: string;
}

/** What a copyright file declares. */
export interface Licensing {
  /** An SPDX expression. */
  readonly expression: string;
  readonly others: readonly OtherLicence[];
}

/** Short names of Debian's format that SPDX calls otherwise. */
const renamed: Readonly<Record<string, string>> = {
  "apache-2": "Apache-2.0", "artistic": "Artistic-1.0-Perl", "artistic-2": "Artistic-2.0",
  "bsd-2": "BSD-2-Clause", "bsd-3": "BSD-3-Clause", "bsd-4": "BSD-4-Clause",
  "cc0": "CC0-1.0", "expat": "MIT", "mpl-1.1": "MPL-1.1", "mpl-2": "MPL-2.0",
  "python-2": "Python-2.0", "zlib/libpng": "Zlib",
};

/** The GNU licences, whose names say "or later" by a `+`: `GPL-2+`, `LGPL-2.1`, `GFDL-NIV-1.3+`. */
function gnu(name: string): string | undefined {
  const match = /^(GPL|LGPL|AGPL|GFDL)(-NIV)?-(\d+)(?:\.(\d+))?(\+)?$/i.exec(name);
  if (match === null) return undefined;
  const [, family, invariant, major, minor = "0", later] = match;
  return `${family!.toUpperCase()}-${major}.${minor}${invariant === undefined ? "" : "-no-invariants"}-${later === undefined ? "only" : "or-later"}`;
}

/** What the licence list is asked: the name in its own spelling, or `undefined`. */
export type KnownLicence = (name: string) => string | undefined;

function reference(name: string, text: string): OtherLicence {
  const slug = name.replaceAll(/[^A-Za-z0-9.-]+/g, "-").replaceAll(/^-+|-+$/g, "").slice(0, 60) || "other";
  return { id: `LicenseRef-${slug}-${createHash("sha256").update(text).digest("hex").slice(0, 8)}`, name, text };
}

/**
 * What a copyright file declares for the package as a whole: every licence of its stanzas must be complied with.
 *
 * @param known the SPDX licence list
 * @returns `undefined` when it is not machine-readable, or names no licence
 */
export function licensing(text: string, known: KnownLicence): Licensing | undefined {
  const parts = stanzas(text);
  if (!/^https?:\/\/.*\bcopyright-format\/1\.0\/?$/.test(parts[0]?.get("format")?.trim() ?? "")) return undefined;
  const texts = new Map<string, string>();
  const declared: string[] = [];
  for (const fields of parts) {
    const licence = fields.get("license");
    if (licence === undefined) continue;
    const [first, ...rest] = licence.split("\n");
    const name = first!.trim();
    if (rest.length > 0 && !texts.has(name.toLowerCase())) texts.set(name.toLowerCase(), rest.map((line) => (line.trim() === "." ? "" : line)).join("\n"));
    if (name !== "" && (fields.has("files") || fields === parts[0])) declared.push(name);
  }
  if (declared.length === 0) return undefined;
  const others = new Map<string, OtherLicence>();
  const one = (name: string): string => {
    const bare = name.trim();
    const found = gnu(bare);
    const id = (found === undefined ? undefined : known(found)) ?? known(renamed[bare.toLowerCase()] ?? bare);
    if (id !== undefined) return id;
    const other = reference(bare, texts.get(bare.toLowerCase()) ?? `See the package's copyright file, "${bare}"`);
    others.set(other.id, other);
    return other.id;
  };
  // "and" binds tighter than "or", unless a comma stands before it: "A or B, and C".
  const part = (text: string): string => {
    const choices = [...new Set(text.split(/\s+or\s+/i).map((choice) => [...new Set(choice.split(/\s+and\s+/i).map(one))].join(" AND ")))];
    return choices.length === 1 ? choices[0]! : `(${choices.join(" OR ")})`;
  };
  const all = new Set(declared.flatMap((name) => name.split(/,\s*and\s+|,\s+/i).flatMap((text) => (/\sor\s/i.test(text) ? [part(text)] : text.split(/\s+and\s+/i).map(one)))));
  return { expression: [...all].sort().join(" AND "), others: [...others.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) };
}
