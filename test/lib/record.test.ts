/**
 * The log of results against torn writes and flipped bytes: at most the touched result is forgotten.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { type Record, Records } from "../../lib/record.ts";
import { randomFrom } from "../rig/random.ts";
import { scratch } from "../rig/scratch.ts";

const record = (target: string, content = target): Record => ({
  target,
  fingerprint: digestOf(content),
  manifest: [["schema", "1"], ["source x ü\n", "file"]],
  outputs: { out: { digest: digestOf(`out ${content}`), size: 1 } },
  time: 1,
  duration: 2,
  reasons: [{ type: "never run" }],
});
const names = ["a:1", "b:1", "c:1", "d:1"];

function log(directory: string): { readonly file: string; readonly bytes: Buffer } {
  const file = join(directory, "records");
  const records = new Records(file);
  for (const name of names) records.append(record(name));
  return { file, bytes: readFileSync(file) };
}

/** Names that are found, each with exactly the result that was written. */
function intact(records: Records): readonly string[] {
  return [...records.all()].map((found) => {
    assert.deepEqual(found, record(found.target));
    assert.equal(records.find(found.target, found.fingerprint), found);
    return found.target;
  });
}

test("what was appended is found again", (t) => {
  const { file } = log(scratch(t));
  const records = new Records(file);
  assert.deepEqual(intact(records), names);
  assert.equal(records.damaged, 0);
  assert.equal(records.find("a:1", digestOf("other")), undefined);
});

test("cut at every byte, the results before the cut stay, and what is appended then is found", (t) => {
  const { file, bytes } = log(scratch(t));
  for (let end = 0; end <= bytes.length; end++) {
    writeFileSync(file, bytes.subarray(0, end));
    const records = new Records(file);
    const found = intact(records);
    assert.deepEqual(found, names.slice(0, found.length), `cut at ${end}`);
    records.append(record("e:1"));
    const again = new Records(file);
    assert.deepEqual(intact(again), [...found, "e:1"], `cut at ${end}, then appended`);
    assert.equal(again.damaged, 0);
  }
});

test("every byte flipped: one result forgotten at most, none wrong, none lost by appending", (t) => {
  const { file, bytes } = log(scratch(t));
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of [0x01, 0x80]) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= mask;
      writeFileSync(file, flipped);
      const records = new Records(file);
      const found = intact(records);
      assert.ok(found.length >= names.length - 1, `byte ${at}: only ${found.join(" ")}`);
      if (at % 7 !== 0) continue;
      records.append(record("e:1"));
      assert.deepEqual(intact(new Records(file)), [...found, "e:1"], `byte ${at}, then appended`);
    }
  }
});

test("a flipped byte that becomes a newline, and a newline that becomes something else", (t) => {
  const { file, bytes } = log(scratch(t));
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = changed[at] === 10 ? 120 : 10;
    writeFileSync(file, changed);
    assert.ok(intact(new Records(file)).length >= names.length - 1, `byte ${at}`);
  }
});

test("garbage is no result and no error", (t) => {
  const file = join(scratch(t), "records");
  for (const garbage of ["\n\n\n", "\0".repeat(5000), `${"0".repeat(16)} {}\n`, '{"target":"a:1"}\n', "\u{1F600}".repeat(100)]) {
    writeFileSync(file, garbage);
    assert.deepEqual([...new Records(file).all()], []);
  }
});

test("the newest result of a fingerprint counts, and eight of a target are kept", (t) => {
  const file = join(scratch(t), "records");
  const records = new Records(file);
  for (let i = 0; i < 12; i++) records.append(record("a:1", String(i)));
  records.append(record("a:1", "11"));
  records.append(record("a:1", "5"));
  const again = new Records(file);
  assert.equal([...again.all()].length, 8);
  assert.equal(again.latest("a:1")!.fingerprint, digestOf("5"));
  assert.equal(again.find("a:1", digestOf("0")), undefined);
});

test("compacting keeps what is kept, and a log that can be appended to", (t) => {
  const file = join(scratch(t), "records");
  const records = new Records(file);
  for (let i = 0; i < 100; i++) records.append(record("a:1", String(i)));
  const before = readFileSync(file).length;
  records.compact();
  assert.ok(readFileSync(file).length < before / 5);
  records.append(record("b:1"));
  const again = new Records(file);
  assert.deepEqual([again.damaged, [...again.all()].length, again.latest("a:1")!.fingerprint], [0, 9, digestOf("99")]);
});

test("a few targets are found without reading the rest, and are what reading all of it gives", (t) => {
  const file = join(scratch(t), "records");
  const random = randomFrom(3);
  const target = (i: number): string => `t:${i}`;
  const log = new Records(file);
  for (let i = 0; i < 400; i++) log.append(record(target(Math.floor(random() * 100)), String(i)));
  const whole = readFileSync(file);
  for (let round = 0; round < 40; round++) {
    const bytes = Buffer.from(whole.subarray(0, round % 2 === 0 ? undefined : Math.floor(random() * whole.length)));
    for (let flips = round; flips > 0; flips--) bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
    writeFileSync(file, bytes);
    const all = new Records(file), some = new Records(file);
    assert.ok([...all.all()].length <= 400 && all.whole);
    for (let i = 0; i < 10; i++) {
      const name = target(Math.floor(random() * 110));
      assert.deepEqual(some.results(name), all.results(name), name);
      assert.deepEqual(some.latest(name), all.latest(name), name);
    }
    assert.equal(some.whole, false);
    some.append(record(target(0), `round ${round}`));
    all.append(record(target(0), `round ${round}`));
    assert.deepEqual([...some.all()].map(({ target: name, fingerprint }) => `${name} ${fingerprint}`).sort(), [...all.all()].map(({ target: name, fingerprint }) => `${name} ${fingerprint}`).sort());
    assert.equal(some.damaged, all.damaged);
  }
});
