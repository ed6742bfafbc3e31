/**
 * Publishes to a content library of VMware vSphere, from which machines are deployed and media mounted.
 * Knows nothing of what the images are but their formats.
 * @module
 */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { checkOptions, fit, type Fits, type ImagePublisher, type PublishContext, type PublishedImage, proxyVariables, type Secret, secret } from "../../lib/mod.ts";
import { badOption, damagedOnTheWay, otherBytesThere } from "./failure.ts";
import { membersOf } from "./ova-members.ts";
import { digestOf, type Piece, told } from "./pieces.ts";
import { caPath, checkServer, serverFits, serverOf, type ServerOptions } from "./rest.ts";
import {
  type Announced, beginUpdate, cancelUpdate, changeItem, completeUpdate, createItem, filesOf, type Item, itemNamed, keepUpdate, libraryNamed, logIn, logOut, removeItem, sendFile, type VCenter,
} from "./vsphere-api.ts";

/** What `vsphere()` takes. */
export interface VsphereOptions extends ServerOptions {
  /** Name of a local content library, which must be there. */
  readonly library: string;
  /**
   * A user, as `images@vsphere.local`, and the password; or a session that somebody began, which is not ended then.
   * @default for the password: the one in VSPHERE_PASSWORD
   */
  readonly credentials: { readonly user: string; readonly password?: Secret } | { readonly session: Secret };
  /** Whether an item of the name with other content is replaced instead of refused. Deployed machines stay as they are. @default false */
  readonly replace?: boolean;
}

const fits: Fits<VsphereOptions> = {
  ...serverFits,
  library: fit.needed(fit.text),
  credentials: fit.needed(fit.by('{ user: "images@vsphere.local", password: secret.env("VSPHERE_PASSWORD") } or { session: secret.env(…) }', fit.isObject)),
  replace: fit.flag,
};
const userFits: Fits<{ readonly user: string; readonly password?: Secret }> = { user: fit.needed(fit.text), password: fit.secretHandle };
const sessionFits: Fits<{ readonly session: Secret }> = { session: fit.needed(fit.secretHandle) };

/** What an item of a format is. */
const types = { iso: "iso", ova: "ovf" } as const;
type Format = keyof typeof types;

/**
 * Publishes to a content library: an OVA as an item of type `ovf`, its files unpacked, an ISO image as one of type `iso`.
 *
 * Files are sent to an item of another name, `imgtask-…-new`; the server compares their SHA-256. When all items of the
 * publication are whole they get their names. What is there with the same bytes is not sent: the item's description
 * says the SHA-256 of the image, beside its target, commit and operating system. A later run removes what one that was killed left, or
 * goes on with it where it was whole. An item that is replaced is away between two requests, and the new one has another id.
 *
 * Needs vCenter 7.0 or later, which checks SHA-256, and an account with the privileges to add, update and delete items of the library.
 *
 * @throws {ImgtaskError} IMG2520 for bad options; when it runs, IMG3521 and IMG3523 for an account that is wrong or may not,
 * IMG3522 without room, IMG3524 for a library that is not there, IMG3527 for an item with other content, IMG3550 and
 * IMG3551 for certificates, IMG3552 for an OVA that is none, IMG506x for the network.
 *
 * @example
 * ```ts
 * import { vsphere } from "imgtask/plugins/publish/vsphere";
 *
 * publish("vcenter", {
 *   artifacts: [kaliOva],
 *   tests: [kaliTest],
 *   to: vsphere({ url: "https://vc.example.org", library: "images", credentials: { user: "images@vsphere.local" } }),
 * });
 * ```
 */
export function vsphere(options: VsphereOptions): ImagePublisher {
  checkOptions("vsphere()", options, fits);
  checkOptions('"credentials" of vsphere()', options.credentials, "session" in options.credentials ? sessionFits : userFits);
  checkServer(options, "vsphere");
  const { url, library, credentials, replace = false } = options;
  if (library.trim() === "" || library.length > 200) throw badOption("vsphere", "library", library, "the name of a content library");
  const session = "session" in credentials ? credentials.session : undefined;
  const { user, password = secret.env("VSPHERE_PASSWORD") } = "session" in credentials ? { user: undefined } : credentials;
  if (user !== undefined && (user === "" || /[:\x00-\x1f\x7f]/.test(user))) throw badOption("vsphere", "user", user, "a name without \":\" and control characters");
  const file = caPath(options);
  return Object.freeze({
    name: "vsphere",
    params: { url, library, replace, ...(user === undefined ? {} : { user }), ...(file === undefined ? {} : { ca: file }) },
    tools: [],
    env: [],
    secrets: session !== undefined ? { vsphereSession: session } : { vspherePassword: password },
    untracked: { env: proxyVariables, reads: file === undefined ? [] : [file] },
    module: import.meta.url,
    takes: Object.keys(types) as Format[],
    async publish(images, context) {
      const server = serverOf(options, `vCenter ${new URL(url).host}`, context);
      const { vspherePassword = "", vsphereSession = "" } = context.secrets;
      // A file with a token ends in a line break, which no header may hold.
      const vcenter = session !== undefined ? { server, token: vsphereSession.trim() } : await logIn(server, user!, vspherePassword);
      try {
        return await bring(images, { vcenter, library: await libraryNamed(vcenter, library), name: library, replace, context });
      } finally {
        if (session === undefined) await logOut(within(vcenter)).catch(() => {});
      }
    },
  } satisfies ImagePublisher);
}

interface Work {
  readonly vcenter: VCenter;
  readonly library: string;
  /** Of the library. */
  readonly name: string;
  readonly replace: boolean;
  readonly context: PublishContext;
}

/** For what must be done after an end by signal, too; soon. */
const within = (vcenter: VCenter): VCenter => ({ ...vcenter, server: { ...vcenter.server, signal: AbortSignal.timeout(10_000) } });

/** A file on its way. */
interface Outgoing extends Announced {
  readonly piece: Piece;
}

async function filesIn({ name, path, size, sha256, format }: PublishedImage, signal: AbortSignal): Promise<readonly Outgoing[]> {
  if (format !== "ova") return [{ name, size, sha256, piece: { path, offset: 0, size } }];
  const files: Outgoing[] = [];
  for (const member of await membersOf(path, name)) {
    const piece = { path, offset: member.offset, size: member.size };
    files.push({ name: member.name, size: member.size, sha256: await digestOf(piece, signal), piece });
  }
  return files;
}

/** What the item's description says: lines that people read, the SHA-256 among them. */
function describe({ sha256, target, os, arch, kernel, commit, signature }: PublishedImage): string {
  const lines = [
    "Published by imgtask",
    `sha256: ${sha256}`,
    `target: ${target}`,
    ...(os === null ? [] : [`os: ${os.title ?? os.id}${os.version === null ? "" : ` (${os.id} ${os.version})`}`]),
    ...(arch === null ? [] : [`arch: ${arch}`]),
    ...(kernel === null ? [] : [`kernel: ${kernel}`]),
    ...(commit === null ? [] : [`commit: ${commit.id}${commit.dirty ? ", changed" : ""}`]),
  ].map((line) => line.replaceAll(/[\x00-\x1f\x7f]/g, " ").slice(0, 200));
  const text = lines.join("\n");
  const signed = signature === undefined ? text : `${text}\n${signature.trimEnd()}`;
  // A description has 2000 characters.
  return signed.length <= 2000 ? signed : text;
}

const digestIn = (description: string | undefined): string | undefined => /^Published by imgtask\r?\nsha256: ([0-9a-f]{64})$/m.exec(description ?? "")?.[1];

/** Whether an item is the image: by what it says of itself and what the server says of its files. */
async function isImage(item: Item | undefined, image: PublishedImage, files: readonly Announced[], vcenter: VCenter): Promise<boolean> {
  if (item === undefined || digestIn(item.description) !== image.sha256 || item.type !== types[image.format as Format]) return false;
  return (await differing(item.id, files, vcenter)) === undefined;
}

/** The first file that an item lacks or has with another SHA-256, where the server tells. */
async function differing(item: string, files: readonly Announced[], vcenter: VCenter): Promise<string | undefined> {
  const there = await filesOf(vcenter, item);
  return files.find(({ name, sha256 }) => {
    const one = there.find((file) => file.name === name);
    const { algorithm, checksum } = one?.checksum_info ?? {};
    return one === undefined || (algorithm === "SHA256" && checksum !== undefined && checksum.toLowerCase() !== sha256);
  })?.name;
}

async function bring(images: readonly PublishedImage[], { vcenter, library, name: shelf, replace, context }: Work): ReturnType<ImagePublisher["publish"]> {
  const { place, base } = vcenter.server;
  const wanted: { readonly image: PublishedImage; readonly files: readonly Outgoing[]; readonly own: string }[] = [];
  for (const image of images) {
    const files = await filesIn(image, context.signal);
    const old = await itemNamed(vcenter, library, image.name);
    const own = `imgtask-${createHash("sha256").update(JSON.stringify([hostname(), context.project, image.name])).digest("hex").slice(0, 16)}`;
    if (await isImage(old, image, files, vcenter)) {
      // What a run that was killed at its end did not get to remove.
      for (const end of ["old", "new"]) await forget(vcenter, library, `${own}-${end}`);
      continue;
    }
    if (old !== undefined && !replace) {
      throw otherBytesThere(place, image.name, { expected: `SHA-256 ${image.sha256}`, found: digestIn(old.description) ?? "an item that says no SHA-256", hint: "Remove it, publish under another name, or replace it: replace: true" });
    }
    wanted.push({ image, files, own });
  }
  const whole: { readonly name: string; readonly id: string; readonly own: string }[] = [];
  for (const { image, files, own } of wanted) whole.push({ name: image.name, own, id: await stage(image, files, `${own}-new`, { vcenter, library, context }) });
  for (const { name, id, own } of whole) {
    const old = await itemNamed(vcenter, library, name);
    if (old !== undefined) {
      await forget(vcenter, library, `${own}-old`);
      await changeItem(vcenter, old.id, { name: `${own}-old` });
    }
    await changeItem(vcenter, id, { name });
    await forget(vcenter, library, `${own}-old`);
  }
  return images.map((image) => ({ name: image.name, location: `vsphere://${new URL(base).host}/${encodeURIComponent(shelf)}/${image.name}`, uploaded: wanted.some((one) => one.image === image) }));
}

async function forget(vcenter: VCenter, library: string, name: string): Promise<void> {
  const item = await itemNamed(vcenter, library, name);
  if (item !== undefined) await removeItem(vcenter, item.id);
}

/** Sends an image to an item of our own, to the end. @returns the item, whole and compared. */
async function stage(image: PublishedImage, files: readonly Outgoing[], name: string, { vcenter, library, context }: Pick<Work, "vcenter" | "library" | "context">): Promise<string> {
  const before = await itemNamed(vcenter, library, name);
  if (before !== undefined && (await isImage(before, image, files, vcenter))) return before.id;
  if (before !== undefined) await removeItem(vcenter, before.id);
  const id = await createItem(vcenter, library, { name, type: types[image.format as Format], description: `imgtask is sending ${image.name}, which is not whole yet` });
  const update = await beginUpdate(vcenter, id);
  const awake = setInterval(() => void keepUpdate(vcenter, update).catch(() => {}), 60_000).unref();
  try {
    for (const file of files) {
      context.log(`sending ${file.name}${file.name === image.name ? "" : ` of ${image.name}`}`);
      context.progress(`sending ${file.name}`);
      await sendFile(vcenter, update, file, () => told(file.name, file.piece, context));
    }
    await completeUpdate(vcenter, update, image.name);
    const other = await differing(id, files, vcenter);
    if (other !== undefined) throw damagedOnTheWay(vcenter.server.place, image.name, { expected: `"${other}" with its SHA-256`, found: "none, or another one" });
    await changeItem(vcenter, id, { description: describe(image) });
    return id;
  } catch (error) {
    await cancelUpdate(within(vcenter), update).catch(() => {});
    await removeItem(within(vcenter), id).catch(() => {});
    throw error;
  } finally {
    clearInterval(awake);
  }
}
