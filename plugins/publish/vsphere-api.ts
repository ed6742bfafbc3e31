/**
 * The requests of vCenter's REST interface that an item of a content library needs. Knows no order of things.
 *
 * Format: "vSphere Automation API", package `com.vmware.content`, in its form below `/rest`, which VMware's own client
 * (govmomi, which govc and Terraform use) speaks to all versions. Values come as `{"value": …}`.
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import { busy, changedMeanwhile, credentialsRefused, damagedOnTheWay, missingThere, placeFull, said, tooLarge, unexpectedAnswer, writingDenied } from "./failure.ts";
import { type Body, json, parsed, type Reply, send, type Server } from "./rest.ts";

/** A vCenter that somebody is logged in to. */
export interface VCenter {
  readonly server: Server;
  /** Of the session. */
  readonly token: string;
}

/** An item of a library, as far as it is looked at. */
export interface Item {
  readonly id: string;
  readonly name: string;
  readonly type?: string;
  readonly description?: string;
}

/** A file of an item. */
export interface ItemFile {
  readonly name: string;
  /** What it takes of the storage, which is not its length. */
  readonly size?: number;
  readonly checksum_info?: { readonly algorithm?: string; readonly checksum?: string };
}

/** A file that is to be sent. */
export interface Announced {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
}

/** State of an update. */
interface Update {
  readonly library_item_id?: string;
  readonly state?: string;
  readonly error_message?: Message;
}

interface Message {
  readonly default_message?: string;
}

const api = "/rest/com/vmware";
const login = `${api}/cis/session`, libraries = `${api}/content/library`, items = `${libraries}/item`, updates = `${items}/update-session`, updateFiles = `${items}/updatesession/file`;
const header = "vmware-api-session-id";
const privileges = "It needs the privileges of a content library: add, update and delete items, update files";

function failureOf(place: string, what: string, reply: Reply): Error {
  let kind = "", message = reply.text;
  try {
    const { type = "", value } = JSON.parse(reply.text) as { type?: string; value?: { messages?: readonly Message[] } };
    kind = type.split(".").at(-1) ?? "";
    message = (value?.messages ?? []).map((one) => one.default_message ?? "").join("; ");
  } catch {
    // A page of a proxy.
  }
  const { status } = reply;
  const details = { found: said(`${status} ${kind} ${message}`) };
  if (status === 401) return credentialsRefused(place, { ...details, hint: "Are user and password right, or is the session over?" });
  if (status === 403) return writingDenied(place, { ...details, hint: privileges });
  if (status === 404) return missingThere(place, what, { ...details, hint: privileges });
  if (status === 413) return tooLarge(place, what, details);
  if (status === 507 || kind === "unable_to_allocate_resource") return placeFull(place, details);
  if (kind === "already_exists" || kind === "concurrent_change" || kind === "not_allowed_in_current_state") return changedMeanwhile(place, details);
  if (status >= 500 || status === 429) return busy(place, details);
  return unexpectedAnswer(place, { expected: "status 200", ...details });
}

async function ask<T>({ server, token }: VCenter, method: string, path: string, what: string, body?: Body): Promise<T> {
  const reply = await send(server, method, `${server.base}${path}`, { [header]: token }, body);
  if (reply.status < 200 || reply.status > 299) throw failureOf(server.place, what, reply);
  return ((parsed(server.place, reply) as { value?: unknown } | undefined)?.value) as T;
}

/** Begins a session. */
export async function logIn(server: Server, user: string, password: string): Promise<VCenter> {
  const reply = await send(server, "POST", `${server.base}${login}`, { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` }, json({}));
  if (reply.status !== 200) throw failureOf(server.place, "its REST interface", reply);
  const { value } = (parsed(server.place, reply) ?? {}) as { value?: unknown };
  // It becomes a header.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) throw unexpectedAnswer(server.place, { expected: "the id of a session", found: "something else" });
  return { server, token: value };
}

/** Ends a session. */
export async function logOut(vcenter: VCenter): Promise<void> {
  await ask(vcenter, "DELETE", login, "the session");
}

/** The library of a name. @throws {ImgtaskError} IMG3524 when there is none, or more, or its items are another's. */
export async function libraryNamed(vcenter: VCenter, name: string): Promise<string> {
  const { place } = vcenter.server;
  const found = (await ask<readonly string[] | undefined>(vcenter, "POST", `${libraries}?~action=find`, "content libraries", json({ spec: { name } }))) ?? [];
  if (found.length !== 1) throw missingThere(place, `one content library named "${name}"`, { found: `${found.length} of them`, hint: found.length === 0 ? "It must be there before anything is published; it is also hidden from users without rights" : "Give it a name of its own" });
  const { type } = (await ask<{ readonly type?: string } | undefined>(vcenter, "GET", `${libraries}/id:${encodeURIComponent(found[0]!)}`, "the content library")) ?? {};
  if (type !== undefined && type !== "LOCAL") throw missingThere(place, `a local content library named "${name}"`, { found: said(type), hint: "A subscribed library takes its items from another one: publish there" });
  return found[0]!;
}

/** The item of a name, or `undefined`. */
export async function itemNamed(vcenter: VCenter, library: string, name: string): Promise<Item | undefined> {
  const found = (await ask<readonly string[] | undefined>(vcenter, "POST", `${items}?~action=find`, "the content library", json({ spec: { library_id: library, name } }))) ?? [];
  for (const id of found) {
    const item = await ask<Item>(vcenter, "GET", `${items}/id:${encodeURIComponent(id)}`, `item "${name}"`);
    // Some versions find without regard to case.
    if (item.name === name) return { ...item, id };
  }
  return undefined;
}

export async function createItem(vcenter: VCenter, library: string, fields: Required<Pick<Item, "name" | "type" | "description">>): Promise<string> {
  return await ask(vcenter, "POST", items, "the content library", json({ create_spec: { library_id: library, ...fields } }));
}

/** Gives an item another name or description. */
export async function changeItem(vcenter: VCenter, id: string, fields: Partial<Pick<Item, "name" | "description">>): Promise<void> {
  await ask(vcenter, "PATCH", `${items}/id:${encodeURIComponent(id)}`, "the item", json({ update_spec: fields }));
}

/** Removes an item, and ends what is being sent to it. */
export async function removeItem(vcenter: VCenter, id: string): Promise<void> {
  for (const update of (await ask<readonly string[] | undefined>(vcenter, "GET", updates, "updates")) ?? []) {
    const one = `${updates}/id:${encodeURIComponent(update)}`;
    // Others come and go meanwhile, and may be hidden from us.
    const { library_item_id, state } = (await ask<Update | undefined>(vcenter, "GET", one, "an update").catch(() => undefined)) ?? {};
    if (library_item_id !== id) continue;
    if (state === "ACTIVE") await ask(vcenter, "POST", `${one}?~action=cancel`, "an update").catch(() => undefined);
    await ask(vcenter, "DELETE", one, "an update").catch(() => undefined);
  }
  await ask(vcenter, "DELETE", `${items}/id:${encodeURIComponent(id)}`, "the item");
}

export async function filesOf(vcenter: VCenter, item: string): Promise<readonly ItemFile[]> {
  return (await ask<readonly ItemFile[] | undefined>(vcenter, "GET", `${items}/file?library_item_id=${encodeURIComponent(item)}`, "the item")) ?? [];
}

export async function beginUpdate(vcenter: VCenter, item: string): Promise<string> {
  return await ask(vcenter, "POST", updates, "the item", json({ create_spec: { library_item_id: item } }));
}

/** Sends a file: announced with its SHA-256, which the server checks. */
export async function sendFile(vcenter: VCenter, update: string, { name, size, sha256 }: Announced, content: () => AsyncIterable<Uint8Array>): Promise<void> {
  const { server, token } = vcenter;
  const announced = { file_spec: { name, source_type: "PUSH", size, checksum_info: { algorithm: "SHA256", checksum: sha256 } } };
  const { upload_endpoint } = await ask<{ readonly upload_endpoint?: { readonly uri?: string } }>(vcenter, "POST", `${updateFiles}/id:${encodeURIComponent(update)}?~action=add`, "the update", json(announced));
  const address = upload_endpoint?.uri ?? "";
  if (!URL.canParse(address) || new URL(address).protocol !== "https:") throw unexpectedAnswer(server.place, { expected: "an https address to send the file to", found: said(address) });
  // Hosts may take files themselves; the session is vCenter's alone.
  const own = new URL(address).origin === new URL(server.base).origin;
  const reply = await send(server, "PUT", address, own ? { [header]: token } : {}, { type: "application/octet-stream", length: size, content });
  if (reply.status < 200 || reply.status > 299) throw failureOf(server.place, `room for "${name}"`, reply);
}

/** Keeps an update from ending for want of news. */
export async function keepUpdate(vcenter: VCenter, update: string): Promise<void> {
  await ask(vcenter, "POST", `${updates}/id:${encodeURIComponent(update)}?~action=keep-alive`, "the update", json({}));
}

/** Gives an update up; what was sent is forgotten. */
export async function cancelUpdate(vcenter: VCenter, update: string): Promise<void> {
  await ask(vcenter, "POST", `${updates}/id:${encodeURIComponent(update)}?~action=cancel`, "the update");
}

/** Makes what was sent the content of the item, when the server has found it whole. */
export async function completeUpdate(vcenter: VCenter, update: string, name: string): Promise<void> {
  const { server } = vcenter;
  const failed = (text: string): Error => (/space|allocat|quota/i.test(text) ? placeFull(server.place, { found: said(text) }) : damagedOnTheWay(server.place, name, { found: said(text) }));
  const one = `${updates}/id:${encodeURIComponent(update)}`;
  const state = async (): Promise<Update> => {
    const now = (await ask<Update | undefined>(vcenter, "GET", one, "the update")) ?? {};
    if (now.state === "ERROR" || now.state === "CANCELED") throw failed(now.error_message?.default_message ?? `the update is in state ${now.state}`);
    return now;
  };
  await state();
  const { has_errors, missing_files = [], invalid_files = [] } =
    (await ask<{ has_errors?: boolean; missing_files?: readonly string[]; invalid_files?: readonly { name?: string; error_message?: Message }[] } | undefined>(vcenter, "POST", `${updateFiles}/id:${encodeURIComponent(update)}?~action=validate`, "the update")) ?? {};
  if (has_errors === true) throw failed([...missing_files.map((file) => `"${file}" is missing`), ...invalid_files.map((file) => `"${file.name ?? ""}": ${file.error_message?.default_message ?? "invalid"}`)].join("; "));
  await ask(vcenter, "POST", `${one}?~action=complete`, "the update");
  // Files are moved and descriptors read behind the answer.
  for (let pause = 100; (await state()).state !== "DONE"; pause = Math.min(pause * 2, 5000)) await wait(pause, undefined, { signal: server.signal });
}
