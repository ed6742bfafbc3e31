/**
 * Releases on GitHub, against a server in GitHub's shape: draft first, nothing twice, nothing half, nothing public changed.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { carryOut, type Order } from "../../rig/publish-child.ts";
import { type GithubServer, startGithub } from "../../rig/github-server.ts";

const scratch = mkdtempSync(join(tmpdir(), "imgtask-github-"));
let server: GithubServer;
before(async () => {
  for (const name of ["tmp", "project"]) mkdirSync(join(scratch, name));
  server = await startGithub("example/images");
});
after(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

let count = 0;
function order(tag: string, files: Readonly<Record<string, string>>, token?: string): Order {
  const listed = Object.entries(files).map(([name, content]) => {
    const path = join(scratch, String(count++));
    writeFileSync(path, content);
    return { name, path };
  });
  const module = new URL("../../../plugins/publish/github.ts", import.meta.url).href;
  const options = { repository: "example/images", tag, token: { type: "secret", from: "environment", name: "T" } };
  return { module, factory: "github", options, secrets: { githubToken: token ?? server.token }, env: { GITHUB_API_URL: server.url }, files: listed, scratch };
}
const seen = (tag: string): object => Object.fromEntries(Object.entries(server.published(tag)).map(([name, bytes]) => [name, bytes.toString()]));

test("assets go to a draft that becomes public at the end; a second run sends 0 bytes", async () => {
  const files = { "kali.qcow2": "disk", "SHA256SUMS": "sums" };
  assert.deepEqual((await carryOut(order("v1", files, `${server.token}\n`))).map(({ uploaded }) => uploaded), [true, true]);
  assert.equal(server.received(), 8);
  assert.deepEqual(seen("v1"), files);
  assert.deepEqual((await carryOut(order("v1", files))).map(({ uploaded }) => uploaded), [false, false]);
  assert.equal(server.received(), 0);
  assert.deepEqual(server.strange, []);
});

test("a public release stays as it is", async () => {
  await assert.rejects(carryOut(order("v1", { "kali.qcow2": "other", "SHA256SUMS": "sums" })), { code: "IMG3527" });
  assert.deepEqual(seen("v1"), { "kali.qcow2": "disk", "SHA256SUMS": "sums" });
});

test("a draft that was left behind is carried on: what is whole is kept, what is half or other is replaced, what is not ours goes", async () => {
  const files = { "a.iso": "bytes of a", "b.iso": "bytes of b", "c.iso": "bytes of c" };
  const failing = order("v2", files);
  rmSync(failing.files[2]!.path);
  writeFileSync(failing.files[2]!.path, "bytes of c");
  // All of it, as a draft: the request that makes it public is not reached, since the last file is of another size there.
  await carryOut(order("v2", files));
  const { release, assets } = server.releases.find((one) => one.release.tag_name === "v2")!;
  release.draft = true;
  Object.assign(assets[1]!.asset, { state: "starter", size: 3, digest: null });
  Object.assign(assets[2]!.asset, { digest: "sha256:00" });
  assets.push({ asset: { ...assets[0]!.asset, id: 9999, name: "stale.iso" }, bytes: Buffer.from("x") });
  server.received();
  assert.deepEqual(seen("v2"), {});
  assert.deepEqual((await carryOut(order("v2", files))).map(({ uploaded }) => uploaded), [false, true, true]);
  assert.equal(server.received(), 20);
  assert.deepEqual(seen("v2"), files);
});

test("2 GiB are refused before anything is sent or made", async () => {
  const work = order("v3", { "a.iso": "a", "huge.raw": "" });
  truncateSync(work.files[1]!.path, 2 ** 31);
  await assert.rejects(carryOut(work), { code: "IMG3526" });
  assert.equal(server.releases.some(({ release }) => release.tag_name === "v3"), false);
  assert.equal(server.received(), 0);
});

test("tokens that are wrong or may only read, another repository, no server: each is told, and none tells the token", async () => {
  const files = { "a.iso": "a" };
  const cases: readonly [Order, string][] = [
    [order("v4", files, "ghp_wrong0123456789"), "IMG3521"],
    [order("v4", files, server.readingToken), "IMG3523"],
    [{ ...order("v4", files), options: { repository: "example/none", tag: "v4", token: { type: "secret" } } }, "IMG3524"],
    [{ ...order("v4", files), env: { GITHUB_API_URL: "http://127.0.0.1:1" } }, "IMG5060"],
  ];
  for (const [work, code] of cases) {
    const error = await carryOut(work).then(() => assert.fail(`no ${code}`), (one: Error & { code: string }) => one);
    assert.equal(error.code, code, error.message);
    assert.ok(!`${JSON.stringify(error)}${error.stack ?? ""}`.includes(work.secrets["githubToken"]!), "the token in an error");
  }
});
