/**
 * Every kind of damage to what imgtask reads back, without a process for each: flipped bits and cuts in records, stat
 * cache, snapshot and store are found out or change nothing; nothing wrong is ever believed.
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, lstatSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { findProject } from "../../lib/project.ts";
import type { Record } from "../../lib/record.ts";
import { readSnapshot } from "../../lib/snapshot.ts";
import { openState, type State } from "../../lib/state.ts";
import { filesBelow } from "../rig/fault.ts";
import { randomFrom } from "../rig/random.ts";
import { Layers } from "../rig/layers.ts";

const flips = { records: 600, cache: 400, snapshot: 400, store: 600 } as const;
const cuts = 100;

async function built(t: TestContext): Promise<{ readonly layers: Layers; readonly open: () => State }> {
  const layers = new Layers();
  t.after(() => layers.dispose());
  for (let i = 0; i < 2; i++) {
    layers.begin();
    await layers.recovers("first");
  }
  const project = findProject(layers.project.directory);
  return { layers, open: () => openState(project) };
}

/** Damages a file in many ways, one after the other, and has each looked at. */
async function damages(file: string, count: number, look: (context: string, damaged: Buffer) => Promise<void> | void): Promise<void> {
  const whole = readFileSync(file);
  const random = randomFrom(count);
  chmodSync(file, 0o644);
  for (let i = 0; i < count; i++) {
    const at = Math.floor(random() * whole.length), bit = 1 << Math.floor(random() * 8);
    const bytes = Buffer.from(whole);
    bytes[at]! ^= bit;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    await look(`bit ${bit} of byte ${at} of ${whole.length}`, bytes);
  }
  for (let i = 0; i < cuts; i++) {
    const left = Math.floor((i * whole.length) / cuts);
    writeFileSync(file, whole);
    truncateSync(file, left);
    await look(`cut to ${left} of ${whole.length}`, whole.subarray(0, left));
  }
  writeFileSync(file, whole);
}

test(`records: ${flips.records} flipped bits, ${cuts} cuts`, async (t) => {
  const { layers, open } = await built(t);
  const key = (record: Record): string => `${record.target} ${record.fingerprint}`;
  const before = new Map([...open().records.all()].map((record) => [key(record), record]));
  assert.equal(before.size, 12);
  let forgotten = 0;
  await damages(layers.project.path(".imgtask/records"), flips.records, (context) => {
    const found = [...open().records.all()];
    for (const record of found) assert.deepEqual(record, before.get(key(record)), context);
    if (!context.startsWith("cut")) assert.ok(found.length >= before.size - 1, `${context}: ${found.length} of ${before.size}`);
    forgotten += before.size - found.length;
  });
  t.diagnostic(`records, read back: ${flips.records} flipped bits, ${cuts} cuts; 0 wrong results believed, at most 1 forgotten a flip, ${forgotten} in all`);
});

test(`stat cache: ${flips.cache} flipped bits, ${cuts} cuts`, async (t) => {
  const { layers, open } = await built(t);
  const files = [...filesBelow(layers.project.path(".imgtask/store")), layers.project.path("seed")];
  const truth = new Map(files.map((file) => [file, digestOf(readFileSync(file))]));
  const known = (): number =>
    files.filter((file) => {
      const digest = open().cache.lookup(file, lstatSync(file, { bigint: true }));
      if (digest !== undefined) assert.equal(digest, truth.get(file), file);
      return digest !== undefined;
    }).length;
  const all = known();
  assert.ok(all > files.length / 2, `${all} of ${files.length}`);
  let dropped = 0;
  await damages(layers.project.path(".imgtask/stat-cache"), flips.cache, () => {
    if (known() === 0) dropped++;
  });
  t.diagnostic(`stat cache, read back: ${flips.cache} flipped bits, ${cuts} cuts; 0 wrong digests, dropped ${dropped} times`);
});

test(`snapshot: ${flips.snapshot} flipped bits, ${cuts} cuts`, async (t) => {
  const { layers, open } = await built(t);
  const file = layers.project.path(".imgtask/snapshot");
  const imagefile = layers.project.path("imagefile.ts");
  const read = (): unknown => {
    const snapshot = readSnapshot(file, imagefile, open().cache, process.env);
    return snapshot && { ...snapshot, files: [...snapshot.files], graph: [...snapshot.graph].map(([name, { declaration, group, secret, dependencies, dependents }]) => ({ name, declaration, group, secret, dependencies, dependents })) };
  };
  assert.notEqual(read(), undefined);
  const whole = JSON.stringify(read());
  let dropped = 0;
  await damages(file, flips.snapshot, (context) => {
    const now = read();
    if (now === undefined) dropped++;
    else assert.equal(JSON.stringify(now), whole, context);
  });
  t.diagnostic(`snapshot, read back: ${flips.snapshot} flipped bits, ${cuts} cuts; 0 wrong graphs, dropped ${dropped} times`);
});

test(`store: ${flips.store} flipped bits, ${cuts * 3} cuts`, async (t) => {
  const { layers, open } = await built(t);
  const outputs = [...open().records.all()].map(({ target, outputs: made }) => ({ content: made["out"]!, form: target.endsWith("-1") ? ("tree" as const) : ("file" as const) }));
  let found = 0;
  const check = async (): Promise<readonly string[]> => {
    const state = open();
    return Promise.all(outputs.map(({ content, form }) => state.store.check(content, form)));
  };
  assert.deepEqual(new Set(await check()), new Set(["intact"]));
  const store = layers.project.path(".imgtask/store");
  const objects = filesBelow(store);
  const hit = [objects[0]!, objects[Math.floor(objects.length / 2)]!, objects.at(-1)!];
  for (const object of hit) {
    const name = object.slice(join(store, "/").length);
    await damages(object, flips.store / hit.length, async (context, bytes) => {
      if (digestOf(bytes) === name.replace("/", "").replace(/\.x$/, "")) return;
      const states = await check();
      assert.ok(states.some((state) => state !== "intact"), `${name}, ${context}: believed`);
      found++;
    });
  }
  t.diagnostic(`store, read back: ${flips.store} flipped bits, ${cuts * hit.length} cuts; ${found} of ${found} noticed`);
});
