/**
 * Lists of checksums that vendors put on their media, kept true when files change. Pure: text in, text out.
 *
 * Formats: `md5sum.txt` as md5sum prints it, with `./` before the path; `.treeinfo` as productmd writes it, an INI file
 * with lines `PATH = sha256:HEX` in the section `[checksums]`.
 * @module
 */
import { createHash } from "node:crypto";

/** `md5sum.txt` with other lines for files that changed, and lines for those that are new. */
export function updateMd5sums(text: string, changed: ReadonlyMap<string, Uint8Array>): string {
  const left = new Map([...changed].map(([path, bytes]) => [path, createHash("md5").update(bytes).digest("hex")]));
  const kept = text.split("\n").map((line) => {
    const path = /^[0-9a-f]{32}[ *]+\.(\/.+)$/.exec(line)?.[1];
    const digest = path === undefined ? undefined : left.get(path);
    if (path === undefined || digest === undefined) return line;
    left.delete(path);
    return `${digest}  .${path}`;
  });
  const added = [...left].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, digest]) => `${digest}  .${path}`);
  return `${[...kept.join("\n").replace(/\n*$/, "").split("\n"), ...added].join("\n")}\n`;
}

/** `.treeinfo` with other digests for files that changed. */
export function updateTreeinfo(text: string, changed: ReadonlyMap<string, Uint8Array>): string {
  let section = "";
  return text.split("\n").map((line) => {
    section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1] ?? section;
    const [, head, path, algorithm] = /^(\s*(\S.*?)\s*=\s*)(sha256|sha1|md5):[0-9a-f]+\s*$/.exec(line) ?? [];
    const bytes = section === "checksums" ? changed.get(`/${path}`) : undefined;
    return head === undefined || algorithm === undefined || bytes === undefined ? line : `${head}${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  }).join("\n");
}
