/**
 * A download by the real command line from a mirror that wants a login: interrupted, gone on with, proxied, refused; and by a real
 * proxy that wants one. The passwords are searched for in everything that is left, and in what was said.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { type Habits, rangeServer } from "../rig/range-server.ts";
import { type Finished, preamble, TestProject } from "../rig/project.ts";
import { noTinyproxy, tinyproxy } from "../rig/tinyproxy.ts";

const image = randomBytes(6_000_000), sha256 = createHash("sha256").update(image).digest("hex"), name = "vendor-1.0-install.iso";
const password = "hunter2-Canary-9", authorization = `Basic ${Buffer.from(`me:${password}`).toString("base64")}`;

function imagefile(origin: string): string {
  return `import { download, type ImageMedia, secret } from "imgtask";
const media: ImageMedia = {
  kind: "iso", id: "vendor-1", distro: "vendor", release: "1", arch: "x86_64", answers: "preseed", edition: "install", layout: "debian-cd", image: { name: "vendor-{version}-install.iso" },
  source: { kind: "mirror", env: "IMGTASK_TEST_MIRROR", mirrors: [${JSON.stringify(origin)}], directory: "d", list: { file: "SUMS", form: "gnu", algorithm: "sha256", signature: { kind: "none" } } },
  keys: { keys: [] }, sha256: ${JSON.stringify(sha256)},
};
export default download("big", media, { credentials: { origin: ${JSON.stringify(origin)}, type: "basic", user: "me", password: secret.env("MIRROR_PASSWORD") }, limits: { size: "16M" } });
`;
}

test("a download with credentials is interrupted, goes on, and leaves no password behind", { timeout: 120_000 }, async (t) => {
  const pace: { ms: number } = { ms: 150 };
  const habits: Habits = {
    get pace() {
      return pace.ms;
    },
    instead: (request, response) => request.headers.authorization === authorization ? false : (response.writeHead(401).end(), true),
  };
  const server = await rangeServer({ "d/SUMS": Buffer.from(`${sha256}  ${name}\n`), [`d/${name}`]: image }, habits);
  t.after(() => server.close());
  using project = new TestProject({ "imagefile.ts": imagefile(server.url) });
  const env = { MIRROR_PASSWORD: password };
  const said: Finished[] = [];
  const run = async (options: Readonly<Record<string, string>> = env): Promise<Finished> => {
    const finished = await project.start(["run", "download:big"], { env: options }).finished;
    said.push(finished);
    return finished;
  };
  const wrong = await run({ MIRROR_PASSWORD: "wr0ng-Canary-9" });
  assert.match(wrong.stderr + wrong.stdout, /IMG5014/);
  assert.equal(server.sent, 0);

  const first = project.start(["run", "download:big"], { env });
  while (server.sent < 1_500_000) await sleep(20);
  first.child.kill("SIGINT");
  const interrupted = await first.finished;
  said.push(interrupted);
  assert.equal(interrupted.code, 130, interrupted.stderr);
  assert.equal(project.exists(".imgtask/partial"), true);
  const before = server.sent;
  pace.ms = 0;

  const proxied = await run({ ...env, http_proxy: "http://127.0.0.1:9" });
  assert.match(proxied.stderr + proxied.stdout, /IMG5012/);
  assert.equal(server.sent, before, "the proxy would have read it");

  const second = await run();
  assert.equal(second.code, 0, second.stderr);
  assert.ok(server.sent - before < image.length, "it went on with what was there");
  t.diagnostic(`${before} bytes until the interrupt, ${server.sent - before} after it, of ${image.length}`);
  assert.equal((await run({})).code, 0, "fresh without the password");
  assert.equal((await run({ MIRROR_PASSWORD: "an0ther-Canary-9" })).code, 0, "a new password makes nothing stale");
  const filesWith = (text: string): readonly string[] =>
    spawnSync("grep", ["-rlaF", "--exclude-dir=node_modules", "-e", text, "--", project.directory], { encoding: "utf8" }).stdout.split("\n").filter((one) => one !== "");
  const forms = [password, "wr0ng-Canary-9", authorization.slice(6), Buffer.from(password).toString("hex"), createHash("sha256").update(`MIRROR_PASSWORD=${password}`).digest("hex")];
  for (const form of forms) {
    for (const { stdout, stderr } of said) assert.ok(!`${stdout}${stderr}`.includes(form));
    assert.deepEqual(filesWith(form), [], form);
  }
  assert.ok(filesWith("MIRROR_PASSWORD").length > 0, "where the password is, is no secret");
  const stored = execFileSync("find", [project.path(".imgtask/store"), "-type", "f", "-size", `${image.length}c`], { encoding: "utf8" }).trim().split("\n").filter((one) => one !== "");
  assert.ok(stored.some((file) => readFileSync(file).equals(image)), "the image is in the store");
});

test("a proxy and its password are no part of a result, and the password stands nowhere", { timeout: 120_000, skip: noTinyproxy }, async (t) => {
  const canary = "pr0xy:Canary/31 é", encoded = encodeURIComponent(canary), weak = "password";
  using project = new TestProject({
    "imagefile.ts": `${preamble}import { download, type ImageMedia } from "imgtask";
const media: ImageMedia = {
  kind: "iso", id: "vendor-1", distro: "vendor", release: "1", arch: "x86_64", answers: "preseed", edition: "install", layout: "debian-cd", image: { name: "vendor-{version}-install.iso" },
  source: { kind: "mirror", env: "IMGTASK_TEST_MIRROR", mirrors: ["http://mirror.invalid"], directory: "d", list: { file: "SUMS", form: "gnu", algorithm: "sha256", signature: { kind: "none" } } },
  keys: { keys: [] }, sha256: ${JSON.stringify(sha256)},
};
download("big", media);
target("says:it", { outputs: { out: "file" }, run: async ({ exec, outputs, log }) => {
  await exec(["sh", "-c", 'echo "$http_proxy"; echo "$http_proxy" | base64; printf %s "$HTTP_PROXY" >&2']);
  log("it is " + fromOutside("http_proxy"));
  writeFileSync(outputs.out, "the word password");
} });
target("keeps:it", { untracked: { env: ["http_proxy"] }, outputs: { out: "file" }, run: ({ env, outputs }) => writeFileSync(outputs.out, "Acquire::http::Proxy " + JSON.stringify(env.http_proxy)) });
target("passes:it", { untracked: { env: ["http_proxy"] }, outputs: { out: "file" }, run: async ({ env, outputs, exec }) => void (await exec(["sh", "-c", ": >$1", "sh", outputs.out, env.http_proxy ?? ""])) });
target("fails:it", { outputs: { out: "file" }, run: () => { throw new Error("no way through " + fromOutside("http_proxy")); } });
`,
  });
  const { directory } = project;
  const server = await rangeServer({ "d/SUMS": Buffer.from(`${sha256}  ${name}\n`), [`d/${name}`]: image });
  const proxy = await tinyproxy(dirname(directory), { user: "me", password: "Canary31word" });
  t.after(() => (server.close(), proxy.close()));
  const good = `http://me:Canary31word@${proxy.host}`, other = `http://me:${encoded}@127.0.0.1:9`;
  const said: string[] = [];
  const run = async (http_proxy: string, ...argv: readonly string[]): Promise<Finished> => {
    const finished = await project.start(argv, { env: { http_proxy, HTTP_PROXY: http_proxy, no_proxy: "", IMGTASK_TEST_MIRROR: server.url } }).finished;
    said.push(finished.stdout, finished.stderr);
    return finished;
  };
  const refused = await run(`http://me:wr0ng-Canary@${proxy.host}`, "run", "download:big");
  assert.match(refused.stderr + refused.stdout, /Some proxies answer so, too/);
  const first = await run(good, "run", "download:big");
  assert.equal(first.code, 0, first.stderr);
  assert.ok(proxy.seen().some((line) => line.includes(name)), "it came by the proxy");
  const asked = server.asked.length;
  for (const value of [good, other, `http://you@127.0.0.1:9`, ""]) assert.match((await run(value, "run", "download:big")).stderr, /^Nothing to do/m, value);
  assert.doesNotMatch((await run(other, "why", "download:big")).stdout, /proxy/);
  assert.equal(server.asked.length, asked);

  assert.equal((await run(other, "run", "says:it")).code, 0);
  assert.match(project.read(".imgtask/logs/says:it/latest.log"), /^http:\/\/\*\*\*@127\.0\.0\.1:9$[^]*it is http:\/\/\*\*\*@/m);
  for (const [target, code] of [["keeps:it", "IMG3051"], ["passes:it", "IMG3050"], ["fails:it", "IMG3020"]] as const) {
    const { stdout, stderr } = await run(other, "run", target);
    assert.match(stdout + stderr, new RegExp(code));
  }
  // A word of every image as password stops no build.
  assert.equal((await run(`http://me:${weak}@127.0.0.1:9`, "run", "--force", "says:it")).code, 0);

  const basic = (password: string): string => Buffer.from(`me:${password}`).toString("base64").slice(0, -2);
  const digests = [good, other].map((value) => createHash("sha256").update(`http_proxy=${value}`).digest("hex"));
  for (const form of [canary, encoded, "Canary31word", "wr0ng-Canary", basic(canary), basic("Canary31word"), Buffer.from(canary).toString("hex"), ...digests]) {
    assert.ok(said.every((text) => !text.includes(form)), form);
    assert.equal(spawnSync("grep", ["-rlaF", "--exclude-dir=node_modules", "-e", form, "--", directory], { encoding: "utf8" }).stdout, "", form);
  }
});
