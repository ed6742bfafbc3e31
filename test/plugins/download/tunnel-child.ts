/**
 * Started by `tunnel.test.ts` in a process that trusts a test authority: an HTTPS server behind a proxy.
 * Prints what happened as JSON.
 * @module
 */
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { type AddressInfo, connect, type Server } from "node:net";
import { join } from "node:path";
import type { ImgtaskError } from "../../../lib/mod.ts";
import { transfer } from "../../../plugins/download/transfer.ts";

const directory = process.argv[2]!;
const listen = (server: Server): Promise<number> => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
const secure = https.createServer({ key: readFileSync(join(directory, "key.pem")), cert: readFileSync(join(directory, "cert.pem")) }, (request, response) => {
  if (request.url === "/redirect") return void response.writeHead(302, { location: "http://mirror.test/file" }).end();
  response.end(`this is ${request.url}`);
});
const port = await listen(secure);
const tunnels: string[] = [];
const proxy = http.createServer().on("connect", (request, socket) => {
  tunnels.push(`${request.url} ${request.headers["proxy-authorization"]}`);
  if (request.url!.startsWith("denied")) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  const up = connect(port, "127.0.0.1", () => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    up.pipe(socket).pipe(up);
  });
  up.on("error", () => {});
  socket.on("error", () => {});
});
const env = { https_proxy: `http://user:pass@127.0.0.1:${await listen(proxy)}` };
const file = join(directory, "file");
const bring = async (url: string): Promise<string> => {
  try {
    await transfer({ url, file, limit: 100, mirrorEnv: "X", backoff: 1, idle: 5000 }, { env, signal: new AbortController().signal, log: () => {}, progress: () => {} });
    return readFileSync(file, "utf8");
  } catch (error) {
    return (error as ImgtaskError).code;
  }
};
const good = await bring("https://mirror.test/file");
const first = tunnels[0];
console.log(JSON.stringify({ good, first, downgrade: await bring("https://mirror.test/redirect"), otherName: await bring("https://other.test/file"), denied: await bring("https://denied.test/file") }));
process.exit();
