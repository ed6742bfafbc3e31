/**
 * Limits that a user gives: endless bodies, bodies that drip, wrong lengths, too little time. Each is refused with what was
 * expected, what was found and what to do, and nothing stays in the output.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { ImageMedia, ImgtaskError } from "../../../lib/mod.ts";
import { download } from "../../../plugins/download/download.ts";
import { type DownloadLimits, limitsOf, Pace } from "../../../plugins/download/limits.ts";
import { rangeServer } from "../../rig/range-server.ts";
import { runRecipe } from "../../rig/recipe.ts";
import { noise, sha256 } from "../verify/archive.ts";

const image = noise(2_500_000), name = "vendor-1.2-install.iso";
const open: { close(): void }[] = [];
after(() => open.forEach((one) => one.close()));

type Body = (request: IncomingMessage, response: ServerResponse) => void;
let count = 0, sent = 0;

/** Brings an image from a server that gives it its own way, on which a list says nothing of its size. */
async function bring(limits: DownloadLimits, body?: Body, options: { readonly digest?: boolean; readonly pace?: number } = {}): Promise<ImgtaskError | undefined> {
  sent = 0;
  const server = await rangeServer({ SUMS: Buffer.from(`${sha256(image)}  ${name}\n`), [name]: image }, {
    ...(options.pace === undefined ? {} : { pace: options.pace }),
    ...(body === undefined ? {} : { instead: (request, response) => request.url === `/${name}` && (body(request, response), true) }),
  });
  open.push(server);
  const media: ImageMedia = {
    kind: "iso", id: "vendor-1", distro: "vendor", release: "1", arch: "x86_64", answers: "preseed", edition: "install", layout: "debian-cd", image: { name: "vendor-{version}-install.iso" },
    source: { kind: "mirror", env: "IMGTASK_TEST_MIRROR", mirrors: [server.url], directory: ".", list: { file: "SUMS", form: "gnu", algorithm: options.digest === false ? "sha512" : "sha256", signature: { kind: "none" } } },
    keys: { keys: [] },
  };
  if (options.digest === false) server.asked.length = 0;
  const target = `limits${count++}`;
  download(target, media, { limits });
  const complain = console.error;
  console.error = () => {};
  let project = "";
  try {
    const run = await runRecipe(`download:${target}`, {}, { env: { http_proxy: "", https_proxy: "", no_proxy: "" }, prepare: (directory) => void (project = directory) });
    run.dispose();
    return undefined;
  } catch (error) {
    const out = join(project, "../out");
    assert.deepEqual(readdirSync(out), [], "nothing is left in the output");
    if ((error as ImgtaskError).code === undefined) throw error;
    return error as ImgtaskError;
  } finally {
    console.error = complain;
  }
}

function endless(_: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200);
  const block = Buffer.alloc(65_536);
  const more = (): void => {
    if (response.destroyed || sent > 200_000_000) return;
    sent += block.length;
    if (response.write(block)) setImmediate(more);
    else response.once("drain", more);
  };
  more();
}

/** Gives a few bytes at a time, for ever. */
const drip = (head: Record<string, string | number>): Body => (request, response) => {
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(request.headers.range === undefined ? 200 : 206, { ...head, ...(request.headers.range === undefined ? {} : { "content-range": `bytes ${from}-${from === 0 && request.headers.range === "bytes=0-0" ? 0 : image.length - 1}/${image.length}` }) });
  const timer = setInterval(() => response.write(Buffer.alloc(5)), 20);
  response.once("close", () => clearInterval(timer));
};

describe("a limit of", { timeout: 120_000 }, () => {
  it("size ends a body without an end, at once", async (test) => {
    const error = await bring({ size: "1M" }, endless);
    assert.equal(error?.code, "IMG5005");
    assert.equal(error!.expected, "1048576 bytes at most");
    assert.match(error!.hint!, /limits: \{ size \}/);
    assert.ok(sent < 50_000_000, `${sent} bytes`);
    test.diagnostic(`${sent} bytes were sent until the connection was closed`);
  });
  it("size refuses what is announced, before it comes", async () => {
    const error = await bring({ size: 2_000_000 });
    assert.equal(error?.code, "IMG5005");
    assert.match(error!.found!, /2500000 bytes announced/);
    assert.equal(await bring({ size: 2_500_000 }), undefined, "as long as it may be");
  });
  it("rate ends connections that only drip", async () => {
    const error = await bring({ idle: 200, rate: "10K" }, drip({ etag: `"1"` }));
    assert.equal(error?.code, "IMG5006", `${error?.message} ${error?.found}`);
    assert.match(error!.found!, /bytes a second came, over 0\.2 s/);
  });
  it("time ends what drips fast enough", async () => {
    const error = await bring({ time: 700, rate: 0 }, drip({ etag: `"1"` }));
    assert.equal(error?.code, "IMG5010", `${error?.message} ${error?.found}`);
    assert.equal(error!.expected, "the whole download within 0.7 s");
    assert.match(error!.hint!, /limits: \{ time \}/);
    assert.equal(error!.exitCode, 1, "a limit is none when it is tried again");
  });
  it("time holds for lists and answers that never come, too", async () => {
    const error = await bring({ time: 500, idle: 60_000 }, () => {});
    assert.equal(error?.code, "IMG5010", `${error?.message} ${error?.found}`);
  });
  it("idle ends a server that stops", async () => {
    const error = await bring({ idle: 100 }, (_, response) => void response.writeHead(200, { "content-length": image.length }).write(image.subarray(0, 1000)));
    assert.equal(error?.code, "IMG5006");
    assert.match(error!.found!, /nothing came for 0\.1 s/);
  });
  it("idle ends a head that comes byte by byte", async () => {
    const error = await bring({ idle: 300 }, (request) => {
      const { socket } = request;
      socket.write("HTTP/1.1 200 OK\r\nX: ");
      const timer = setInterval(() => socket.write("x"), 50);
      socket.once("close", () => clearInterval(timer)).once("error", () => {});
    });
    assert.equal(error?.code, "IMG5006", `${error?.message} ${error?.found}`);
  });
});

describe("a wrong Content-Length", () => {
  it("that is too large is a cut, and never a whole file", async () => {
    const error = await bring({ idle: 500 }, (_, response) => {
      response.writeHead(200, { "content-length": image.length });
      response.write(image.subarray(0, -1));
      setTimeout(() => response.destroy(), 10);
    });
    assert.equal(error?.code, "IMG5002", `${error?.message} ${error?.found}`);
  });
  it("that is too small is not believed: the digest tells", async () => {
    const error = await bring({}, (request, response) => {
      // What stands behind the announced length is no part of the body.
      request.socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${image.length - 5}\r\nConnection: close\r\n\r\n`), image]));
      void response;
    });
    assert.equal(error?.code, "IMG4020", `${error?.message} ${error?.found}`);
    assert.equal(error!.exitCode, 3);
  });
  it("that is said twice, or is none, is no answer", async () => {
    for (const head of [`Content-Length: 5\r\nContent-Length: ${image.length}`, `Content-Length: ${image.length}\r\nTransfer-Encoding: chunked`]) {
      const error = await bring({ idle: 500 }, (request) => void request.socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`), image])));
      assert.ok(error !== undefined && /^IMG(?:500[126]|4020)$/.test(error.code), `${head}: ${error?.code}`);
    }
  });
});

describe("limits of an imagefile", () => {
  it("have defaults", () => assert.deepEqual(limitsOf(), { size: undefined, time: 86_400_000, idle: 60_000, rate: 100 }));
  it("are no part of a fingerprint", async () => {
    const { registry } = await import("../../../lib/target.ts");
    const params = registry().targets.filter(({ declaration }) => declaration.name.startsWith("download:limits")).map(({ declaration }) => JSON.stringify(declaration.params));
    assert.ok(params.length > 3 && params.every((text) => !text.includes("idle") && !text.includes("limits")));
  });
  for (const bad of [{ size: -1 }, { size: 0 }, { size: "4GB" }, { time: 0 }, { time: 1.5 }, { time: 2 ** 31 }, { idle: Infinity }, { rate: "fast" }] as unknown as DownloadLimits[]) {
    it(`cannot be ${JSON.stringify(bad)}`, () => assert.throws(() => limitsOf(bad), { code: "IMG2656", exitCode: 2 }));
  }
});

describe("a pace", () => {
  it("is too slow only over a whole period", () => {
    const pace = new Pace({ idle: 1000, rate: 100 }, 0);
    assert.equal(pace.note(10, 500), undefined);
    assert.equal(pace.note(10, 1000), 20);
    assert.equal(pace.note(200, 1500), undefined);
    assert.equal(pace.note(1, 2000), undefined, "201 a second");
    assert.equal(pace.note(1, 4000), 0.5);
  });
});
