/**
 * The kind `verify`: makes trusted media of downloaded ones, or refuses and says why.
 * Uses no network and knows no distribution by name.
 * @module
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkCall, fit, type Fits, type ImageMedia, type Json, type Keyring, type LockEntry, lockFileName, type Media, type MirrorSource, type NoticeContext, output, type OutputSpec, type PinContext, type RunContext, target, type Target, tool } from "../../lib/mod.ts";
import { termsFor } from "../download/access.ts";
import { type Download, settle } from "../download/download.ts";
import { imageFiles, type ListContext, mediaParams, type Origin } from "../download/image.ts";
import { logDirectory, logVerification, verdictOf } from "../download/log.ts";
import { checkKeys } from "../download/media.ts";
import { isOpen } from "../download/pin.ts";
import type { Terms } from "../download/wanted.ts";
import { newestPin, verifyImage } from "./image.ts";
import type { MediaManifest } from "./manifest.ts";
import { gpgv } from "./openpgp.ts";
import { verifyPackage } from "./package.ts";
import { checkTrust } from "./trust.ts";

/**
 * Media that are proven to come from their distribution. Its tree holds:
 *
 * - of an ISO image: `media.iso`,
 * - of a package: `linux`, the installer's kernel, and `initrd.gz`, its initial RAM disk,
 * - `media.json`, a {@linkcode MediaManifest}.
 */
export type Verified<Name extends string = string, M extends Media = Media> = Target<`verify:${Name}`, { out: OutputSpec<"verified media"> }> & {
  /** What was asked for. */
  readonly media: M;
};

/** Where a download says that it is from; it need not be true. */
async function originOf(input: string): Promise<{ readonly from?: string; readonly file?: string }> {
  try {
    const { url, name } = JSON.parse(await readFile(join(input, imageFiles.origin), "utf8")) as Origin;
    return { from: url, file: name };
  } catch {
    return {};
  }
}

/** What the log says of media that were accepted. */
function noteOf(manifest: MediaManifest): { readonly file: string; readonly list?: string; readonly signer?: string; readonly sha256: string } {
  if (manifest.kind === "package") {
    const { package: { name, version, sha256 }, signature, date } = manifest;
    return { file: `${name} ${version}`, list: `InRelease of ${date}`, signer: signature.fingerprint, sha256 };
  }
  const { name, list, signature, files } = manifest;
  return {
    file: name,
    ...(list === undefined ? { list: "none, pinned by the imagefile" } : { list: `${list.file} ${list.sha256}` }),
    ...(signature === undefined ? {} : { signer: signature.fingerprint }),
    sha256: files["media.iso"].sha256,
  };
}

async function run(context: RunContext): Promise<void> {
  const { media, trust } = context.params as unknown as { media: Media; trust: Keyring };
  const input = (context.inputs as Readonly<Record<string, string>>)["media"]!;
  const directory = context.outputs["out"]!;
  await mkdir(directory);
  try {
    const manifest = media.kind === "package" ? await verifyPackage(input, media, trust, directory, context) : await verifyImage(input, media, trust, directory, context);
    await writeFile(join(directory, "media.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    await settle(directory, context.epoch);
    await logVerification(context.project, { target: context.target, media: media.id, ...(await originOf(input)), ...noteOf(manifest), verdict: "accepted" });
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    const verdict = verdictOf(error);
    if (verdict !== undefined) await logVerification(context.project, { target: context.target, media: media.id, ...(await originOf(input)), verdict });
    throw error;
  }
}

/** What would be pinned now. */
async function newest(context: ListContext): Promise<LockEntry> {
  const { media, trust } = context.params as unknown as { media: ImageMedia & { readonly source: MirrorSource }; trust: Keyring };
  return newestPin(media, trust, context);
}

export type { ImageManifest, MediaManifest, PackageManifest } from "./manifest.ts";

/** What `verify()` takes beside the name. */
export interface VerifyOptions<M extends Media = Media> {
  /** What to check: the target that downloads it. */
  readonly media: Download<string, M>;
  /** Whom to trust: the distribution's pinned keys, `debian.keys`. */
  readonly trust: Keyring;
}

const fits: Fits<VerifyOptions> = {
  media: fit.needed(fit.target("media", ["media"], "a download, as download() gives it")),
  trust: fit.needed(fit.by("pinned keys, as debian.keys or { keys: [{ fingerprint: \"…\" }] }", fit.isObject)),
};

const packageTools = [
  gpgv,
  tool("xz", { packages: { apt: "xz-utils" } }),
  tool("prlimit", { packages: { apt: "util-linux" } }),
  tool("dpkg", { packages: { apt: "dpkg" } }),
  tool("dpkg-deb", { packages: { apt: "dpkg" } }),
  tool("tar", { packages: { apt: "tar" } }),
];

/**
 * Declares target `verify:NAME`: media that are proven to come from their distribution.
 *
 * The chain of an ISO image: a pinned key signed the list of checksums → it is not older than the one that was accepted
 * last → it names the image → its bytes. Of a package: a pinned key signed InRelease → it is the suite that was asked for, and
 * of now → it names the index → the index names the package → its bytes. Only then are the kernel and the initial RAM disk
 * taken out of the package.
 *
 * The newest ISO image is resolved once: `imgtask.lock` pins what was accepted, and from then on exactly that is taken.
 *
 * What is refused ends the run with exit code 3 and leaves nothing behind. What was accepted and what was refused is noted in
 * `logs/download-YYYYMMDD.md`.
 *
 * @param name what follows `verify:` in the target's name.
 * @throws {ImgtaskError} IMG2104 for keys that are none, IMG2107 for those of another distribution than the media's, or for
 * other things; when run: IMG4001 to IMG4047 and IMG4080, see README.md ("Errors").
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const trusted = verify("debian", { media, trust: debian.keys });
 * ```
 */
export function verify<const Name extends string, M extends Media>(name: Name, options: VerifyOptions<M>): Verified<Name, M> {
  checkCall("verify", name, options, fits);
  checkKeys(`"trust" of verify("${name}")`, options.trust);
  const { media, access } = options.media;
  checkTrust(`verify("${name}")`, media, options.trust);
  // Servers are asked outside a run as the download asks them.
  const asking = <C extends PinContext>(context: C): C & { readonly terms: Terms } => ({ ...context, terms: termsFor(access, context) });
  const declared = target(`verify:${name}`, {
    description: `Verify ${media.id}`,
    inputs: { media: options.media },
    params: { media: mediaParams(media), trust: options.trust as unknown as Json },
    tools: media.kind === "package" ? packageTools : [gpgv],
    outputs: { out: output("tree", "verified media") },
    platform: media.arch,
    ...(isOpen(media) ? { pin: { entry: media.id, fields: ["file", "path", "size", "sha256", "version", "list"] as const, resolve: async (context: PinContext) => newest(asking(context)) } } : {}),
    ...(media.notices === undefined || media.kind !== "iso" ? {} : { notices: async (context: NoticeContext) => (await import("../notices/notices.ts")).askNotices(media.notices!, "image", options.trust, asking(context)) }),
    asks: access.secrets,
    // What was accepted before is no part of what these media are.
    untracked: { reads: [lockFileName], writes: [logDirectory] },
    module: import.meta.url,
    run: run as unknown as () => Promise<void>,
  });
  return Object.freeze({ ...declared, media });
}
