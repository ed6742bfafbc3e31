/**
 * Transfers through a real proxy, tinyproxy: plain requests and tunnels, with a login, in parallel parts, cut and gone on with. What
 * went where is told by the proxy's own log and by the servers.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Brought } from "../../../plugins/download/transfer.ts";
import { proxyFor } from "../../../plugins/download/proxy.ts";
import { type Authority, makeAuthority, type RangeServer, rangeServer, type Habits } from "../../rig/range-server.ts";
import { noTinyproxy, type Tinyproxy, tinyproxy } from "../../rig/tinyproxy.ts";
import { noise, sha256 } from "../verify/archive.ts";

const mebibyte = 1024 ** 2;
const bytes = noise(5 * mebibyte + 321);
const expected = { sha256: sha256(bytes), size: bytes.length };
const directory = mkdtempSync(join(tmpdir(), "imgtask-proxy-test-"));
const open: { close(): void }[] = [];
let authority: Authority;
let proxy: Tinyproxy;
const user = "builder", password = "s3cret-pass.word";
const withLogin = (host: string): string => `http://${user}:${encodeURIComponent(password)}@${host}`;

before(async () => {
  authority = makeAuthority(directory);
  if (noTinyproxy === false) open.push((proxy = await tinyproxy(directory, { user, password })));
});
after(() => {
  for (const one of open) one.close();
  rmSync(directory, { recursive: true, force: true });
});

async function server(scheme: "http" | "https", habits: Habits = {}): Promise<RangeServer> {
  const one = await rangeServer({ "f.iso": bytes }, { ...habits, ...(scheme === "https" ? { tls: authority } : {}) });
  open.push(one);
  return one;
}

let count = 0;
type Result = Brought & { readonly code?: string; readonly message?: string; readonly hint?: string };

async function bring(env: Readonly<Record<string, string>>, ...jobs: readonly Readonly<Record<string, unknown>>[]): Promise<readonly Result[]> {
  const child = fileURLToPath(new URL("proxy-child.ts", import.meta.url));
  const what = jobs.map((job) => ({ file: join(directory, `file${count++}`), expected, mirrorEnv: "IMGTASK_TEST_MIRROR", wide: mebibyte, piece: mebibyte / 2, ...job }));
  const started = spawn(process.execPath, ["--import", "tsx", child, JSON.stringify({ env, jobs: what })], {
    stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, NODE_EXTRA_CA_CERTS: authority.authority },
  });
  let text = "";
  started.stdout.on("data", (chunk: Buffer) => (text += String(chunk)));
  await new Promise((resolve) => started.once("close", resolve));
  const results = JSON.parse(text) as readonly Result[];
  for (const [index, { code }] of results.entries()) if (code === undefined) assert.equal(sha256(readFileSync(what[index]!.file)), expected.sha256);
  return results;
}

describe("a real proxy", { skip: noTinyproxy }, () => {
  for (const scheme of ["http", "https"] as const) {
    const variable = `${scheme}_proxy`, verb = scheme === "https" ? "CONNECT" : "GET";
    it(`is gone through by ${scheme}:, with a login, in parallel parts`, async (test) => {
      const mirror = await server(scheme, { pace: 1 }), seen = proxy.seen().length;
      const [result] = await bring({ [variable]: withLogin(proxy.host) }, { url: `${mirror.url}/f.iso` });
      assert.equal(result!.code, undefined, JSON.stringify(result));
      assert.equal(result!.fetched, bytes.length, "each byte once");
      assert.ok(mirror.most >= 2, "several at once");
      const now = proxy.seen().slice(seen);
      assert.ok(now.length >= 4 && now.every((line) => line.startsWith(verb)), now.join());
      for (const { headers } of mirror.asked) assert.equal(headers["proxy-authorization"], undefined, "the proxy's login is the proxy's");
      test.diagnostic(`${scheme}: ${mirror.most} answers at once, ${mirror.asked.length} requests of the server, ${now.length} of the proxy`);
    });
    it(`is gone through by ${scheme}: after cuts, and by the next run, with If-Range`, async (test) => {
      const cut = await server(scheme, { cutAfter: (request) => (request <= 3 ? 300_000 : undefined) }), env = { [variable]: withLogin(proxy.host) };
      const slow = await server(scheme, { pace: 80 }), quick = await server(scheme), kept = join(directory, `kept-${scheme}`);
      const [one, ended, next] = await bring(env, { url: `${cut.url}/f.iso`, segments: 1 }, { url: `${slow.url}/f.iso`, kept, time: 700 }, { url: `${quick.url}/f.iso`, kept });
      assert.equal(one!.fetched, bytes.length);
      assert.equal(cut.asked.filter(({ headers }) => headers["if-range"] !== undefined).length, 3);
      assert.equal(ended!.code, "IMG5010", JSON.stringify(ended));
      assert.ok(next!.found > 0, "something was kept");
      assert.equal(next!.found + next!.fetched, bytes.length, "no byte came twice");
      assert.ok(quick.asked.every(({ headers }) => headers["if-range"] !== undefined));
      test.diagnostic(`${scheme}: ${next!.found} bytes found again, ${next!.fetched} fetched`);
    });
    it(`that refuses is named for ${scheme}:, at once, and never with the password`, async () => {
      const mirror = await server(scheme), seen = proxy.seen().length;
      const wrong = `http://${user}:wr0ng-secret@${proxy.host}`;
      const url = `${mirror.url}/f.iso`;
      const [first, second] = await bring({}, { url, env: { [variable]: wrong }, wide: Infinity }, { url, env: { [variable]: proxy.host }, wide: Infinity });
      // tinyproxy says 401 to a wrong password: of a plain request nobody can tell that from the server's own.
      if (scheme === "http") {
        assert.equal(first!.code, "IMG5004");
        assert.match(first!.hint!, /http_proxy/);
      }
      for (const { code, message, hint } of scheme === "http" ? [second!] : [first!, second!]) {
        assert.equal(code, "IMG5015", message);
        assert.match(message!, new RegExp(`The proxy ${proxy.host.replaceAll(".", "\\.")} wants another user name or password`));
        assert.match(hint!, new RegExp(variable));
        assert.ok(!`${message}${hint}`.includes("wr0ng"));
      }
      assert.equal(mirror.asked.length, 0);
      assert.equal(proxy.seen().length, seen + 2, "no second attempt");
    });
  }
  it("is not gone through to what no_proxy names", async () => {
    const mirror = await server("http"), secure = await server("https"), seen = proxy.seen().length;
    const env = { http_proxy: withLogin(proxy.host), https_proxy: withLogin(proxy.host), no_proxy: "example.org,127.0.0.0/8,localhost" };
    const results = await bring(env, { url: `${mirror.url}/f.iso` }, { url: `${secure.url}/f.iso` });
    assert.deepEqual(results.map(({ code }) => code), [undefined, undefined]);
    assert.equal(proxy.seen().length, seen);
  });
  it("sees no credentials: a tunnel hides them, and plain ones are not sent", async () => {
    const mirror = await server("http"), secure = await server("https"), env = { http_proxy: withLogin(proxy.host), https_proxy: withLogin(proxy.host) };
    const login = "Bearer t0ken-for-the-mirror";
    const [tunnelled, plain] = await bring(env, { url: `${secure.url}/f.iso`, login }, { url: `${mirror.url}/f.iso`, login });
    assert.equal(tunnelled!.code, undefined);
    assert.ok(secure.asked.every(({ headers }) => headers.authorization === login));
    assert.equal(plain!.code, "IMG5012");
    assert.match(plain!.hint!, /no_proxy/);
    assert.equal(mirror.asked.length, 0);
    assert.ok(!proxy.log().includes("t0ken"));
  });
  it("does not keep a certificate from being checked, for names and addresses", async () => {
    const secure = await server("https"), env = { https_proxy: withLogin(proxy.host) }, port = new URL(secure.url).port;
    const results = await bring(env, { url: `https://127.0.0.1:${port}/f.iso` }, { url: `https://127.0.0.2:${port}/f.iso` });
    assert.equal(results[0]!.code, undefined, JSON.stringify(results[0]));
    assert.notEqual(results[1]!.code, undefined);
  });
  it("that is down is told as what cannot be reached", async () => {
    const mirror = await server("https");
    const [result] = await bring({ https_proxy: "http://127.0.0.1:9" }, { url: `${mirror.url}/f.iso` });
    assert.equal(result!.code, "IMG5001");
  });
});

describe("no_proxy", () => {
  const proxied = (url: string, list: string): boolean => proxyFor(new URL(url), { http_proxy: "http://proxy:1", https_proxy: "http://proxy:1", no_proxy: list }) !== undefined;
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["http://a.example.org/", "example.org", false], ["http://a.example.org/", ".example.org", false], ["http://a.example.org/", "*.example.org", false],
    ["http://example.org/", "a.example.org", true], ["http://badexample.org/", "example.org", true],
    ["http://a.example.org/", "example.org:80", false], ["http://a.example.org:8080/", "example.org:80", true], ["https://a.example.org/", "example.org:443", false],
    ["http://10.1.2.3/", "10.0.0.0/8", false], ["http://11.1.2.3/", "10.0.0.0/8", true], ["http://10.1.2.3/", "10.1.2.3", false], ["http://110.1.2.3/", "10.1.2.3", true],
    ["http://[fd00::1]/", "fd00::/8", false], ["http://[fd00::1]/", "[fd00::1]", false], ["http://[fd00::1]:81/", "[fd00::1]:80", true], ["http://[fe80::1]/", "10.0.0.0/8", true],
    ["http://a.test/", "*", false], ["http://a.test/", "b.test, a.test", false], ["http://a.test/", "b.test a.test", false], ["http://a.test/", "10.0.0.0/99,///,::", true],
  ];
  for (const [url, list, through] of cases) it(`${list}: ${url} goes ${through ? "through the proxy" : "there directly"}`, () => assert.equal(proxied(url, list), through));
  it("a proxy that is none is refused, without its password", () => {
    for (const bad of ["socks5://u:s3cret@host:1080", "http://", "ftp://x"]) {
      assert.throws(() => proxyFor(new URL("http://a.test/"), { http_proxy: bad }), (error: { code: string; found: string }) => error.code === "IMG2655" && !error.found.includes("s3cret"), bad);
    }
  });
});
