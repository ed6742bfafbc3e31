/**
 * Checks a published file by what stands beside it: signatures, list of checksums, manifest, SBOMs, attestations.
 * Offline; believes nothing but the keys it is given, and goes on after a refusal, so that all is named. Words nothing.
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type Attested, checkAttestations } from "./attestation.ts";
import { parseChecksums } from "./checksums.ts";
import { isImgtaskError } from "./error.ts";
import type { PublicKey } from "./minisign-key.ts";
import { type Signed, verifySignature } from "./minisign.ts";
import { checksumsName, manifestName, parseManifest, type PublishedArtifact } from "./publication.ts";

/** What came of one check. */
export interface Finding {
  /** File that was looked at, relative to the list of checksums. */
  readonly document: string;
  readonly outcome: "ok" | "refused" | "missing";
  /** Of what is not ok. */
  readonly code?: string;
  /** What was found out, or is wrong. */
  readonly what: string;
  readonly expected?: string;
  readonly found?: string;
}

/** Bytes beyond which a document is not read: none comes near. */
const documentLimit = 64 * 1024 ** 2;

/** A check that failed; what it says becomes a finding. */
class Refusal extends Error {
  readonly code: string;
  readonly expected: string | undefined;
  readonly found: string | undefined;
  constructor(code: string, message: string, expected?: string, found?: string) {
    super(message);
    this.code = code;
    this.expected = expected;
    this.found = found;
  }
}

async function digestsOf(path: string): Promise<{ readonly size: number; readonly sha256: string; readonly prehash: Buffer }> {
  const sha = createHash("sha256"), blake = createHash("blake2b512");
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    sha.update(chunk);
    blake.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: sha.digest("hex"), prehash: blake.digest() };
}

/** The directory above a file that holds the list of checksums. */
function placeOf(file: string): string {
  for (let directory = dirname(file), depth = 0; depth < 6; depth++, directory = dirname(directory)) {
    if (existsSync(join(directory, checksumsName))) return directory;
  }
  return dirname(file);
}

/** The documents of one place, and what they say of one file. */
class Inspection {
  readonly findings: Finding[] = [];
  readonly #place: string;
  readonly #keys: readonly PublicKey[];
  /** Digests by name, once the list is proven. */
  #listed: ReadonlyMap<string, string> | undefined;

  constructor(place: string, keys: readonly PublicKey[]) {
    this.#place = place;
    this.#keys = keys;
  }

  /** Makes a check; tells what it found out. `undefined`: it failed, and that is noted. */
  check<T>(document: string, what: string, body: () => T): T | undefined {
    try {
      const result = body();
      this.findings.push({ document, outcome: "ok", what });
      return result;
    } catch (error) {
      const known = error instanceof Refusal || isImgtaskError(error);
      const { code, message, expected, found } = known ? error : { code: "IMG4104", message: "It cannot be read", expected: undefined, found: error instanceof Error ? error.message : String(error) };
      this.findings.push({ document, outcome: code === "IMG4100" ? "missing" : "refused", code, what: message, ...(expected === undefined ? {} : { expected }), ...(found === undefined ? {} : { found }) });
      return undefined;
    }
  }

  /** The bytes of a document. @throws Refusal */
  read(name: string): Buffer {
    const path = join(this.#place, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) throw new Refusal("IMG4100", "It is not there");
    if (!stat.isFile() || stat.size > documentLimit) throw new Refusal("IMG4104", "It is no document", "a file of 64 MiB at most", stat.isFile() ? `${stat.size} bytes` : "something else than a file");
    return readFileSync(path);
  }

  /** Checks `NAME.minisig`, and that its comment names the file. */
  signature(name: string, signed: Signed, sha256: string): string | undefined {
    return this.check(`${name}.minisig`, "signed by a trusted key", () => {
      const text = this.read(`${name}.minisig`);
      const comment = verifySignature(signed, text, this.#keys, { file: basename(name) });
      const digest = comment.split("\t").find((part) => part.startsWith("sha256:"))?.slice(7);
      if (digest !== undefined && digest !== sha256) throw new Refusal("IMG4103", "The trusted comment names another digest", sha256, digest);
      return comment;
    });
  }

  /** Proves the list of checksums. */
  list(): void {
    let bytes: Buffer | undefined;
    const lines = this.check(checksumsName, "a list of checksums", () => {
      bytes = this.read(checksumsName);
      const parsed = parseChecksums(bytes.toString("utf8"));
      if (parsed === undefined) throw new Refusal("IMG4102", "It is no list of SHA-256 checksums", "lines as sha256sum writes them, each name once");
      return parsed;
    });
    if (bytes === undefined) return;
    const proven = this.signature(checksumsName, { bytes }, createHash("sha256").update(bytes).digest("hex"));
    if (proven !== undefined && lines !== undefined) this.#listed = new Map(lines.map(({ name, sha256 }) => [name, sha256]));
  }

  /** Whether a digest is the one of the proven list. @throws Refusal */
  compare(name: string, sha256: string): void {
    if (this.#listed === undefined) throw new Refusal("IMG4101", "No list that is proven names it", `a line in a signed "${checksumsName}"`);
    const expected = this.#listed.get(name);
    if (expected === undefined) throw new Refusal("IMG4101", "The list does not name it", `a line for "${name}"`);
    if (expected !== sha256) throw new Refusal("IMG4103", "Its bytes are not those of the list", expected, sha256);
  }

  /** A document with the bytes of the list. @throws Refusal */
  document(name: string): Buffer {
    const bytes = this.read(name);
    this.compare(name, createHash("sha256").update(bytes).digest("hex"));
    return bytes;
  }
}

/** The digest of the image that an SBOM says it is of. @throws Refusal */
function sbomOf(kind: "spdx" | "cyclonedx", bytes: Buffer): string {
  const value = JSON.parse(bytes.toString("utf8")) as Readonly<Record<string, any>>;
  const list = kind === "spdx" ? value["packages"] : value["components"];
  const form = kind === "spdx" ? value["spdxVersion"] === "SPDX-2.3" : value["bomFormat"] === "CycloneDX" && value["specVersion"] === "1.6";
  const digest: unknown = kind === "spdx" ? value["packages"]?.[0]?.checksums?.[0]?.checksumValue : value["metadata"]?.component?.hashes?.[0]?.content;
  if (!form || !Array.isArray(list) || list.length < (kind === "spdx" ? 2 : 1) || typeof digest !== "string") {
    throw new Refusal("IMG4106", "It is no SBOM", kind === "spdx" ? "SPDX 2.3 with packages" : "CycloneDX 1.6 with components");
  }
  return digest;
}

/** Checks the documents that the manifest names for a file. */
function checkDocuments(inspection: Inspection, entry: PublishedArtifact, keys: readonly PublicKey[]): void {
  const named = (kind: PublishedArtifact["documents"][number]["kind"]): string | undefined => entry.documents.find((one) => one.kind === kind)?.name;
  const statements = named("attestations");
  let attested: Attested | undefined;
  if (statements === undefined) inspection.check("attestations", "", () => { throw new Refusal("IMG4100", "The manifest names no attestation"); });
  else {
    const bytes = inspection.check(statements, "its bytes are those of the list", () => inspection.document(statements));
    if (bytes !== undefined) {
      attested = inspection.check(statements, "provenance, signed by a trusted key, agrees with the manifest (SLSA Build L1)", () =>
        checkAttestations(bytes.toString("utf8"), entry, keys, (code, message, expected, found) => new Refusal(code, message, expected, found)));
    }
  }
  for (const kind of ["spdx", "cyclonedx"] as const) {
    const name = named(kind);
    if (name === undefined) {
      if (entry.withoutSbom === null) inspection.check(kind, "", () => { throw new Refusal("IMG4100", "The manifest names no SBOM, and no reason why"); });
      else if (kind === "spdx") inspection.check("SBOM", `none: ${entry.withoutSbom}`, () => undefined);
      continue;
    }
    inspection.check(name, "an SBOM of what the file was made from", () => {
      const of = sbomOf(kind, inspection.document(name));
      if (of !== entry.sha256 && attested?.parts.has(of) !== true) throw new Refusal("IMG4106", "It is an SBOM of something else", "the digest of the file, or of what its provenance names", of);
    });
  }
}

/** Checks one file. It is proven when every finding is `ok`. */
export async function verifyPublished(path: string, keys: readonly PublicKey[]): Promise<readonly Finding[]> {
  // A link to the latest build is looked at where it leads.
  const file = realpathSync(resolve(path)), place = placeOf(file);
  const name = relative(place, file).split("\\").join("/");
  const inspection = new Inspection(place, keys);
  const { size, sha256, prehash } = await digestsOf(file);
  inspection.signature(name, { prehash }, sha256);
  inspection.list();
  inspection.check(name, "its bytes are those of the list", () => inspection.compare(name, sha256));
  const manifest = inspection.check(manifestName, "its bytes are those of the list", () => {
    const parsed = parseManifest(inspection.document(manifestName).toString("utf8"));
    if (parsed === undefined) throw new Refusal("IMG4104", "It is no manifest", "JSON as imgtask publishes it, with no other fields");
    return parsed;
  });
  if (manifest === undefined) return inspection.findings;
  const entry = inspection.check(manifestName, "it describes the file, with its size and digest", () => {
    const one = manifest.artifacts.find((artifact) => artifact.name === name);
    if (one === undefined) throw new Refusal("IMG4105", "The manifest does not describe the file", `an entry "${name}"`);
    if (one.size !== size) throw new Refusal("IMG4105", "The manifest says another size", `${one.size} bytes`, `${size} bytes`);
    if (one.sha256 !== sha256) throw new Refusal("IMG4105", "The manifest says another digest", one.sha256, sha256);
    return one;
  });
  if (entry !== undefined) checkDocuments(inspection, entry, keys);
  return inspection.findings;
}
