/**
 * Lists of checksums in the form of GNU coreutils, as `sha256sum` writes and checks them: a digest, a blank, a blank or
 * `*`, a name. Pure; names with line breaks or backslashes, which that form escapes, are not taken.
 * @module
 */

/** One line. */
export interface Checksum {
  /** `/` between parts, relative to the list. */
  readonly name: string;
  /** SHA-256, 64 hex digits, small letters. */
  readonly sha256: string;
}

/** The text of a list, sorted by name. */
export function formatChecksums(list: readonly Checksum[]): string {
  return [...list].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, sha256 }) => `${sha256}  ${name}\n`).join("");
}

/**
 * Reads a list.
 *
 * @returns `undefined` when a line has another form or a name comes twice: then nothing of it is to be believed.
 */
export function parseChecksums(text: string): readonly Checksum[] | undefined {
  if (text !== "" && !text.endsWith("\n")) return undefined;
  const list: Checksum[] = [];
  const names = new Set<string>();
  for (const line of text.split("\n").slice(0, -1)) {
    const match = /^([0-9a-f]{64}) [ *]([^\\\x00-\x1f\x7f]+)$/.exec(line);
    if (match === null || names.has(match[2]!)) return undefined;
    names.add(match[2]!);
    list.push({ name: match[2]!, sha256: match[1]! });
  }
  return list;
}
