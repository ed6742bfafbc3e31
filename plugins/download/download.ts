/**
 * The kind `download`: brings a distribution's installer media from a mirror, as they are.
 * What it makes is not trusted: `verify` makes media of it. Knows no distribution by name.
 * @module
 */
import { chmod, mkdir, readdir, readFile, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { ImgtaskError, type Json, type Media, output, type OutputSpec, type RunContext, target, type Target, tool } from "../../lib/mod.ts";
import { chooseIndex, choosePackage, unpackIndex } from "./index-file.ts";
import { findMirror, hostMirrors, redact } from "./mirror.ts";
import { parseRelease, type ReleaseFile, unverifiedText } from "./release.ts";
import { page, transfer } from "./transfer.ts";

/**
 * Downloaded media that nobody has checked yet. The only thing to do with it is to give it to `verify`.
 *
 * Its tree holds `InRelease`, the package index as the mirror has it (`Packages.xz`, `Packages.gz` or `Packages`), and
 * `package.deb`: everything that is needed to prove the package genuine without the network.
 */
export type Download<Name extends string = string> = Target<`download:${Name}`, { out: OutputSpec<"media"> }> & {
  /** What was asked for. */
  readonly media: Media;
};

/** Most bytes of an InRelease file; Debian's largest has 0.2 MB. */
const inReleaseLimit = 8_000_000;

/** Gives a directory and its files the same modes and time stamps whatever the host's umask and clock. */
export async function settle(directory: string, epoch: number): Promise<void> {
  for (const name of await readdir(directory)) {
    await chmod(join(directory, name), 0o644);
    await utimes(join(directory, name), epoch, epoch);
  }
  await chmod(directory, 0o755);
  await utimes(directory, epoch, epoch);
}

async function fetchIndex(mirror: string, media: Media, release: ReleaseFile, directory: string, context: RunContext): Promise<string> {
  const { suite, component, architecture, archive } = media.package;
  const chosen = chooseIndex(release, media);
  if (chosen === undefined) {
    throw new ImgtaskError("IMG5008", `${redact(mirror)} has no packages of ${component}/${architecture} in "${suite}"`, {
      expected: `${component}/binary-${architecture}/Packages.xz, or another form of it, in its InRelease`,
      hint: `Does this mirror carry the architecture? ${archive.mirrorEnv} names another one`,
    });
  }
  const file = join(directory, chosen.form);
  const base = `${mirror}/dists/${suite}`;
  const common = { file, expected: chosen.entry, mirrorEnv: archive.mirrorEnv };
  context.progress(chosen.form);
  if (release.fields.get("acquire-by-hash") === "yes") {
    const folder = chosen.path.slice(0, chosen.path.lastIndexOf("/"));
    try {
      await transfer({ ...common, url: `${base}/${folder}/by-hash/SHA256/${chosen.entry.sha256}` }, context);
      return chosen.form;
    } catch (error) {
      // Partial mirrors leave the by-hash directories out.
      if ((error as ImgtaskError).code !== "IMG5004") throw error;
    }
  }
  await transfer({ ...common, url: `${base}/${chosen.path}` }, context);
  return chosen.form;
}

async function fetchMedia(media: Media, directory: string, context: RunContext): Promise<void> {
  const { archive, suite, name } = media.package;
  const mirror = await findMirror(archive, context);
  context.log(`mirror: ${redact(mirror)}`);
  context.progress("InRelease");
  const inRelease = join(directory, "InRelease");
  const inReleaseUrl = `${mirror}/dists/${suite}/InRelease`;
  await transfer({ url: inReleaseUrl, file: inRelease, limit: inReleaseLimit, mirrorEnv: archive.mirrorEnv }, context);
  const release = parseRelease(unverifiedText(await readFile(inRelease, "utf8")));
  if (release.files.size === 0) throw page(inReleaseUrl, archive.mirrorEnv, "no list of files with SHA-256 digests");

  const form = await fetchIndex(mirror, media, release, directory, context);
  const chosen = chooseIndex(release, media)!;
  const plain = await unpackIndex(join(directory, form), chosen, context);
  const entry = await choosePackage(plain, media, context);
  if (entry === undefined) {
    throw new ImgtaskError("IMG5008", `Package "${name}" is not in "${suite}" on ${redact(mirror)}`, {
      expected: `"${name}" for ${media.package.architecture} in ${chosen.path}`,
      hint: `Has this mirror all of the archive? ${archive.mirrorEnv} names another one`,
    });
  }
  context.log(`package: ${entry.name} ${entry.version}, ${entry.size} bytes`);
  await transfer({ url: `${mirror}/${entry.filename}`, file: join(directory, "package.deb"), expected: entry, mirrorEnv: archive.mirrorEnv }, context);
  await settle(directory, context.epoch);
}

async function run(context: RunContext): Promise<void> {
  const { media } = context.params as unknown as { media: Media };
  const directory = context.outputs["out"]!;
  await mkdir(directory);
  try {
    await fetchMedia(media, directory, context);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
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
 * @throws {ImgtaskError} when run: IMG5001 to IMG5009, IMG4020, IMG4021 and IMG2105, see README.md ("Errors").
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const trusted = verify("debian", { media, trust: debian.keys });
 * ```
 */
export function download<const Name extends string>(name: Name, media: Media): Download<Name> {
  const declared = target(`download:${name}`, {
    description: `Download ${media.id}`,
    params: { media: media as unknown as Json },
    env: [media.package.archive.mirrorEnv, "http_proxy", "https_proxy", "no_proxy"],
    tools: [
      tool("xz", { packages: { apt: "xz-utils" } }),
      tool("prlimit", { packages: { apt: "util-linux" } }),
      tool("dpkg", { packages: { apt: "dpkg" } }),
    ],
    outputs: { out: output("tree", "media") },
    resources: { cpu: 0, network: true },
    // Each transfer is resumed by itself; this is for a mirror that is gone for longer.
    retries: { times: 2, delay: 5000 },
    untracked: hostMirrors,
    module: import.meta.url,
    run: run as unknown as () => Promise<void>,
  });
  return Object.freeze({ ...declared, media });
}
