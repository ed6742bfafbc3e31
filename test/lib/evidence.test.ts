/**
 * Evidence that is amended run after run says what evidence written anew would say: never more than what was learned,
 * and all of that.
 * @module
 */
import assert from "node:assert/strict";
import { linkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Evidence } from "../../lib/evidence.ts";
import { readTable } from "../../lib/evidence-table.ts";
import { type Learned, writeEvidence } from "../../lib/evidence-writer.ts";
import { type Fact, identityIn, Witness } from "../../lib/witness.ts";
import { statOf } from "../../lib/files.ts";
import { randomFrom } from "../rig/random.ts";
import { scratch } from "../rig/scratch.ts";

const count = 30, rounds = 150;

interface Known {
  readonly learned: Learned;
  readonly used: readonly bigint[];
  readonly value: string;
}

test(`random runs, ${rounds} rounds over ${count} targets: what is proven is what was learned and still holds`, (t) => {
  const directory = scratch(t), file = join(directory, "evidence");
  const random = randomFrom(7);
  const pick = (most: number): number => Math.floor(random() * most);
  const names = Array.from({ length: count }, (_, i) => `t:${i}`);
  const needs = names.map((_, i) => (i === 0 ? [] : [...new Set([pick(i), pick(i)])]));
  const path = (i: number): string => (i % 7 === 0 ? join(directory, `${i}`, "..", `${i}`) : join(directory, `${i}`));
  let serial = 0, links = 0, amended = 0, whole = 0, proven = 0;
  const edit = (i: number): void => writeFileSync(join(directory, `${i}`), String(serial++));
  names.forEach((_, i) => edit(i));
  const env: Record<string, string> = { A: "0" };
  const surroundings = { imagefile: join(directory, "imagefile.ts"), directory, epoch: 1, env };
  const factsOf = (i: number): readonly Fact[] => {
    const witness = new Witness();
    witness.own(path(i));
    witness.own(path((i * 5) % count));
    witness.own(join(directory, `missing-${i}`));
    return witness.facts;
  };
  const holds = ({ facts }: Learned): boolean => facts!.every((fact) => String(fact.seen) === String(((stat) => stat && identityIn(stat))(statOf(fact.path))));
  const made = new Map<number, bigint>(), truth = new Map<number, Known>();
  for (let round = 0; round < rounds; round++) {
    const before = Evidence.read(file, surroundings);
    for (let i = pick(2); i > 0; i--) edit(pick(count));
    env["A"] = String(pick(2));
    // A link to a file changes its ctime and nothing else.
    const moved = new Map<string, { readonly from: string; readonly now: Fact["seen"] }>();
    if (round % 3 === 0) {
      const one = path(pick(count)), from = String(identityIn(statOf(one)!));
      linkSync(one, join(directory, `link-${links++}`));
      moved.set(one, { from, now: identityIn(statOf(one)!) });
    }
    const now = (fact: Fact): Fact => (moved.get(fact.path)?.from === String(fact.seen) ? { ...fact, seen: moved.get(fact.path)!.now } : fact);
    for (const [i, one] of truth) truth.set(i, { ...one, learned: { ...one.learned, facts: one.learned.facts!.map(now) } });
    const learned = new Map<string, Learned | undefined>();
    for (let i = 1 + pick(8); i > 0; i--) {
      const at = pick(count), fate = random();
      const one = { facts: factsOf(at), env: at % 3 === 0 ? ["A"] : [], made: random() < 0.9 ? (made.get(at) ?? 1n) : BigInt(serial++) };
      learned.set(names[at]!, fate < 0.05 ? undefined : fate < 0.1 ? { ...one, facts: undefined } : one);
    }
    const own = statOf(file)?.ino;
    writeEvidence(file, surroundings, {
      targets: () => (whole++, names.map((name, i) => ({ name, group: false, dependencies: needs[i]!.map((need) => names[need]!) }))),
      learned, before, moved: { paths: moved, now }, default: undefined, basis: { snapshot: "s", facts: [], env: [] }, unsynced: false,
    });
    assert.notEqual(statOf(file)?.ino, own, "it was written");
    for (const [name, one] of learned) {
      const i = names.indexOf(name);
      truth.delete(i);
      if (one !== undefined) made.set(i, one.made);
    }
    for (const [name, one] of learned) {
      const i = names.indexOf(name);
      if (one?.facts !== undefined) truth.set(i, { learned: one, used: needs[i]!.map((need) => made.get(need) ?? 0n), value: env["A"]! });
    }
    for (const [i, { used }] of truth) if (needs[i]!.some((need, at) => (made.get(need) ?? 0n) !== used[at])) truth.delete(i);
    env["A"] = String(pick(2));
    const expected = new Set<string>();
    names.forEach((name, i) => {
      const one = truth.get(i);
      if (one !== undefined && holds(one.learned) && (one.learned.env.length === 0 || one.value === env["A"]) && needs[i]!.every((need) => expected.has(names[need]!))) expected.add(name);
    });
    const evidence = Evidence.read(file, surroundings)!;
    assert.deepEqual(evidence.prove(names).proven, expected, `round ${round}`);
    proven += expected.size;
    const table = readTable(file)!;
    assert.ok(table.numbers.kinds.length <= table.own.whole * 2 + 64, "what nobody needs is bounded");
  }
  amended = rounds - whole;
  assert.ok(amended > whole && whole > 1 && proven > rounds, `${amended} amended, ${whole} anew, ${proven} proven`);
  t.diagnostic(`${rounds} rounds: ${amended} amended, ${whole} written anew; ${proven} times a target was proven, each time rightly`);
});
