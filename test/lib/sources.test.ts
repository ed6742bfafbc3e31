/**
 * Sources: what of the host's files counts, under every name and through every link.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { globEntries, globPaths, sourceEntries } from "../../lib/sources.ts";
import { StatCache } from "../../lib/stat-cache.ts";
import { scratch } from "../rig/scratch.ts";

function project(t: TestContext): { readonly at: string; readonly cache: StatCache } {
  const at = scratch(t);
  return { at, cache: new StatCache(join(at, "cache-is-not-written")) };
}

const file = (text: string, mode = "0644"): string => `file ${mode} ${digestOf(text)}`;

test("a file counts by its bytes and mode", async (t) => {
  const { at, cache } = project(t);
  writeFileSync(join(at, "a"), "x");
  assert.deepEqual(await sourceEntries(at, "./a", cache), [{ path: "a", content: file("x") }]);
  chmodSync(join(at, "a"), 0o4755);
  assert.deepEqual(await sourceEntries(at, "a", cache), [{ path: "a", content: file("x", "4755") }]);
});

test("a directory counts with all below it, under whatever names, in code unit order", async (t) => {
  const { at, cache } = project(t);
  mkdirSync(join(at, "d/sub/empty"), { recursive: true });
  for (const name of ["z", "Z", "ä", "-x", "new\nline", "€", "😀", "a b", ".hidden", "*"]) writeFileSync(join(at, "d", name), name);
  symlinkSync("/nowhere", join(at, "d/link"));
  const entries = await sourceEntries(at, "d/", cache);
  assert.deepEqual(entries.map(({ path }) => path), ["d", "d/*", "d/-x", "d/.hidden", "d/Z", "d/a b", "d/link", "d/new\nline", "d/sub", "d/sub/empty", "d/z", "d/ä", "d/€", "d/😀"]);
  assert.equal(entries.find(({ path }) => path === "d/link")!.content, "link /nowhere");
  assert.equal(entries.find(({ path }) => path === "d/new\nline")!.content, file("new\nline"));
});

test("a symbolic link given as a source counts by where it leads: a file, a directory, another link", async (t) => {
  const { at, cache } = project(t);
  mkdirSync(join(at, "real/sub"), { recursive: true });
  writeFileSync(join(at, "real/sub/f"), "1");
  writeFileSync(join(at, "file"), "1");
  symlinkSync("file", join(at, "to-file"));
  symlinkSync("real", join(at, "to-dir"));
  symlinkSync("to-dir", join(at, "to-link"));
  for (const [link, inner] of [["to-file", "file"], ["to-dir", "real/sub/f"], ["to-link", "real/sub/f"]] as const) {
    writeFileSync(join(at, inner), "1");
    const before = JSON.stringify(await sourceEntries(at, link, cache));
    writeFileSync(join(at, inner), "2");
    assert.notEqual(JSON.stringify(await sourceEntries(at, link, cache)), before, link);
  }
  assert.equal(JSON.stringify(await sourceEntries(at, "to-dir", cache)).includes(at), false, "no path of this machine");
  symlinkSync("gone", join(at, "dangling"));
  await assert.rejects(sourceEntries(at, "dangling", cache), { code: "IMG2005", found: /"gone"/ });
  symlinkSync("loop", join(at, "loop"));
  await assert.rejects(sourceEntries(at, "loop", cache), { code: "IMG2005" });
});

test("what is not there, and what is no file, is refused", async (t) => {
  const { at, cache } = project(t);
  await assert.rejects(sourceEntries(at, "missing", cache), { code: "IMG2005", exitCode: 2, found: "nothing" });
  execFileSync("mkfifo", [join(at, "pipe")]);
  await assert.rejects(sourceEntries(at, "pipe", cache), { code: "IMG2007" });
});

test("imgtask's own state is never a source", async (t) => {
  const { at, cache } = project(t);
  mkdirSync(join(at, ".imgtask/tmp"), { recursive: true });
  writeFileSync(join(at, ".imgtask/records"), "x");
  writeFileSync(join(at, "a"), "x");
  assert.deepEqual((await sourceEntries(at, ".", cache)).map(({ path }) => path), [".", "a"]);
  assert.deepEqual(await globPaths(at, ["**"]), ["a"]);
});

test("a glob gives files in code unit order, with exclusions, and 5,000 of them in a moment", async (t) => {
  const { at, cache } = project(t);
  mkdirSync(join(at, "o/sub"), { recursive: true });
  for (const name of ["z", "Z", "ä", "a b", ".hidden", "sub/x", "old"]) writeFileSync(join(at, "o", name), name);
  assert.deepEqual(await globPaths(at, ["o/**", "!o/old"]), ["o/.hidden", "o/Z", "o/a b", "o/sub/x", "o/z", "o/ä"]);
  assert.deepEqual(await globEntries(at, ["o/s*/*"], cache), [{ path: "o/sub/x", content: file("sub/x") }]);
  assert.deepEqual(await globEntries(at, ["nothing/**"], cache), []);
  mkdirSync(join(at, "many"));
  for (let i = 0; i < 5000; i++) writeFileSync(join(at, "many", String(i)), "");
  const began = performance.now();
  assert.equal((await globEntries(at, ["many/*"], cache)).length, 5000);
  assert.ok(performance.now() - began < 5000);
});
