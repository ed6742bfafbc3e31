/**
 * The kind `verify`: makes trusted media of downloaded ones, or refuses and says why.
 * Uses no network and knows no distribution by name.
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import {
  ExitCode,
  ImgtaskError,
  type Json,
  type Keyring,
  type Media,
  output,
  type OutputSpec,
  packageFile,
  type RunContext,
  target,
  type Target,
  tool,
} from "../../lib/mod.ts";
import { type Download, settle } from "../download/download.ts";
import { chooseIndex, choosePackage, unpackIndex } from "../download/index-file.ts";
import { printable } from "../download/mirror.ts";
import { type Entry, type IndexForm, indexForms, type PackageEntry } from "../download/release.ts";
import { gpgv, verifyClearsigned } from "./openpgp.ts";
import { checkRelease } from "./release.ts";
import type { Signer } from "./status.ts";

/**
 * Media that are proven to come from their distribution. Its tree holds:
 *
 * - `linux`, the installer's kernel,
 * - `initrd.gz`, its initial RAM disk,
 * - `media.json`, a {@linkcode MediaManifest}.
 */
export type Verified<Name extends string = string> = Target<`verify:${Name}`, { out: OutputSpec<"verified media"> }> & {
  /** What was asked for. */
  readonly media: Media;
};

/** Content of `media.json`. */
export interface MediaManifest {
  readonly id: string;
  readonly release: string;
  /** Canonical architecture. */
  readonly arch: string;
  readonly package: { readonly name: string; readonly version: string; readonly sha256: string; readonly size: number };
  /** By name in the tree. */
  readonly files: Readonly<Record<"linux" | "initrd.gz", Entry>>;
  readonly signature: {
    /** Fingerprint of the primary key. */
    readonly fingerprint: string;
    readonly userId: string;
    /** ISO 8601. */
    readonly signedAt: string;
  };
  /** Date of the signed list that vouches for all of it, ISO 8601. */
  readonly date: string;
}

function refuse(code: string, message: string, expected: string, found: string): ImgtaskError {
  return new ImgtaskError(code, message, { expected, found: printable(found), exitCode: ExitCode.refused });
}

async function digest(file: string): Promise<Entry> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest("hex"), size };
}

/** Refuses a file that is not what a verified list says. */
async function checkFile(file: string, expected: Entry, what: string): Promise<void> {
  const size = (await stat(file).catch(() => undefined))?.size;
  if (size === undefined) throw refuse("IMG4020", `${what} is missing`, `${expected.size} bytes`, "no file");
  if (size < expected.size) throw refuse("IMG4020", `${what} is truncated`, `${expected.size} bytes`, `${size} bytes`);
  if (size > expected.size) throw refuse("IMG4020", `${what} was tampered with: it is longer than the signed list says`, `${expected.size} bytes`, `${size} bytes`);
  const { sha256 } = await digest(file);
  if (sha256 !== expected.sha256) throw refuse("IMG4020", `${what} was damaged or tampered with: its bytes are not those of the signed list`, `SHA-256 ${expected.sha256}`, `SHA-256 ${sha256}`);
}

/** From the signature to the package, each link by the one before. */
async function checkChain(directory: string, media: Media, trust: Keyring, context: RunContext): Promise<{ entry: PackageEntry; signer: Signer; date: number }> {
  const keyring = isAbsolute(trust.file) ? trust.file : packageFile(trust.file);
  const { text, signer } = await verifyClearsigned({ path: join(directory, "InRelease"), name: "InRelease" }, { keyring, fingerprints: trust.fingerprints }, context);
  context.log(`signed by ${signer.fingerprint}, ${signer.userId}`);
  const { release, date } = checkRelease(text, media, Date.now() / 1000);

  const present: IndexForm[] = [];
  for (const form of indexForms) if ((await stat(join(directory, form)).catch(() => undefined)) !== undefined) present.push(form);
  const chosen = chooseIndex(release, media, present);
  if (chosen === undefined) {
    const { component, architecture } = media.package;
    throw refuse("IMG4014", `The signed list vouches for no index of ${component}/${architecture}`, `${component}/binary-${architecture}/${present[0] ?? "Packages"}`, "no such entry");
  }
  await checkFile(join(directory, chosen.form), chosen.entry, `The index ${chosen.path}`);
  const plain = await unpackIndex(join(directory, chosen.form), chosen, context);
  const entry = await choosePackage(plain, media, context);
  if (entry === undefined) throw refuse("IMG4021", `The signed index has no package "${media.package.name}"`, `"${media.package.name}" for ${media.package.architecture} or all`, "no such entry");
  await checkFile(join(directory, "package.deb"), entry, `Package "${entry.name}"`);
  context.log(`package ${entry.name} ${entry.version} is genuine`);
  return { entry, signer, date };
}

/** Takes two files out of a package, as data: no script of it runs, and no path or link in it is followed. */
async function extract(deb: string, media: Media, entry: PackageEntry, directory: string, context: RunContext): Promise<void> {
  for (const [field, expected] of [["Package", entry.name], ["Version", entry.version]] as const) {
    const { stdout } = await context.exec(["dpkg-deb", "--field", deb, field], { stdout: "capture" });
    if (stdout.trim() !== expected) throw refuse("IMG4022", `Package "${entry.name}" holds another one than the index says`, `${field}: ${expected}`, `${field}: ${stdout.trim()}`);
  }
  const tar = join(context.tmp, "package.tar");
  await context.exec(["dpkg-deb", "--fsys-tarfile", deb], { stdout: { file: tar } });
  for (const [name, path] of [["linux", media.files.kernel], ["initrd.gz", media.files.initrd]] as const) {
    const file = join(directory, name);
    const { code } = await context.exec(["tar", "--extract", "--to-stdout", "--no-wildcards", "--file", tar, "--", `./${path}`], { stdout: { file }, ok: [0, 2] });
    const size = (await stat(file)).size;
    if (code !== 0 || size === 0) throw refuse("IMG4022", `Package "${entry.name}" ${entry.version} lacks the installer's ${name}`, `a file ${path}`, code === 0 ? "an empty file, or a link" : "no such file");
  }
  await rm(tar);
}

async function run(context: RunContext): Promise<void> {
  const { media, trust } = context.params as unknown as { media: Media; trust: Keyring };
  const input = (context.inputs as Readonly<Record<string, string>>)["media"]!;
  const directory = context.outputs["out"]!;
  context.progress("checking the signature and the lists");
  const { entry, signer, date } = await checkChain(input, media, trust, context);
  context.progress("unpacking");
  await mkdir(directory);
  try {
    await extract(join(input, "package.deb"), media, entry, directory, context);
    const files = { "linux": await digest(join(directory, "linux")), "initrd.gz": await digest(join(directory, "initrd.gz")) };
    const manifest: MediaManifest = {
      id: media.id,
      release: media.release,
      arch: media.arch,
      package: { name: entry.name, version: entry.version, sha256: entry.sha256, size: entry.size },
      files,
      signature: { fingerprint: signer.fingerprint, userId: signer.userId, signedAt: new Date(signer.signedAt * 1000).toISOString() },
      date: new Date(date * 1000).toISOString(),
    };
    await writeFile(join(directory, "media.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    await settle(directory, context.epoch);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** What `verify()` takes beside the name. */
export interface VerifyOptions {
  /** What to check: the target that downloads it. */
  readonly media: Download;
  /** Whom to trust: the distribution's pinned keys, `debian.keys`. */
  readonly trust: Keyring;
}

/**
 * Declares target `verify:NAME`: media that are proven to come from their distribution.
 *
 * The chain: a pinned key signed InRelease → it is the suite that was asked for, and of now → it names the index →
 * the index names the package → its bytes. Only then are the kernel and the initial RAM disk taken out of the package.
 * What is refused ends the run with exit code 3 and leaves nothing behind.
 *
 * @param name what follows `verify:` in the target's name.
 * @throws {ImgtaskError} when run: IMG4001 to IMG4022, see README.md ("Errors").
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const trusted = verify("debian", { media, trust: debian.keys });
 * ```
 */
export function verify<const Name extends string>(name: Name, options: VerifyOptions): Verified<Name> {
  const { media } = options.media;
  const declared = target(`verify:${name}`, {
    description: `Verify ${media.id}`,
    inputs: { media: options.media },
    params: { media: media as unknown as Json, trust: options.trust as unknown as Json },
    tools: [
      gpgv,
      tool("xz", { packages: { apt: "xz-utils" } }),
      tool("prlimit", { packages: { apt: "util-linux" } }),
      tool("dpkg", { packages: { apt: "dpkg" } }),
      tool("dpkg-deb", { packages: { apt: "dpkg" } }),
      tool("tar", { packages: { apt: "tar" } }),
    ],
    outputs: { out: output("tree", "verified media") },
    platform: media.arch,
    module: import.meta.url,
    run: run as unknown as () => Promise<void>,
  });
  return Object.freeze({ ...declared, media });
}
