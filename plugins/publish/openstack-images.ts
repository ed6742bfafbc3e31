/**
 * The order in which images come to be at an OpenStack cloud: looked for, sent hidden, compared, shown. An unfinished image
 * is told from others by a property that names host and project; nothing else is ever cleaned up.
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { ImagePublisher, PublishContext, PublishedImage } from "../../lib/mod.ts";
import { changedMeanwhile, damagedOnTheWay, missingThere, otherBytesThere } from "./failure.ts";
import { markOf } from "./mark.ts";
import { checkPublishedName } from "./names.ts";
import { type Change, changeImage, createImage, image as imageOf, type Image, imagesNamed, removeImage, uploadImage } from "./openstack-api.ts";
import type { Session } from "./openstack-session.ts";
import { read, told } from "./pieces.ts";

/** One publication. */
export interface Work {
  readonly session: Session;
  readonly visibility: string;
  readonly replace: "hide" | "delete" | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly context: Pick<PublishContext, "log" | "progress" | "signal" | "project">;
}

/** The mark of an image that is not whole, or not compared. */
const sending = "imgtask_sending";
/** Names of Glance's digests that Node calls otherwise. */
const algorithms: Readonly<Record<string, string>> = { sha3_256: "sha3-256", sha3_512: "sha3-512", blake2b: "blake2b512", blake2s: "blake2s256" };
const usual = "sha512";
/** Milliseconds for a cloud to work on an image that it has all of. */
const patience = 30 * 60_000;

/** GiB that a machine's disk must have, 0 when nothing tells it. Source: QEMU, docs/interop/qcow2.txt, "Header". */
export function smallestDisk({ path, format, size }: Pick<PublishedImage, "path" | "format" | "size">): number {
  let bytes = format === "raw" || format === "vhd" ? size : 0;
  if (format === "qcow2") {
    const head = Buffer.alloc(32), fd = openSync(path, "r");
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
    if (head.toString("latin1", 0, 4) === "QFI\xfb") bytes = Number(head.readBigUInt64BE(24));
  }
  return Math.ceil(bytes / 2 ** 30);
}

/** What an image is made with. */
function fieldsOf(image: PublishedImage, mark: string, { visibility, properties }: Work): Readonly<Record<string, string | boolean | number>> {
  const { name, format, os, arch, commit, sha256, target, signature } = image;
  return {
    name, visibility, os_hidden: true, disk_format: format, container_format: "bare", min_disk: smallestDisk(image),
    ...(os === null ? {} : { os_distro: os.id, ...(os.version === null ? {} : { os_version: os.version }) }),
    ...(arch === null ? {} : { architecture: arch }),
    imgtask_sha256: sha256, imgtask_target: target,
    ...(commit === null ? {} : { imgtask_commit: `${commit.id}${commit.dirty ? "-dirty" : ""}` }),
    ...(signature === undefined ? {} : { imgtask_signature: signature }),
    [sending]: mark,
    ...properties,
  };
}

/** Digests of one file, read once for each algorithm that a cloud uses. */
class Bytes {
  readonly #known = new Map<string, string>();
  readonly #image: PublishedImage;
  readonly #signal: AbortSignal;

  constructor(image: PublishedImage, signal: AbortSignal) {
    this.#image = image;
    this.#signal = signal;
  }

  /** The file on its way to the cloud, its digest taken meanwhile. */
  async *sent(context: Work["context"]): AsyncGenerator<Buffer> {
    const { name, path, size } = this.#image;
    const hash = createHash(usual);
    for await (const chunk of told(name, { path, offset: 0, size }, context)) {
      hash.update(chunk);
      yield chunk;
    }
    this.#known.set(usual, hash.digest("hex"));
  }

  /** Whether an image of a cloud has these bytes. */
  async are(there: Image, place: string): Promise<boolean> {
    const { path, size } = this.#image;
    if (there.status !== "active" || there.size !== size) return false;
    const { os_hash_algo: algorithm, os_hash_value: value } = there;
    if (typeof algorithm !== "string" || typeof value !== "string") throw missingThere(place, "digests of images", { expected: "os_hash_value", found: "none", hint: "Glance has them since the release Rocky" });
    let own = this.#known.get(algorithm);
    if (own === undefined) {
      const hash = createHash(algorithms[algorithm] ?? algorithm);
      for await (const chunk of read({ path, offset: 0, size }, this.#signal)) hash.update(chunk);
      own = hash.digest("hex");
      this.#known.set(algorithm, own);
    }
    return own === value.toLowerCase();
  }
}

/** An image that the cloud has all of, but does not show yet. */
interface Waiting {
  readonly image: PublishedImage;
  readonly there: Image;
  readonly uploaded: boolean;
}

const isOurs = (there: Image, { session }: Work): boolean => session.project === undefined || there.owner === session.project;
const describe = ({ id, status, owner, imgtask_sha256: sha256 }: Image): string => `image ${id}, ${status}${owner === null ? "" : `, of project ${owner}`}${typeof sha256 === "string" ? `, SHA-256 ${sha256}` : ""}`;

/** Refuses what stands at the name and is not replaced. */
function checkOthers(image: PublishedImage, others: readonly Image[], work: Work): void {
  const stranger = others.find((one) => !isOurs(one, work));
  const other = stranger ?? (work.replace === undefined ? others[0] : undefined);
  if (other === undefined) return;
  throw otherBytesThere(work.session.place, image.name, {
    expected: `SHA-256 ${image.sha256}`, found: describe(other),
    hint: stranger === undefined ? '`replace: "hide"` or "delete" replaces it; or publish under another `name`' : "It belongs to another project: publish under another `name`",
  });
}

/** Waits until the cloud has worked on what was sent. */
async function settled(id: string, { session, context }: Work): Promise<Image> {
  for (const end = Date.now() + patience; ; ) {
    const there = await imageOf(session, id);
    if (!["saving", "importing", "uploading"].includes(there.status) || Date.now() > end) return there;
    context.progress(`the cloud is ${there.status} it`);
    await pause(500, undefined, { signal: context.signal });
  }
}

async function upload(image: PublishedImage, bytes: Bytes, mark: string, work: Work): Promise<Image> {
  const { session, context } = work;
  const made = await createImage(session, fieldsOf(image, mark, work));
  try {
    context.log(`sending ${image.name}`);
    context.progress(`sending ${image.name}`);
    await uploadImage(session, made.id, image.size, () => bytes.sent(context));
    const there = await settled(made.id, work);
    if (await bytes.are(there, session.place)) return there;
    throw damagedOnTheWay(session.place, image.name, { expected: `${image.size} bytes with the digest of those that were sent`, found: `${there.size ?? 0} bytes, ${there.status}, ${there.os_hash_algo ?? ""} ${there.os_hash_value ?? "no digest"}` });
  } catch (error) {
    // What is left is cleaned up by the next run, when it cannot be now.
    if (!context.signal.aborted) await removeImage(session, made.id).catch(() => {});
    throw error;
  }
}

/** Makes sure that the cloud has an image, hidden or shown. */
async function prepare(image: PublishedImage, work: Work): Promise<Waiting> {
  const { session, context } = work;
  const mark = markOf(context.project, image.name);
  const bytes = new Bytes(image, context.signal);
  const all = await imagesNamed(session, image.name);
  const own = all.filter((one) => one[sending] === mark && isOurs(one, work));
  const shown = all.filter((one) => !one.os_hidden && !own.includes(one));
  let whole: Image | undefined;
  for (const one of shown) if (whole === undefined && isOurs(one, work) && (await bytes.are(one, session.place))) whole = one;
  checkOthers(image, shown.filter((one) => one !== whole), work);
  // Of an earlier run that was killed, or hidden when it was replaced.
  const hidden = all.filter((one) => one.os_hidden && isOurs(one, work) && typeof one["imgtask_sha256"] === "string" && (one[sending] === undefined || own.includes(one)));
  for (const one of hidden) if (whole === undefined && (await bytes.are(one, session.place))) whole = one;
  for (const one of own) if (one !== whole) await removeImage(session, one.id);
  return whole === undefined ? { image, there: await upload(image, bytes, mark, work), uploaded: true } : { image, there: whole, uploaded: false };
}

/** Shows an image under its name, in place of those that had it. */
async function show({ image, there }: Waiting, work: Work): Promise<void> {
  const { session, replace, visibility, properties } = work;
  const others = (await imagesNamed(session, image.name)).filter((one) => !one.os_hidden && one.id !== there.id);
  if (others.length > 0 && (replace === undefined || others.some((one) => !isOurs(one, work)))) throw changedMeanwhile(session.place, { found: others.map(describe).join("; ") });
  for (const { id } of others) {
    if (replace === "delete") await removeImage(session, id);
    else await changeImage(session, id, [{ op: "replace", path: "/os_hidden", value: true }]);
  }
  const set = (name: string, value: string | boolean): readonly Change[] => (there[name] === value ? [] : [{ op: there[name] === undefined ? "add" : "replace", path: `/${name}`, value }]);
  const changes: readonly Change[] = [
    ...(there[sending] === undefined ? [] : [{ op: "remove", path: `/${sending}` } as const]),
    ...Object.entries(properties).flatMap(([name, value]) => set(name, value)),
    ...set("visibility", visibility), ...set("os_hidden", false),
  ];
  if (changes.length > 0) await changeImage(session, there.id, changes);
}

/** Publishes images. @throws {ImgtaskError} as `openstack()` says */
export async function publishImages(images: readonly PublishedImage[], work: Work): ReturnType<ImagePublisher["publish"]> {
  for (const { name } of images) checkPublishedName(name);
  const waiting: Waiting[] = [];
  for (const image of images) waiting.push(await prepare(image, work));
  for (const one of waiting) await show(one, work);
  return waiting.map(({ image: { name }, there, uploaded }) => ({ name, location: `${work.session.images}/v2/images/${there.id}`, uploaded }));
}
