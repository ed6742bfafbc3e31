/**
 * A server that answers as Proxmox VE does for the volumes of a storage of files. No real Proxmox VE: it follows the published
 * sources of pve-http-server (what of a multipart upload is read, and in which order) and pve-storage (names, checks, tasks,
 * permissions), and a client that is not ours, Debian's python3-proxmoxer, lists, uploads and deletes at it.
 * @module
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { makeAuthority } from "./range-server.ts";

/** Why there is no second client, or `undefined`. */
export function proxmoxMissing(): string | undefined {
  return ["proxmoxer", "requests"].every((name) => existsSync(`/usr/lib/python3/dist-packages/${name}`)) ? undefined : "a second client: install python3-proxmoxer and python3-requests";
}

/** Extensions of pve-storage, `$ISO_EXT_RE_0` and `$UPLOAD_IMPORT_EXT_RE_1`. */
const names: Readonly<Record<string, RegExp>> = { iso: /^[^/]+\.(?:iso|img)$/i, import: /^[a-zA-Z0-9\-.+=_]+\.(?:ova|qcow2|raw|vmdk)$/ };

export interface ProxmoxServer {
  readonly url: string;
  readonly ca: string;
  readonly node: string;
  readonly storage: string;
  /** Its secret and that of one that may only look. */
  readonly tokens: { readonly writer: readonly [id: string, secret: string]; readonly reader: readonly [id: string, secret: string] };
  /** Files of the storage by content and name, when no task runs. */
  files(): Promise<Readonly<Record<string, Buffer>>>;
  /** Bytes of files that came since the last call. */
  received(): number;
  /** Temporary files of uploads that are on the way or were left. */
  temporary(): readonly string[];
  /** What the next uploads meet: damage on the way, a full disk, an answer 500. */
  readonly next: ("damage" | "full" | "fail")[];
  /** What it has room for, and what the storage takes. */
  readonly state: { available: number; content: string };
  /** Runs the client that is not ours. */
  client(verb: "list" | "upload" | "delete", ...args: readonly string[]): Promise<string>;
  /** Of a file, by its content and name. */
  pathOf(name: string): string;
  empty(): void;
  stop(): Promise<void>;
}

interface Fields {
  readonly content?: string;
  readonly "checksum-algorithm"?: string;
  readonly checksum?: string;
  readonly filename: string;
}

/** @param directory an empty one. */
export async function startProxmox(directory: string): Promise<ProxmoxServer> {
  const { authority, key, certificate } = makeAuthority(directory);
  const store = join(directory, "store"), temporary = join(directory, "tmp");
  const node = "pve", storage = "local";
  const tokens = { writer: ["images@pve!ci", "8c1d3c1e-0000-4000-8000-0123456789ab"], reader: ["images@pve!look", "8c1d3c1e-1111-4111-8111-0123456789ab"] } as const;
  const tasks = new Map<string, { done: Promise<void>; exit: string | undefined }>();
  const next: ProxmoxServer["next"] = [];
  const state = { available: 10 ** 12, content: "iso,vztmpl,import,backup" };
  let received = 0, count = 0;
  const empty = (): void => {
    for (const name of ["store", "tmp"]) rmSync(join(directory, name), { recursive: true, force: true });
    for (const name of ["iso", "import"]) mkdirSync(join(store, name), { recursive: true });
    mkdirSync(temporary);
  };
  empty();

  const reply = (response: ServerResponse, status: number, data: unknown, reason?: string, errors?: object): void => {
    response.writeHead(status, reason, { "content-type": "application/json;charset=UTF-8" });
    response.end(JSON.stringify({ data, ...(status === 200 ? {} : { message: `${reason}\n` }), ...(errors === undefined ? {} : { errors }) }));
  };
  const fork = (type: string, work: () => Promise<void>): string => {
    const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
    const id = `UPID:${node}:${hex(++count)}:${hex(count * 7)}:${hex(Math.floor(Date.now() / 1000))}:${type}::images@pve!ci:`;
    const task = { done: Promise.resolve(), exit: undefined as string | undefined };
    task.done = work().then(() => void (task.exit = "OK"), (error: Error) => void (task.exit = error.message));
    tasks.set(id, task);
    return id;
  };

  /** Reads an upload as `file_upload_multipart` does: fields in its order, the file last, `Content-Disposition` first of its headers. */
  const receive = async (request: IncomingMessage, file: string): Promise<Fields> => {
    const boundary = /^multipart\/form-data\s*[;,]\s*boundary\s*=\s*(\S+?)\s*$/.exec(request.headers["content-type"] ?? "")?.[1];
    if (boundary === undefined || request.headers["content-length"] === undefined) throw new Error("upload without content length header not supported");
    const delimiter = `--${boundary}`, out = createWriteStream(file, { flags: "wx", mode: 0o600 });
    const params: Record<string, string> = {};
    let buffer = Buffer.alloc(0), inFile = false, whole = false;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        buffer = Buffer.concat([buffer, chunk]);
        if (!inFile) {
          let text = buffer.toString("latin1");
          text = text.slice(Math.max(0, text.indexOf(delimiter)));
          for (const name of ["content", "checksum-algorithm", "checksum"]) {
            const found = new RegExp(`^${delimiter}\\r?\\n.*?Content-Disposition: (.*?); name="${name}"(.*?${delimiter}\\r?\\n)`, "s").exec(text);
            if (found === null) continue;
            if (found[1] !== "form-data") throw new Error(`wrong Content-Disposition '${found[1]}' in multipart, expected 'form-data'`);
            text = found[2]! + text.slice(found[0].length);
            text = text.replace(/^.*?(?:\r?\n){2}/s, "");
            const value = new RegExp(`^(.*?)(?=${delimiter}\\r?\\n)`, "s").exec(text)![1]!;
            text = text.slice(value.length);
            params[name] = value.trim();
          }
          const head = new RegExp(`^${delimiter}\\r?\\nContent-Disposition: (.*?); name="(.*?)"; filename="([^"]+)"`, "s").exec(text);
          if (head !== null) {
            if (head[2] !== "filename") throw new Error(`wrong field name '${head[2]}' for file upload, expected 'filename'`);
            params["filename"] = head[3]!.trim();
            inFile = true;
            // What has not come yet of these headers would be taken for the file.
            text = text.slice(head[0].length).replace(/^.*?(?:\r?\n){2}/s, "");
          }
          buffer = Buffer.from(text, "latin1");
        }
        if (!inFile || whole) continue;
        const close = buffer.indexOf(`${delimiter}--`);
        const end = close < 0 ? Math.max(0, buffer.length - delimiter.length - 6) : close - (buffer[close - 1] === 10 ? (buffer[close - 2] === 13 ? 2 : 1) : 0);
        whole = close >= 0;
        received += end;
        if (!out.write(buffer.subarray(0, end))) await new Promise<void>((resolve) => out.once("drain", () => resolve()));
        buffer = buffer.subarray(end);
      }
    } finally {
      await new Promise<void>((resolve) => out.end(() => resolve()));
    }
    if (!whole) throw new Error("upload failed");
    return params as unknown as Fields;
  };

  const upload = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const file = join(temporary, `pveupload-${createHash("md5").update(String(++count)).digest("hex")}`);
    let fields: Fields;
    try {
      fields = await receive(request, file);
    } catch (error) {
      rmSync(file, { force: true });
      return reply(response, 500, null, (error as Error).message);
    }
    const refuse = (status: number, reason: string, errors?: object): void => (rmSync(file, { force: true }), reply(response, status, null, reason, errors));
    const { content = "", checksum, "checksum-algorithm": algorithm } = fields;
    const filename = fields.filename.replace(/^.*[/\\]/, "").replaceAll(/[^a-zA-Z0-9_.-]/g, "_");
    const failing = next.shift();
    if (failing === "fail") return refuse(500, "got no worker upid - start worker failed");
    if (!["iso", "vztmpl", "import"].includes(content)) return refuse(400, "Parameter verification failed.", { content: `value '${content}' does not have a value in the enumeration 'iso, vztmpl, import'` });
    if ((checksum === undefined) !== (algorithm === undefined)) return refuse(400, "Parameter verification failed.", { checksum: "missing property" });
    if (names[content]?.test(filename) !== true) return refuse(400, "Parameter verification failed.", { filename: "wrong file extension" });
    if (!state.content.split(",").includes(content)) return refuse(500, `storage '${storage}' does not support '${content}' content`);
    reply(response, 200, fork("imgcopy", async () => {
      try {
        if (algorithm !== undefined) {
          const hash = createHash(algorithm);
          await pipeline(createReadStream(file), hash);
          const got = failing === "damage" ? "00" : hash.digest("hex");
          if (got !== checksum!.toLowerCase()) throw new Error(`checksum mismatch: got '${got}' != expect '${checksum}'`);
        }
        if (failing === "full") throw new Error("import failed: cp: error writing: No space left on device");
        // As cp does it: over what is there, and seen while it grows.
        await pipeline(createReadStream(file), createWriteStream(join(store, content, filename)));
      } finally {
        rmSync(file, { force: true });
      }
    }));
  };

  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) => {
    const handle = async (): Promise<void> => {
      const url = new URL(request.url ?? "/", "https://localhost");
      const given = request.headers.authorization;
      const [writer, reader] = [tokens.writer, tokens.reader].map(([id, secret]) => `PVEAPIToken=${id}=${secret}`);
      if (given !== writer && given !== reader) return reply(response, 401, null, given === undefined ? "No ticket" : "invalid token value!");
      const parts = /^\/api2\/json\/nodes\/([^/]+)\/(storage|tasks)\/([^/]+)\/(.*)$/.exec(url.pathname);
      if (parts === null) return reply(response, 501, null, "Method 'GET /' not implemented");
      const [asked, area, name, what] = parts.slice(1).map(decodeURIComponent) as [string, string, string, string];
      if (asked !== node) return reply(response, 500, null, `hostname lookup '${asked}' failed - failed to get address info for: ${asked}: Name or service not known`);
      if (area === "tasks") {
        const task = tasks.get(name);
        if (task === undefined) return reply(response, 500, null, "unable to parse worker upid");
        return reply(response, 200, task.exit === undefined ? { status: "running", upid: name } : { status: "stopped", exitstatus: task.exit, upid: name });
      }
      if (name !== storage) return reply(response, 500, null, `storage '${name}' does not exist`);
      const denied = (privilege: string): void => reply(response, 403, null, `Permission check failed (/storage/${storage}, ${privilege})`);
      if (what === "status" && request.method === "GET") return reply(response, 200, { content: state.content, avail: state.available, active: 1, enabled: 1, type: "dir" });
      if (what === "content" && request.method === "GET") {
        const kind = url.searchParams.get("content");
        return reply(response, 200, ["iso", "import"].filter((one) => kind === null || one === kind).flatMap((one) => readdirSync(join(store, one)).map((file) => {
          const { size, ctime } = statSync(join(store, one, file));
          return { volid: `${storage}:${one}/${file}`, content: one, format: one === "iso" ? "iso" : file.split(".").at(-1), size, ctime: Math.floor(ctime.getTime() / 1000) };
        })));
      }
      if (what === "upload" && request.method === "POST") return given === reader ? denied("Datastore.AllocateTemplate") : await upload(request, response);
      if (what.startsWith("content/") && request.method === "DELETE") {
        if (given === reader) return denied("Datastore.Allocate");
        const volume = new RegExp(`^${storage}:((?:iso|import)/[^/]+)$`).exec(what.slice("content/".length))?.[1];
        if (volume === undefined) return reply(response, 400, null, "Parameter verification failed.", { volume: "unable to parse" });
        return reply(response, 200, fork("imgdel", async () => rmSync(join(store, volume))));
      }
      reply(response, 501, null, `Method '${request.method} ${url.pathname}' not implemented`);
    };
    handle().catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  return {
    url, ca: authority, node, storage, tokens, next, state, empty,
    pathOf: (name) => join(store, name),
    async files() {
      // An upload of a client that was killed ends by itself.
      for (let running = -1; running !== tasks.size; ) {
        running = tasks.size;
        await new Promise((resolve) => setTimeout(resolve, 50));
        await Promise.all([...tasks.values()].map(({ done }) => done));
      }
      return Object.fromEntries(["iso", "import"].flatMap((one) => readdirSync(join(store, one)).map((name) => [`${one}/${name}`, readFileSync(join(store, one, name))])));
    },
    received() {
      const since = received;
      received = 0;
      return since;
    },
    temporary: () => readdirSync(temporary),
    async client(verb, ...args) {
      const [id, secret] = tokens.writer, [user, name] = id.split("!") as [string, string];
      const env = { PATH: process.env["PATH"], PVE_USER: user, PVE_NAME: name, PVE_SECRET: secret };
      return (await promisify(execFile)("/usr/bin/python3", [new URL("proxmox-client.py", import.meta.url).pathname, verb, url, authority, node, storage, ...args], { env })).stdout.trim();
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
