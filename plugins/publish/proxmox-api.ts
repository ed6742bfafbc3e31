/**
 * The requests of Proxmox VE's interface that a volume of a storage needs. Knows no order of things.
 *
 * Format: the published description of the API (`/api2/json`), and for the upload what its server reads: fields in one
 * order, in one piece, in front of the file (pve-http-server, `file_upload_multipart`).
 * @module
 */
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { busy, credentialsRefused, damagedOnTheWay, missingThere, placeFull, said, tooLarge, unexpectedAnswer, writingDenied } from "./failure.ts";
import { type Body, parsed, type Reply, send, type Server } from "./rest.ts";

/** A storage of a node, and who asks. */
export interface PveStorage {
  readonly server: Server;
  /** `USER@REALM!ID=SECRET` */
  readonly token: string;
  readonly node: string;
  readonly storage: string;
}

/** Kinds of content that images are. */
export type Content = "iso" | "import";

/** A volume. */
export interface Volume {
  /** `local:iso/NAME` */
  readonly volid: string;
  /** Bytes. */
  readonly size?: number;
}

/** A file that is to be sent. */
export interface Upload {
  readonly content: Content;
  readonly filename: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
}

const privileges = "The token needs Datastore.Audit and Datastore.AllocateTemplate on the storage, to replace Datastore.Allocate too; with separated privileges these are the token's own";

/** What is wrong stands beside the status; wrong parameters in the answer. */
function failureOf({ server: { place }, node, storage }: PveStorage, what: string, reply: Reply): Error {
  let message = reply.reason;
  try {
    const { errors, message: told } = JSON.parse(reply.text) as { errors?: unknown; message?: string };
    message = [told ?? reply.reason, ...(errors === undefined ? [] : [JSON.stringify(errors)])].join(" ");
  } catch {
    // A page of a proxy, or nothing.
  }
  const { status } = reply;
  const details = { found: said(`${status} ${message}`) };
  if (status === 401) return credentialsRefused(place, { ...details, hint: "Is the token whole, not expired, and of that user and realm?" });
  if (status === 403) return writingDenied(place, { ...details, hint: privileges });
  if (status === 413) return tooLarge(place, what, details);
  if (status === 507 || /no space left/i.test(message)) return placeFull(place, details);
  if (status === 404 || /does not exist|no such (?:cluster )?node|hostname lookup|is not available on node|not enabled|disabled/i.test(message)) return missingThere(place, `storage "${storage}" of node "${node}"`, details);
  if (/wrong (?:file )?extension|does not have a value in the enumeration|does not support|can't upload to storage type/i.test(message)) {
    return missingThere(place, `a way to take ${what}`, { ...details, hint: "OVAs need Proxmox VE 8.3, disk images 8.4 (libpve-storage-perl 8.2.8 and 8.3.6), and a storage of files with that content enabled" });
  }
  if (status >= 500 || status === 429) return busy(place, details);
  return unexpectedAnswer(place, { expected: "status 200", ...details });
}

async function ask<T>(to: PveStorage, method: string, path: string, what: string, body?: Body): Promise<T> {
  const { server, token } = to;
  const reply = await send(server, method, `${server.base}/api2/json/nodes/${path}`, { authorization: `PVEAPIToken=${token}` }, body);
  if (reply.status !== 200) throw failureOf(to, what, reply);
  return ((parsed(server.place, reply) as { data?: unknown } | undefined)?.data) as T;
}

const pathOf = ({ node, storage }: PveStorage): string => `${encodeURIComponent(node)}/storage/${encodeURIComponent(storage)}`;

/** What a storage takes, and how many bytes it has left, if it says so. */
export async function statusOf(to: PveStorage): Promise<{ readonly content: readonly string[]; readonly available: number | undefined }> {
  const { content = "", avail } = (await ask<{ content?: string; avail?: number } | undefined>(to, "GET", `${pathOf(to)}/status`, "the storage")) ?? {};
  return { content: content.split(","), available: avail };
}

export async function volumesOf(to: PveStorage, content: Content): Promise<readonly Volume[]> {
  return (await ask<readonly Volume[] | undefined>(to, "GET", `${pathOf(to)}/content?content=${content}`, "the storage")) ?? [];
}

/** Sends a file, and waits until the server has compared and kept it. */
export async function upload(to: PveStorage, file: Upload, bytes: () => AsyncIterable<Uint8Array>): Promise<void> {
  const { content, filename, size, sha256 } = file;
  const boundary = `imgtask-${randomUUID()}`;
  const fields = Object.entries({ content, "checksum-algorithm": "sha256", checksum: sha256 }).map(([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
  const head = Buffer.from(`${fields.join("")}--${boundary}\r\nContent-Disposition: form-data; name="filename"; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n`);
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield head;
    yield* bytes();
    yield end;
  }
  const task = await ask<unknown>(to, "POST", `${pathOf(to)}/upload`, `"${filename}" as content "${content}"`, { type: `multipart/form-data; boundary=${boundary}`, length: head.length + size + end.length, content: whole });
  await finished(to, task, filename);
}

/** Removes a volume, and waits until it is gone. */
export async function removeVolume(to: PveStorage, volid: string): Promise<void> {
  const task = await ask<unknown>(to, "DELETE", `${pathOf(to)}/content/${encodeURIComponent(volid)}`, "the volume");
  if (task !== null && task !== undefined) await finished(to, task, volid);
}

/** Waits for the end of a task of the server. */
async function finished(to: PveStorage, task: unknown, name: string): Promise<void> {
  const { place, signal } = to.server;
  // UPID:NODE:PID:START:TIME:TYPE:ID:USER: the node that carries it out is not always the one that was asked.
  const node = /^UPID:([A-Za-z0-9][A-Za-z0-9-]*):/.exec(String(task))?.[1];
  if (node === undefined) throw unexpectedAnswer(place, { expected: "the id of a task", found: said(String(task)) });
  for (let pause = 50; ; pause = Math.min(pause * 2, 5000)) {
    const { status, exitstatus = "" } = (await ask<{ status?: string; exitstatus?: string } | undefined>(to, "GET", `${node}/tasks/${encodeURIComponent(String(task))}/status`, "the task")) ?? {};
    if (status === "stopped") {
      if (exitstatus === "OK" || exitstatus.startsWith("WARNINGS")) return;
      const details = { found: said(exitstatus) };
      if (/checksum mismatch/.test(exitstatus)) throw damagedOnTheWay(place, name, details);
      if (/no space left/i.test(exitstatus)) throw placeFull(place, details);
      throw unexpectedAnswer(place, { expected: "a task that ends with OK", ...details, hint: "The task's log at the server says more" });
    }
    await wait(pause, undefined, { signal });
  }
}
