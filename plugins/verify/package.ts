/**
 * Proves a package of a signed archive genuine, link by link, and takes installer files out of it.
 * Uses no network and knows no distribution by name.
 * @module
 */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Keyring, type PackageMedia, type RunContext } from "../../lib/mod.ts";
import { chooseIndex, choosePackage, unpackIndex } from "../download/index-file.ts";
import { type IndexForm, indexForms, type PackageEntry } from "../download/release.ts";
import { checkFile, digest, refuse } from "./file.ts";
import { keyringFor, keysFor } from "./keyring.ts";
import type { PackageManifest } from "./manifest.ts";
import { verifyClearsigned } from "./openpgp.ts";
import { checkRelease } from "./release.ts";
import { checkRollback, lastAccepted } from "./rollback.ts";
import type { Signer } from "./status.ts";

/** From the signature to the package, each link by the one before. */
async function checkChain(directory: string, media: PackageMedia, trust: Keyring, context: RunContext): Promise<{ entry: PackageEntry; signer: Signer; date: number }> {
  const keyring = join(await mkdtemp(join(context.tmp, "keys-")), "keyring.gpg");
  await writeFile(keyring, keyringFor(trust, "archive"));
  const { text, signer } = await verifyClearsigned({ path: join(directory, "InRelease"), name: "InRelease" }, { keyring, keys: keysFor(trust, "archive") }, context);
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
async function extract(deb: string, media: PackageMedia, entry: PackageEntry, directory: string, context: RunContext): Promise<void> {
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

/**
 * Checks a downloaded package and fills a directory with what is to be taken out of it.
 *
 * @param input what `download` made of it.
 * @returns what `media.json` says of it.
 */
export async function verifyPackage(input: string, media: PackageMedia, trust: Keyring, directory: string, context: RunContext): Promise<PackageManifest> {
  context.progress("checking the signature and the lists");
  const { entry, signer, date } = await checkChain(input, media, trust, context);
  checkRollback("InRelease", { signedAt: new Date(date * 1000).toISOString() }, await lastAccepted(context.project, media.id));
  context.progress("unpacking");
  await extract(join(input, "package.deb"), media, entry, directory, context);
  return {
    kind: "package",
    id: media.id,
    distro: media.distro,
    release: media.release,
    arch: media.arch,
    package: { name: entry.name, version: entry.version, sha256: entry.sha256, size: entry.size },
    files: { "linux": await digest(join(directory, "linux")), "initrd.gz": await digest(join(directory, "initrd.gz")) },
    signature: { fingerprint: signer.fingerprint, userId: signer.userId, signedAt: new Date(signer.signedAt * 1000).toISOString() },
    date: new Date(date * 1000).toISOString(),
  };
}
