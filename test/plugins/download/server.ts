/**
 * A loopback HTTP server that serves bytes by path, and misbehaves where it is told to.
 * @module
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

/** Answers instead of the server; `bytes` is what the path has. */
export type Behaviour = (request: IncomingMessage, response: ServerResponse, bytes: Buffer, server: TestServer) => void;

export interface TestServer {
  readonly url: string;
  readonly port: number;
  /** What was asked for, in order. */
  readonly seen: Seen[];
  /** By path without the leading slash. */
  readonly behaviours: Map<string, Behaviour>;
  readonly files: Map<string, Buffer>;
  close(): Promise<void>;
}

export async function serve(files: Map<string, Buffer>): Promise<TestServer> {
  const seen: Seen[] = [];
  const behaviours = new Map<string, Behaviour>();
  const server = http.createServer((request, response) => {
    const path = decodeURI(new URL(request.url!, "http://x").pathname).slice(1);
    seen.push({ path, range: request.headers.range, ifRange: request.headers["if-range"] as string | undefined, authorization: request.headers.authorization });
    const bytes = files.get(path);
    const behaviour = behaviours.get(path);
    if (behaviour !== undefined) return behaviour(request, response, bytes ?? Buffer.alloc(0), self);
    if (bytes === undefined) return void response.writeHead(404).end("no such file");
    ranged(request, response, bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const self: TestServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    behaviours,
    files,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return self;
}

const etag = `"v1"`;

/** What a good server does: ranges with a validator. */
export function ranged(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? -1);
  if (start >= 0 && request.headers["if-range"] === etag) {
    response.writeHead(206, { etag, "content-length": bytes.length - start, "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
    response.end(bytes.subarray(start));
  } else {
    response.writeHead(200, { etag, "content-length": bytes.length });
    response.end(bytes);
  }
}

/** Sends `count` bytes from `start` of what it announced and cuts the connection. */
export function cut(response: ServerResponse, bytes: Buffer, start: number, count: number, headers: Record<string, string> = { etag }): void {
  response.writeHead(start > 0 ? 206 : 200, {
    ...headers,
    "content-length": bytes.length - start,
    ...(start > 0 ? { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
  });
  response.write(bytes.subarray(start, start + count), () => setTimeout(() => response.destroy(), 20));
}
