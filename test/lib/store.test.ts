/**
 * The store: what goes in comes out, damage is a miss, and what people edit never reaches an object.
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Artifacts } from "../../lib/artifacts.ts";
import { contentName } from "../../lib/content.ts";
import { digestOf } from "../../lib/digest.ts";
import { StatCache } from "../../lib/stat-cache.ts";
import { Store } from "../../lib/store.ts";
import { collect } from "../../lib/collect.ts";
import { scratch } from "../rig/scratch.ts";

function open(t: TestContext, uid = 0): { readonly store: Store; readonly artifacts: Artifacts; readonly at: (...parts: string[]) => string; readonly fresh: () => Store } {
  const directory = scratch(t);
  const at = (...parts: string[]): string => join(directory, ...parts);
  mkdirSync(at("store"));
  const cache = new StatCache(at("cache"));
  const store = new Store(at("store"), cache);
  return { store, artifacts: new Artifacts(store, cache, at("tmp"), { uid }), at, fresh: () => new Store(at("store"), new StatCache(at("cache"))) };
}

function tree(root: string): void {
  mkdirSync(join(root, "bin/empty"), { recursive: true });
  writeFileSync(join(root, "bin/tool"), "#!/bin/sh\n");
  chmodSync(join(root, "bin/tool"), 0o755);
  for (const name of ["new\nline", "ünïcode €", "-dash", "a b", "z"]) writeFileSync(join(root, name), `in ${name}`);
  symlinkSync("../outside", join(root, "link"));
  linkSync(join(root, "z"), join(root, "zz"));
}

/** Everything in a directory that an output keeps, as text. */
function listing(root: string, relative = ""): readonly string[] {
  return readdirSync(join(root, relative)).sort().flatMap((name) => {
    const inner = join(relative, name), full = join(root, inner), stat = lstatSync(full);
    if (stat.isSymbolicLink()) return [`${inner} -> ${readlinkSync(full)}`];
    if (stat.isDirectory()) return [`${inner}/`, ...listing(root, inner)];
    return [`${inner} ${(stat.mode & 0o111) !== 0 ? "x" : "-"} ${readFileSync(full, "utf8")}`];
  });
}

test("a file goes in once, read-only, and appears where it should", async (t) => {
  const { store, artifacts, at } = open(t);
  writeFileSync(at("a"), "content");
  writeFileSync(at("b"), "content");
  const { digest, size } = await store.putFile(at("a"));
  assert.deepEqual([digest, size, existsSync(at("a"))], [digestOf("content"), 7, false]);
  assert.equal((await store.putFile(at("b"))).digest, digest);
  assert.equal(existsSync(at("b")), false);
  assert.equal(statSync(store.objectPath(digest)).mode & 0o777, 0o444);
  await artifacts.restore({ digest }, "file", at("out/deep/a"), false);
  assert.equal(readFileSync(at("out/deep/a"), "utf8"), "content");
  assert.equal(await artifacts.matches({ digest }, "file", at("out/deep/a"), false), true);
  assert.deepEqual(readdirSync(at("out/deep")), ["a"]);
});

test("the same bytes, executable and not, are two objects", async (t) => {
  const { store, artifacts, at } = open(t);
  mkdirSync(at("t"));
  writeFileSync(at("t/plain"), "x");
  writeFileSync(at("t/exec"), "x", { mode: 0o755 });
  const { digest } = await store.putTree(at("t"));
  await artifacts.restore({ digest }, "tree", at("out"), false);
  assert.deepEqual(listing(at("out")), ["exec x x", "plain - x"]);
});

test("of a single file, whether it may be executed is part of its content", async (t) => {
  const { store, artifacts, at, fresh } = open(t);
  const put = (mode: number): ReturnType<Store["putFile"]> => {
    writeFileSync(at("new"), "#!/bin/sh\n", { mode });
    return store.putFile(at("new"));
  };
  for (const [plainMode, programMode] of [[0o600, 0o755], [0o644, 0o700]] as const) {
    const plain = await put(plainMode), program = await put(programMode);
    assert.deepEqual([plain.digest, plain.executable, program.executable], [program.digest, undefined, true]);
    assert.notEqual(contentName(plain), contentName(program));
    for (const [name, content, mode] of [["program", program, 0o555], ["plain", plain, 0o444]] as const) {
      await artifacts.restore(content, "file", at(name), false);
      assert.equal(statSync(at(name)).mode & 0o777, mode, name);
      assert.equal(statSync(await store.expose(content, "file", at("in"))).mode & 0o777, mode, name);
      assert.equal(await artifacts.matches(content, "file", at(name), false), true);
    }
    assert.equal(await artifacts.matches(plain, "file", at("program"), false), false, "the same bytes, another mode");
    chmodSync(at("program"), 0o444);
    assert.equal(await artifacts.matches(program, "file", at("program"), false), false, "an edit of the mode alone");
    chmodSync(store.objectPath(program.digest, true), 0o444);
    assert.equal(await store.check(program, "file"), "intact");
    assert.equal(statSync(store.objectPath(program.digest, true)).mode & 0o777, 0o555, "an object has the mode that its name says");
    rmSync(store.objectPath(program.digest, true));
    assert.deepEqual([await fresh().check(program, "file"), await fresh().check(plain, "file")], ["missing", "intact"]);
  }
});

test("a tree comes back as it was: odd names, links, empty directories, modes", async (t) => {
  const { store, artifacts, at } = open(t);
  tree(at("one"));
  tree(at("two"));
  const before = listing(at("one"));
  const { digest } = await store.putTree(at("one"));
  assert.equal((await store.putTree(at("two"))).digest, digest, "equal trees have equal digests");
  await artifacts.restore({ digest }, "tree", at("out"), false);
  assert.deepEqual(listing(at("out")), before);
  assert.equal(await artifacts.matches({ digest }, "tree", at("out"), false), true);
  assert.deepEqual(listing(await store.expose({ digest }, "tree", at("in"))), before);
});

test("every edit of a tree in the project is seen", async (t) => {
  const { store, artifacts, at } = open(t);
  tree(at("one"));
  const { digest } = await store.putTree(at("one"));
  const edits: ((root: string) => void)[] = [
    (root) => writeFileSync(join(root, "added"), ""),
    (root) => chmodSync(join(root, "z"), 0o755),
    (root) => { chmodSync(join(root, "z"), 0o644); writeFileSync(join(root, "z"), "IN z"); },
    (root) => mkdirSync(join(root, "bin/empty/more")),
  ];
  for (const edit of edits) {
    await artifacts.restore({ digest }, "tree", at("out"), false);
    assert.equal(await artifacts.matches({ digest }, "tree", at("out"), false), true);
    edit(at("out"));
    assert.equal(await artifacts.matches({ digest }, "tree", at("out"), false), false, String(edit));
    assert.equal(await store.check({ digest }, "tree"), "intact", "the edit did not reach the store");
  }
});

test("a damaged or missing object is a miss, for each byte of a small one, also after a restart", async (t) => {
  const { store, at, fresh } = open(t);
  const put = async (): Promise<void> => { writeFileSync(at("a"), "some bytes"); await store.putFile(at("a")); };
  const digest = digestOf("some bytes");
  for (let byte = 0; byte < 10; byte++) {
    await put();
    const object = store.objectPath(digest);
    const bytes = readFileSync(object);
    bytes[byte]! ^= 1;
    chmodSync(object, 0o644);
    writeFileSync(object, bytes);
    assert.equal(await (byte % 2 === 0 ? store : fresh()).check({ digest }, "file"), "damaged");
    assert.equal(await store.check({ digest }, "file"), "missing", "the damaged one is gone");
  }
  await put();
  assert.equal(await store.check({ digest }, "file"), "intact");
});

test("a tree with a damaged file, or a damaged list, is a miss", async (t) => {
  const { store, artifacts, at } = open(t);
  tree(at("one"));
  const { digest } = await store.putTree(at("one"));
  const object = store.objectPath(digestOf("in z"));
  chmodSync(object, 0o644);
  writeFileSync(object, "IN z");
  assert.equal(await store.check({ digest }, "tree"), "damaged");
  tree(at("one2"));
  await store.putTree(at("one2"));
  assert.equal(await store.check({ digest }, "tree"), "intact", "put again, it is whole again");
  chmodSync(store.objectPath(digest), 0o644);
  writeFileSync(store.objectPath(digest), '{"entries":[');
  assert.equal(await store.check({ digest }, "tree"), "damaged");
  await assert.rejects(artifacts.restore({ digest }, "tree", at("out"), false), { code: "IMG3012" });
  assert.deepEqual(readdirSync(at()).filter((name) => name.startsWith(".imgtask") || name === "out"), [], "a failed restore leaves nothing");
});

test("putting a file over a damaged object mends it", async (t) => {
  const { store, at } = open(t);
  writeFileSync(at("a"), "good");
  const { digest } = await store.putFile(at("a"));
  chmodSync(store.objectPath(digest), 0o644);
  writeFileSync(store.objectPath(digest), "evil");
  writeFileSync(at("a"), "good");
  await store.putFile(at("a"));
  assert.equal(readFileSync(store.objectPath(digest), "utf8"), "good");
});

test("as an ordinary user artifacts are links that cannot be written; as root they are copies", async (t) => {
  for (const uid of [0, 1000]) {
    const { store, artifacts, at } = open(t, uid);
    writeFileSync(at("a"), "content");
    const { digest } = await store.putFile(at("a"));
    await artifacts.restore({ digest }, "file", at("out"), false);
    const linked = statSync(at("out")).ino === statSync(store.objectPath(digest)).ino;
    assert.equal(linked, uid !== 0);
    assert.equal(statSync(at("out")).mode & 0o222, 0);
    if (linked) continue;
    chmodSync(at("out"), 0o644);
    writeFileSync(at("out"), "edited");
    assert.equal(await store.check({ digest }, "file"), "intact");
  }
});

test("merging adds what is missing and changes nothing else", async (t) => {
  const { store, artifacts, at } = open(t);
  mkdirSync(at("t/sub"), { recursive: true });
  writeFileSync(at("t/sub/a"), "new");
  writeFileSync(at("t/b"), "new");
  const { digest } = await store.putTree(at("t"));
  mkdirSync(at("out/sub"), { recursive: true });
  writeFileSync(at("out/b"), "mine");
  writeFileSync(at("out/other"), "mine");
  assert.equal(await artifacts.matches({ digest }, "tree", at("out"), true), false);
  await artifacts.restore({ digest }, "tree", at("out"), true);
  assert.deepEqual(listing(at("out")), ["b - mine", "other - mine", "sub/", "sub/a - new"]);
  assert.equal(await artifacts.matches({ digest }, "tree", at("out"), true), true);
});

test("a file is never put where a directory stands", async (t) => {
  const { store, artifacts, at } = open(t);
  writeFileSync(at("a"), "x");
  const { digest } = await store.putFile(at("a"));
  mkdirSync(at("out"));
  writeFileSync(at("out/mine"), "x");
  await assert.rejects(artifacts.restore({ digest }, "file", at("out"), false), { code: "IMG3013" });
  assert.deepEqual([readdirSync(at("out")), readdirSync(at()).filter((name) => name.startsWith("."))], [["mine"], []]);
});

test("what is neither file, directory nor link cannot be stored", async (t) => {
  const { store, at } = open(t);
  mkdirSync(at("t"));
  const { execFileSync } = await import("node:child_process");
  execFileSync("mkfifo", [at("t/pipe")]);
  await assert.rejects(store.putTree(at("t")), { code: "IMG3011", found: "a pipe", message: /"pipe"/ });
});

test("collecting removes the least recently used beyond the cap, never what is needed", async (t) => {
  const { store, at } = open(t);
  const put = async (text: string) => { writeFileSync(at("f"), text); return (await store.putFile(at("f"))).digest; };
  mkdirSync(at("t"));
  writeFileSync(at("t/inner"), "i".repeat(100));
  const needed = (await store.putTree(at("t"))).digest;
  const listLike = await put('{"entries":[ no list at all');
  const old = await put("o".repeat(100));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const young = await put("y".repeat(100));
  const leftover = join(at("store"), old.slice(0, 2), ".imgtask-1-0");
  writeFileSync(leftover, "left by a crash");
  await collect(store, new Set([needed, listLike]), 400);
  assert.deepEqual([await store.check({ digest: needed }, "tree"), await store.check({ digest: listLike }, "file"), await store.check({ digest: old }, "file"), await store.check({ digest: young }, "file")], ["intact", "intact", "missing", "intact"]);
  assert.equal(existsSync(leftover), false);
  await collect(store, new Set([needed]), 0);
  assert.deepEqual([await store.check({ digest: needed }, "tree"), await store.check({ digest: young }, "file")], ["intact", "missing"]);
});
