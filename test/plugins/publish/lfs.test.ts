/**
 * Git LFS: one commit for a publication, large files in their own place before anything points to them, nothing of others touched.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { lfs } from "../../../plugins/publish/lfs.ts";
import { cloneWithLfs, lfsMissing, type LfsServer, startLfs } from "../../rig/lfs-server.ts";
import { carryOut, type Order } from "../../rig/publish-child.ts";

const skip = lfsMissing();
const scratch = mkdtempSync(join(tmpdir(), "imgtask-lfs-"));
let server: LfsServer;
before(async () => {
  for (const name of ["tmp", "project", "server"]) mkdirSync(join(scratch, name));
  if (skip === undefined) server = await startLfs(join(scratch, "server"));
});
after(async () => {
  if (skip === undefined) await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

let count = 0;
function order(files: Readonly<Record<string, Buffer | string>>, more: object = {}): Order {
  // A scratch directory of a run's own, as the kind `publish` has it.
  const own = join(scratch, `run-${count++}`);
  for (const name of ["tmp", "project"]) mkdirSync(join(own, name), { recursive: true });
  const listed = Object.entries(files).map(([name, content]) => {
    const path = join(own, String(count++));
    writeFileSync(path, content);
    return { name, path };
  });
  const options = { repository: server.url, branch: "main", token: { type: "secret", from: "environment", name: "T" }, largeFrom: 1000, ...more };
  return { module: new URL("../../../plugins/publish/lfs.ts", import.meta.url).href, factory: "lfs", options, secrets: { lfsToken: server.token }, env: {}, files: listed, scratch: own };
}
const git = (...words: readonly string[]): string => execFileSync("git", ["-C", join(scratch, "server", "images.git"), ...words], { encoding: "utf8" }).trim();
const large = (letter: string): Buffer => Buffer.alloc(5000, letter);

test("large files are kept by Git LFS, small ones by git, in one commit; the second run sends no file and makes no commit", { skip }, async (context) => {
  const files = { "iso/b1/kali.iso": large("k"), "SHA256SUMS": "sums\n" };
  assert.deepEqual((await carryOut(order(files))).map(({ uploaded }) => uploaded), [true, true]);
  assert.equal(server.large(), 5000);
  assert.equal(git("rev-list", "--count", "main"), "1");
  assert.match(git("show", "main:iso/b1/kali.iso"), /^version https:\/\/git-lfs\.github\.com\/spec\/v1\noid sha256:[0-9a-f]{64}\nsize 5000$/);
  assert.equal(git("show", "main:SHA256SUMS"), "sums");
  assert.equal(git("show", "main:.gitattributes"), "/iso/b1/kali.iso filter=lfs diff=lfs merge=lfs -text");
  const head = git("rev-parse", "main");
  server.relay.received();
  assert.deepEqual((await carryOut(order(files))).map(({ uploaded }) => uploaded), [false, false]);
  assert.equal(server.large(), 0);
  assert.equal(git("rev-parse", "main"), head);
  context.diagnostic(`second run: 0 bytes of files, ${server.relay.received()} bytes of questions`);
  // By git and git-lfs, as everybody clones.
  cloneWithLfs(join(scratch, "server", "images.git"), "main", join(scratch, "copy"));
  assert.ok(readFileSync(join(scratch, "copy/iso/b1/kali.iso")).equals(large("k")));
});

test("what others have on the branch stays, and a file that became small is no longer kept by Git LFS", { skip }, async () => {
  await carryOut(order({ "other.img": large("o") }));
  await carryOut(order({ "iso/b1/kali.iso": "small" }));
  assert.deepEqual(git("ls-tree", "-r", "--name-only", "main").split("\n"), [".gitattributes", "SHA256SUMS", "iso/b1/kali.iso", "other.img"]);
  assert.equal(git("show", "main:iso/b1/kali.iso"), "small");
  assert.equal(git("show", "main:.gitattributes"), "/other.img filter=lfs diff=lfs merge=lfs -text");
});

test("large files that arrived before a kill are not sent again", { skip }, async () => {
  const work = order({ "late.iso": large("l"), "SHA256SUMS": "late\n" });
  // The commit is refused after the objects were sent.
  const hook = join(scratch, "server", "images.git", "hooks");
  mkdirSync(hook);
  writeFileSync(join(hook, "pre-receive"), "#!/bin/sh\necho not now\nexit 1\n");
  chmodSync(join(hook, "pre-receive"), 0o755);
  const head = git("rev-parse", "main");
  server.large();
  await assert.rejects(carryOut(work), { code: "IMG3523" });
  assert.equal(server.large(), 5000);
  assert.equal(git("rev-parse", "main"), head);
  rmSync(hook, { recursive: true });
  await carryOut({ ...order({}), files: work.files });
  assert.equal(server.large(), 0);
  assert.equal(git("show", "main:SHA256SUMS"), "late");
});

test("a branch that somebody else pushed to meanwhile is not overwritten", { skip }, async () => {
  let theirs = "";
  const meanwhile = (line: string): void => {
    if (theirs !== "" || line !== "sending race.iso") return;
    const commit = execFileSync("git", ["-C", join(scratch, "server", "images.git"), "-c", "user.name=T", "-c", "user.email=t@example.org", "commit-tree", "main^{tree}", "-p", "main", "-m", "theirs"], { encoding: "utf8" }).trim();
    theirs = commit;
    git("update-ref", "refs/heads/main", commit);
  };
  const work = order({ "race.iso": large("r") });
  await assert.rejects(carryOut(work, meanwhile), { code: "IMG5063" });
  assert.equal(git("rev-parse", "main"), theirs);
  await carryOut({ ...order({}), files: work.files });
  assert.equal(git("rev-parse", "main^"), theirs);
});

test("a repository on this host: git-lfs itself carries the objects over", { skip }, async () => {
  const local = join(scratch, "local repository.git");
  execFileSync("git", ["init", "--quiet", "--bare", local]);
  const work = order({ "a.iso": large("a"), "SHA256SUMS": "sums\n" }, { repository: local, token: undefined });
  assert.deepEqual((await carryOut(work)).map(({ uploaded }) => uploaded), [true, true]);
  assert.deepEqual((await carryOut({ ...order({}), options: work.options, files: work.files })).map(({ uploaded }) => uploaded), [false, false]);
  cloneWithLfs(local, "main", join(scratch, "copy"));
  assert.ok(readFileSync(join(scratch, "copy/a.iso")).equals(large("a")));
});

test("no repository and no server are told apart; settings of the user are not read", { skip }, async () => {
  await assert.rejects(carryOut(order({ "a.iso": "a" }, { repository: server.url.replace("images", "none") })), { code: "IMG3524" });
  await assert.rejects(carryOut(order({ "a.iso": "a" }, { repository: "http://127.0.0.1:1/images.git" })), { code: "IMG5060" });
  await assert.rejects(carryOut(order({ "a.iso": "a" }, { repository: join(scratch, "nowhere.git"), token: undefined })), { code: "IMG3524" });
});

test("addresses with passwords, odd branches and tokens for files are refused", () => {
  const token = { type: "secret", from: "environment", name: "T" } as const;
  for (const bad of [
    { repository: "https://user:password@git.example.org/a.git" }, { repository: "ssh://git.example.org/a.git" }, { repository: "relative/a.git" }, { repository: "--upload-pack=touch x" }, { repository: "ext::sh -c x" },
    { repository: "/srv/a.git", branch: "-f" }, { repository: "/srv/a.git", branch: "a..b" }, { repository: "/srv/a.git", branch: "a b" }, { repository: "/srv/a.git", token }, { repository: "/srv/a.git", largeFrom: 0 },
  ]) assert.throws(() => lfs(bad), { code: /^IMG2(?:520|040)$/ }, JSON.stringify(bad));
});
