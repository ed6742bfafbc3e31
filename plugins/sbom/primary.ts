/**
 * Reads the list of packages of an RPM repository, `repodata/…-primary.xml`, as it comes: it may be large, and hostile.
 * Source: createrepo_c's own output, and its documentation of the format.
 * @module
 */
import { SaxesParser } from "saxes";
import type { RpmPackage } from "./rpm.ts";

/** A package, and where it stands. */
export interface ListedRpm extends RpmPackage {
  /** Path below the repository. */
  readonly href: string;
}

/** Longest text of an element that is kept. */
const longest = 16_384;

/** Elements whose text is wanted, as fields. */
const texts: Readonly<Record<string, "name" | "arch" | "summary" | "packager" | "url" | "licence" | "sourceRpm">> = {
  name: "name", arch: "arch", summary: "summary", packager: "packager", url: "url", "rpm:license": "licence", "rpm:sourcerpm": "sourceRpm",
};

type Draft = { -readonly [K in keyof ListedRpm]: ListedRpm[K] extends string ? string : string[] };

/**
 * Packages of a primary list.
 *
 * @param chunks its text, uncompressed.
 * @param most packages that are taken.
 * @throws {Error} when it is no XML, or has more packages.
 */
export async function parsePrimary(chunks: AsyncIterable<string>, most: number): Promise<readonly ListedRpm[]> {
  const packages: ListedRpm[] = [];
  const parser = new SaxesParser();
  let draft: Draft | undefined, element = "", entries: string[] | undefined;
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) => {
    element = name;
    if (name === "package") {
      if (packages.length >= most) throw new Error(`more than ${most} packages`);
      draft = { name: "", epoch: "", version: "", release: "", arch: "", sourceRpm: "", licence: "", packager: "", url: "", summary: "", href: "", requires: [], provides: [] };
    }
    if (draft === undefined) return;
    const of = (attribute: string): string => String(attributes[attribute] ?? "");
    if (name === "version") Object.assign(draft, { epoch: of("epoch"), version: of("ver"), release: of("rel") });
    else if (name === "location") draft.href = of("href");
    else if (name === "rpm:requires") entries = draft.requires;
    else if (name === "rpm:provides") entries = draft.provides;
    else if (name === "rpm:entry") entries?.push(of("name"));
  });
  parser.on("text", (text) => {
    const field = texts[element];
    if (draft !== undefined && field !== undefined && draft[field].length < longest) draft[field] = `${draft[field]}${text}`.slice(0, longest);
  });
  parser.on("closetag", ({ name }) => {
    element = "";
    if (name === "rpm:requires" || name === "rpm:provides") entries = undefined;
    if (name !== "package" || draft === undefined) return;
    packages.push(draft);
    draft = undefined;
  });
  for await (const chunk of chunks) parser.write(chunk);
  parser.close();
  return packages;
}
