/**
 * The documents about published artifacts, in the order in which they become visible: signatures, SBOMs, attestations,
 * the manifest, then the list of checksums with its own signature, which vouches for all. They hold no time but those of
 * recorded results: the same results and the same key give the same bytes, so that publishing again sends nothing.
 * @module
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  attestationsName, checksumsName, type FilePublisher, formatChecksums, formatManifest, inputsOf, type Lineage, manifestName, type PublishedArtifact, type PublishedImage, type PublishContext, type RunContext,
  seal, type SecretKey, type Statement, statementMediaType,
} from "../../lib/mod.ts";
import { keptAt } from "./collect.ts";
import { type Digests, digests } from "./digest.ts";
import { type Commit, commitOf } from "./git.ts";
import { behind, dependenciesOf, lineOf, systemOf } from "./origins.ts";
import { isoTime, provenance, type StatedArtifact, testResult } from "./provenance.ts";
import { signatureOf } from "./sign.ts";

/** A document on its way. */
export interface Document extends Digests {
  /** At the place. */
  readonly name: string;
  readonly path: string;
}

/** An artifact that documents are about. */
export interface Subject extends Digests {
  /** At the place. */
  readonly name: string;
  readonly target: string;
  readonly output: string;
  readonly type: string;
}

/** An SBOM, as its target made it: paths of its outputs. */
export interface SbomFiles {
  readonly target: string;
  readonly inventory: string;
  readonly spdx: string;
  readonly cyclonedx: string;
}

/** What documents are made of beside the artifacts. */
export interface About {
  readonly lineage: Lineage;
  readonly sboms: readonly SbomFiles[];
  /** Tests by the images they boot. */
  readonly tests: readonly { readonly target: string; readonly boots: string | undefined }[];
  readonly untested: string | undefined;
  /** The system and kernels of an inventory. */
  readonly inventoryOf: (path: string) => { readonly system: { readonly id: string; readonly version?: string; readonly title: string }; readonly kernels: readonly string[] };
}

/** Why an artifact has no SBOM. */
function withoutSbom(type: string): string {
  return type === "iso" ? "no sbom() of it was published with it; an installer has no database of packages: what it installs is decided when it runs" : "no sbom() of what it was made from was published with it";
}

type Context = PublishContext & Pick<RunContext, "epoch">;

/** Writes documents one after the other. */
class Desk {
  readonly written: Document[] = [];
  readonly #context: Context;
  readonly #key: SecretKey | undefined;

  constructor(context: Context, key: SecretKey | undefined) {
    this.#context = context;
    this.#key = key;
  }

  async put(name: string, content: string | { readonly file: string }): Promise<Document> {
    const path = join(this.#context.tmp, "documents", name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === "string") writeFileSync(path, content);
    else copyFileSync(content.file, path);
    const document = { name, path, ...(await digests(path, this.#context.signal, this.#key !== undefined)) };
    this.written.push(document);
    return document;
  }

  async sign(subject: Digests & { readonly name: string }, seconds: number): Promise<boolean> {
    if (this.#key !== undefined) await this.put(`${subject.name}.minisig`, signatureOf(subject.name, subject, this.#key, seconds));
    return this.#key !== undefined;
  }
}

/** One artifact, and all that is written about it alone. */
async function describe(subject: Subject, about: About, desk: Desk, options: { readonly key: SecretKey | undefined; readonly flat: boolean; readonly commit: Commit | undefined; readonly epoch: number }): Promise<PublishedArtifact> {
  const { lineage } = about;
  const { key, flat, commit } = options;
  const { name, target, output, type, size, sha256 } = subject;
  const results = behind({ target, output, digest: sha256 }, lineage);
  const made = results[0];
  const documents: PublishedArtifact["documents"][number][] = [];
  if (await desk.sign(subject, made === undefined ? options.epoch : Math.floor(made.finished / 1000))) documents.push({ kind: "signature", name: `${name}.minisig` });

  // An SBOM is of this artifact when what it looked at is the artifact or stands behind it, byte for byte.
  const parts = new Set([sha256, ...results.flatMap(inputsOf).map(({ digest }) => digest)]);
  const list = about.sboms.find((one) => lineage.made.some((result) => result.target === one.target && inputsOf(result).some(({ digest }) => parts.has(digest))));
  if (list !== undefined) {
    documents.push({ kind: "spdx", name: (await desk.put(`${name}.spdx.json`, { file: list.spdx })).name });
    documents.push({ kind: "cyclonedx", name: (await desk.put(`${name}.cdx.json`, { file: list.cyclonedx })).name });
  }
  const inventory = list === undefined ? undefined : about.inventoryOf(list.inventory);
  const tests = about.tests.filter(({ boots }) => boots === target).map((one) => one.target).sort();
  const stated: StatedArtifact = { name, sha256, target, output, results };
  const passed = lineage.made.filter((result) => tests.includes(result.target));
  const statements: readonly Statement[] = [provenance(stated, await dependenciesOf(results, lineage, commit), commit?.directory ?? ""), ...(passed.length === 0 ? [] : [testResult(stated, passed)])];
  const base = flat ? name : `${attestationsName}/${name}`;
  if (key !== undefined) {
    const lines = statements.map((statement) => `${seal(statementMediaType, Buffer.from(JSON.stringify(statement)), key)}\n`);
    documents.push({ kind: "attestations", name: (await desk.put(`${base}.intoto.jsonl`, lines.join(""))).name });
  } else documents.push({ kind: "statement", name: (await desk.put(`${base}.provenance.json`, `${JSON.stringify(statements[0], null, 2)}\n`)).name });

  const system = inventory === undefined ? await systemOf(results, lineage) : {
    os: { id: inventory.system.id, version: inventory.system.version ?? null, title: inventory.system.title },
    kernel: inventory.kernels.at(-1) ?? null,
  };
  return {
    name, target, output, type, size, sha256, ...system,
    arch: (made === undefined ? undefined : lineOf(made, "platform")) ?? null,
    commit: commit === undefined ? null : { id: commit.id, dirty: commit.dirty },
    times: made === undefined ? null : { started: isoTime(made.started), finished: isoTime(made.finished) },
    tests,
    untested: tests.length === 0 ? (about.untested ?? null) : null,
    withoutSbom: list === undefined ? withoutSbom(type) : null,
    documents,
  };
}

/** What is told of artifacts: entries of the manifest, in their order, and the documents that these name. */
async function describeAll(artifacts: readonly Subject[], about: About, flat: boolean, context: Context, key: SecretKey | undefined): Promise<{ readonly entries: readonly PublishedArtifact[]; readonly desk: Desk }> {
  const desk = new Desk(context, key);
  const commit = await commitOf(context);
  const entries: PublishedArtifact[] = [];
  for (const artifact of artifacts) entries.push(await describe(artifact, about, desk, { key, flat, commit, epoch: context.epoch }));
  return { entries, desk };
}

/** An artifact for a place that holds images. */
export type Image = Subject & Pick<PublishedImage, "path" | "format">;

/** What is told of images at a place that has no documents. */
export async function imagesOf(images: readonly Image[], about: About, context: Context, key: SecretKey | undefined): Promise<readonly PublishedImage[]> {
  const { entries, desk } = await describeAll(images, about, true, context, key);
  return entries.map(({ documents, ...told }, index) => {
    const { path, format } = images[index]!;
    const signed = documents.find(({ kind }) => kind === "signature")?.name;
    const signature = desk.written.find(({ name }) => name === signed);
    return { ...told, path, format, ...(signature === undefined ? {} : { signature: readFileSync(signature.path, "utf8") }) };
  });
}

/** Makes the documents about artifacts, below the run's scratch directory. */
export async function documentsOf(artifacts: readonly Subject[], about: About, to: FilePublisher, context: Context, key: SecretKey | undefined): Promise<readonly Document[]> {
  const { entries, desk } = await describeAll(artifacts, about, to.flat ?? false, context, key);
  const listed = (): readonly { readonly name: string; readonly sha256: string }[] => [...artifacts, ...desk.written].filter(({ name }) => !name.endsWith(".minisig"));
  const ours = new Set([...listed().map(({ name }) => name), manifestName]);
  const kept = await keptAt(to, context, ours, key?.publicKey);
  await desk.put(manifestName, formatManifest([...entries, ...kept.artifacts]));
  const list = await desk.put(checksumsName, formatChecksums([...listed(), ...kept.checksums]));
  const newest = Math.max(...entries.map(({ times }) => (times === null ? context.epoch : Date.parse(times.finished) / 1000)));
  await desk.sign(list, newest);
  return desk.written;
}
