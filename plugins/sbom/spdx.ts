/**
 * An inventory as an SPDX document, version 2.3, JSON. Deterministic: names and identifiers follow from the content.
 * Pure. Source: the SPDX specification 2.3 and its JSON schema.
 * @module
 */
import { createHash } from "node:crypto";
import { type Component, type Inventory, sentenceOf } from "./inventory.ts";
import { idOf, purlOf } from "./packages.ts";

/** What a document says of itself. */
export interface About {
  /** Name of the image. */
  readonly name: string;
  /** SHA-256 of what was looked at. */
  readonly sha256: string;
  /** Seconds since 1970 that stand in the document. */
  readonly epoch: number;
  /** Version of imgtask. */
  readonly tool: string;
}

/** A UUID that follows from a text (version 8: of one's own making). */
export function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${"89ab"[Number.parseInt(hex[16]!, 16) & 3]}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Seconds since 1970 as SPDX writes them. */
function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}

/** "Person: Name (address)", or "Organization: …": a maintainer's address does not say which. */
function supplier(maintainer: string | undefined): string {
  const match = /^\s*"?(.+?)"?\s*<([^<>]+)>\s*$/.exec(maintainer ?? "");
  if (match === null) return "NOASSERTION";
  return `${/\b(?:team|maintainers?|developers|group|project|packagers)\b/i.test(match[1]!) ? "Organization" : "Person"}: ${match[1]!} (${match[2]!})`;
}

function identifier(one: Component): string {
  const id = idOf(one), text = `SPDXRef-${one.format ?? "deb"}-${id.replaceAll("+", ".plus.").replaceAll(/[^A-Za-z0-9.-]/g, "-")}`;
  // Versions differ in characters that an identifier cannot have.
  return one.versioned === true ? `${text}-${createHash("sha256").update(id).digest("hex").slice(0, 8)}` : text;
}

/** The text of the document. */
export function spdxDocument(inventory: Inventory, about: About): string {
  const { system, packages, coverage } = inventory;
  const image = "SPDXRef-image";
  const ids = new Map(packages.map((one) => [idOf(one), identifier(one)]));
  const others = new Map(packages.flatMap(({ licence }) => licence?.others ?? []).map((one) => [one.id, one]));
  const body = {
    packages: [
      {
        SPDXID: image,
        name: about.name,
        versionInfo: system.version ?? system.codename ?? "rolling",
        summary: system.title,
        ...(coverage === undefined ? {} : { comment: sentenceOf(coverage) }),
        primaryPackagePurpose: coverage === undefined ? "OPERATING_SYSTEM" : "INSTALL",
        supplier: "NOASSERTION",
        downloadLocation: "NOASSERTION",
        filesAnalyzed: false,
        licenseConcluded: "NOASSERTION",
        licenseDeclared: "NOASSERTION",
        copyrightText: "NOASSERTION",
        checksums: [{ algorithm: "SHA256", checksumValue: about.sha256 }],
      },
      ...packages.map((one) => ({
        SPDXID: ids.get(idOf(one))!,
        name: one.name,
        versionInfo: one.version,
        ...(one.summary === undefined ? {} : { summary: one.summary }),
        supplier: supplier(one.maintainer),
        downloadLocation: "NOASSERTION",
        ...(one.homepage === undefined ? {} : { homepage: one.homepage }),
        filesAnalyzed: false,
        licenseConcluded: "NOASSERTION",
        licenseDeclared: one.licence?.expression ?? "NOASSERTION",
        copyrightText: "NOASSERTION",
        sourceInfo: `built from source package ${one.source.name} ${one.source.version}`,
        externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purlOf(one, system) }],
      })),
    ],
    ...(others.size === 0 ? {} : {
      hasExtractedLicensingInfos: [...others.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ id, name, text }) => ({ licenseId: id, name, extractedText: text })),
    }),
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: image },
      ...packages.map((one) => ({ spdxElementId: image, relationshipType: "CONTAINS", relatedSpdxElement: ids.get(idOf(one))! })),
      ...packages.flatMap((one) => one.needs.map((need) => ({ spdxElementId: ids.get(idOf(one))!, relationshipType: "DEPENDS_ON", relatedSpdxElement: ids.get(need)! }))),
    ],
  };
  const head = { spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: about.name };
  const creationInfo = { created: time(about.epoch), creators: [`Tool: imgtask-${about.tool}`] };
  const unique = uuidOf(JSON.stringify([head, creationInfo, body]));
  return `${JSON.stringify({ ...head, documentNamespace: `https://spdx.org/spdxdocs/${about.name.replaceAll(/[^A-Za-z0-9._-]/g, "-")}-${unique}`, creationInfo, ...body }, null, 1)}\n`;
}
