/**
 * What lineage tells of one artifact: the result that made it, all that stands behind it, its system and kernel, and
 * what it was made of, as in-toto's resource descriptors. Knows no format of a document.
 * @module
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { inputsOf, type Lineage, type Made, type OutputRef, type PublishedArtifact, version } from "../../lib/mod.ts";
import type { Commit } from "./git.ts";

/** A thing that an artifact was made of. Source: in-toto attestation framework, ResourceDescriptor. */
export interface Dependency {
  readonly name?: string;
  readonly uri?: string;
  readonly digest?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string | number | boolean>>;
}

/** The results behind an output, that which made it first. */
export function behind(output: OutputRef, { made }: Pick<Lineage, "made">): readonly Made[] {
  const found = new Map<string, Made>();
  const queue = [output];
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
    const { target, output: name, digest } = one;
    const result = made.find((other) => other.target === target && other.outputs[name]?.digest === digest);
    if (result === undefined || found.has(`${target} ${result.fingerprint}`)) continue;
    found.set(`${target} ${result.fingerprint}`, result);
    queue.push(...inputsOf(result));
  }
  return [...found.values()];
}

/** The value of a line of a result's manifest. */
export function lineOf({ manifest }: Pick<Made, "manifest">, key: string): string | undefined {
  return manifest.find(([name]) => name === key)?.[1];
}

/** An option of a result, when it is a text. */
function option(made: Made, name: string): string | undefined {
  const line = lineOf(made, `option ${name}`);
  const value: unknown = line === undefined ? undefined : JSON.parse(line);
  return typeof value === "string" ? value : undefined;
}

/** `media.json` of either kind, as far as it is told here. */
interface MediaNote {
  readonly id: string;
  readonly distro: string;
  readonly release: string;
  readonly version?: string;
  readonly package?: { readonly name: string; readonly version: string; readonly sha256: string };
  readonly files: Readonly<Record<string, { readonly sha256: string } | undefined>>;
  readonly list?: { readonly file: string; readonly sha256: string };
  readonly signature?: { readonly fingerprint: string; readonly userId: string; readonly signedAt?: string };
  readonly date?: string;
  readonly pinned?: boolean;
}

async function mediaNote(made: Made, lineage: Lineage): Promise<MediaNote | undefined> {
  const digest = made.outputs["out"]?.digest;
  const file = digest === undefined ? undefined : await lineage.fileOf(digest, "media.json");
  return file === undefined ? undefined : (JSON.parse(readFileSync(file, "utf8")) as MediaNote);
}

/** The release that a Linux kernel for PCs names in its header. Source: the kernel's Documentation/arch/x86/boot.rst. */
export function kernelRelease(path: string): string | undefined {
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(1 << 17);
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    if (length < 0x210 || buffer.toString("latin1", 0x202, 0x206) !== "HdrS") return undefined;
    const start = buffer.readUInt16LE(0x20e) + 0x200;
    return /^[0-9][\w.+~-]*/.exec(buffer.toString("latin1", start, Math.min(length, start + 200)))?.[0];
  } finally {
    closeSync(fd);
  }
}

/** System and kernel of an artifact without an inventory: as its media or its root file system are said to be. */
export async function systemOf(results: readonly Made[], lineage: Lineage): Promise<Pick<PublishedArtifact, "os" | "kernel">> {
  for (const made of results) {
    const kind = made.target.split(":")[0];
    if (kind === "rootfs") {
      const id = option(made, "distro");
      if (id !== undefined) return { os: { id, version: option(made, "release") ?? null, title: null }, kernel: null };
    }
    if (kind !== "verify") continue;
    const note = await mediaNote(made, lineage);
    if (note === undefined) continue;
    const kernel = await lineage.fileOf(made.outputs["out"]!.digest, "linux");
    return { os: { id: note.distro, version: note.version ?? note.release, title: note.id }, kernel: (kernel === undefined ? undefined : kernelRelease(kernel)) ?? null };
  }
  return { os: null, kernel: null };
}

async function mediaDependency(made: Made, lineage: Lineage): Promise<readonly Dependency[]> {
  const note = await mediaNote(made, lineage);
  if (note === undefined) return [];
  const sha256 = note.package?.sha256 ?? note.files["media.iso"]?.sha256;
  const { fingerprint, userId, signedAt } = note.signature ?? {};
  const annotations = {
    target: made.target,
    ...(note.package === undefined ? {} : { package: note.package.name, version: note.package.version }),
    ...(note.list === undefined ? {} : { list: note.list.file, listSha256: note.list.sha256 }),
    ...(fingerprint === undefined ? {} : { signedBy: fingerprint }), ...(userId === undefined ? {} : { signer: userId }),
    ...(signedAt === undefined ? {} : { signedAt }), ...(note.date === undefined ? {} : { listDate: note.date }),
    ...(note.pinned === undefined ? {} : { pinned: note.pinned }),
  };
  return [{ name: note.id, digest: sha256 === undefined ? { imgtaskTreeSha256: made.outputs["out"]!.digest } : { sha256 }, annotations }];
}

function rootfsDependency(made: Made): readonly Dependency[] {
  const packages = made.outputs["packages"]?.digest;
  if (packages === undefined) return [];
  const annotations: Record<string, string> = { target: made.target };
  for (const name of ["distro", "release", "architecture"]) if (option(made, name) !== undefined) annotations[name] = option(made, name)!;
  const keyring = option(made, "keyring");
  if (keyring !== undefined) annotations["keyringSha256"] = keyring;
  made.manifest.filter(([key]) => /^option suites\.\S+\.(?:mirror|suite)$/.test(key)).forEach(([key, value]) => (annotations[key.slice("option ".length)] = String(JSON.parse(value))));
  return [{ name: `packages of ${made.target}`, digest: { sha256: packages }, annotations }];
}

/** Files of the project that results read. Big ones have the digest of their blocks, which is no SHA-256 of the file. */
function sources(results: readonly Made[]): readonly Dependency[] {
  const found = new Map<string, Dependency>();
  for (const [key, value] of results.flatMap(({ manifest }) => manifest)) {
    const match = /^source (?:[^ \\]|\\.)* (.+)$/.exec(key), content = /^file \d+ (sparse )?([0-9a-f]{64})$/.exec(value);
    if (match === null || content === null) continue;
    const digest: Readonly<Record<string, string>> = content[1] === undefined ? { sha256: content[2]! } : { imgtaskBlocksSha256: content[2]! };
    found.set(`${match[1]!} ${content[2]!}`, { name: match[1]!, digest });
  }
  return [...found.values()].sort((a, b) => (a.name! < b.name! ? -1 : 1));
}

/** All that an artifact was made of: the imagefile's commit, imgtask, media and archives with the keys that vouched, sources. */
export async function dependenciesOf(results: readonly Made[], lineage: Lineage, commit: Commit | undefined): Promise<readonly Dependency[]> {
  const found: Dependency[] = [];
  if (commit !== undefined) {
    const uri = commit.origin === undefined ? {} : { uri: `git+${commit.origin}` };
    found.push({ name: "imagefile", ...uri, digest: { gitCommit: commit.id }, annotations: { dirty: commit.dirty, directory: commit.directory } });
  }
  found.push({ name: "imgtask", uri: `pkg:npm/imgtask@${version()}` });
  for (const made of results) {
    const kind = made.target.split(":")[0];
    if (kind === "verify") found.push(...(await mediaDependency(made, lineage)));
    if (kind === "rootfs") found.push(...rootfsDependency(made));
  }
  // No record tells of these any more: named, so that nothing seems complete that is not.
  const needed = new Set(results.flatMap((made) => inputsOf(made).map(({ target, output, digest }) => `${target}#${output} ${digest}`)));
  for (const { target, output, digest } of lineage.unknown) {
    if (needed.has(`${target}#${output} ${digest}`)) found.push({ name: `${target}#${output}`, digest: { sha256: digest }, annotations: { recorded: false } });
  }
  return [...found, ...sources(results)];
}
