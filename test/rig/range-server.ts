/**
 * A loopback server of HTTP or HTTPS that gives a few files whole or in parts, as a good mirror does, and counts; slow, cut or for
 * those who log in where a test says so. Knows nothing of the code under test.
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What one request asked for. */
export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** A running server. */
export interface RangeServer {
  /** `http://127.0.0.1:PORT` or `https://localhost:PORT`. */
  readonly url: string;
  readonly asked: Asked[];
  /** Bytes of bodies that were handed to the network. */
  sent: number;
  /** Most answers at once. */
  most: number;
  close(): void;
}

/** How it serves. */
export interface Habits {
  /** Key and certificate: it is HTTPS. */
  readonly tls?: Authority;
  /** Milliseconds between two blocks of 64 KiB. @default 0 */
  readonly pace?: number;
  /** Bytes after which an answer is cut, for a request's number from 1. */
  readonly cutAfter?: (request: number) => number | undefined;
  /** Answers by itself when it gives `true`. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Serves files by their paths without the leading slash. */
export async function rangeServer(files: Readonly<Record<string, Buffer>>, habits: Habits = {}): Promise<RangeServer> {
  let active = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = decodeURI(new URL(request.url!, "http://x").pathname).slice(1), bytes = files[path];
    const number = self.asked.push({ path, headers: request.headers });
    if (habits.instead?.(request, response) === true) return;
    if (bytes === undefined) return void response.writeHead(404).end();
    const etag = `"${bytes.length}-1"`, ifRange = request.headers["if-range"];
    const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const part = asked !== null && (ifRange === undefined || ifRange === etag);
    const from = part ? Number(asked[1]) : 0, to = part && asked[2] !== "" ? Math.min(bytes.length, Number(asked[2]) + 1) : bytes.length;
    response.writeHead(part ? 206 : 200, { etag, "content-length": to - from, ...(part ? { "content-range": `bytes ${from}-${to - 1}/${bytes.length}` } : {}) });
    self.most = Math.max(self.most, ++active);
    response.once("close", () => active--);
    const end = Math.min(to, from + (habits.cutAfter?.(number) ?? Infinity));
    for (let at = from; at < end && !response.destroyed; at += 65_536) {
      const block = bytes.subarray(at, Math.min(end, at + 65_536));
      await new Promise<void>((resolve) => response.write(block, () => resolve()));
      self.sent += block.length;
      if (habits.pace !== undefined) await sleep(habits.pace);
    }
    if (end < to) setTimeout(() => response.destroy(), 5);
    else response.end();
  };
  const { tls } = habits;
  const server = tls === undefined ? http.createServer(answer) : https.createServer({ key: readFileSync(tls.key), cert: readFileSync(tls.certificate) }, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const self: RangeServer = {
    url: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    asked: [], sent: 0, most: 0,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return self;
}

/** A certificate authority of a test's own, and a certificate for this host that it signed. */
export interface Authority {
  /** File for `NODE_EXTRA_CA_CERTS`. */
  readonly authority: string;
  readonly key: string;
  readonly certificate: string;
}

/** Makes one by openssl: for `localhost`, `mirror.test` and 127.0.0.1. */
export function makeAuthority(directory: string): Authority {
  const place = mkdtempSync(join(directory, "tls-")), at = (name: string): string => join(place, name);
  const openssl = (...args: readonly string[]): void => void execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  writeFileSync(at("leaf.cnf"), "subjectAltName=DNS:localhost,DNS:mirror.test,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("ca.key"), "-out", at("ca.pem"), "-days", "2", "-subj", "/CN=Test authority");
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("key.pem"), "-out", at("leaf.csr"), "-subj", "/CN=localhost");
  openssl("x509", "-req", "-in", at("leaf.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", at("leaf.cnf"), "-out", at("cert.pem"));
  return { authority: at("ca.pem"), key: at("key.pem"), certificate: at("cert.pem") };
}
