/**
 * Brings a package with installer files from an archive, with the lists that prove it genuine.
 * Nothing of it is trusted. Knows no distribution by name.
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ImgtaskError, type PackageMedia } from "../../lib/mod.ts";
import { chooseIndex, choosePackage, unpackIndex } from "./index-file.ts";
import { findMirror, redact } from "./mirror.ts";
import { parseRelease, type ReleaseFile, unverifiedText } from "./release.ts";
import { type DownloadContext, page, transfer } from "./transfer.ts";

/** Most bytes of an InRelease file; Debian's largest has 0.2 MB. */
const inReleaseLimit = 8_000_000;

async function fetchIndex(mirror: string, media: PackageMedia, release: ReleaseFile, directory: string, context: DownloadContext): Promise<string> {
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

/** Fills a directory with `InRelease`, the index and `package.deb`. */
export async function fetchPackage(media: PackageMedia, directory: string, context: DownloadContext): Promise<void> {
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
  const { size } = context.terms.limits;
  await transfer({
    url: `${mirror}/${entry.filename}`, file: join(directory, "package.deb"), expected: entry, mirrorEnv: archive.mirrorEnv,
    ...(size === undefined ? {} : { limit: size, limitHint: "`limits: { size }` of download() allows more" }),
  }, context);
}
