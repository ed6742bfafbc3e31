/**
 * What is in an image, as plain data: the system, its kernels, its packages with their licences. What SBOMs and the
 * manifest of published images are made of. Pure.
 * @module
 */
import { type KnownLicence, type Licensing, licensing } from "./licences.ts";
import { type Package, parseStatus } from "./packages.ts";

/** The operating system, as its os-release says. Source: os-release(5). */
export interface System {
  /** `ID`, or `linux` where it says none. */
  readonly id: string;
  /** `VERSION_ID`. Rolling releases have none. */
  readonly version?: string;
  /** `VERSION_CODENAME`. */
  readonly codename?: string;
  /** `PRETTY_NAME`. */
  readonly title: string;
}

/** An installed package and what its copyright file declares. */
export interface Component extends Package {
  /** `undefined`: there is no copyright file, or none that a machine can read. */
  readonly licence: Licensing | undefined;
}

/** What a list of a medium's packages is made of. */
export interface Coverage {
  /** What told it: paths on the medium, sorted. */
  readonly lists: readonly string[];
  /** What is not told, each a clause of a sentence. */
  readonly missing: readonly string[];
}

/** What is in an image. */
export interface Inventory {
  readonly system: System;
  /** What the list is good for, where it is not an installed system's: what told it, and what it leaves out. */
  readonly coverage?: Coverage;
  /** Releases as `uname -r` would print them, sorted. */
  readonly kernels: readonly string[];
  readonly packages: readonly Component[];
}

/** Content of the principal output of `sbom()`. */
export interface InventorySummary {
  readonly system: System;
  readonly kernels: readonly string[];
  /** @default an installed system's database of packages, all of it */
  readonly coverage?: Coverage;
  /** Number of packages. */
  readonly packages: number;
  /** How many of them declare their licences in a form that machines read. */
  readonly licensed: number;
}

/** Reads an os-release file. Quotes and escapes are as in a shell. */
export function parseSystem(text: string): System {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^([A-Z0-9_]+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s"'\\]*))\s*$/.exec(line);
    if (match !== null) values.set(match[1]!, match[2]?.replaceAll(/\\(["$`\\])/g, "$1") ?? match[3] ?? match[4] ?? "");
  }
  const id = values.get("ID") ?? "linux", version = values.get("VERSION_ID"), codename = values.get("VERSION_CODENAME");
  return {
    id,
    ...(version === undefined ? {} : { version }),
    ...(codename === undefined ? {} : { codename }),
    title: values.get("PRETTY_NAME") ?? values.get("NAME") ?? id,
  };
}

/** The files of an image that tell what is in it. */
export interface ImageFiles {
  readonly osRelease: string;
  /** `var/lib/dpkg/status`. */
  readonly status: string;
  /** Names in `boot/` that begin with `vmlinuz-`. */
  readonly kernels: readonly string[];
  /** Copyright file of a package, by its name. */
  copyright(name: string): string | undefined;
}

/** A coverage as a sentence, for documents. */
export function sentenceOf({ lists, missing }: Coverage): string {
  return `Packages that the medium carries, as it says itself in ${lists.join(", ")}. Not told: ${missing.join("; ")}.`;
}

/** Puts together what files of an image tell. */
export function inventoryOf(files: ImageFiles, known: KnownLicence): Inventory {
  const packages = parseStatus(files.status).map((one): Component => {
    const text = files.copyright(one.name);
    return { ...one, licence: text === undefined ? undefined : licensing(text, known) };
  });
  return { system: parseSystem(files.osRelease), kernels: files.kernels.map((name) => name.replace(/^vmlinuz-/, "")).sort(), packages };
}

/** What is told of an inventory without its packages. */
export function summaryOf({ system, kernels, packages, coverage }: Inventory): InventorySummary {
  return { system, kernels, ...(coverage === undefined ? {} : { coverage }), packages: packages.length, licensed: packages.filter(({ licence }) => licence !== undefined).length };
}
