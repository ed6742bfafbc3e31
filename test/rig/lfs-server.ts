/**
 * A server for a repository of git: git's own `http-backend`, and beside it the batch interface of Git LFS as its specification
 * has it (docs/api/batch.md, basic transfers), which no package of Debian or npm serves. Uploads are checked, then appear by rename.
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Relay, relayTo } from "./relay.ts";

export interface LfsServer {
  /** Of the repository. */
  readonly url: string;
  readonly token: string;
  /** Has only the right to read. */
  readonly readingToken: string;
  readonly relay: Relay;
  /** Ids of the large objects that are there. */
  objects(): readonly string[];
  /** Bytes of large objects that came since the last call. */
  large(): number;
  /** Clones a branch by git and git-lfs as everybody would. @returns whether there is such a branch. */
  clone(branch: string, directory: string): boolean;
  /** An empty repository again. */
  empty(): void;
  stop(): Promise<void>;
}

const mediaType = "application/vnd.git-lfs+json";
const quiet = { ...process.env, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null", GIT_TERMINAL_PROMPT: "0" };
const filters = ["-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.required=true"];

/** Why there is no server, or `undefined`. */
export function lfsMissing(): string | undefined {
  try {
    execFileSync("git", ["lfs", "version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "git and git-lfs: install git-lfs";
  }
}

/** Clones a branch with its large files. @param url with user and password, where these are needed. */
export function cloneWithLfs(url: string, branch: string, directory: string): boolean {
  rmSync(directory, { recursive: true, force: true });
  const has = execFileSync("git", ["ls-remote", url, `refs/heads/${branch}`], { env: quiet }).length > 0;
  if (has) execFileSync("git", [...filters, "clone", "--quiet", "--branch", branch, url, directory], { env: quiet, stdio: ["ignore", "ignore", "pipe"] });
  rmSync(join(directory, ".git"), { recursive: true, force: true });
  return has;
}

/** @param directory an empty one. */
export async function startLfs(directory: string): Promise<LfsServer> {
  const repository = join(directory, "images.git");
  // Where git-lfs itself looks for the objects of a repository on this host.
  const fileOf = (oid: string): string => join(repository, "lfs", "objects", oid.slice(0, 2), oid.slice(2, 4), oid);
  const [token, readingToken] = ["lfs-writing-0123456789", "lfs-reading-0123456789"];
  let received = 0;
  const empty = (): void => {
    rmSync(repository, { recursive: true, force: true });
    execFileSync("git", ["init", "--quiet", "--bare", "--template=", repository], { env: quiet });
    execFileSync("git", ["-C", repository, "config", "http.receivepack", "true"], { env: quiet });
  };
  empty();

  const backend = (url: URL, request: IncomingMessage, response: ServerResponse): void => {
    const child = spawn("git", ["http-backend"], {
      env: {
        ...quiet, GIT_PROJECT_ROOT: directory, GIT_HTTP_EXPORT_ALL: "1", PATH_INFO: url.pathname, QUERY_STRING: url.search.slice(1), REQUEST_METHOD: request.method ?? "GET", REMOTE_USER: "tester",
        CONTENT_TYPE: request.headers["content-type"] ?? "", HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "", HTTP_GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
        ...(request.headers["content-length"] === undefined ? {} : { CONTENT_LENGTH: request.headers["content-length"] }),
      },
      stdio: ["pipe", "pipe", "ignore"],
    });
    request.pipe(child.stdin);
    child.stdin.on("error", () => {});
    let head = Buffer.alloc(0);
    let begun = false;
    child.stdout.on("data", (bytes: Buffer) => {
      if (begun) return void response.write(bytes);
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      begun = true;
      const headers = head.subarray(0, end).toString().split("\r\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as const);
      const status = Number(headers.find(([name]) => name === "Status")?.[1].slice(0, 3) ?? 200);
      response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== "Status")));
      response.write(head.subarray(end + 4));
    });
    child.stdout.on("end", () => response.end());
  };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://server");
    const say = (status: number, data?: unknown): void => {
      response.writeHead(status, { "content-type": mediaType, ...(status === 401 ? { "www-authenticate": 'Basic realm="git"', "lfs-authenticate": 'Basic realm="git"' } : {}) });
      response.end(data === undefined ? undefined : JSON.stringify(data));
    };
    const handle = async (): Promise<void> => {
      const [, given] = Buffer.from(request.headers.authorization?.replace(/^Basic /, "") ?? "", "base64").toString().split(":");
      const writes = /service=git-receive-pack|\/git-receive-pack$/.test(request.url ?? "") || request.method === "PUT";
      if (given !== token && given !== readingToken) return say(401, { message: "Bad credentials" });
      if (writes && given === readingToken) return say(403, { message: "This token may only read" });
      const object = /^\/objects\/([0-9a-f]{64})$/.exec(url.pathname)?.[1];
      if (url.pathname === "/images.git/info/lfs/objects/batch" && request.method === "POST") {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const { operation, objects: asked } = JSON.parse(Buffer.concat(chunks).toString()) as { operation: string; objects: { oid: string; size: number }[] };
        if (operation === "upload" && given === readingToken) return say(403, { message: "This token may only read" });
        const href = (oid: string): string => `http://${request.headers.host}/objects/${oid}`;
        return say(200, {
          transfer: "basic",
          objects: asked.map(({ oid, size }) => {
            const there = existsSync(fileOf(oid));
            if (operation === "download" && !there) return { oid, size, error: { code: 404, message: "Object does not exist" } };
            return { oid, size, authenticated: false, ...(operation === "upload" && there ? {} : { actions: { [operation]: { href: href(oid) } } }) };
          }),
        });
      }
      if (object !== undefined && request.method === "PUT") {
        const part = `${fileOf(object)}.part-${Math.random()}`;
        mkdirSync(dirname(part), { recursive: true });
        const hash = createHash("sha256");
        request.on("data", (bytes: Buffer) => {
          received += bytes.length;
          hash.update(bytes);
        });
        await pipeline(request, createWriteStream(part));
        if (hash.digest("hex") !== object) return say(422, { message: "The content is another" });
        renameSync(part, fileOf(object));
        return say(200);
      }
      if (object !== undefined && request.method === "GET" && existsSync(fileOf(object))) {
        response.writeHead(200, { "content-type": "application/octet-stream" });
        return await pipeline(createReadStream(fileOf(object)), response);
      }
      if (!url.pathname.startsWith("/images.git/") || object !== undefined) return say(404, { message: "Not found" });
      backend(url, request, response);
    };
    handle().catch(() => response.destroy());
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const relay = await relayTo((server.address() as AddressInfo).port);
  return {
    url: `http://127.0.0.1:${relay.port}/images.git`,
    token, readingToken, relay, empty,
    objects: () => (existsSync(join(repository, "lfs")) ? readdirSync(join(repository, "lfs"), { recursive: true, encoding: "utf8" }) : []).map((path) => basename(path)).filter((name) => /^[0-9a-f]{64}$/.test(name)),
    large() {
      const all = received;
      received = 0;
      return all;
    },
    // By its path: this process, which would have to answer, waits meanwhile.
    clone: (branch, to) => cloneWithLfs(repository, branch, to),
    async stop() {
      await relay.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
