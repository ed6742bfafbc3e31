/**
 * A server that answers as GitHub's API does for releases. No real GitHub: its replies are typed by the published OpenAPI
 * description (`@octokit/openapi-types`), requests are refused where that description would refuse them, and an upload that breaks
 * off leaves an asset in state `starter`, which cannot be downloaded.
 * @module
 */
import type { components, operations } from "@octokit/openapi-types";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";

type Asset = Pick<components["schemas"]["release-asset"], "id" | "name" | "state" | "size" | "digest" | "content_type" | "label" | "url">;
type Release = Pick<components["schemas"]["release"], "id" | "tag_name" | "draft" | "html_url" | "upload_url" | "name" | "body" | "prerelease" | "target_commitish">;
type Create = operations["repos/create-release"]["requestBody"]["content"]["application/json"];

const createKeys: readonly (keyof Create)[] = ["tag_name", "target_commitish", "name", "body", "draft", "prerelease", "discussion_category_name", "generate_release_notes", "make_latest"];

interface Stored {
  readonly release: Release;
  readonly assets: { readonly asset: Asset; readonly bytes: Buffer }[];
}

export interface GithubServer {
  readonly url: string;
  readonly token: string;
  /** Has only the right to read. */
  readonly readingToken: string;
  /** What everybody sees: complete assets of public releases of a tag. */
  published(tag: string): Record<string, Buffer>;
  /** Bytes of assets that came since the last call. */
  received(): number;
  /** Requests that the description does not allow. */
  readonly strange: string[];
  readonly releases: Stored[];
  stop(): Promise<void>;
}

export async function startGithub(repository: string): Promise<GithubServer> {
  const releases: Stored[] = [];
  const strange: string[] = [];
  const [token, readingToken] = ["ghp_writing0123456789", "ghp_reading0123456789"];
  const sockets = new Set<Socket>();
  let received = 0;
  let id = 100;
  let base = "";
  const bodyOf = async (request: IncomingMessage): Promise<Record<string, unknown>> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  };
  const server = createServer((request, response) => {
    const reply = (status: number, data?: unknown): void => {
      response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
      response.end(data === undefined ? undefined : JSON.stringify(data));
    };
    const handle = async (): Promise<void> => {
      const url = new URL(request.url ?? "/", base);
      const given = request.headers.authorization?.replace(/^Bearer /, "");
      if (given !== token && given !== readingToken) return reply(401, { message: "Bad credentials", documentation_url: "https://docs.github.com/rest", status: "401" });
      if (request.method !== "GET" && given === readingToken) return reply(403, { message: "Resource not accessible by personal access token", status: "403" });
      const root = `/repos/${repository}/releases`;
      if (!url.pathname.startsWith(root)) return reply(404, { message: "Not Found", status: "404" });
      const path = url.pathname.slice(root.length);
      const page = <T>(list: readonly T[]): readonly T[] => {
        const [size, number] = [Number(url.searchParams.get("per_page") ?? 30), Number(url.searchParams.get("page") ?? 1)];
        return list.slice((number - 1) * size, number * size);
      };
      const one = releases.find(({ release }) => path === `/${release.id}` || path.startsWith(`/${release.id}/`));
      if (request.method === "GET" && path === "") return reply(200, page(releases.map(({ release }) => release)));
      if (request.method === "POST" && path === "") {
        const body = (await bodyOf(request)) as unknown as Create;
        const unknown = Object.keys(body).filter((key) => !(createKeys as readonly string[]).includes(key));
        if (unknown.length > 0 || typeof body.tag_name !== "string") {
          strange.push(JSON.stringify(body));
          return reply(422, { message: "Validation Failed", errors: [{ resource: "Release", code: "missing_field", field: "tag_name" }] });
        }
        const release: Release = {
          id: id++, tag_name: body.tag_name, name: body.name ?? null, body: body.body ?? null, draft: body.draft ?? false, prerelease: body.prerelease ?? false,
          target_commitish: body.target_commitish ?? "main", html_url: `${base}/${repository}/releases/tag/${body.tag_name}`, upload_url: "",
        };
        release.upload_url = `${base}${root}/${release.id}/assets{?name,label}`;
        releases.push({ release, assets: [] });
        return reply(201, release);
      }
      if (one !== undefined && request.method === "PATCH") {
        Object.assign(one.release, await bodyOf(request));
        return reply(200, one.release);
      }
      if (one !== undefined && path.endsWith("/assets") && request.method === "GET") return reply(200, page(one.assets.map(({ asset }) => asset)));
      if (one !== undefined && path.endsWith("/assets") && request.method === "POST") {
        const name = url.searchParams.get("name") ?? "";
        const length = Number(request.headers["content-length"] ?? Number.NaN);
        if (name === "" || Number.isNaN(length) || request.headers["content-type"] === undefined) strange.push(`upload of "${name}" with ${JSON.stringify(request.headers)}`);
        if (one.assets.some(({ asset }) => asset.name === name)) return reply(422, { message: "Validation Failed", errors: [{ resource: "ReleaseAsset", code: "already_exists", field: "name" }] });
        const asset: Asset = { id: id++, name, state: "open", size: 0, digest: null, content_type: request.headers["content-type"] ?? "", label: null, url: "" };
        const place = { asset: asset as Asset & { state: string }, bytes: Buffer.alloc(0) };
        place.asset.state = "starter" as never;
        one.assets.push(place);
        const chunks: Buffer[] = [];
        let size = 0;
        request.on("error", () => {});
        for await (const chunk of request) {
          chunks.push(chunk as Buffer);
          received += (chunk as Buffer).length;
          size += (chunk as Buffer).length;
        }
        if (size !== length) return;
        place.bytes = Buffer.concat(chunks);
        Object.assign(asset, { state: "uploaded", size, digest: `sha256:${createHash("sha256").update(place.bytes).digest("hex")}` });
        return reply(201, asset);
      }
      const number = Number(/^\/assets\/(\d+)$/.exec(path)?.[1]);
      const owner = releases.find(({ assets }) => assets.some(({ asset }) => asset.id === number));
      if (request.method === "DELETE" && owner !== undefined) {
        owner.assets.splice(owner.assets.findIndex(({ asset }) => asset.id === number), 1);
        return reply(204);
      }
      return reply(404, { message: "Not Found", status: "404" });
    };
    handle().catch(() => response.destroy());
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: base, token, readingToken, strange, releases,
    published: (tag) =>
      Object.fromEntries(releases.filter(({ release }) => release.tag_name === tag && !release.draft).flatMap(({ assets }) => assets.filter(({ asset }) => asset.state === "uploaded").map(({ asset, bytes }) => [asset.name, bytes] as const))),
    received() {
      const all = received;
      received = 0;
      return all;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
