/**
 * The requests of OpenStack's Image API v2 (Glance) that publishing needs. Knows no order of things.
 * Source: Image service API v2, "Images" and "Image data".
 * @module
 */
import { unexpectedAnswer } from "./failure.ts";
import type { Session } from "./openstack-session.ts";

/** An image, as far as it is looked at; properties of its own stand beside these. */
export interface Image {
  readonly id: string;
  readonly name: string | null;
  /** `queued`, `saving`, `importing`, `active`, `killed`, `deactivated` … */
  readonly status: string;
  readonly visibility: string;
  readonly os_hidden: boolean;
  /** Id of the project that it belongs to. */
  readonly owner: string | null;
  /** Bytes, once it is there. */
  readonly size: number | null;
  /** What the server computed from the bytes that came, once they are there. */
  readonly os_hash_algo: string | null;
  readonly os_hash_value: string | null;
  readonly [property: string]: unknown;
}

/** A change. Source: RFC 6902, of which Glance knows these. */
export type Change =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: string | boolean | number }
  | { readonly op: "remove"; readonly path: string };

const changesType = "application/openstack-images-v2.1-json-patch";

function imageIn(session: Session, data: unknown): Image {
  const image = data as Image | undefined;
  if (typeof image?.id !== "string" || !/^[0-9a-fA-F-]{36}$/.test(image.id) || typeof image.status !== "string") {
    throw unexpectedAnswer(session.place, { expected: "an image", found: JSON.stringify(data)?.slice(0, 200) ?? "nothing", hint: "Is the address the one of Glance?" });
  }
  return image;
}

async function pages(session: Session, first: string): Promise<readonly Image[]> {
  const all: Image[] = [];
  for (let path: string | undefined = first, count = 0; path !== undefined && count < 1000; count++) {
    const { data } = await session.call({ method: "GET", path, ok: [200] });
    const { images, next } = (data ?? {}) as { readonly images?: readonly unknown[]; readonly next?: string };
    if (!Array.isArray(images)) throw unexpectedAnswer(session.place, { expected: "a list of images", found: "none", hint: "Is the address the one of Glance?" });
    all.push(...images.map((one) => imageIn(session, one)));
    path = typeof next === "string" && next.startsWith("/v2/") ? next : undefined;
  }
  return all;
}

/** All images of a name that this project sees, hidden ones too. @param name without ":" and "," */
export async function imagesNamed(session: Session, name: string): Promise<readonly Image[]> {
  const query = `/v2/images?limit=100&name=${encodeURIComponent(name)}`;
  const found = [...(await pages(session, `${query}&os_hidden=false`)), ...(await pages(session, `${query}&os_hidden=true`))];
  return found.filter((one) => one.name === name);
}

export async function image(session: Session, id: string): Promise<Image> {
  return imageIn(session, (await session.call({ method: "GET", path: `/v2/images/${id}`, ok: [200] })).data);
}

export async function createImage(session: Session, fields: Readonly<Record<string, string | boolean | number>>): Promise<Image> {
  const content = JSON.stringify(fields);
  const body = () => ({ type: "application/json", length: Buffer.byteLength(content), content });
  return imageIn(session, (await session.call({ method: "POST", path: "/v2/images", ok: [201], body })).data);
}

/** @param content is asked for again when the token had run out */
export async function uploadImage(session: Session, id: string, size: number, content: () => AsyncIterable<Uint8Array>): Promise<void> {
  await session.call({ method: "PUT", path: `/v2/images/${id}/file`, ok: [204], body: () => ({ type: "application/octet-stream", length: size, content }) });
}

export async function changeImage(session: Session, id: string, changes: readonly Change[]): Promise<Image> {
  const content = JSON.stringify(changes);
  const body = () => ({ type: changesType, length: Buffer.byteLength(content), content });
  return imageIn(session, (await session.call({ method: "PATCH", path: `/v2/images/${id}`, ok: [200], body })).data);
}

/** Takes an image away; one that is gone is no failure. */
export async function removeImage(session: Session, id: string): Promise<void> {
  await session.call({ method: "DELETE", path: `/v2/images/${id}`, ok: [204, 404] });
}
