/**
 * The scheduler over real recipes: order, limits that are never exceeded, failure modes, critical path first.
 * @module
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { beforeEach, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf } from "../../lib/digest.ts";
import type { Event } from "../../lib/event.ts";
import { buildGraph } from "../../lib/graph.ts";
import type { Loaded } from "../../lib/load.ts";
import { schedule, type ScheduleOptions, type Summary } from "../../lib/schedule.ts";
import { openState, prepareState, type State } from "../../lib/state.ts";
import { group, registry, type RunContext, target } from "../../lib/target.ts";
import { scratch } from "../rig/scratch.ts";

beforeEach(() => void (registry().targets.length = 0));

function stateOf(t: TestContext): State {
  const directory = scratch(t);
  const project = { directory, imagefile: `${directory}/imagefile.ts`, state: `${directory}/.imgtask`, caches: `${directory}/.imgtask` };
  prepareState(project);
  return openState(project);
}

function loadedNow(): Loaded {
  const { targets } = registry();
  return {
    graph: buildGraph(targets.map((one) => one.declaration)),
    default: undefined,
    recipeDigest: () => digestOf("recipe"),
    registered: (name) => Promise.resolve(targets.find((one) => one.declaration.name === name)!),
  };
}

async function go(state: State, names: readonly string[], options: Partial<ScheduleOptions> = {}): Promise<Summary & { readonly events: readonly Event[] }> {
  const events: Event[] = [];
  const summary = await schedule(loadedNow(), names, state, { jobs: 4, keepGoing: false, forced: new Set(), pools: {}, signal: new AbortController().signal, on: (event) => events.push(event), ...options });
  return { ...summary, events };
}

/** Declares a target that waits and then writes its name. */
function make(name: string, parts: { readonly after?: readonly { readonly outputs: { readonly out: never } }[]; readonly cpu?: number; readonly pools?: readonly string[]; readonly work?: () => Promise<void> | void } = {}) {
  return target(name, {
    inputs: { after: (parts.after ?? []) as never },
    outputs: { out: "file" },
    resources: { cpu: parts.cpu ?? 1, pools: parts.pools ?? [] },
    async run({ outputs }: RunContext) {
      await parts.work?.();
      writeFileSync(outputs["out"]!, name);
    },
  } as never) as unknown as { readonly name: string; readonly outputs: { readonly out: never } };
}

test("200 targets in a random graph run once, after all they need", async (t) => {
  const state = stateOf(t), done: string[] = [], needs = new Map<string, readonly string[]>();
  const all: ReturnType<typeof make>[] = [];
  for (let i = 0; i < 200; i++) {
    const after = all.filter(() => Math.random() < 4 / 200);
    needs.set(`t:${i}`, after.map(({ name }) => name));
    all.push(make(`t:${i}`, { after, work: () => void done.push(`t:${i}`) }));
  }
  group("all", all);
  const { outcomes, failure } = await go(state, ["all"], { jobs: 8 });
  assert.equal(failure, undefined);
  assert.equal(new Set(done).size, 200);
  assert.equal(done.length, 200);
  for (const [index, name] of done.entries()) for (const need of needs.get(name)!) assert.ok(done.indexOf(need) < index, `${need} before ${name}`);
  assert.ok([...outcomes.entries()].every(([name, outcome]) => outcome === (name === "all" ? "fresh" : "done")));
  const again = await go(state, ["all"]);
  assert.equal(done.length, 200, "nothing runs twice");
  assert.ok([...again.outcomes.values()].every((outcome) => outcome === "fresh"));
});

test("cores and pools are never exceeded, and are used", async (t) => {
  const state = stateOf(t);
  let cores = 0, most = 0;
  const pools: { [name: string]: number } = { net: 0, vm: 0, constructor: 0 }, peaks: { [name: string]: number } = { net: 0, vm: 0, constructor: 0 };
  const all = Array.from({ length: 60 }, (_, i) => {
    const cpu = [1, 2, 0, 0.5, 1][i % 5]!, pool = ["net", "vm", undefined, "constructor"][i % 4];
    return make(`t:${i}`, {
      cpu,
      pools: pool === undefined ? [] : [pool, pool],
      async work() {
        most = Math.max(most, (cores += cpu));
        if (pool !== undefined) peaks[pool] = Math.max(peaks[pool]!, ++pools[pool]!);
        await sleep(5 + Math.random() * 10);
        cores -= cpu;
        if (pool !== undefined) pools[pool]!--;
      },
    });
  });
  const { outcomes } = await go(state, all.map(({ name }) => name), { jobs: 4, pools: { net: 3, vm: 2 } });
  assert.ok([...outcomes.values()].every((outcome) => outcome === "done"));
  assert.ok(most <= 4 && most >= 3, `${most} cores at most`);
  assert.deepEqual(peaks, { net: 3, vm: 2, constructor: 1 });
});

test("a target that wants more cores than there are runs alone", async (t) => {
  let running = 0, alone = true;
  const work = (big: boolean) => async () => { running++; await sleep(20); if (big && running > 1) alone = false; running--; };
  make("t:big", { cpu: 64, work: work(true) });
  for (let i = 0; i < 6; i++) make(`t:${i}`, { work: work(false) });
  const { outcomes } = await go(stateOf(t), ["t:big", "t:0", "t:1", "t:2", "t:3", "t:4", "t:5"], { jobs: 2 });
  assert.ok(alone && [...outcomes.values()].every((outcome) => outcome === "done"));
});

test("after a failure nothing new begins and what runs is finished; with keepGoing only dependents are skipped", async (t) => {
  const ran: string[] = [];
  const bad = make("t:bad", { work: async () => { await sleep(30); throw new Error("no"); } });
  const beside = make("t:beside", { work: async () => { await sleep(120); ran.push("beside"); } });
  make("t:beside2", { after: [make("t:beside1", { after: [beside] })] });
  const after = make("t:after", { after: [bad], work: () => void ran.push("after") });
  make("t:later", { after: [after], work: () => void ran.push("later") });
  const free = make("t:free", { work: () => void ran.push("free") });
  make("t:free2", { after: [free], work: () => void ran.push("free2") });
  const names = ["t:bad", "t:beside", "t:after", "t:later", "t:free", "t:free2", "t:beside2"];
  const stopped = await go(stateOf(t), names, { jobs: 2 });
  assert.deepEqual(ran, ["beside"]);
  assert.equal(stopped.failure?.code, "IMG3020");
  assert.deepEqual(names.map((name) => stopped.outcomes.get(name)), ["failed", "done", "skipped", "skipped", "cancelled", "cancelled", "cancelled"]);
  ran.length = 0;
  const kept = await go(stateOf(t), names, { jobs: 2, keepGoing: true });
  assert.deepEqual([...ran].sort(), ["beside", "free", "free2"]);
  assert.deepEqual(names.map((name) => kept.outcomes.get(name)), ["failed", "done", "skipped", "skipped", "done", "done", "done"]);
});

test("the longest remaining path begins first, by recorded durations", async (t) => {
  const state = stateOf(t), order: string[] = [];
  const track = (name: string, milliseconds: number) => async () => { order.push(name); await sleep(milliseconds); };
  make("t:short", { work: track("short", 1) });
  make("t:middle", { work: track("middle", 60) });
  const head = make("t:head", { work: track("head", 5) });
  make("t:long", { after: [head], work: track("long", 150) });
  const names = ["t:short", "t:middle", "t:head", "t:long"];
  await go(state, names, { jobs: 1 });
  order.length = 0;
  await go(state, names, { jobs: 1, forced: new Set(names) });
  assert.deepEqual(order, ["head", "long", "middle", "short"]);
});

test("an abort cancels what runs and what waits, and nothing is recorded", async (t) => {
  const state = stateOf(t), controller = new AbortController();
  const slow = make("t:slow", { work: async () => { controller.abort("SIGINT"); await sleep(20); } });
  make("t:after", { after: [slow] });
  const { outcomes } = await go(state, ["t:slow", "t:after"], { signal: controller.signal });
  assert.deepEqual([outcomes.get("t:slow"), outcomes.get("t:after"), [...state.records.all()].length], ["cancelled", "cancelled", 0]);
  const before = new AbortController();
  before.abort();
  assert.equal((await go(state, ["t:slow"], { signal: before.signal })).outcomes.get("t:slow"), "cancelled");
});

test("what is proven fresh is done before the loop begins, what stands behind it is looked at", async (t) => {
  const state = stateOf(t), one = make("t:1"), two = make("t:2", { after: [one] });
  make("t:3", { after: [two] });
  group("all", [{ name: "t:3" }]);
  await go(state, ["all"]);
  const proven = new Map(["t:1", "t:2"].map((name) => [name, state.records.latest(name)!]));
  const { events, outcomes } = await go(state, ["all"], { proven });
  assert.deepEqual(events.map((event) => `${event.type} ${"target" in event ? event.target : ""}`), ["target fresh t:1", "target fresh t:2", "target fresh t:3"]);
  assert.deepEqual([...outcomes.values()], ["fresh", "fresh", "fresh", "fresh"]);
  const stopped = await go(state, ["all"], { proven, signal: AbortSignal.abort() });
  assert.deepEqual([...stopped.outcomes.values()], ["cancelled", "cancelled", "cancelled", "cancelled"]);
  assert.deepEqual((await go(state, ["t:3"], { proven: new Map([["t:2", proven.get("t:2")!]]) })).events.map(({ type }) => type), ["target fresh", "target fresh", "target fresh"], "it counts only with all that it needs");
});

test("each target is told of exactly once", async (t) => {
  const one = make("t:1"), state = stateOf(t);
  make("t:2", { after: [one] });
  const { events } = await go(state, ["t:2"]);
  assert.deepEqual(events.map((event) => `${event.type} ${"target" in event ? event.target : ""}`), ["target started t:1", "target done t:1", "target started t:2", "target done t:2"]);
  assert.deepEqual((await go(state, ["t:2"])).events.map(({ type }) => type), ["target fresh", "target fresh"]);
});
