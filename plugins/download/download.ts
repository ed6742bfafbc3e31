/**
 * The kind `download`: brings a distribution's installer media from a mirror, as they are.
 * What it makes is not trusted: `verify` makes media of it. Knows no distribution by name.
 * @module
 */
import { chmod, mkdir, readdir, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type Media, output, type OutputSpec, type RunContext, target, type Target, tool } from "../../lib/mod.ts";
import { fetchImage, imageEnv, imageReads, partialDirectory, imageSecrets, mediaParams } from "./image.ts";
import { logDirectory, logVerification, verdictOf } from "./log.ts";
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

async function run(context: RunContext): Promise<void> {
  const { media } = context.params as unknown as { media: Media };
  const directory = context.outputs["out"]!;
  await mkdir(directory);
  try {
    await (media.kind === "package" ? fetchPackage(media, directory, context) : fetchImage(media, directory, context));
    await settle(directory, context.epoch);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
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
 * @throws {ImgtaskError} when run: IMG5001 to IMG5009, IMG4020, IMG4021, IMG4080 and IMG2105, see README.md ("Errors").
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const trusted = verify("debian", { media, trust: debian.keys });
 * ```
 */
export function download<const Name extends string, const M extends Media>(name: Name, media: M): Download<Name, M> {
  const declared = target(`download:${name}`, {
    description: `Download ${media.id}`,
    params: { media: mediaParams(media) },
    secrets: imageSecrets(media),
    env: [...(media.kind === "package" ? [media.package.archive.mirrorEnv] : imageEnv(media)), "http_proxy", "https_proxy", "no_proxy"],
    tools: media.kind === "package" ? packageTools : [],
    outputs: { out: output("tree", "media") },
    resources: { cpu: 0, network: true },
    // Each transfer is resumed by itself; this is for a mirror that is gone for longer.
    retries: { times: 2, delay: 5000 },
    untracked: { reads: media.kind === "package" ? hostMirrors.reads : imageReads(media), writes: [logDirectory, partialDirectory] },
    ...(isOpen(media) ? { pin: { entry: media.id, fields: ["file", "path", "size", "sha256"] as const } } : {}),
    module: import.meta.url,
    run: run as unknown as () => Promise<void>,
  });
  return Object.freeze({ ...declared, media });
}
