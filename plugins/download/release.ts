/**
 * Reads a Release file and a Packages index of an archive in Debian's repository format.
 * Parses text that may be hostile; knows nothing of signatures and fetches nothing.
 * @module
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";
import { printable } from "./mirror.ts";

/** Size and digest that a list gives for a file. */
export interface Entry {
  /** SHA-256, 64 hex digits, lower case. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** What a Release file says. */
export interface ReleaseFile {
  /** Single-line fields by lower-case name: `codename`, `date` … */
  readonly fields: ReadonlyMap<string, string>;
  /** Files listed under `SHA256:`, by path. */
  readonly files: ReadonlyMap<string, Entry>;
}

/** A package as an index lists it. */
export interface PackageEntry extends Entry {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Path below the mirror. */
  readonly filename: string;
}

/** The text that a clearsigned message claims to hold, its signature NOT checked; other text as it is. */
export function unverifiedText(text: string): string {
  const match = /^-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n([\s\S]*?)\r?\n-----BEGIN PGP SIGNATURE-----/.exec(text);
  return match?.[1] ?? text;
}

const digestLine = /^ ([0-9a-f]{64}) +(\d{1,15}) +(\S+)$/;

/** Whether a path of a list stays below the mirror and means the same everywhere. */
export function isPlainPath(path: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+~:@=-]*(\/[A-Za-z0-9._+~:@=-]+)*$/.test(path) && !path.split("/").some((part) => part === ".." || part === ".");
}

/** Parses the text of a Release file. Never throws: what is missing is missing from the result. */
export function parseRelease(text: string): ReleaseFile {
  const fields = new Map<string, string>();
  const files = new Map<string, Entry>();
  let list = "";
  for (const line of text.split("\n")) {
    const field = /^([A-Za-z0-9-]+):[ \t]*(.*?)[ \t\r]*$/.exec(line);
    if (field !== null) {
      list = field[1]!.toLowerCase();
      // The first one counts, so that nothing can be put behind it.
      if (!fields.has(list)) fields.set(list, field[2]!);
      else list = "";
    } else if (list === "sha256") {
      const entry = digestLine.exec(line.trimEnd());
      if (entry !== null && !files.has(entry[3]!)) files.set(entry[3]!, { sha256: entry[1]!, size: Number(entry[2]) });
    }
  }
  return { fields, files };
}

/** Names of the forms of an index, best first. The uncompressed one is listed even where it cannot be fetched. */
export const indexForms = ["Packages.xz", "Packages.gz", "Packages"] as const;

/** One of {@linkcode indexForms}. */
export type IndexForm = (typeof indexForms)[number];

/**
 * All entries of one package in an uncompressed Packages file.
 *
 * @throws {ImgtaskError} IMG4021 when an entry of that name is malformed.
 */
export async function findPackages(file: string, name: string): Promise<readonly PackageEntry[]> {
  const found: PackageEntry[] = [];
  let fields: Map<string, string> | undefined;
  const finish = (): void => {
    if (fields !== undefined) found.push(toEntry(name, fields));
    fields = undefined;
  };
  const lines = createInterface({ input: createReadStream(file, "utf8"), crlfDelay: Infinity });
  for await (const line of lines) {
    if (line.startsWith("Package:")) {
      finish();
      if (line.slice(8).trim() === name) fields = new Map();
    } else if (line === "") finish();
    else if (fields !== undefined) {
      const field = /^([A-Za-z0-9-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
      if (field !== null && !fields.has(field[1]!.toLowerCase())) fields.set(field[1]!.toLowerCase(), field[2]!);
    }
  }
  finish();
  return found;
}

function toEntry(name: string, fields: ReadonlyMap<string, string>): PackageEntry {
  const version = fields.get("version") ?? "", architecture = fields.get("architecture") ?? "";
  const filename = (fields.get("filename") ?? "").replace(/^\.\//, "");
  const sha256 = fields.get("sha256") ?? "", size = fields.get("size") ?? "";
  const check = (ok: boolean, what: string, value: string, expected: string): void => {
    if (ok) return;
    throw new ImgtaskError("IMG4021", `The index lists "${name}" with a bad ${what}`, { expected, found: `"${printable(value)}"`, exitCode: ExitCode.refused });
  };
  check(/^[0-9A-Za-z.+:~-]+$/.test(version), "version", version, "a version number");
  check(/^[a-z0-9-]+$/.test(architecture), "architecture", architecture, "an architecture's name");
  check(isPlainPath(filename), "file name", filename, `a path below the mirror, without ".."`);
  check(/^[0-9a-f]{64}$/.test(sha256), "SHA-256", sha256, "64 hex digits");
  check(/^\d{1,15}$/.test(size), "size", size, "a number of bytes");
  return { name, version, architecture, filename, sha256, size: Number(size) };
}
