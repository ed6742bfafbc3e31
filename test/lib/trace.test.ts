/**
 * Traces: what the format asks for, tracks that are used again, the critical path, and that the check itself refuses.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Trace } from "../../lib/trace.ts";
import { checkTrace } from "../rig/chrome-trace.ts";
import { randomFrom } from "../rig/random.ts";
import { scratch } from "../rig/scratch.ts";

/** A clock that is set by hand. */
function clock(): { now: number; readonly read: () => number } {
  const one = { now: 1000, read: (): number => one.now };
  return one;
}

test("spans, parts, counters and instants; what has not ended is said to be unfinished", () => {
  const time = clock(), trace = new Trace(time.read);
  const span = trace.begin("targets", "t:a", { kind: "t" });
  trace.counter("cores", 1);
  time.now += 1.5;
  span.part("recipe");
  time.now += 2;
  span.part("store");
  trace.instant("retry", { target: "t:a" });
  time.now += 1;
  span.end({ outcome: "done" });
  span.end({ outcome: "failed" });
  trace.begin("targets", "t:b", {});
  time.now += 1;
  const events = checkTrace(trace.text(() => []));
  assert.deepEqual(events.map(({ ph, name, ts, dur }) => [ph, name, ts, dur]), [
    ["X", "t:a", 0, 4500], ["C", "cores", 0, undefined], ["X", "recipe", 1500, 2000], ["X", "store", 3500, 1000], ["i", "retry", 3500, undefined], ["X", "t:b", 4500, 1000],
  ]);
  assert.deepEqual(events[0]!.args, { kind: "t", outcome: "done", critical: false });
  assert.equal(events.at(-1)!.args["outcome"], "unfinished");
});

test("a track is used again as soon as it is free; freshness has tracks of its own", () => {
  const time = clock(), trace = new Trace(time.read);
  const a = trace.begin("targets", "a"), b = trace.begin("targets", "b"), judged = trace.begin("freshness", "c");
  time.now += 1;
  a.end();
  const c = trace.begin("targets", "c");
  time.now += 1;
  for (const span of [b, c, judged]) span.end();
  const tracks = checkTrace(trace.text(() => [])).map(({ name, pid, tid }) => `${name} ${pid} ${tid}`);
  assert.deepEqual(tracks, ["a 1 1", "b 1 2", "c 2 1", "c 1 1"]);
});

test("the critical path is that of the target which ended last, by what it waited for longest", () => {
  const time = clock(), trace = new Trace(time.read);
  const needs: Readonly<Record<string, readonly string[]>> = { last: ["slow", "quick"], slow: ["first"], quick: ["first"], other: [] };
  const open = new Map<string, ReturnType<Trace["begin"]>>();
  for (const step of ["+first", "+other", "-first", "+slow", "+quick", "-quick", "-other", "-slow", "+last", "-last"]) {
    time.now += 1;
    if (step.startsWith("+")) open.set(step.slice(1), trace.begin("targets", step.slice(1)));
    else open.get(step.slice(1))!.end();
  }
  const critical = checkTrace(trace.text((name) => needs[name] ?? [])).filter(({ cat }) => cat === "target,critical");
  assert.deepEqual(critical.map(({ name }) => name), ["first", "slow", "last"]);
});

test("5,000 random spans, with parts, are a valid trace", (t) => {
  const random = randomFrom(11), time = clock(), trace = new Trace(time.read);
  const open: ReturnType<Trace["begin"]>[] = [];
  for (let i = 0; i < 5000; i++) {
    time.now += random() < 0.3 ? 0 : random();
    open.push(trace.begin(random() < 0.5 ? "targets" : "freshness", `t${i}`));
    for (const span of open) if (random() < 0.2) span.part("part");
    while (open.length > 8 || (open.length > 0 && random() < 0.4)) open.splice(Math.floor(random() * open.length), 1)[0]!.end();
  }
  t.diagnostic(`${checkTrace(trace.text(() => [])).length} events`);
});

test("a file is written whole or not at all", (t) => {
  const directory = scratch(t), trace = new Trace();
  trace.begin("targets", "a").end();
  trace.write(join(directory, "trace.json"), () => []);
  assert.equal(checkTrace(readFileSync(join(directory, "trace.json"), "utf8")).length, 1);
  assert.deepEqual(readdirSync(directory), ["trace.json"]);
  writeFileSync(join(directory, "file"), "");
  assert.throws(() => trace.write(join(directory, "file/trace.json"), () => []), { code: "ENOTDIR" });
  assert.throws(() => trace.write(directory, () => []), { code: "EISDIR" });
  assert.deepEqual(readdirSync(directory).sort(), ["file", "trace.json"]);
});

test("the check refuses what is no trace", () => {
  const of = (...events: readonly object[]): string => JSON.stringify({ displayTimeUnit: "ms", traceEvents: [
    { name: "process_name", ph: "M", ts: 0, pid: 1, tid: 0, args: { name: "p" } }, { name: "thread_name", ph: "M", ts: 0, pid: 1, tid: 1, args: { name: "t" } }, ...events,
  ] });
  const good = { name: "a", cat: "c", ph: "X", ts: 5, dur: 10, pid: 1, tid: 1, args: {} };
  assert.equal(checkTrace(of(good)).length, 1);
  const bad = [
    [{ ...good, ts: -1 }], [{ ...good, ts: 1.5 }], [{ ...good, dur: -1 }], [{ ...good, dur: undefined }], [{ ...good, ph: "Z" }], [{ ...good, name: "" }], [{ ...good, tid: 2 }],
    [{ ...good, pid: "1" }], [{ ...good, args: [] }], [{ ...good, more: 1 }], [good, { ...good, ts: 4 }], [good, { ...good, ts: 10 }],
    [{ name: "n", ph: "C", ts: 1, pid: 1, tid: 0, args: { n: "1" } }], [{ name: "n", cat: "c", ph: "i", s: "x", ts: 1, pid: 1, tid: 0, args: {} }],
  ];
  for (const events of bad) assert.throws(() => checkTrace(of(...events)), assert.AssertionError, JSON.stringify(events));
});
