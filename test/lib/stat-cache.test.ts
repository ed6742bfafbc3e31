/**
 * The stat cache: right after every edit, even within one tick of the clock, and empty when damaged.
 * @module
 */
import assert from "node:assert/strict";
import { lstatSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf } from "../../lib/digest.ts";
import { StatCache } from "../../lib/stat-cache.ts";
import { scratch } from "../rig/scratch.ts";

const stat = (path: string) => lstatSync(path, { bigint: true });

test("a file at rest is not read again; an edit is seen", async (t) => {
  const directory = scratch(t), file = join(directory, "f"), kept = join(directory, "cache");
  writeFileSync(file, "one");
  await sleep(100);
  const cache = new StatCache(kept);
  assert.equal(await cache.digest(file, stat(file)), digestOf("one"));
  cache.flush();
  const again = new StatCache(kept);
  assert.equal(again.lookup(file, stat(file)), digestOf("one"));
  writeFileSync(file, "two");
  assert.equal(again.lookup(file, stat(file)), undefined);
  assert.equal(await again.digest(file, stat(file)), digestOf("two"));
});

test("edits of equal size within one tick, 300 of them, are all seen", async (t) => {
  const directory = scratch(t), file = join(directory, "f"), kept = join(directory, "cache");
  const cache = new StatCache(kept);
  for (let i = 0; i < 300; i++) {
    const text = String(i).padStart(4, "0");
    writeFileSync(file, text);
    assert.equal(await cache.digest(file, stat(file)), digestOf(text));
  }
});

test("a modification time put back, and another file of the same size in its place, are seen", async (t) => {
  const directory = scratch(t), file = join(directory, "f");
  writeFileSync(file, "one");
  await sleep(100);
  const cache = new StatCache(join(directory, "cache"));
  const before = stat(file);
  await cache.digest(file, before);
  writeFileSync(file, "two");
  utimesSync(file, Number(before.atimeMs) / 1000, Number(before.mtimeMs) / 1000);
  assert.equal(await cache.digest(file, stat(file)), digestOf("two"));
  writeFileSync(`${file}.new`, "six");
  renameSync(`${file}.new`, file);
  assert.equal(await cache.digest(file, stat(file)), digestOf("six"));
});

test("an entry is not kept when reading began within the window, however long it took", async (t) => {
  const directory = scratch(t), file = join(directory, "f");
  const cache = new StatCache(join(directory, "cache"));
  writeFileSync(file, "one");
  const before = stat(file), began = Date.now();
  await sleep(100);
  cache.remember(file, before, digestOf("one"), began);
  assert.equal(cache.lookup(file, before), undefined);
});

test("damaged anywhere it is empty", async (t) => {
  const directory = scratch(t), file = join(directory, "f"), kept = join(directory, "cache");
  writeFileSync(file, "one");
  await sleep(100);
  const cache = new StatCache(kept);
  await cache.digest(file, stat(file));
  cache.flush();
  const bytes = readFileSync(kept);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1;
    writeFileSync(kept, flipped);
    assert.equal(new StatCache(kept).lookup(file, stat(file)), undefined, `flipped ${at}`);
    writeFileSync(kept, bytes.subarray(0, at));
    assert.equal(new StatCache(kept).lookup(file, stat(file)), undefined, `cut at ${at}`);
  }
  writeFileSync(kept, bytes);
  assert.equal(new StatCache(kept).lookup(file, stat(file)), digestOf("one"));
});
