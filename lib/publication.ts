/**
 * What stands beside published artifacts: names, and the form of `manifest.json`. Pure: opens no file and knows no place.
 * @module
 */

/** The list of checksums. */
export const checksumsName = "SHA256SUMS";
/** What is told of published files, as JSON. */
export const manifestName = "manifest.json";
/** Where attestations stand. */
export const attestationsName = "attestations";
/** What the manifest says of itself. */
export const manifestType = "urn:imgtask:manifest:1";
/** Type of the payload of an attestation's envelope. Source: in-toto attestation framework, v1. */
export const statementMediaType = "application/vnd.in-toto+json";
/** Source: in-toto attestation framework, v1. */
export const statementType = "https://in-toto.io/Statement/v1";
/** Source: SLSA v1. */
export const provenanceType = "https://slsa.dev/provenance/v1";
/** Source: in-toto attestation framework, predicate Test Result. */
export const testResultType = "https://in-toto.io/attestation/test-result/v0.1";
/** How imgtask builds, for SLSA: `externalParameters` are target, output, directory and sourceDateEpoch. */
export const buildType = "urn:imgtask:build:1";

/** What a document says about an artifact. */
export type DocumentKind = "signature" | "spdx" | "cyclonedx" | "attestations" | "statement";
const documentKinds: readonly string[] = ["signature", "spdx", "cyclonedx", "attestations", "statement"] satisfies readonly DocumentKind[];

/** One artifact in the manifest. `null`: not known. */
export interface PublishedArtifact {
  /** Relative to the manifest, `/` between parts. */
  readonly name: string;
  /** Target and output that made it: `iso:kali`, `out`. */
  readonly target: string;
  readonly output: string;
  /** What it is: `iso`, `disk` … */
  readonly type: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  readonly os: { readonly id: string; readonly version: string | null; readonly title: string | null } | null;
  /** Release of its kernel, as `uname -r` would print it. */
  readonly kernel: string | null;
  /** As of `uname -m`. */
  readonly arch: string | null;
  /** Commit of the imagefile, and whether something was not in it. */
  readonly commit: { readonly id: string; readonly dirty: boolean } | null;
  /** When the result was made: ISO 8601, UTC. Not when it was published. */
  readonly times: { readonly started: string; readonly finished: string } | null;
  /** Targets of the tests that booted it. */
  readonly tests: readonly string[];
  /** Why no test boots it. */
  readonly untested: string | null;
  /** Why there is no SBOM. */
  readonly withoutSbom: string | null;
  readonly documents: readonly { readonly kind: DocumentKind; readonly name: string }[];
}

/** Content of `manifest.json`. */
export interface PublishedManifest {
  readonly type: typeof manifestType;
  /** Sorted by name. */
  readonly artifacts: readonly PublishedArtifact[];
}

/** Whether a name stays below where it is looked up. */
export function isPublishedName(name: unknown): name is string {
  if (typeof name !== "string" || name.length > 200) return false;
  const parts = name.split("/");
  return parts.length <= 6 && parts.every((part) => /^[A-Za-z0-9][A-Za-z0-9._+@=-]*$/.test(part));
}

type Check = (value: unknown) => boolean;
const text: Check = (value) => typeof value === "string";
const maybe = (check: Check): Check => (value) => value === null || check(value);
const listOf = (check: Check): Check => (value) => Array.isArray(value) && value.every(check);
const shape = (fields: Readonly<Record<string, Check>>): Check => (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).sort().join() === Object.keys(fields).sort().join() &&
  Object.entries(fields).every(([key, check]) => check((value as Record<string, unknown>)[key]));
const time: Check = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value);

const isArtifact = shape({
  name: isPublishedName, target: text, output: text, type: text,
  size: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  sha256: (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value),
  os: maybe(shape({ id: text, version: maybe(text), title: maybe(text) })),
  kernel: maybe(text), arch: maybe(text),
  commit: maybe(shape({ id: (value) => typeof value === "string" && /^[0-9a-f]{40,64}$/.test(value), dirty: (value) => typeof value === "boolean" })),
  times: maybe(shape({ started: time, finished: time })),
  tests: listOf(text), untested: maybe(text), withoutSbom: maybe(text),
  documents: listOf(shape({ kind: (value) => documentKinds.includes(value as string), name: isPublishedName })),
});

/** Reads a manifest; `undefined` when it has another form, other fields, or a name twice. */
export function parseManifest(content: string): PublishedManifest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return undefined;
  }
  if (!shape({ type: (one) => one === manifestType, artifacts: listOf(isArtifact) })(value)) return undefined;
  const manifest = value as PublishedManifest;
  return new Set(manifest.artifacts.map(({ name }) => name)).size === manifest.artifacts.length ? manifest : undefined;
}

/** The text of a manifest. */
export function formatManifest(artifacts: readonly PublishedArtifact[]): string {
  const manifest: PublishedManifest = { type: manifestType, artifacts: [...artifacts].sort((a, b) => (a.name < b.name ? -1 : 1)) };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** A statement about artifacts. Source: in-toto attestation framework, v1. */
export interface Statement {
  readonly _type: typeof statementType;
  readonly subject: readonly { readonly name: string; readonly digest: Readonly<Record<string, string>> }[];
  readonly predicateType: string;
  readonly predicate: unknown;
}
