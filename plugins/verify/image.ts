/**
 * Proves an ISO image genuine: pinned key → list of checksums → the image's bytes.
 * Uses no network and knows no distribution by name.
 * @module
 */
import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { copyFile, mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ChecksumList, type ImageMedia, ImgtaskError, ExitCode, type Keyring, type LockEntry, type MirrorSource, parsePublicKey, type Pin, type RunContext, verifyMinisign } from "../../lib/mod.ts";
import { fetchVouchers, imageFiles, type ListContext, notPinned, type Origin } from "../download/image.ts";
import { type Found, findImage, parseList } from "../download/list.ts";
import { pathOf, pinnedOf } from "../download/pin.ts";
import { refuse } from "./file.ts";
import { carriedKeys, keysFor, selectKeys } from "./keyring.ts";
import type { ImageManifest, SignatureNote } from "./manifest.ts";
import { type Trust, verifyClearsigned, verifyDetached } from "./openpgp.ts";
import { checkRollback, lastAccepted } from "./rollback.ts";
import type { Signer } from "./status.ts";

/** A list that is what a trusted key signed. */
interface TrustedList {
  /** The signed text. Nothing else of the file counts. */
  readonly text: string;
  readonly signature: SignatureNote;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** A keyring of the pinned keys, cut out of what imgtask carries and what was downloaded. */
export async function trustOf(trust: Keyring, input: string, context: ListContext): Promise<Trust> {
  const pinned = keysFor(trust, "images");
  const wanted = pinned.map(({ fingerprint }) => fingerprint);
  const files = [...carriedKeys(trust)];
  const brought = join(input, imageFiles.keys);
  if (await exists(brought)) files.push(await readFile(brought));
  const parts: Buffer[] = [], found = new Set<string>();
  for (const file of files) {
    const selection = selectKeys(file, wanted.filter((one) => !found.has(one)));
    for (const one of selection.found) found.add(one);
    parts.push(selection.bytes);
  }
  if (found.size === 0) {
    throw new ImgtaskError("IMG4040", "None of the pinned keys is at hand, so that no signature can be checked", {
      expected: pinned.map(({ fingerprint, owner }) => `${fingerprint}${owner === undefined ? "" : ` (${owner})`}`).join(", "),
      found: files.length === 0 ? "no file of keys" : "files of other keys",
      hint: `Name a file that holds the key${trust.env === undefined ? ` in "files" of the keyring` : ` in ${trust.env}`}${trust.url === undefined ? "" : `; it is published at ${trust.url}`}`,
      exitCode: ExitCode.refused,
    });
  }
  const keyring = join(await mkdtemp(join(context.tmp, "keys-")), "keyring.gpg");
  await writeFile(keyring, Buffer.concat(parts));
  return { keyring, keys: pinned };
}

function noteOf(signer: Signer): SignatureNote {
  return { fingerprint: signer.fingerprint, userId: signer.userId, signedAt: new Date(signer.signedAt * 1000).toISOString() };
}

/** Checks a list's signature by one of the ways in which lists are signed. */
async function checkList(input: string, list: ChecksumList, trust: Keyring, context: ListContext): Promise<TrustedList | undefined> {
  const path = join(input, imageFiles.list), signature = join(input, imageFiles.signature), name = list.file;
  switch (list.signature.kind) {
    case "none":
      return undefined;
    case "minisign": {
      const bytes = await readFile(path);
      const keys = (trust.minisign ?? []).map((key) => parsePublicKey(key));
      const comment = verifyMinisign({ bytes }, await readFile(signature), keys, { file: name });
      const time = /(?:^|\t)timestamp:(\d{1,12})(?:\t|$)/.exec(comment)?.[1];
      return { text: bytes.toString("utf8"), signature: { fingerprint: keys.map(({ id }) => id).join(", "), userId: "minisign", ...(time === undefined ? {} : { signedAt: new Date(Number(time) * 1000).toISOString() }) } };
    }
    case "clearsigned": {
      const { text, signer } = await verifyClearsigned({ path, name }, await trustOf(trust, input, context), context);
      return { text, signature: noteOf(signer) };
    }
    case "detached": {
      const signer = await verifyDetached({ path, name, signature }, await trustOf(trust, input, context), context);
      return { text: await readFile(path, "utf8"), signature: noteOf(signer) };
    }
  }
}

/** Copies the image and compares the copy with the digests that it must have. */
async function take(from: string, to: string, name: string, wanted: Readonly<Record<string, string | undefined>>): Promise<{ readonly sha256: string; readonly size: number }> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  const hashes = { sha256: createHash("sha256"), ...(wanted["sha512"] === undefined ? {} : { sha512: createHash("sha512") }) };
  let size = 0;
  for await (const chunk of createReadStream(to, { highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>) {
    for (const hash of Object.values(hashes)) hash.update(chunk);
    size += chunk.length;
  }
  const got = Object.fromEntries(Object.entries(hashes).map(([algorithm, hash]) => [algorithm, hash.digest("hex")]));
  for (const [algorithm, digest] of Object.entries(wanted)) {
    if (digest === undefined || digest === got[algorithm]) continue;
    throw refuse("IMG4020", `${name} was damaged or tampered with: its bytes are not those that are vouched for`, `${algorithm.toUpperCase()} ${digest}`, `${algorithm.toUpperCase()} ${got[algorithm] ?? "unknown"}`);
  }
  return { sha256: got["sha256"]!, size };
}

function found(text: string, list: ChecksumList, media: ImageMedia): Found {
  const image = findImage(parseList(text, list), media.image);
  if (image === undefined) {
    throw refuse("IMG4045", `The signed ${list.file} vouches for no "${media.image.name}"`, media.image.version === undefined ? "an entry of any version" : `an entry of version ${media.image.version}`, "no such entry");
  }
  return image;
}

/** What is remembered of a list that was accepted. */
function remembered(list: ChecksumList, { text, signature }: TrustedList, image: Found): NonNullable<Pin["list"]> {
  const { signedAt, fingerprint, userId } = signature;
  const known = { ...(signedAt === undefined ? {} : { signedAt }), ...(image.version === undefined ? {} : { version: image.version }) };
  return { ...known, file: list.file, sha256: createHash("sha256").update(text).digest("hex"), fingerprint, userId };
}

/** What would be pinned now, by a list that is signed and not older than the one that was accepted last. */
export async function newestPin(media: ImageMedia & { readonly source: MirrorSource }, trust: Keyring, context: ListContext): Promise<LockEntry> {
  const { source } = media;
  const input = await mkdtemp(join(context.tmp, "list-"));
  await fetchVouchers(media, source, input, context);
  const trusted = await checkList(input, source.list, trust, context);
  if (trusted === undefined) throw unsigned(media);
  const image = found(trusted.text, source.list, media), list = remembered(source.list, trusted, image);
  checkRollback(source.list.file, list, await lastAccepted(context.project, media.id));
  // Of a digest of another algorithm the next run makes a pin.
  if (source.list.algorithm !== "sha256") return { list };
  const { name: file, digest: sha256, size, version } = image;
  return { file, path: pathOf(source, file), sha256, ...(size === undefined ? {} : { size }), ...(version === undefined ? {} : { version }), list };
}

function unsigned({ id }: ImageMedia): ImgtaskError {
  return refuse("IMG4042", `Nobody vouches for "${id}": its list is not signed`, "a SHA-256 given in the imagefile", "none");
}

/** Takes the image that the lock file pins. All that is told of it is what was found when it was pinned. */
async function verifyPinned(input: string, pin: Pin, media: ImageMedia, directory: string, context: RunContext): Promise<ImageManifest> {
  context.progress("checking the image");
  const entry = await take(join(input, imageFiles.image), join(directory, "media.iso"), pin.file, {});
  if (entry.sha256 !== pin.sha256) throw notPinned(pin, `SHA-256 ${entry.sha256}`);
  context.log(`${pin.file} is the one that is pinned: SHA-256 ${entry.sha256}`);
  return manifestOf(media, pin, entry);
}

function manifestOf(media: ImageMedia, { file, version, list }: Pin, entry: { readonly sha256: string; readonly size: number }): ImageManifest {
  const { id, distro, release, arch, edition } = media;
  const { fingerprint, userId, signedAt } = list ?? {};
  return {
    kind: "iso", id, distro, release, arch, edition,
    name: file,
    ...(version === undefined ? {} : { version }),
    files: { "media.iso": entry },
    ...(list?.file === undefined || list.sha256 === undefined ? {} : { list: { file: list.file, sha256: list.sha256 } }),
    ...(fingerprint === undefined || userId === undefined ? {} : { signature: { fingerprint, userId, ...(signedAt === undefined ? {} : { signedAt }) } }),
    pinned: true,
  };
}

/**
 * Checks a downloaded image and puts it into a directory as `media.iso`.
 *
 * @param input what `download` made of it.
 * @returns what `media.json` says of it.
 */
export async function verifyImage(input: string, media: ImageMedia, trust: Keyring, directory: string, context: RunContext): Promise<ImageManifest> {
  const pin = pinnedOf(media, context);
  if (pin !== undefined) return verifyPinned(input, pin, media, directory, context);
  const origin = JSON.parse(await readFile(join(input, imageFiles.origin), "utf8")) as Origin;
  const list = media.source.kind === "mirror" ? media.source.list : undefined;
  context.progress("checking the list's signature");
  const trusted = list === undefined ? undefined : await checkList(input, list, trust, context);
  if (trusted === undefined && media.sha256 === undefined) {
    throw unsigned(media);
  }
  const image = trusted === undefined ? undefined : found(trusted.text, list!, media);
  if (trusted !== undefined) context.log(`${list!.file} is signed by ${trusted.signature.fingerprint}, ${trusted.signature.userId}`);
  if (trusted !== undefined && media.sha256 === undefined) {
    const { signedAt } = trusted.signature;
    const accepted = { ...(signedAt === undefined ? {} : { signedAt }), ...(image?.version === undefined ? {} : { version: image.version }) };
    checkRollback(list!.file, accepted, await lastAccepted(context.project, media.id));
  }
  context.progress("checking the image");
  const name = image?.name ?? origin.name;
  const digests = { sha256: media.sha256, ...(image === undefined ? {} : { [list!.algorithm]: image.digest }) };
  if (media.sha256 !== undefined && digests.sha256 !== media.sha256) {
    throw refuse("IMG4046", `${name} is not the one that the imagefile pins`, `SHA-256 ${media.sha256}`, `SHA-256 ${digests.sha256 ?? "none"} in ${list!.file}`);
  }
  const entry = await take(join(input, imageFiles.image), join(directory, "media.iso"), name, digests);
  context.log(`${name} is genuine: SHA-256 ${entry.sha256}`);
  const version = image === undefined ? origin.version : image.version;
  if (context.pin !== undefined && trusted !== undefined && media.source.kind === "mirror") {
    const pinned: Pin = { file: name, path: pathOf(media.source, name), ...entry, ...(version === undefined ? {} : { version }), list: remembered(list!, trusted, image!) };
    context.pin.accept(pinned);
    // The same words as when it is built of what is pinned.
    return manifestOf(media, pinned, entry);
  }
  return {
    kind: "iso",
    id: media.id,
    distro: media.distro,
    release: media.release,
    arch: media.arch,
    edition: media.edition,
    name,
    ...(version === undefined ? {} : { version }),
    files: { "media.iso": entry },
    ...(trusted === undefined ? {} : { list: { file: list!.file, sha256: createHash("sha256").update(trusted.text).digest("hex") }, signature: trusted.signature }),
    pinned: media.sha256 !== undefined,
  };
}
