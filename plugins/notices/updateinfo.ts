/**
 * Reads `repomd.xml` and `updateinfo.xml` of RPM repositories, as they come, without holding more than the notices. Hostile input
 * is refused: no document types, no entities of its own, bounded in every direction. Fetches nothing.
 * Sources: createrepo_c's writer, libsolv's reader (`repo_updateinfoxml.c`).
 * @module
 */
import { SaxesParser } from "saxes";
import type { NoticePackage } from "../../lib/mod.ts";
import type { Published } from "./choose.ts";
import { cvesIn, dayOf, idOf, lineOf, linkOf, malformed, mostNotices, packageOf, severityOf, streamOf } from "./words.ts";

/** Most characters of one text that is kept, and most packages of a notice. */
const mostText = 10_000, mostPackages = 20_000, deepest = 32;

/** What a reader is told of an element. */
interface Handler {
  open(path: string, attributes: Readonly<Record<string, string>>): void;
  /** Text of an element that `wants` asked for. */
  close(path: string, text: string): void;
  wants(path: string): boolean;
}

/** Reads a document; paths are `updates/update/id`. */
async function readXml(chunks: AsyncIterable<string | Buffer>, what: string, handler: Handler): Promise<void> {
  const parser = new SaxesParser({ xmlns: false, position: false });
  const path: string[] = [];
  let text = "";
  parser.on("error", (error) => {
    throw malformed(what, "well-formed XML", error.message);
  });
  parser.on("doctype", () => {
    throw malformed(what, "no document type", "<!DOCTYPE");
  });
  parser.on("opentag", ({ name, attributes }) => {
    path.push(name);
    if (path.length > deepest) throw malformed(what, `at most ${deepest} elements within each other`, "more");
    text = "";
    handler.open(path.join("/"), attributes);
  });
  const more = (part: string): void => {
    if (handler.wants(path.join("/")) && (text += part).length > mostText) throw malformed(what, `at most ${mostText} characters`, path.join("/"));
  };
  parser.on("text", more);
  parser.on("cdata", more);
  parser.on("closetag", () => {
    handler.close(path.join("/"), text);
    path.pop();
    text = "";
  });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of chunks) parser.write(typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true }));
    parser.write(decoder.decode());
  } catch (error) {
    throw error instanceof TypeError ? malformed(what, "UTF-8", "other bytes") : error;
  }
  parser.close();
}

/** A file that `repomd.xml` lists. */
export interface RepositoryFile {
  /** Path below the repository. */
  readonly path: string;
  /** 64 hex digits, lower case. */
  readonly sha256: string;
  readonly size: number;
  /** Bytes when it is unpacked. @default it is not said */
  readonly openSize?: number;
}

/** The file of notices that `repomd.xml` lists; `undefined` when it lists none. */
export async function readRepomd(text: string, what: string): Promise<RepositoryFile | undefined> {
  let type: string | undefined, entry: Record<string, string> = {}, found: RepositoryFile | undefined;
  async function* once(): AsyncIterable<string> {
    yield text;
  }
  await readXml(once(), what, {
    open(path, attributes) {
      if (path === "repomd/data") [type, entry] = [attributes["type"], {}];
      if (path === "repomd/data/location") entry["path"] = attributes["href"] ?? "";
      if (path === "repomd/data/checksum") entry["algorithm"] = attributes["type"] ?? "";
    },
    wants: (path) => ["repomd/data/checksum", "repomd/data/size", "repomd/data/open-size"].includes(path),
    close(path, content) {
      const name = /^repomd\/data\/(checksum|size|open-size)$/.exec(path)?.[1];
      if (name !== undefined) entry[name] = content.trim();
      if (path !== "repomd/data" || type !== "updateinfo" || found !== undefined) return;
      const { path: place = "", algorithm, checksum = "", size = "", "open-size": openSize = "" } = entry;
      if (!/^repodata\/[A-Za-z0-9][A-Za-z0-9._-]*$/.test(place) || algorithm !== "sha256" || !/^[0-9a-f]{64}$/.test(checksum) || !/^\d{1,12}$/.test(size)) {
        throw malformed(what, "updateinfo by a path in repodata/, its size and SHA-256", `${place} ${algorithm ?? "none"} ${size}`);
      }
      found = { path: place, sha256: checksum, size: Number(size), ...(/^\d{1,12}$/.test(openSize) ? { openSize: Number(openSize) } : {}) };
    },
  });
  return found;
}

/**
 * Reads the security notices of an `updateinfo.xml`; other updates are passed over, as are retracted ones.
 *
 * @param link page of a notice, see `NoticeSource`.
 * @throws {ImgtaskError} IMG4081 when it is no such file.
 */
export async function readUpdateinfo(chunks: AsyncIterable<string | Buffer>, what: string, link: string): Promise<readonly Published[]> {
  const notices: Published[] = [];
  let fields: Record<string, string> = {}, packages: NoticePackage[] = [], references: string[] = [], isSecurity = false, root: string | undefined, count = 0, stream: string | undefined;
  const texts = new Set(["id", "title", "severity", "issued"].map((name) => `updates/update/${name}`));
  await readXml(chunks, what, {
    open(path, attributes) {
      root ??= path;
      if (path === "updates/update") {
        if (++count > mostNotices) throw malformed(what, `at most ${mostNotices} updates`, "more");
        [fields, packages, references] = [{}, [], []];
        isSecurity = attributes["type"] === "security" && attributes["status"] !== "retracted";
      }
      if (path === "updates/update/issued" && attributes["date"] !== undefined) fields["date"] = attributes["date"];
      if (!isSecurity) return;
      if (path === "updates/update/references/reference" && attributes["type"] === "cve" && references.length < 1000) references.push(`${attributes["id"] ?? ""} ${attributes["title"] ?? ""}`.slice(0, 200));
      if (path === "updates/update/pkglist/collection") stream = undefined;
      // It stands before the packages of its collection.
      if (path === "updates/update/pkglist/collection/module") stream = streamOf(attributes["name"], attributes["stream"]) ?? "?";
      if (path === "updates/update/pkglist/collection/package") {
        if (packages.length >= mostPackages) throw malformed(what, `at most ${mostPackages} packages of an update`, "more");
        const { name, epoch, version, release, arch } = attributes;
        const one = arch === "src" ? undefined : packageOf(name, version === undefined || release === undefined ? undefined : `${/^[1-9]\d{0,8}$/.test(epoch ?? "") ? `${epoch!}:` : ""}${version}-${release}`);
        if (one !== undefined) packages.push(stream === undefined ? one : { ...one, stream });
      }
    },
    wants: (path) => isSecurity && texts.has(path),
    close(path, content) {
      if (texts.has(path)) fields[path.slice("updates/update/".length)] = content;
      if (path !== "updates/update" || !isSecurity) return;
      const id = idOf(fields["id"] ?? "");
      if (id === undefined) throw malformed(what, "updates with an id", fields["id"] ?? "none");
      const severity = severityOf(fields["severity"] ?? ""), title = lineOf(fields["title"] ?? ""), date = dayOf(fields["date"] ?? fields["issued"]);
      notices.push({
        id,
        ...(severity === undefined ? {} : { severity }),
        ...(title === undefined ? {} : { title }),
        ...(date === undefined ? {} : { date }),
        packages,
        cves: cvesIn(references.join(" ")),
        link: linkOf(link, id),
      });
    },
  });
  if (root !== "updates") throw malformed(what, "a list of updates", root ?? "nothing");
  return notices;
}
