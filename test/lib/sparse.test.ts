/**
 * Sparse files: one digest for one content, however it is stored; copies that keep holes.
 * @module
 */
import assert from "node:assert/strict";
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { copyWhole } from "../../lib/files.ts";
import { sourceEntries } from "../../lib/sources.ts";
import { copySparse, digestSparse, isSparse } from "../../lib/sparse.ts";
import { Artifacts } from "../../lib/artifacts.ts";
import { StatCache } from "../../lib/stat-cache.ts";
import { Store } from "../../lib/store.ts";
import { scratch } from "../rig/scratch.ts";

/** Numbers from 0 to below `limit` that look random and are the same each time. */
function dice(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

interface Layout {
  readonly size: number;
  /** Bytes that are written, zeros among them; all else is a hole. */
  readonly writes: readonly { readonly at: number; readonly bytes: Buffer }[];
}

/** Holes, data, written zeros; starts and lengths on and off the bounds of blocks. */
function layoutOf(seed: number): Layout {
  const roll = dice(seed);
  const size = roll(5) === 0 ? roll(9000) : 1024 * 1024 + roll(12 * 1024 * 1024);
  const writes: { at: number; bytes: Buffer }[] = [];
  for (let left = roll(9); left > 0 && size > 0; left--) {
    const at = Math.min(size - 1, roll(2) === 0 ? roll(size) : 4096 * roll(Math.ceil(size / 4096)));
    const length = Math.min(size - at, 1 + (roll(2) === 0 ? roll(20_000) : 4096 * roll(200)));
    const kind = roll(3);
    const bytes = Buffer.alloc(length);
    if (kind > 0) for (let i = 0; i < length; i += kind === 1 ? 1 : 4096) bytes[i] = roll(256);
    writes.push({ at, bytes });
  }
  return { size, writes };
}

function writeLayout(path: string, { size, writes }: Layout): void {
  const fd = openSync(path, "w");
  ftruncateSync(fd, size);
  for (const { at, bytes } of writes) writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1 << (at % 8);
  const fd = openSync(path, "r+");
  writeSync(fd, bytes, at, 1, at);
  closeSync(fd);
}

test("a digest depends on size and bytes alone, not on what is a hole, nor on how holes are found", async (t) => {
  const at = scratch(t);
  const [sparse, dense, copy] = ["sparse", "dense", "copy"].map((name) => join(at, name)) as [string, string, string];
  const seen = new Map<string, string>();
  let asked = 0, flipped = 0;
  for (let seed = 0; seed < 150; seed++) {
    const layout = layoutOf(seed);
    const roll = dice(seed + 1000);
    writeLayout(sparse, layout);
    const content = readFileSync(sparse);
    writeFileSync(dense, content);
    if (isSparse(statSync(sparse))) asked++;
    const digest = await digestSparse(sparse);
    assert.equal(await digestSparse(sparse, "read"), digest, `layout ${seed}, holes read`);
    assert.equal(await digestSparse(dense), digest, `layout ${seed}, holes filled`);
    await copySparse(seed % 2 === 0 ? sparse : dense, join(at, `copy-${seed}`));
    assert.equal(readFileSync(join(at, `copy-${seed}`)).equals(content), true, `layout ${seed}, copied`);
    const plain = digestOf(content);
    assert.equal(seen.get(digest) ?? plain, plain, `layout ${seed} has the digest of another content`);
    seen.set(digest, plain);
    for (let i = 0; i < 4 && layout.size > 0; i++) {
      // In written parts, at the edges of blocks, and anywhere, holes included.
      const write = layout.writes[roll(Math.max(1, layout.writes.length))];
      const where = Math.min(layout.size - 1, i === 0 ? roll(layout.size) : i === 1 ? layout.size - 1 : i === 2 ? 4096 * roll(Math.ceil(layout.size / 4096)) : (write?.at ?? 0));
      flip(sparse, where);
      assert.notEqual(await digestSparse(sparse), digest, `layout ${seed}, bit flipped at ${where}`);
      flip(sparse, where);
      flipped++;
    }
    assert.equal(await digestSparse(sparse), digest, `layout ${seed}, flipped back`);
    for (const size of [layout.size + 1, layout.size + 4096, Math.max(0, layout.size - 1)].filter((one) => one !== layout.size)) {
      writeFileSync(copy, content);
      truncateSync(copy, size);
      assert.notEqual(await digestSparse(copy), digest, `layout ${seed}, ${size} bytes instead of ${layout.size}`);
    }
  }
  assert.ok(asked > 50, `holes were asked for in ${asked} layouts`);
  assert.ok(seen.size > 100, `${seen.size} different contents`);
  t.diagnostic(`150 layouts, holes asked for in ${asked}, ${seen.size} digests, ${flipped} flipped bits: 0 missed, 0 disagreements`);
});

test("where holes cannot be asked for, they are read", async (t) => {
  const at = scratch(t);
  writeLayout(join(at, "a"), { size: 8 * 1024 * 1024, writes: [{ at: 3_000_000, bytes: Buffer.alloc(70_000, 3) }] });
  const digest = await digestSparse(join(at, "a"));
  const path = process.env["PATH"];
  process.env["PATH"] = at;
  t.after(() => (process.env["PATH"] = path));
  assert.equal(await digestSparse(join(at, "a")), digest, "no perl");
  writeFileSync(join(at, "perl"), "#!/bin/sh\necho 0 4096\n", { mode: 0o755 });
  assert.equal(await digestSparse(join(at, "a")), digest, "a list that was cut off");
  writeFileSync(join(at, "perl"), "#!/bin/sh\necho end\nexit 1\n", { mode: 0o755 });
  assert.equal(await digestSparse(join(at, "a")), digest, "a perl that failed");
});

test("the same blocks at other places, or in other runs, are another content", async (t) => {
  const at = scratch(t);
  const one = Buffer.alloc(4096, 1);
  const places = [[0], [1], [0, 1], [0, 2], [1, 2], [0, 1, 2], [3], [0, 3], [1023], [1024], [1023, 1024], [1023, 1025]];
  const digests = await Promise.all(places.map((blocks, index) => {
    writeLayout(join(at, String(index)), { size: 8 * 1024 * 1024, writes: blocks.map((block) => ({ at: block * 4096, bytes: one })) });
    return digestSparse(join(at, String(index)));
  }));
  assert.equal(new Set(digests).size, places.length);
});

test("a file counts by its blocks from 64 MiB, by size alone, and its plain digest is not mixed up with that", async (t) => {
  const at = scratch(t);
  const cache = new StatCache(join(at, "cache"));
  const [big, dense, small] = [join(at, "big"), join(at, "dense"), join(at, "small")];
  const mebibyte = 1024 * 1024;
  writeLayout(big, { size: 64 * mebibyte, writes: [{ at: 5_000_000, bytes: Buffer.from("data") }] });
  writeFileSync(dense, readFileSync(big));
  writeLayout(small, { size: 64 * mebibyte - 1, writes: [] });
  for (const file of [big, dense, small]) utimesSync(file, 1, 1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  const contentOf = async (name: string): Promise<string> => (await sourceEntries(at, name, cache))[0]!.content;
  const expected = `file 0644 sparse ${await digestSparse(big, "read")}`;
  const plain = digestOf(readFileSync(big));
  const stat = statSync(big, { bigint: true });
  for (let i = 0; i < 3; i++) {
    assert.equal(await contentOf("big"), expected);
    assert.equal(await contentOf("dense"), expected);
    assert.equal(await cache.digest(big, stat), plain);
  }
  assert.equal(await contentOf("small"), `file 0644 ${digestOf(readFileSync(small))}`);
  cache.flush();
  const again = new StatCache(join(at, "cache"));
  assert.equal(again.lookup(big, stat), plain);
  assert.equal((await sourceEntries(at, "big", again))[0]!.content, expected);
  flip(dense, 40_000_000);
  assert.notEqual(await contentOf("dense"), expected);
});

/** Bytes that a file takes on disk. */
const room = (path: string): number => statSync(path).blocks * 512;

async function keepsHoles(t: TestContext, uid: number): Promise<void> {
  const at = scratch(t);
  const cache = new StatCache(join(at, "cache"));
  const store = new Store(join(at, "store"), cache);
  const output = join(at, "output");
  writeLayout(output, { size: 256 * 1024 * 1024, writes: [{ at: 100_000_000, bytes: Buffer.alloc(1024 * 1024, 7) }] });
  const before = room(output);
  const stored = await store.putFile(output);
  await new Artifacts(store, cache, join(at, "tmp"), { uid }).restore(stored, "file", join(at, "artifact"), false);
  await copyWhole(join(at, "artifact"), join(at, "copy"));
  for (const path of [store.objectPath(stored.digest), join(at, "artifact"), join(at, "copy")]) {
    assert.equal(statSync(path).size, 256 * 1024 * 1024);
    assert.ok(room(path) < before + 1024 * 1024, `${path} takes ${room(path)} bytes, the output took ${before}`);
  }
  assert.equal(await digestSparse(join(at, "copy"), "read"), await digestSparse(store.objectPath(stored.digest), "read"));
  assert.equal(statSync(join(at, "copy")).mode & 0o777, 0o444);
}

test("a sparse output stays sparse in the store, as an artifact of root and as one of others", async (t) => {
  await keepsHoles(t, 0);
  await keepsHoles(t, 1000);
});
