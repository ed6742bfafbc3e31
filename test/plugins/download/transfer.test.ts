/**
 * One file from a server that misbehaves: resumed, bounded, ended, or refused with the right words.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { ImgtaskError } from "../../../lib/mod.ts";
import { checkMirror, printable, redact } from "../../../plugins/download/mirror.ts";
import { proxyFor } from "../../../plugins/download/proxy.ts";
import { transfer, type Transfer } from "../../../plugins/download/transfer.ts";
import { noise, sha256 } from "../verify/archive.ts";
import { cut, ranged, serve, type TestServer } from "./server.ts";

const bytes = noise(400_000);
const expected = { sha256: sha256(bytes), size: bytes.length };
const directory = mkdtempSync(join(tmpdir(), "imgtask-transfer-test-"));
const file = join(directory, "file");
let server: TestServer;
let log: string[] = [];

before(async () => {
  server = await serve(new Map([["f", bytes]]));
});
afterEach(() => {
  server.behaviours.clear();
  server.seen.length = 0;
  log = [];
});
after(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

function bring(changes: Partial<Transfer> = {}, env: Record<string, string> = {}, signal: AbortSignal = new AbortController().signal): ReturnType<typeof transfer> {
  const context = { env, signal, log: (line: string) => void log.push(line), progress: () => {} };
  return transfer({ url: `${server.url}/f`, file, expected, mirrorEnv: "IMGTASK_TEST_MIRROR", backoff: 1, idle: 400, ...changes }, context);
}

async function good(changes: Partial<Transfer> = {}, env: Record<string, string> = {}): Promise<void> {
  const { sha256, size } = await bring(changes, env);
  assert.deepEqual({ sha256, size }, expected);
  assert.ok(readFileSync(file).equals(bytes));
}

async function fails(code: string, exitCode: number, changes: Partial<Transfer> = {}): Promise<ImgtaskError> {
  try {
    await bring(changes);
  } catch (error) {
    assert.ok(error instanceof ImgtaskError, String((error as Error).stack));
    assert.equal(error.code, code, `${error.message}; found ${error.found}`);
    assert.equal(error.exitCode, exitCode);
    return error;
  }
  throw new assert.AssertionError({ message: "it was accepted" });
}

describe("a transfer", () => {
  it("brings a file", () => good());
  it("without a known size brings what there is", async () => {
    const { sha256, size } = await transfer({ url: `${server.url}/f`, file, limit: 500_000, mirrorEnv: "X" }, { env: {}, signal: new AbortController().signal, log: () => {}, progress: () => {} });
    assert.deepEqual({ sha256, size }, expected);
  });
  it("resumes after a cut with a range", async () => {
    server.behaviours.set("f", (request, response, all) => (server.seen.length === 1 ? cut(response, all, 0, 100_000) : ranged(request, response, all)));
    await good();
    assert.equal(server.seen.length, 2);
    assert.equal(server.seen[1]!.range, "bytes=100000-");
    assert.equal(server.seen[1]!.ifRange, `"v1"`);
  });
  it("survives many cuts as long as each attempt brings something", async () => {
    server.behaviours.set("f", (request, response, all) => {
      const start = Number(/\d+/.exec(request.headers.range ?? "0")![0]);
      if (server.seen.length <= 8) cut(response, all, start, 40_000);
      else ranged(request, response, all);
    });
    await good();
    assert.equal(server.seen.length, 9);
  });
  it("starts again where the server knows no ranges", async () => {
    server.behaviours.set("f", (_, response, all) => {
      if (server.seen.length === 1) return cut(response, all, 0, 100_000);
      response.writeHead(200, { "content-length": all.length }).end(all);
    });
    await good();
  });
  it("asks for no range where the server gave no validator", async () => {
    server.behaviours.set("f", (request, response, all) => (server.seen.length === 1 ? cut(response, all, 0, 100_000, {}) : ranged(request, response, all)));
    await good();
    assert.equal(server.seen[1]!.range, undefined);
  });
  it("takes a weak validator for none", async () => {
    server.behaviours.set("f", (request, response, all) => (server.seen.length === 1 ? cut(response, all, 0, 100_000, { etag: `W/"v1"` }) : ranged(request, response, all)));
    await good();
    assert.equal(server.seen[1]!.range, undefined);
  });
  it("starts again, once, when the resumed file is damaged", async () => {
    server.behaviours.set("f", (request, response, all) => {
      if (server.seen.length === 1) return cut(response, Buffer.alloc(all.length), 0, 100_000);
      ranged(request, response, all);
    });
    await good();
    assert.deepEqual(server.seen.map((one) => one.range), [undefined, "bytes=100000-", undefined]);
  });
  it("starts again when the answer is another part", async () => {
    server.behaviours.set("f", (request, response, all) => {
      if (server.seen.length === 1) return cut(response, all, 0, 100_000);
      if (server.seen.length === 2) return void response.writeHead(206, { "content-range": `bytes 0-${all.length - 1}/${all.length}` }).end(all);
      ranged(request, response, all);
    });
    await good();
  });
  it("starts again after 416", async () => {
    server.behaviours.set("f", (request, response, all) => {
      if (server.seen.length === 1) return cut(response, all, 0, 100_000);
      if (server.seen.length === 2) return void response.writeHead(416).end();
      ranged(request, response, all);
    });
    await good();
  });
  it("tries again after a 503", async () => {
    server.behaviours.set("f", (request, response, all) => (server.seen.length < 3 ? void response.writeHead(503).end() : ranged(request, response, all)));
    await good();
    assert.ok(log.some((line) => line.includes("503")));
  });
  it("follows redirects", async () => {
    server.behaviours.set("a", (_, response) => void response.writeHead(302, { location: "/b" }).end());
    server.behaviours.set("b", (_, response) => void response.writeHead(308, { location: `${server.url}/f` }).end());
    await good({ url: `${server.url}/a` });
  });
  it("does not unpack what the server calls gzip encoded", async () => {
    server.behaviours.set("f", (_, response, all) => void response.writeHead(200, { "content-encoding": "gzip", "content-length": all.length }).end(all));
    await good();
  });
  it("reads file: URLs", async () => {
    writeFileSync(join(directory, "local file"), bytes);
    await good({ url: new URL(`file://${directory}/local%20file`).href });
  });
  it("goes through a proxy, but not for the hosts that need none", async () => {
    server.behaviours.set("debian/f", (request, response) => ranged(request, response, bytes));
    await good({ url: "http://mirror.invalid/debian/f" }, { http_proxy: server.url });
    assert.equal(server.seen.length, 1);
    const error = await bring({ url: "http://mirror.invalid/debian/f" }, { http_proxy: server.url, no_proxy: "example.org,.invalid" }).catch((caught: unknown) => caught as ImgtaskError);
    assert.equal((error as ImgtaskError).code, "IMG5001");
    assert.equal(server.seen.length, 1);
  });
  it("sends credentials, and shows them nowhere", async () => {
    server.behaviours.set("f", (request, response, all) => (server.seen.length < 2 ? void response.writeHead(500).end() : ranged(request, response, all)));
    await good({ url: `http://user:s3cret@127.0.0.1:${server.port}/f` });
    assert.equal(server.seen[0]!.authorization, `Basic ${Buffer.from("user:s3cret").toString("base64")}`);
    server.behaviours.set("f", (_, response) => void response.writeHead(403).end());
    const error = await fails("IMG5004", 1, { url: `http://user:s3cret@127.0.0.1:${server.port}/f` });
    assert.ok(!`${log.join()}${error.message}${error.found}${error.hint}`.includes("s3cret"));
  });
});

describe("a transfer refuses", () => {
  it("a server that nobody reaches", async () => {
    const error = await fails("IMG5001", 75, { url: "http://127.0.0.1:9/f" });
    assert.match(error.found!, /ECONNREFUSED.*3 attempts/);
    assert.match(error.hint!, /IMGTASK_TEST_MIRROR=/);
    assert.equal(log.length, 2);
  });
  it("a host that does not exist", () => fails("IMG5001", 75, { url: "http://mirror.invalid/f" }).then(() => {}));
  it("a server that only fails", async () => {
    server.behaviours.set("f", (_, response) => void response.writeHead(500).end());
    await fails("IMG5001", 75);
    assert.equal(server.seen.length, 3);
  });
  it("a file that is not there, at once", async () => {
    await fails("IMG5004", 1, { url: `${server.url}/none` });
    assert.equal(server.seen.length, 1);
  });
  it("a file: URL that is not there", () => fails("IMG5004", 1, { url: `file://${directory}/none` }).then(() => {}));
  it("a truncated local file", async () => {
    writeFileSync(join(directory, "short"), bytes.subarray(1));
    await fails("IMG5002", 1, { url: `file://${directory}/short` });
  });
  it("a connection that is always cut", async () => {
    server.behaviours.set("f", (_, response, all) => cut(response, all, 0, 1000, {}));
    const error = await fails("IMG5002", 75);
    assert.match(error.found!, /1000 bytes/);
    assert.equal(server.seen.length, 3);
  });
  it("a file that ends before its announced size", async () => {
    server.behaviours.set("f", (_, response, all) => void response.writeHead(200, { "content-length": all.length - 1 }).end(all.subarray(1)));
    const error = await fails("IMG5002", 1);
    assert.match(error.found!, /399999 bytes/);
    assert.equal(server.seen.length, 1);
  });
  it("a chunked body that is too short", async () => {
    server.behaviours.set("f", (_, response, all) => void response.writeHead(200).end(all.subarray(0, 10)));
    await fails("IMG5002", 1);
  });
  it("an HTML page", async () => {
    server.behaviours.set("f", (_, response) => void response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>Please log in</html>"));
    await fails("IMG5003", 1);
  });
  it("a body without an end, at the announced size", async () => {
    let sent = 0, closed = false;
    server.behaviours.set("f", (_, response, all) => {
      response.writeHead(200);
      const more = (): void => {
        if (closed || sent > 100_000_000) return;
        sent += all.length;
        if (response.write(all)) setImmediate(more);
        else response.once("drain", more);
      };
      response.once("close", () => (closed = true));
      more();
    });
    await fails("IMG5005", 1);
    assert.equal(existsSync(file), false);
    assert.ok(sent < 100_000_000, "the connection was closed");
  });
  it("a body that is announced too long, before it comes", async () => {
    server.behaviours.set("f", (_, response, all) => void response.writeHead(200, { "content-length": all.length + 1 }).end(Buffer.concat([all, Buffer.from("x")])));
    await fails("IMG5005", 1);
    assert.equal(existsSync(file), false);
  });
  it("other bytes of the right length", async () => {
    server.behaviours.set("f", (_, response, all) => void response.writeHead(200).end(Buffer.alloc(all.length)));
    await fails("IMG4020", 3);
    assert.equal(server.seen.length, 1);
  });
  it("a server that stops in the middle", async () => {
    server.behaviours.set("f", (_, response, all) => {
      response.writeHead(200, { "content-length": all.length });
      response.write(all.subarray(0, 1000));
    });
    const started = Date.now();
    const error = await fails("IMG5006", 75, { idle: 100 });
    assert.match(error.found!, /nothing came for 0.1 s/);
    assert.ok(Date.now() - started < 5000);
  });
  it("a server that never answers", async () => {
    server.behaviours.set("f", () => {});
    await fails("IMG5006", 75, { idle: 100 });
  });
  it("redirects in a circle", async () => {
    server.behaviours.set("f", (_, response) => void response.writeHead(302, { location: "/f" }).end());
    await fails("IMG5007", 1);
    assert.equal(server.seen.length, 6);
  });
  it("a redirect to a local file", async () => {
    server.behaviours.set("f", (_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end());
    await fails("IMG5007", 1);
  });
  it("to go on when the run was ended", async () => {
    const controller = new AbortController();
    server.behaviours.set("f", (_, response, all) => {
      response.writeHead(200, { "content-length": all.length });
      response.write(all.subarray(0, 1000), () => controller.abort());
    });
    await assert.rejects(bring({ idle: 10_000 }, {}, controller.signal), { code: "IMG3004", exitCode: 130 });
  });
});

describe("mirrors", () => {
  it("are http, https or file URLs", () => {
    assert.equal(checkMirror("https://mirror.example.org/debian//", "X"), "https://mirror.example.org/debian");
    assert.equal(checkMirror("file:///srv/mirror", "X"), "file:///srv/mirror");
    for (const bad of ["mirror.example.org", "ftp://mirror.example.org", "http://x/?a=b", "http://", "/srv/mirror"]) {
      assert.throws(() => checkMirror(bad, "IMGTASK_TEST_MIRROR"), { code: "IMG2105", exitCode: 2 }, bad);
    }
  });
  it("are shown without credentials and control characters", () => {
    assert.equal(redact("http://user:s3cret@host/x"), "http://host/x");
    assert.throws(() => checkMirror("ftp://user:s3cret@host", "X"), (error: ImgtaskError) => !String(error.found).includes("s3cret"));
    assert.equal(printable("a\x1b[31mb\n\u202ec"), "a?[31mb??c");
  });
  it("are reached through the proxy of their scheme", () => {
    const env = { http_proxy: "proxy:3128", https_proxy: "http://secure:1", no_proxy: "localhost, .example.org" };
    assert.equal(proxyFor(new URL("http://a.test/"), env)?.host, "proxy:3128");
    assert.equal(proxyFor(new URL("https://a.test/"), env)?.host, "secure:1");
    assert.equal(proxyFor(new URL("http://www.example.org/"), env), undefined);
    assert.equal(proxyFor(new URL("http://notexample.org/"), env)?.host, "proxy:3128");
    assert.equal(proxyFor(new URL("http://a.test/"), {}), undefined);
  });
});
