/**
 * Reads lists of checksums, strictly, and finds an image in them, the newest one where the version is open. Pure.
 * Whether a list is to be trusted is not asked here.
 * @module
 */
import { type ChecksumList, ExitCode, ImgtaskError, type ImageName } from "../../lib/mod.ts";
import { printable } from "./mirror.ts";

/** What a list says of one file. */
export interface Listed {
  /** Name of the file, without a directory. */
  readonly name: string;
  /** Lower case. */
  readonly digest: string;
  /** In bytes, where the list says it (`# NAME: 123 bytes`). */
  readonly size?: number;
}

/** An image that was found in a list. */
export interface Found extends Listed {
  /** The version in its name, where one was open. */
  readonly version?: string;
}

const digits = { sha256: 64, sha512: 128 } as const;

function malformed(list: ChecksumList, line: number, found: string): never {
  throw new ImgtaskError("IMG4043", `Line ${line} of ${list.file} is no entry of a list of checksums`, {
    expected: list.form === "gnu" ? "HEX, two blanks or a blank and a star, and a file name" : `${list.algorithm.toUpperCase()} (NAME) = HEX, or a comment`,
    found: printable(found, 80),
    exitCode: ExitCode.refused,
  });
}

/**
 * Reads a list.
 *
 * GNU form: each line is `HEX  NAME` or `HEX *NAME`. BSD form: each line is `SHA256 (NAME) = HEX`, the same of another
 * algorithm (passed over), empty, or a comment; `# NAME: N bytes` tells a size.
 *
 * @throws {ImgtaskError} IMG4043 for a line of another form, IMG4044 when a name is listed with two digests.
 */
export function parseList(text: string, list: ChecksumList): readonly Listed[] {
  const length = digits[list.algorithm];
  const found = new Map<string, Listed>(), sizes = new Map<string, number>();
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const [index, line] of lines.entries()) {
    // oxlint-disable-next-line no-control-regex
    if (/[\x00-\x1f\x7f]/.test(line)) malformed(list, index + 1, line);
    let name: string, digest: string;
    if (list.form === "gnu") {
      const match = /^([0-9a-f]+) [ *](?:\.\/)?([^ \\/][^\\/]*)$/.exec(line);
      if (match === null || match[1]!.length !== length) malformed(list, index + 1, line);
      [digest, name] = [match[1]!, match[2]!];
    } else {
      const size = /^# ([^ ]+): (\d{1,15}) bytes$/.exec(line);
      if (size !== null) sizes.set(size[1]!, Number(size[2]));
      if (line === "" || line.startsWith("#")) continue;
      const match = /^([A-Z0-9]+) \(([^ ()/\\]+)\) = ([0-9a-f]+)$/.exec(line);
      if (match === null) malformed(list, index + 1, line);
      if (match[1] !== list.algorithm.toUpperCase()) continue;
      if (match[3]!.length !== length) malformed(list, index + 1, line);
      [name, digest] = [match[2]!, match[3]!];
    }
    const before = found.get(name);
    if (before !== undefined && before.digest !== digest) {
      throw new ImgtaskError("IMG4044", `${list.file} lists "${printable(name)}" twice, with different digests`, {
        expected: "one digest a file",
        found: `${before.digest} and ${digest}`,
        exitCode: ExitCode.refused,
      });
    }
    found.set(name, { name, digest });
  }
  return [...found.values()].map((one) => (sizes.has(one.name) ? { ...one, size: sizes.get(one.name)! } : one));
}

/**
 * The entries in a text that may hold anything else as well: to know what to bring, before anything is verified.
 * Never throws; of two entries of one name the first counts.
 */
export function scanList(text: string, list: ChecksumList): readonly Listed[] {
  const found = new Map<string, Listed>();
  let comment = "";
  for (const line of text.split(/\r?\n/)) {
    try {
      // With the comment before it, which may tell the size.
      for (const one of parseList(`${comment}${line}`, list)) if (!found.has(one.name)) found.set(one.name, one);
    } catch {
      // No entry.
    }
    comment = list.form === "bsd" && line.startsWith("#") ? `${line}\n` : "";
  }
  return [...found.values()];
}

/** Compares versions as `24.04.3`, `42-1.1` or `2025.1a` by their numbers, then letters; negative when `a` is older. */
export function compareImageVersions(a: string, b: string): number {
  const parts = (version: string): readonly string[] => version.match(/\d+|[a-z]+/g) ?? [];
  const left = parts(a), right = parts(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const x = left[i], y = right[i];
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    const difference = /^\d/.test(x) && /^\d/.test(y) ? Number(x) - Number(y) : x < y ? -1 : x > y ? 1 : 0;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The version in a file name, `""` where the name has none and needs none; `undefined` for another file. */
export function versionIn(file: string, { name, version }: ImageName): string | undefined {
  const at = name.indexOf("{version}");
  if (at < 0) return file === name ? "" : undefined;
  const head = name.slice(0, at), tail = name.slice(at + "{version}".length);
  if (file.length <= head.length + tail.length || !file.startsWith(head) || !file.endsWith(tail)) return undefined;
  const found = file.slice(head.length, file.length - tail.length);
  if (!/^\d+(?:[.-]\d+)*[a-z]?$/.test(found)) return undefined;
  const rest = version === undefined ? "" : found.startsWith(version) ? found.slice(version.length) : undefined;
  return rest !== undefined && /^(?:[.-].*|[a-z])?$/.test(rest) ? found : undefined;
}

/** The image that is wanted among those that are listed: of several versions the newest. */
export function findImage(listed: readonly Listed[], image: ImageName): Found | undefined {
  let best: Found | undefined;
  for (const one of listed) {
    const version = versionIn(one.name, image);
    if (version === undefined) continue;
    if (best === undefined || compareImageVersions(version, best.version ?? "") > 0) best = version === "" ? one : { ...one, version };
  }
  return best;
}
