/**
 * Large files: parts in parallel, several mirrors, cuts and kills at many points, and what must never be mixed.
 * Every figure is counted by the servers.
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { ImgtaskError } from "../../../lib/mod.ts";
import { defaultLimits } from "../../../plugins/download/limits.ts";
import { type Brought, transfer, type Transfer } from "../../../plugins/download/transfer.ts";
import { termsOf } from "../../../plugins/download/wanted.ts";
import { noise, sha256 } from "../verify/archive.ts";

const mebibyte = 1024 ** 2;
const bytes = noise(6 * mebibyte + 1234);
const other = noise(bytes.length).map((byte) => byte ^ 0x55) as Buffer;
const expected = { sha256: sha256(bytes), size: bytes.length };
const directory = mkdtempSync(join(tmpdir(), "imgtask-parallel-test-"));
const open: http.Server[] = [];
after(() => {
  for (const server of open) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(directory, { recursive: true, force: true });
});

interface Shared {
  readonly url: string;
  /** Bytes of bodies that were handed to the network. */
  sent: number;
  requests: { readonly range: string | undefined; readonly ifRange: string | undefined; readonly authorization: string | undefined }[];
  most: number;
  close: () => void;
}

interface Habits {
  readonly content?: () => Buffer;
  readonly etag?: () => string | undefined;
  readonly ranges?: boolean;
  /** Bytes after which an answer is cut; asked for each request. */
  readonly cutAfter?: (request: number) => number | undefined;
  /** Milliseconds between two blocks. */
  readonly pace?: number;
  /** @default 65536 */
  readonly block?: number;
  readonly status?: (request: number) => number | undefined;
}

async function serve(habits: Habits = {}): Promise<Shared> {
  let active = 0;
  const shared: Shared = { url: "", sent: 0, requests: [], most: 0, close: () => {} };
  const server = http.createServer((request: IncomingMessage, response: ServerResponse) => {
    const content = habits.content?.() ?? bytes, etag = habits.etag === undefined ? `"v1"` : habits.etag();
    const number = shared.requests.push({ range: request.headers.range, ifRange: request.headers["if-range"] as string | undefined, authorization: request.headers.authorization });
    const status = habits.status?.(number);
    if (status !== undefined) return void response.writeHead(status).end();
    const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const ifRange = request.headers["if-range"];
    const part = asked !== null && habits.ranges !== false && (ifRange === undefined || ifRange === etag);
    const from = part ? Number(asked[1]) : 0, to = part && asked[2] !== "" ? Math.min(content.length, Number(asked[2]) + 1) : content.length;
    response.writeHead(part ? 206 : 200, {
      ...(etag === undefined ? {} : { etag }), "content-length": to - from, ...(part ? { "content-range": `bytes ${from}-${to - 1}/${content.length}` } : {}),
    });
    shared.most = Math.max(shared.most, ++active);
    response.once("close", () => active--);
    const end = Math.min(to, from + (habits.cutAfter?.(number) ?? Infinity));
    void (async () => {
      const size = habits.block ?? 65_536;
      for (let at = from; at < end && !response.destroyed; at += size) {
        const block = content.subarray(at, Math.min(end, at + size));
        await new Promise<void>((resolve) => response.write(block, () => resolve()));
        shared.sent += block.length;
        if (habits.pace !== undefined) await sleep(habits.pace);
      }
      if (end < to) setTimeout(() => response.destroy(), 5);
      else response.end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(server);
  return Object.assign(shared, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/f.iso`, close: () => (server.closeAllConnections(), server.close()) });
}

let count = 0;
let log: string[] = [];

type Changes = Partial<Transfer> & { readonly url: string; /** Milliseconds that all of it may take. */ readonly time?: number };

async function bring({ time, ...changes }: Changes): Promise<Brought & { readonly file: string }> {
  const file = changes.file ?? join(directory, `file${count++}`);
  log = [];
  const { signal } = new AbortController();
  const context = { env: {}, signal, log: (line: string) => void log.push(line), progress: () => {}, ...(time === undefined ? {} : { terms: termsOf({ ...defaultLimits, time }, [], signal) }) };
  const brought = await transfer({ file, expected, mirrorEnv: "IMGTASK_TEST_MIRROR", backoff: 1, idle: 2000, wide: mebibyte, piece: mebibyte / 2, ...changes }, context);
  assert.equal(sha256(readFileSync(file)), (changes.expected ?? expected).sha256);
  assert.equal(existsSync(`${file}.part`), false);
  return { ...brought, file };
}

async function fails(code: string, changes: Changes): Promise<ImgtaskError> {
  const file = join(directory, `file${count++}`);
  const error = await bring({ ...changes, file }).then(() => undefined, (caught: unknown) => caught as ImgtaskError);
  assert.equal(error?.code, code, `${error?.message}; ${error?.found}; ${error?.stack}`);
  assert.equal(existsSync(file), false, "no file");
  return error!;
}

describe("parts in parallel", () => {
  it("bring each byte once, over several connections, hashed without reading it again", async (test) => {
    const server = await serve({ pace: 1 });
    const { fetched, readBack } = await bring({ url: server.url });
    assert.equal(fetched, bytes.length);
    assert.equal(server.sent, bytes.length);
    assert.equal(readBack, 0);
    assert.equal(server.most, 4);
    assert.ok(server.requests.slice(1).every(({ ifRange }) => ifRange === `"v1"`));
    test.diagnostic(`${bytes.length} bytes in ${server.requests.length} requests, ${server.most} at once; read again: ${readBack}`);
  });
  it("are not asked of a server that gives none", async () => {
    const server = await serve({ ranges: false });
    await bring({ url: server.url });
    assert.deepEqual(server.requests.map(({ range }) => range === undefined), [false, true]);
  });
  it("are not asked of a server that names no version", async () => {
    const server = await serve({ etag: () => undefined });
    await bring({ url: server.url });
    assert.equal(server.requests.at(-1)!.range, undefined);
    const weak = await serve({ etag: () => `W/"v1"` });
    await bring({ url: weak.url });
    assert.equal(weak.requests.at(-1)!.range, undefined);
  });
  it("of two versions are never mixed: the file changes at each of 10 points", async (test) => {
    let wasted = 0;
    for (let point = 1; point <= 10; point++) {
      let requests = 0;
      const server = await serve({ etag: () => (++requests > point ? `"v2"` : `"v1"`), content: () => (requests >= point ? bytes : other) });
      const { fetched } = await bring({ url: server.url });
      wasted += fetched - bytes.length;
    }
    test.diagnostic(`10 of 10 whole, ${wasted} bytes of the old version thrown away`);
  });
  it("that a server mixes itself, under one version, are told by the digest", async () => {
    let requests = 0;
    const server = await serve({ content: () => (++requests === 3 ? other : bytes) });
    await bring({ url: server.url });
    assert.ok(log.some((line) => line.includes("damaged, starting again")));
    const bad = await serve({ content: () => other });
    await fails("IMG4020", { url: bad.url });
  });
  it("survive cuts at 30 points, and bring no byte twice", async (test) => {
    let fetched = 0, requests = 0;
    for (let point = 0; point < 30; point++) {
      const server = await serve({ cutAfter: (number) => (number % 2 === 1 ? Math.floor(((point + 1) * mebibyte) / 64) : undefined) });
      const brought = await bring({ url: server.url });
      fetched += brought.fetched;
      requests += server.requests.length;
    }
    const twice = fetched - 30 * bytes.length;
    test.diagnostic(`30 of 30 whole after ${requests} requests; bytes brought twice: ${twice}`);
    assert.equal(twice, 0);
  });
});

describe("several mirrors", () => {
  it("take over the parts that one fails to bring", async () => {
    const first = await serve({ status: (number) => (number > 3 ? 503 : undefined) }), second = await serve();
    const { fetched } = await bring({ url: first.url, mirrors: [second.url] });
    assert.equal(fetched, bytes.length);
    assert.ok(first.requests.length > 3 && second.requests.length > 0);
  });
  it("are asked in order, and the second not at all when the first one does", async () => {
    const first = await serve(), second = await serve();
    await bring({ url: first.url, mirrors: [second.url] });
    assert.equal(second.requests.length, 0);
    const gone = await serve({ status: () => 404 });
    await bring({ url: gone.url, mirrors: [first.url] });
    assert.equal(gone.requests.length, 1);
    await bring({ url: "http://127.0.0.1:9/f.iso", mirrors: [first.url] });
  });
  it("are dropped when they have another version or size", async () => {
    const first = await serve({ status: (number) => (number === 3 ? 503 : undefined) }), another = await serve({ etag: () => `"v9"`, content: () => other });
    await bring({ url: first.url, mirrors: [another.url] });
    const short = await serve({ content: () => bytes.subarray(1) });
    await bring({ url: short.url, mirrors: [first.url] });
    assert.equal(short.requests.length, 1);
  });
  it("are dropped when they have other bytes", async () => {
    const bad = await serve({ content: () => other }), good = await serve();
    await bring({ url: bad.url, mirrors: [good.url] });
    assert.ok(log.some((line) => line.includes("starting again from")), log.join("\n"));
  });
  it("are all named when none gives the file", async () => {
    const bad = await serve({ content: () => other }), gone = await serve({ status: () => 404 });
    const error = await fails("IMG5011", { url: bad.url, mirrors: [gone.url] });
    assert.match(error.found!, /IMG4020.*\n.*IMG5004/);
    assert.equal(error.exitCode, 3);
  });
  it("serve small files, too", async () => {
    const small = noise(5000), good = await serve({ content: () => small });
    await bring({ url: "http://127.0.0.1:9/f", mirrors: [good.url], expected: { sha256: sha256(small), size: small.length } });
  });
});

describe("limits", () => {
  it("end a transfer that takes too long, and keep what came for the next one", async () => {
    const kept = join(directory, `kept${count++}`), slow = await serve({ pace: 20 });
    const error = await fails("IMG5010", { url: slow.url, time: 400, kept });
    assert.equal(error.exitCode, 1, "a limit is none when it is tried again");
    assert.match(error.hint!, /goes on with it/);
    const rest = await serve();
    const { fetched, found } = await bring({ url: rest.url, kept });
    assert.ok(found > 0);
    assert.equal(fetched + found, bytes.length);
    assert.deepEqual(readdirSync(kept), []);
  });
  it("end a connection that stands still", async () => {
    const server = await serve({ etag: () => undefined, pace: 600 });
    await fails("IMG5006", { url: server.url, idle: 100, wide: Infinity });
  });
});

describe("the next run", () => {
  const child = fileURLToPath(new URL("transfer-child.ts", import.meta.url));
  const run = (url: string, file: string, kept: string): { readonly child: ChildProcess; readonly ended: Promise<number | null> } => {
    const process_ = spawn(process.execPath, ["--import", "tsx", child, JSON.stringify({ url, file, kept, expected, mirrorEnv: "X", backoff: 1, wide: mebibyte, piece: mebibyte / 2 })], { stdio: ["ignore", "ignore", "inherit"] });
    return { child: process_, ended: new Promise((resolve) => process_.once("close", (code) => resolve(code))) };
  };
  it("goes on after SIGKILL at 30 points: the whole file or none", async (test) => {
    const kept = join(directory, `kept${count++}`);
    let fetched = 0, rounds = 0, kills = 0, whole = 0;
    while (kills < 30) {
      rounds++;
      const file = join(directory, `killed${count++}`);
      for (;;) {
        // Little is on its way at any moment.
        const server = await serve({ pace: 5, block: 16_384 });
        const { child: running, ended } = run(server.url, file, kept);
        const point = (kills % 10) * 500_000 + 100_000;
        while (kills < 30 && running.exitCode === null && server.sent < point) await sleep(1);
        if (kills < 30 && running.exitCode === null) {
          running.kill("SIGKILL");
          kills++;
        }
        const code = await ended;
        await sleep(20);
        fetched += server.sent;
        server.close();
        const there = existsSync(file);
        if (there) assert.equal(sha256(readFileSync(file)), expected.sha256);
        assert.equal(there, code === 0);
        if (there) break;
      }
      whole++;
    }
    const twice = fetched - rounds * bytes.length;
    test.diagnostic(`${kills} kills, ${whole} of ${rounds} files whole in the end; bytes sent again: ${twice} of ${rounds * bytes.length}, ${Math.round(twice / kills / 1024)} KiB a kill (what was on its way, or came after the last note)`);
    // What four connections have on their way, and what came since the last note.
    assert.ok(twice / kills < mebibyte, `${twice} bytes`);
    assert.deepEqual(readdirSync(kept), []);
  });
  const damage = async (spoil: (place: string) => void): Promise<Brought> => {
    const kept = join(directory, `kept${count++}`), slow = await serve({ pace: 20 });
    await fails("IMG5010", { url: slow.url, time: 300, kept });
    spoil(join(kept, expected.sha256));
    return bring({ url: (await serve()).url, kept });
  };
  it("believes neither a note that was changed, nor one without its bytes, nor links", async (test) => {
    const ways: Record<string, (place: string) => void> = {
      "flipped note": (place) => writeFileSync(join(place, "note"), readFileSync(join(place, "note"), "utf8").replace("landed", "lanDed")),
      "no note": (place) => rmSync(join(place, "note")),
      "no data": (place) => rmSync(join(place, "data")),
      "short data": (place) => writeFileSync(join(place, "data"), "x"),
      "link as data": (place) => {
        rmSync(join(place, "data"));
        writeFileSync(join(directory, "victim"), bytes);
        symlinkSync(join(directory, "victim"), join(place, "data"));
      },
      "link as place": (place) => {
        rmSync(place, { recursive: true });
        mkdirSync(join(directory, "elsewhere"), { recursive: true });
        symlinkSync(join(directory, "elsewhere"), place);
      },
    };
    for (const [name, spoil] of Object.entries(ways)) assert.equal((await damage(spoil)).found, 0, name);
    assert.equal(createHash("sha256").update(readFileSync(join(directory, "victim"))).digest("hex"), expected.sha256, "what the link points to is as it was");
    assert.deepEqual(readdirSync(join(directory, "elsewhere")), []);
    test.diagnostic(`${Object.keys(ways).length} of ${Object.keys(ways).length} not believed`);
  });
  it("starts again once where the bytes that were kept are damaged", async () => {
    const { found } = await damage((place) => {
      const data = readFileSync(join(place, "data"));
      data[10]! ^= 1;
      writeFileSync(join(place, "data"), data);
    });
    assert.ok(found > 0);
    assert.ok(log.some((line) => line.includes("damaged, starting again")));
  });
  it("starts again where the server has another version meanwhile", async () => {
    const kept = join(directory, `kept${count++}`), slow = await serve({ pace: 20, content: () => other, etag: () => `"old"` });
    await fails("IMG5010", { url: slow.url, time: 300, kept });
    const { fetched } = await bring({ url: (await serve()).url, kept });
    assert.equal(fetched, bytes.length);
  });
});
