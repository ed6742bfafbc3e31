/**
 * Brings an installer's ISO image with the list and the signature that prove it genuine, and the keys where imgtask
 * carries none. Nothing of it is trusted. Knows no distribution by name.
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ExitCode, type FileSource, type ImageMedia, ImgtaskError, type Json, type Keyring, type Media, type MirrorSource, type Pin, type PinContext, type PortalSource, type Secrets } from "../../lib/mod.ts";
import { allFailed } from "./failure.ts";
import { type Found, findImage, scanList } from "./list.ts";
import { checkMirror, redact } from "./mirror.ts";
import { pathOf, pinnedOf } from "./pin.ts";
import { addressOnPortal } from "./portal.ts";
import { sizeOf } from "./probe.ts";
import { type Brought, type DownloadContext, page, transfer, type Transfer } from "./transfer.ts";
import type { Terms } from "./wanted.ts";

/** Names in the tree that `download` makes of an image. */
export const imageFiles = { image: "image.iso", list: "list", signature: "list.signature", keys: "keys", origin: "origin.json" } as const;

/** Keeps what came of images that are not whole. Below the directory of the imagefile. */
export const partialDirectory = ".imgtask/partial";

/** `origin.json`: where the bytes were said to be from, for the log of verifications. */
export interface Origin {
  /** Name of the image. */
  readonly name: string;
  readonly version?: string;
  /** Address of the image, without user name and password. */
  readonly url: string;
}

/** Most bytes of a list, of a signature and of a file of keys: the largest are 0.1, 0.01 and 0.2 MB. */
const listLimit = 4_000_000, signatureLimit = 200_000, keysLimit = 8_000_000;
const imageLimit = 16 * 1024 ** 3;

/** What bringing a list takes: of a download's recipe, or of who asks in its place. */
export type ListContext = Omit<PinContext, "secrets"> & { /** @default the default limits, without an end, and no credentials */ readonly terms?: Terms };

/** Most bytes of an image: what a list says of it cannot raise that. */
function limitOf(media: ImageMedia, context: DownloadContext, listed: number = Infinity): Required<Pick<Transfer, "limit" | "limitHint">> {
  const limit = context.terms.limits.size ?? media.limit ?? imageLimit;
  return { limit: Math.min(limit, listed), limitHint: listed < limit ? "The list says so" : "`limits: { size }` of download() allows more" };
}

/** Environment variables that say where media come from. */
export function imageEnv(media: ImageMedia): readonly string[] {
  return [...(media.source.kind === "file" ? [] : [media.source.env]), ...(media.keys.env === undefined ? [] : [media.keys.env])];
}

/** Media as parameters of a target: handles to secrets are none, and where notices are is no part of what media are. */
export function mediaParams(of: Media): Json {
  const { notices: _, ...media } = of;
  if (media.kind !== "iso" || media.source.kind !== "portal") return media as unknown as Json;
  const { token: __, ...source } = media.source;
  return { ...media, source } as unknown as Json;
}

/** Secrets that are needed to get media. */
export function imageSecrets(media: Media): Secrets {
  return media.kind === "iso" && media.source.kind === "portal" ? { token: media.source.token } : {};
}

/** Files of the host that are media. */
export function imageReads(media: Media): readonly string[] {
  return media.kind === "iso" && media.source.kind === "file" ? [media.source.path] : [];
}

/** The address that an environment variable names: a URL, or an absolute path. */
function addressOf(value: string, variable: string): string {
  return isAbsolute(value) ? pathToFileURL(value).href : checkMirror(value, variable);
}

/** Brings the keys from where they are published. Any bytes will do: who uses them takes the pinned keys out of them. */
export async function fetchKeys(keys: Keyring, file: string, context: ListContext): Promise<void> {
  const named = keys.env === undefined ? undefined : context.env[keys.env];
  const url = named !== undefined && named !== "" ? addressOf(named, keys.env!) : keys.files === undefined ? keys.url : undefined;
  if (url === undefined) return;
  context.log(`keys: ${redact(url)}`);
  await transfer({ url, file, limit: keysLimit, mirrorEnv: keys.env ?? "http_proxy" }, context);
}

/** Where the list stands, and the image that it names. */
interface Place {
  readonly base: string;
  readonly found: Found;
}

async function fetchList(mirror: string, media: ImageMedia, source: MirrorSource, directory: string, context: ListContext): Promise<Place> {
  context.log(`mirror: ${redact(mirror)}`);
  context.progress(source.list.file);
  const base = `${mirror}/${source.directory}`;
  const { list } = source;
  const path = join(directory, imageFiles.list);
  const url = `${base}/${list.file}`;
  await transfer({ url, file: path, limit: listLimit, mirrorEnv: source.env }, context);
  const text = await readFile(path, "utf8");
  if (/^\s*</.test(text)) throw page(url, source.env, "an HTML page");
  const found = findImage(scanList(text, list), media.image);
  if (found === undefined) {
    throw new ImgtaskError("IMG5008", `${redact(url)} lists no image "${media.image.name}"`, {
      expected: media.image.version === undefined ? "one of any version" : `one of version ${media.image.version}`,
      hint: `Has this mirror the release, and all of it? ${source.env} names another one`,
    });
  }
  if (list.signature.kind === "detached" || list.signature.kind === "minisign") {
    await transfer({ url: `${base}/${list.signature.file}`, file: join(directory, imageFiles.signature), limit: signatureLimit, mirrorEnv: source.env }, context);
  }
  return { base, found };
}

/** Brings list, signature and image from one mirror. */
async function fromMirror(mirror: string, media: ImageMedia, source: MirrorSource, directory: string, context: DownloadContext): Promise<Origin> {
  const { base, found } = await fetchList(mirror, media, source, directory, context);
  const url = `${base}/${found.name}`;
  context.log(`image: ${found.name}`);
  const wanted = source.list.algorithm === "sha256" ? found.digest : media.sha256;
  const path = pathOf(source, found.name);
  const got = await fetchLarge({ url, mirrors: others(mirror, path, source, context), file: join(directory, imageFiles.image), ...limitOf(media, context, found.size), mirrorEnv: source.env }, { sha256: wanted }, context);
  if (wanted !== undefined && got.sha256 !== wanted) throw damaged(url, wanted, got.sha256, source.env);
  const version = found.version === undefined ? {} : { version: found.version };
  if (media.sha256 === undefined) context.pin?.propose({ file: found.name, path, sha256: got.sha256, size: got.size, ...version });
  return { name: found.name, ...version, url: redact(url) };
}

/** Brings the image that is pinned, and nothing else: its digest vouches for it. */
async function pinnedFrom(mirror: string, pin: Pin, media: ImageMedia, source: MirrorSource, directory: string, context: DownloadContext): Promise<Origin> {
  const url = `${mirror}/${pin.path}`;
  context.log(`image: ${redact(url)}, pinned`);
  const what = { url, mirrors: others(mirror, pin.path, source, context), file: join(directory, imageFiles.image), ...limitOf(media, context, pin.size), mirrorEnv: source.env };
  try {
    await fetchLarge(what, { sha256: pin.sha256, size: pin.size }, context);
  } catch (error) {
    const first = error instanceof ImgtaskError && error.code === "IMG5011" && error.exitCode === ExitCode.refused ? error.cause : error;
    if (first instanceof ImgtaskError && (first.code === "IMG4020" || first.code === "IMG5005")) throw notPinned(pin, first.found ?? "other bytes");
    throw error;
  }
  return { name: pin.file, ...(pin.version === undefined ? {} : { version: pin.version }), url: redact(url) };
}

/**
 * Other bytes than those that the lock file pins.
 *
 * @param found their digest, as an error says it.
 */
export function notPinned(pin: Pin, found: string): ImgtaskError {
  return new ImgtaskError("IMG4080", `${pin.file} is not the one that imgtask.lock pins`, {
    expected: `SHA-256 ${pin.sha256}${pin.size === undefined ? "" : `, ${pin.size} bytes`}`,
    found,
    hint: "If its publisher replaced it, `imgtask update` pins the newest one; look at what changed in imgtask.lock",
    exitCode: ExitCode.refused,
  });
}

function damaged(url: string, expected: string, found: string, env: string): ImgtaskError {
  return new ImgtaskError("IMG4020", `${redact(url)} was damaged or tampered with: its bytes are not those that are listed`, {
    expected: `SHA-256 ${expected}`,
    found: `SHA-256 ${found}`,
    hint: `A mirror in the middle of an update gives this too: try again, or name another one in ${env}`,
    exitCode: ExitCode.refused,
  });
}

/** Base URLs, the one to ask first in front. */
function mirrorsOf(source: MirrorSource, context: ListContext): readonly string[] {
  const named = context.env[source.env];
  return named !== undefined && named !== "" ? [checkMirror(named, source.env)] : source.mirrors;
}

/** The same path on the mirrors beside the one that is asked first. */
function others(mirror: string, path: string, source: MirrorSource, context: ListContext): readonly string[] {
  return mirrorsOf(source, context).filter((other) => other !== mirror).map((other) => `${other}/${path}`);
}

/** Brings an image: in parts and from several mirrors where its digest is known, and with what an earlier run had of it. */
async function fetchLarge(what: Transfer, known: { readonly sha256: string | undefined; readonly size?: number | undefined }, context: DownloadContext): Promise<Brought> {
  const { sha256 } = known;
  const size = sha256 === undefined ? undefined : known.size ?? (await sizeOf(what, context));
  const got = await transfer({ ...what, kept: join(context.project, partialDirectory), ...(sha256 === undefined || size === undefined ? {} : { expected: { sha256, size } }) }, context);
  const { fetched, found, readBack } = got;
  context.log(`${got.size} bytes: ${fetched} fetched, ${found} from an earlier run, ${readBack} read again to hash them`);
  return got;
}

/** Tries one mirror after the other. */
async function fromMirrors<T>(media: ImageMedia, source: MirrorSource, context: ListContext, from: (mirror: string) => Promise<T>): Promise<T> {
  const errors: ImgtaskError[] = [];
  for (const mirror of mirrorsOf(source, context)) {
    try {
      return await from(mirror);
    } catch (error) {
      if (!(error instanceof ImgtaskError) || !error.code.startsWith("IMG5")) throw error;
      errors.push(error);
      context.log(`${error.message}: trying the next mirror`);
    }
  }
  if (errors.length > 0) throw allFailed(media.id, errors);
  throw new ImgtaskError("IMG5008", `"${media.id}" has no mirror`, { hint: `Name one in ${source.env}` });
}

/** Takes a file that the user has. It has the digest that was given, or it is another file. */
async function fromFile(media: ImageMedia, source: FileSource, directory: string, context: DownloadContext): Promise<Origin> {
  const path = resolve(context.project, source.path);
  const url = pathToFileURL(path).href;
  const got = await transfer({ url, file: join(directory, imageFiles.image), ...limitOf(media, context), mirrorEnv: `"from" in the imagefile` }, context);
  if (got.sha256 !== media.sha256) throw damaged(url, media.sha256 ?? "given by the imagefile", got.sha256, "the imagefile");
  return { name: media.image.name, url };
}

/** Brings an image from a customer portal, by its digest. */
async function fromPortal(media: ImageMedia, source: PortalSource, directory: string, context: DownloadContext): Promise<Origin> {
  const token = (context.secrets as Readonly<Record<string, string>>)["token"]!;
  const { url, name = media.image.name } = await addressOnPortal(source, media.sha256!, token, context);
  const got = await fetchLarge({ url, file: join(directory, imageFiles.image), ...limitOf(media, context), mirrorEnv: source.env }, { sha256: media.sha256 }, context);
  if (got.sha256 !== media.sha256) throw damaged(url, media.sha256!, got.sha256, source.env);
  return { name, url: redact(url) };
}

/** Fills a directory with what vouches for the newest image: its list and signature, and keys. */
export async function fetchVouchers(media: ImageMedia, source: MirrorSource, directory: string, context: ListContext): Promise<void> {
  await keysFor(media, source, directory, context);
  await fromMirrors(media, source, context, (mirror) => fetchList(mirror, media, source, directory, context));
}

async function keysFor(media: ImageMedia, { list }: MirrorSource, directory: string, context: ListContext): Promise<void> {
  if (list.signature.kind !== "none" && list.signature.kind !== "minisign") await fetchKeys(media.keys, join(directory, imageFiles.keys), context);
}

/** Fills a directory with the image, its list and signature, keys, and where it came from. */
export async function fetchImage(media: ImageMedia, directory: string, context: DownloadContext): Promise<void> {
  const { source } = media;
  let origin: Origin;
  if (source.kind === "file") origin = await fromFile(media, source, directory, context);
  else if (source.kind === "mirror") {
    const pin = pinnedOf(media, context);
    if (pin === undefined) await keysFor(media, source, directory, context);
    origin = await fromMirrors(media, source, context, (mirror) =>
      pin === undefined ? fromMirror(mirror, media, source, directory, context) : pinnedFrom(mirror, pin, media, source, directory, context));
  } else origin = await fromPortal(media, source, directory, context);
  await writeFile(join(directory, imageFiles.origin), `${JSON.stringify(origin)}\n`);
}
