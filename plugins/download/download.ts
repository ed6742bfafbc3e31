/**
 * The kind `download`: brings a distribution's installer media from a mirror, as they are.
 * What it makes is not trusted: `verify` makes media of it. Knows no distribution by name.
 * @module
 */
import { chmod, mkdir, readdir, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { checkCall, fit, type Fits, isImgtaskError, type Json, type Media, output, type OutputSpec, proxyVariables, type RunContext, target, type Target, tool } from "../../lib/mod.ts";
import { type Access, accessOf, termsFor } from "./access.ts";
import type { Credentials } from "./credentials.ts";
import { tooSlow } from "./failure.ts";
import { fetchImage, imageEnv, imageReads, partialDirectory, imageSecrets, mediaParams } from "./image.ts";
import type { DownloadLimits } from "./limits.ts";
import { logDirectory, logVerification, verdictOf } from "./log.ts";
import { checkMedia } from "./media.ts";
import { hostMirrors } from "./mirror.ts";
import { fetchPackage } from "./package.ts";
import { isOpen } from "./pin.ts";

/**
 * Downloaded media that nobody has checked yet. The only thing to do with it is to give it to `verify`.
 *
 * Its tree holds everything that is needed to prove the media genuine without the network:
 *
 * - of an ISO image: `image.iso` and `origin.json`; unless it is pinned by `imgtask.lock`, the `list` of checksums as the
 *   mirror has it, `list.signature` where it is a file of its own, and `keys` where imgtask carries none;
 * - of a package: `InRelease`, the index as the mirror has it (`Packages.xz`, `Packages.gz` or `Packages`), `package.deb`.
 */
export type Download<Name extends string = string, M extends Media = Media> = Target<`download:${Name}`, { out: OutputSpec<"media"> }> & {
  /** What was asked for. */
  readonly media: M;
  /** @internal On which terms servers are asked. */
  readonly access: Access;
};

const packageTools = [
  tool("xz", { packages: { apt: "xz-utils" } }),
  tool("prlimit", { packages: { apt: "util-linux" } }),
  tool("dpkg", { packages: { apt: "dpkg" } }),
];

/** Gives a directory and its files the same modes and time stamps whatever the host's umask and clock. */
export async function settle(directory: string, epoch: number): Promise<void> {
  for (const name of await readdir(directory)) {
    await chmod(join(directory, name), 0o644);
    await utimes(join(directory, name), epoch, epoch);
  }
  await chmod(directory, 0o755);
  await utimes(directory, epoch, epoch);
}

/** What `download()` takes beside the media. */
export interface DownloadOptions {
  /**
   * How to log in to mirrors that want it, or to a relay of a portal: for each server by its origin, with handles to secrets.
   * @default none
   */
  readonly credentials?: Credentials | readonly Credentials[];
  /** What ends it. @default 16 GiB, 24 hours, a minute without a byte, 100 bytes a second */
  readonly limits?: DownloadLimits;
}

const fits: Fits<DownloadOptions> = { credentials: fit.either(fit.record, fit.list), limits: fit.record };

async function run(given: RunContext, access: Access): Promise<void> {
  const { media } = given.params as unknown as { media: Media };
  const context = { ...given, terms: termsFor(access, given) };
  const directory = context.outputs["out"]!;
  await mkdir(directory);
  try {
    await (media.kind === "package" ? fetchPackage(media, directory, context) : fetchImage(media, directory, context));
    await settle(directory, context.epoch);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    // What asks for a size or an address does not know why it was ended.
    if (context.terms.deadline.aborted && !given.signal.aborted && !isImgtaskError(error)) throw tooSlow(media.id, 0, access.limits.time / 1000, false);
    const verdict = verdictOf(error);
    if (verdict !== undefined) await logVerification(context.project, { target: context.target, media: media.id, verdict });
    throw error;
  }
}

/**
 * Declares target `download:NAME`: the installer media of a distribution, brought from a mirror but not yet trusted.
 *
 * The mirror is the one in the archive's environment variable (`IMGTASK_DEBIAN_MIRROR` for Debian), else the host's own
 * apt mirror, else the distribution's default. `http:`, `https:` and `file:` mirrors work; `http_proxy`,
 * `https_proxy` and `no_proxy` are respected. A cut connection is resumed; a body never grows beyond what the
 * archive's lists announce. Tried again twice when the mirror cannot be reached.
 *
 * @param name what follows `download:` in the target's name.
 * @param media from a distribution: `debian.installer({ release: "bookworm", arch: "x86_64" })`.
 * @param options credentials for mirrors, and limits.
 * @throws {ImgtaskError} IMG2040 for what is no media or no option, IMG2104 for keys that are none, IMG2650 for bad credentials, IMG2656 for bad limits; when run: IMG5001 to IMG5015, IMG4020, IMG4021, IMG4080, IMG2105
 * and IMG2655, see README.md ("Errors").
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const trusted = verify("debian", { media, trust: debian.keys });
 *
 * download("kali", kali.installer({ release: "rolling", arch: "x86_64" }), {
 *   credentials: { origin: "https://mirror.example.org", type: "bearer", token: secret.env("MIRROR_TOKEN") },
 *   limits: { size: "6G", time: 2 * 3600_000 },
 * });
 * ```
 */
export function download<const Name extends string, const M extends Media>(name: Name, media: M, options: DownloadOptions = {}): Download<Name, M> {
  checkCall("download", name, options, fits);
  checkMedia(`download("${name}")`, media);
  const access = accessOf(options), { credentials, secrets } = access;
  const declared = target(`download:${name}`, {
    description: `Download ${media.id}`,
    params: { media: mediaParams(media), ...(credentials.length === 0 ? {} : { credentials: credentials as unknown as Json }) },
    secrets: { ...imageSecrets(media), ...secrets },
    env: media.kind === "package" ? [media.package.archive.mirrorEnv] : imageEnv(media),
    tools: media.kind === "package" ? packageTools : [],
    outputs: { out: output("tree", "media") },
    resources: { cpu: 0, network: true },
    // Each transfer is resumed by itself; this is for a mirror that is gone for longer.
    retries: { times: 2, delay: 5000 },
    untracked: { env: proxyVariables, reads: media.kind === "package" ? hostMirrors.reads : imageReads(media), writes: [logDirectory, partialDirectory] },
    ...(isOpen(media) ? { pin: { entry: media.id, fields: ["file", "path", "size", "sha256"] as const } } : {}),
    module: import.meta.url,
    // Limits are no parameter: they can end a download, and make no other bytes of it.
    run: ((context: RunContext) => run(context, access)) as unknown as () => Promise<void>,
  });
  return Object.freeze({ ...declared, media, access });
}
