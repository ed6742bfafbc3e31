/**
 * The table of known digests: a row is found whether it is searched for or looked up, and changes leave the others as
 * they were.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { type StatRow, StatTable } from "../../lib/stat-table.ts";
import { randomFrom } from "../rig/random.ts";

const row = (path: string, run = 1): StatRow => ({ identity: `${2n ** 64n - 1n} ${path.length} 3 -5 ${run}`, digest: digestOf(`${path} ${run}`), run, unsynced: run % 2 === 0 });

test("random changes, 200 rounds: every row is what was put there last", () => {
  const random = randomFrom(1);
  const truth = new Map<string, StatRow>();
  let table = new StatTable(undefined);
  assert.equal(table.indexOf("/a"), undefined);
  for (let round = 1; round <= 200; round++) {
    const dropped = new Set<number>(), added = new Map<string, StatRow>();
    for (let i = 0; i < 1 + random() * 12; i++) {
      // Some are the end or the beginning of others.
      const path = `${"/ä".repeat(1 + Math.floor(random() * 9))}${Math.floor(random() * 12)}`;
      const at = table.indexOf(path);
      if (at !== undefined) dropped.add(at);
      truth.delete(path);
      if (random() < 0.3) added.delete(path);
      else added.set(path, row(path, round));
    }
    for (const [path, one] of added) truth.set(path, one);
    table = new StatTable(table.with(dropped, added));
    assert.equal(table.runs.length, truth.size);
    // The first ones are searched for, the others looked up.
    for (const [path, one] of [...truth, ...truth]) {
      const at = table.indexOf(path);
      assert.ok(at !== undefined, path);
      assert.deepEqual([table.path(at), table.row(at)], [path, one]);
    }
    for (const path of ["/ä", "", "ä1", "/nowhere"]) if (!truth.has(path)) assert.equal(table.indexOf(path), undefined, path);
  }
});
