/**
 * The kind `publish`: brings finished artifacts to a place where others find them, with what lets these check them, and
 * keeps a receipt. Knows no place itself: a publisher does.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  checkCall,
  ExitCode,
  type FilePublisher,
  fit,
  type Fits,
  type ImageFormat,
  type ImagePublisher,
  ImgtaskError,
  type Input,
  output,
  type OutputSpec,
  type Publisher,
  type PublishedThere,
  type RunContext,
  type SecretKey,
  type Secrets,
  type Target,
  target,
  tool,
} from "../../lib/mod.ts";
import type { InventorySummary } from "../sbom/inventory.ts";
import type { Sbom } from "../sbom/sbom.ts";
import { digests } from "./digest.ts";
import { type About, type Document, documentsOf, imagesOf, type Subject } from "./documents.ts";
import { formatsFor } from "./formats.ts";
import { repositoryReads } from "./git.ts";
import { artifactOf, checkArtifactName, checkPublishedName, publishedName } from "./names.ts";
import { openKey, type Signer } from "./sign.ts";
import { checkTested, type Proof } from "./tested.ts";

/** What `publish()` takes. */
export interface PublishOptions<A extends readonly Input[] = readonly Input[], T extends readonly Input[] = readonly Input[]> {
  /** The files to publish: targets or single outputs of theirs. */
  readonly artifacts: A;
  /** Where to. */
  readonly to: Publisher;
  /** Tests that must have passed before. Every image among the artifacts needs one that boots it. @default [] */
  readonly tests?: T;
  /** Why images are published that no test boots: one line, which is published with them. */
  readonly untested?: string;
  /**
   * What is in the artifacts: `sbom()` of the root file system that one was made from, or of the artifact itself. Which is
   * whose is found out by what they were made of. @default []
   */
  readonly sboms?: readonly Sbom[];
  /** Signs every file and the list of them. @default nothing is signed */
  readonly sign?: Signer;
}


const fits: Fits<PublishOptions> = {
  artifacts: fit.needed(fit.listOf(fit.handle, "a list of targets or outputs of theirs")),
  to: fit.needed(fit.by("a place, as directory() gives it", (value) => fit.isObject(value) && typeof value["publish"] === "function")),
  tests: fit.listOf(fit.handle, "a list of tests, as test() gives them"),
  untested: fit.text,
  sboms: fit.listOf(fit.target("inventory", ["name"], ""), "a list of SBOMs, as sbom() gives them"),
  sign: fit.by("how to sign, as minisign() gives it", (value) => fit.isObject(value) && "scheme" in value),
};

/** A target that publishes artifacts. */
export type Published<Name extends string = string> = Target<`publish:${Name}`, { readonly out: OutputSpec<"publish receipt"> }>;

/** Content of the receipt, which is JSON. It holds no time: publishing the same again gives the same receipt. */
export interface Receipt {
  /** Name of the publisher. */
  readonly publisher: string;
  /** Artifacts, and the documents about them unless the place holds images alone. */
  readonly files: readonly {
    readonly name: string;
    /** Bytes. */
    readonly size: number;
    readonly sha256: string;
    /** Where it is now, as the publisher says. */
    readonly location: string;
  }[];
}

/**
 * Declares target `publish:NAME`: makes artifacts readable at a place, all of a file or nothing of it, with
 * `SHA256SUMS`, `manifest.json`, SBOMs and provenance and, where a key is given, signatures. What is there already is not sent again. A file is called after
 * the target that makes it: `iso:kali` becomes `iso-kali.iso`. A place that holds images, a cloud, gets images and no documents.
 *
 * It runs again when an artifact or the place changes, not when somebody takes files away from there.
 *
 * @throws {ImgtaskError} IMG2511 for an artifact that is no file, IMG2512 for a bad name, IMG2513 for none at all or
 * two of one name, IMG2521 for one that the place does not take, IMG2581 for an image that no test boots.
 *
 * @example
 * ```ts
 * publish("release", {
 *   artifacts: [debianIso, debianDisk],
 *   to: directory("/srv/images"),
 *   tests: [isoTest, diskTest],
 *   sign: minisign({ key: secret.file("/root/release.key") }),
 * });
 * ```
 */
export function publish<const Name extends string, const A extends readonly Input[], const T extends readonly Input[] = readonly []>(
  name: Name,
  options: PublishOptions<A, T> & Proof<A, T>,
): Published<Name> {
  checkCall("publish", name, options, fits);
  const { artifacts, to, tests = [], sboms = [], untested, sign } = options as PublishOptions;
  const names = artifacts.map(publishedName);
  names.forEach(checkArtifactName);
  const there = artifacts.map((one, index) => to.nameOf?.({ name: names[index]!, target: artifactOf(one).target, time: 0 }) ?? names[index]!);
  const twice = there.find((one, index) => there.indexOf(one) !== index);
  if (names.length === 0 || twice !== undefined) {
    throw new ImgtaskError("IMG2513", `"publish:${name}" has ${twice === undefined ? "nothing to publish" : `two files named "${twice}"`}`, {
      expected: "artifacts with names of their own, at least one",
      exitCode: ExitCode.usage,
    });
  }
  const formats = to.takes === undefined ? undefined : formatsFor(to, artifacts);
  checkTested(name, artifacts, tests, untested);
  const secrets: Secrets = { ...to.secrets, ...sign?.secrets };
  return target(`publish:${name}`, {
    description: `Publish ${names.join(", ").length <= 60 ? names.join(", ") : `${names[0]!} and ${names.length - 1} more`} by ${to.name}`,
    inputs: { artifacts, tests },
    params: {
      names,
      of: artifacts.map(artifactOf).map(({ target, output, type }) => ({ target, output, type })),
      tests: tests.map((one) => ({ target: artifactOf(one).target, ...("boots" in one && typeof one.boots === "string" ? { boots: one.boots } : {}) })),
      sboms: sboms.map(({ name: target, outputs: { out, spdx, cyclonedx } }) => ({ target, inventory: out, spdx, cyclonedx })),
      publisher: to.name, options: to.params, signed: sign?.scheme, untested, ...(formats === undefined ? {} : { formats }),
    },
    env: to.env,
    ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
    tools: [...to.tools, ...(to.tools.some((one) => one.name === "git") ? [] : [git])],
    untracked: { reads: [...repositoryReads, ...(to.untracked?.reads ?? [])], ...(to.untracked?.env === undefined ? {} : { env: to.untracked.env }), ...(to.untracked?.writes === undefined ? {} : { writes: to.untracked.writes }) },
    outputs: { out: output("file", "publish receipt") },
    // Lists of a place are read, carried on and written: not by two at once.
    resources: { network: true, memory: sign?.memory ?? 0, locks: [`place ${to.name} ${JSON.stringify(to.params)}`] },
    retries: { times: 2 },
    // Where the bytes go is the publisher's code: when that changes they must go there again.
    module: to.module,
    run: async (context) => await send(context as unknown as Send, to),
  });
}

const git = tool("git", { packages: { apt: "git", dnf: "git" } });

interface Params {
  readonly names: readonly string[];
  readonly of: readonly Pick<Subject, "target" | "output" | "type">[];
  readonly tests: readonly { readonly target: string; readonly boots?: string }[];
  readonly sboms: readonly { readonly target: string; readonly inventory: string; readonly spdx: string; readonly cyclonedx: string }[];
  readonly signed: string | undefined;
  readonly untested: string | undefined;
  /** For a place that holds images. */
  readonly formats?: readonly ImageFormat[];
}

type Send = Omit<RunContext, "inputs" | "params" | "outputs"> & { readonly inputs: { readonly artifacts: readonly string[] }; readonly params: Params; readonly outputs: { readonly out: string } };

/** An artifact on its way. */
interface Outgoing extends Subject {
  readonly path: string;
}

async function send(context: Send, to: Publisher): Promise<void> {
  const { inputs, params, outputs, signal, log } = context;
  const key = params.signed === undefined ? undefined : await openKey(context.secrets);
  const lineage = context.lineage();
  const artifacts: Outgoing[] = [];
  for (const [index, plain] of params.names.entries()) {
    const path = inputs.artifacts[index]!, of = params.of[index]!;
    const read = await digests(path, signal, key !== undefined);
    const time = lineage.made.find((made) => made.target === of.target && made.outputs[of.output]?.digest === read.sha256)?.finished ?? context.epoch * 1000;
    artifacts.push({ ...of, ...read, path, name: to.nameOf?.({ name: plain, target: of.target, time }) ?? plain });
  }
  const about: About = {
    lineage,
    sboms: params.sboms,
    tests: params.tests.map(({ target, boots }) => ({ target, boots })),
    untested: params.untested,
    inventoryOf: (path: string) => JSON.parse(readFileSync(path, "utf8")) as InventorySummary,
  };
  const { files, there: places } = to.takes === undefined ? await sendFiles(artifacts, about, to, context, key) : await sendImages(artifacts, about, to, context, key);
  const sent = new Map(places.map((one) => [one.name, one]));
  const listed: Receipt["files"][number][] = [];
  for (const { name, size, sha256 } of files) {
    const there = sent.get(name);
    if (there === undefined) throw new ImgtaskError("IMG3511", `Publisher "${to.name}" did not say where "${name}" is`);
    log(`${name}: ${there.uploaded ? "published to" : "was already at"} ${there.location}`);
    listed.push({ name, size, sha256, location: there.location });
  }
  const receipt: Receipt = { publisher: to.name, files: listed };
  writeFileSync(outputs.out, `${JSON.stringify(receipt, null, 2)}\n`);
}

/** What was to be published, and what is there. */
interface Sent {
  readonly files: readonly Pick<Document, "name" | "size" | "sha256">[];
  readonly there: readonly PublishedThere[];
}

async function sendFiles(artifacts: readonly Outgoing[], about: About, to: FilePublisher, context: Send, key: SecretKey | undefined): Promise<Sent> {
  const files: readonly (Outgoing | Document)[] = [...artifacts, ...(await documentsOf(artifacts, about, to, context, key))];
  for (const { name } of files) checkPublishedName(name);
  return { files, there: await to.publish(files.map(({ name, path }) => ({ name, path })), context) };
}

async function sendImages(artifacts: readonly Outgoing[], about: About, to: ImagePublisher, context: Send, key: SecretKey | undefined): Promise<Sent> {
  for (const { name } of artifacts) checkPublishedName(name);
  const images = artifacts.map((one, index) => ({ ...one, format: context.params.formats![index]! }));
  const there = await to.publish(await imagesOf(images, about, context, key), context);
  context.log(`${to.name} holds images only: checksums, manifest, SBOMs and attestations are published to a place for files, such as a directory`);
  return { files: artifacts, there };
}
