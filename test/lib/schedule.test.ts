/**
 * The scheduler over real recipes: order, limits that are never exceeded, failure modes, critical path first.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Budget, freeSpace } from "../../lib/budget.ts";
import { digestOf } from "../../lib/digest.ts";
import { ExitCode, ImgtaskError } from "../../lib/error.ts";
import type { Event, Outcome } from "../../lib/event.ts";
import { buildGraph } from "../../lib/graph.ts";
import type { Loaded } from "../../lib/load.ts";
import type { Resources } from "../../lib/resources.ts";
import type { Retries } from "../../lib/retry.ts";
import { type FailureMode, schedule, type ScheduleOptions, type Summary } from "../../lib/schedule.ts";
import { openState, prepareState, type State } from "../../lib/state.ts";
import { group, registry, type RunContext, target } from "../../lib/target.ts";
import { Trace } from "../../lib/trace.ts";
import { checkTrace } from "../rig/chrome-trace.ts";
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
    basis: undefined,
    recipeDigest: () => digestOf("recipe"),
    registered: (name) => Promise.resolve(targets.find((one) => one.declaration.name === name)!),
  };
}

async function go(state: State, names: readonly string[], { jobs = 4, memory, ...options }: Partial<ScheduleOptions> & { readonly jobs?: number; readonly memory?: number } = {}): Promise<Summary & { readonly events: readonly Event[] }> {
  const events: Event[] = [];
  const budget = new Budget({ jobs, memory, directory: state.project.state });
  const summary = await schedule(loadedNow(), names, state, { budget, failures: "no-new", forced: new Set(), signal: new AbortController().signal, on: (event) => events.push(event), ...options });
  return { ...summary, events };
}

/** Declares a target that waits and then writes its name. */
function make(name: string, parts: { readonly after?: readonly { readonly outputs: { readonly out: never } }[]; readonly work?: (context: RunContext) => Promise<void> | void; readonly timeout?: number; readonly retries?: Retries } & Resources = {}) {
  const { after = [], work, timeout, retries, ...resources } = parts;
  return target(name, {
    inputs: { after },
    outputs: { out: "file" },
    resources,
    timeout,
    retries,
    async run(context: RunContext) {
      await work?.(context);
      writeFileSync(context.outputs["out"]!, name);
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

test("no resource is ever exceeded, and all are used", async (t) => {
  const state = stateOf(t);
  const used: { [name: string]: number } = { cpu: 0, memory: 0, network: 0, kvm: 0, usb: 0, constructor: 0 }, peaks = { ...used };
  const all = Array.from({ length: 80 }, (_, i) => {
    const cpu = [1, 2, 0, 0.5, 1][i % 5]!, memory = [0, 300, 0, 500][i % 4]!, network = i % 3 === 0, kvm = i % 7 === 0;
    const locks = i % 6 === 0 ? ["usb", "usb"] : i % 11 === 0 ? ["constructor"] : [];
    const takes: { readonly [name: string]: number } = { cpu, memory, network: Number(network), kvm: Number(kvm), ...(locks[0] === undefined ? {} : { [locks[0]]: 1 }) };
    return make(`t:${i}`, {
      cpu, memory, network, kvm, locks,
      async work() {
        for (const [name, amount] of Object.entries(takes)) peaks[name] = Math.max(peaks[name]!, (used[name]! += amount));
        await sleep(5 + Math.random() * 10);
        for (const [name, amount] of Object.entries(takes)) used[name]! -= amount;
      },
    });
  });
  const { outcomes } = await go(state, all.map(({ name }) => name), { jobs: 4, memory: 1000 });
  assert.ok([...outcomes.values()].every((outcome) => outcome === "done"));
  assert.ok(peaks["cpu"]! <= 4 && peaks["cpu"]! >= 3 && peaks["memory"]! <= 1000 && peaks["memory"]! >= 600 && peaks["network"]! <= 4 && peaks["network"]! >= 2 && peaks["kvm"]! <= 2, JSON.stringify(peaks));
  assert.deepEqual([peaks["usb"], peaks["constructor"]], [1, 1]);
});

test("a target that wants more cores than there are runs alone", async (t) => {
  let running = 0, alone = true;
  const work = (big: boolean) => async () => { running++; await sleep(20); if (big && running > 1) alone = false; running--; };
  make("t:big", { cpu: 64, work: work(true) });
  for (let i = 0; i < 6; i++) make(`t:${i}`, { work: work(false) });
  const { outcomes } = await go(stateOf(t), ["t:big", "t:0", "t:1", "t:2", "t:3", "t:4", "t:5"], { jobs: 2 });
  assert.ok(alone && [...outcomes.values()].every((outcome) => outcome === "done"));
});

test("after a failure nothing new begins and what runs is finished; with `continue` only dependents are skipped", async (t) => {
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
  const kept = await go(stateOf(t), names, { jobs: 2, failures: "continue" });
  assert.deepEqual([...ran].sort(), ["beside", "free", "free2"]);
  assert.deepEqual(names.map((name) => kept.outcomes.get(name)), ["failed", "done", "skipped", "skipped", "done", "done", "done"]);
});

const modes: readonly (readonly [FailureMode, readonly Outcome[], readonly string[]])[] = [
  ["no-new", ["failed", "done", "skipped", "cancelled", "cancelled", "cancelled"], ["beside"]],
  ["continue", ["failed", "done", "skipped", "done", "done", "done"], ["behind", "beside", "free", "later"]],
  ["kill", ["failed", "cancelled", "skipped", "cancelled", "cancelled", "cancelled"], []],
];

for (const [failures, expected, finished] of modes) {
  test(`after a failure, mode ${failures}`, async (t) => {
    const ran: string[] = [];
    const noted = (name: string) => () => void ran.push(name);
    let begun = (): void => {};
    const other = new Promise<void>((resolve) => (begun = resolve));
    const bad = make("t:bad", { work: async () => { await other; throw new Error("no"); } });
    const beside = make("t:beside", {
      work: async ({ signal }) => {
        begun();
        await sleep(200, undefined, { signal });
        ran.push("beside");
      },
    });
    make("t:after", { after: [bad], work: noted("after") });
    make("t:behind", { after: [beside], work: noted("behind") });
    const free = make("t:free", { work: noted("free") });
    make("t:later", { after: [free], work: noted("later") });
    const names = ["t:bad", "t:beside", "t:after", "t:behind", "t:free", "t:later"];
    const state = stateOf(t);
    const { outcomes, failure, events } = await go(state, names, { jobs: 2, failures, patience: 60_000 });
    assert.deepEqual(names.map((name) => outcomes.get(name)), expected);
    assert.deepEqual(ran.sort(), finished);
    assert.equal(failure?.code, "IMG3020");
    assert.equal(events.filter(({ type }) => type === "target failed").length, 1);
    assert.equal(events.filter(({ type }) => type === "target cancelled").length, expected.filter((outcome) => outcome === "cancelled").length);
    assert.equal([...state.records.all()].length, finished.length, "what was not finished is not recorded");
  });
}

/** The error of a mirror that is not there just now. */
const unreachable = (): ImgtaskError => new ImgtaskError("IMG5001", "The mirror cannot be reached", { exitCode: ExitCode.temporary });

test("a temporary failure is tried again from nothing, anything else is not", async (t) => {
  const state = stateOf(t), seen: string[] = [], places: string[] = [];
  make("t:flaky", {
    network: true, retries: { times: 3, delay: 10 },
    work({ outputs, tmp }) {
      seen.push([...readdirSync(tmp), ...readdirSync(dirname(outputs["out"]!))].join());
      places.push(tmp);
      writeFileSync(join(tmp, "left"), "");
      if (seen.length < 3) {
        writeFileSync(outputs["out"]!, "half");
        throw unreachable();
      }
    },
  });
  let wrong = 0, gone = 0;
  make("t:wrong", { retries: { times: 3, delay: 1 }, work() { wrong++; throw new ImgtaskError("IMG5004", "It is not there"); } });
  make("t:gone", { retries: { times: 2, delay: 1 }, work() { gone++; throw unreachable(); } });
  make("t:once", { work() { throw unreachable(); } });
  const { outcomes, events, failure } = await go(state, ["t:flaky", "t:wrong", "t:gone", "t:once"], { failures: "continue" });
  assert.deepEqual([...outcomes].sort(), [["t:flaky", "done"], ["t:gone", "failed"], ["t:once", "failed"], ["t:wrong", "failed"]]);
  assert.deepEqual(seen, ["", "", ""], "each attempt begins with empty directories");
  assert.equal(new Set(places).size, 3);
  assert.ok(places.every((place) => !existsSync(place)), "nothing is left of attempts that were followed by another");
  assert.deepEqual([wrong, gone], [1, 3]);
  assert.ok(failure !== undefined);
  const told = events.filter((event) => event.type === "target retrying" && event.target === "t:flaky") as readonly Extract<Event, { type: "target retrying" }>[];
  assert.deepEqual(told.map(({ attempt, attempts, error }) => [attempt, attempts, error.code]), [[2, 4, "IMG5001"], [3, 4, "IMG5001"]]);
  assert.ok(told.every(({ delay }, index) => delay <= 10 * 2 ** index));
  assert.equal(events.filter((event) => event.type === "target started" && event.target === "t:flaky").length, 1);
  assert.match(readFileSync(join(state.project.state, "logs/t:flaky/latest.log"), "utf8"), /^imgtask: IMG5001: The mirror cannot be reached; attempt 2 of 4 in \d+ ms\nimgtask: .*attempt 3 of 4 in \d+ ms\n$/);
});

test("who waits to be tried again holds nothing, and is not waited for when the run ends", async (t) => {
  const far = { times: 1, delay: 2 ** 30, limit: 2 ** 30 };
  const waits = make("t:waits", { cpu: 2, locks: ["usb"], retries: far, work() { throw unreachable(); } });
  make("t:behind", { after: [waits] });
  const controller = new AbortController();
  make("t:other", { cpu: 2, locks: ["usb"], work: () => void setTimeout(() => controller.abort("SIGINT"), 50) });
  const { outcomes, failure } = await go(stateOf(t), ["t:waits", "t:behind", "t:other"], { jobs: 2, signal: controller.signal });
  assert.deepEqual([...outcomes].sort(), [["t:behind", "cancelled"], ["t:other", "done"], ["t:waits", "cancelled"]]);
  assert.equal(failure, undefined);
  // Another's failure makes an end of it too: what it failed of is told then.
  registry().targets.length = 0;
  let failed = (): void => {};
  const first = new Promise<void>((resolve) => (failed = resolve));
  make("t:waits", { retries: far, work() { setTimeout(failed, 20); throw unreachable(); } });
  make("t:bad", { work: async () => { await first; throw new Error("no"); } });
  const second = await go(stateOf(t), ["t:waits", "t:bad"]);
  assert.deepEqual([...second.outcomes.values()], ["failed", "failed"]);
});

test("many may run commands or wait to be tried again at once", async (t) => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warned);
  t.after(() => process.off("warning", warned));
  const names = Array.from({ length: 15 }, (_, i) => `t:${i}`), tried = new Set<string>();
  for (const name of names) {
    make(name, {
      cpu: 0, timeout: 60_000, retries: { times: 1, delay: 300 },
      async work({ exec }) {
        if (name === "t:0") await Promise.all(names.map(() => exec(["sleep", "0.1"])));
        if (tried.has(name)) return;
        tried.add(name);
        throw unreachable();
      },
    });
  }
  const { outcomes } = await go(stateOf(t), names);
  assert.ok([...outcomes.values()].every((outcome) => outcome === "done"));
  assert.deepEqual(warnings, []);
});

test("a target that takes too long is ended, with what it did last; a retry has its own time", async (t) => {
  const state = stateOf(t);
  make("t:slow", { timeout: 300, work: async ({ exec, log }) => { log("getting ready"); await exec(["sh", "-c", "sleep 60 & sleep 60"]); } });
  make("t:quick", { timeout: 60_000 });
  let attempts = 0;
  make("t:twice", { timeout: 600, retries: { times: 2, delay: 1 }, work: async () => { await sleep(400); if (++attempts < 3) throw unreachable(); } });
  const { outcomes, failure, events } = await go(state, ["t:slow", "t:quick", "t:twice"], { failures: "continue", jobs: 3 });
  assert.deepEqual([...outcomes].sort(), [["t:quick", "done"], ["t:slow", "failed"], ["t:twice", "done"]]);
  assert.equal(failure?.code, "IMG3003");
  assert.match(failure.found!, /^still running after \d+\.\d s; its log ends with: \$ sh -c sleep 60 & sleep 60$/);
  assert.equal(events.filter(({ type }) => type === "target failed").length, 1);
  assert.equal([...state.records.all()].length, 2);
});

test("too little disk fails with what there is; too little memory warns and runs", async (t) => {
  const state = stateOf(t);
  make("t:disk", { disk: "900000000G" });
  make("t:memory", { memory: "2G" });
  make("t:memory2", { memory: "64M" });
  const { outcomes, failure, events } = await go(state, ["t:disk", "t:memory", "t:memory2"], { failures: "continue", memory: 1024 ** 3 });
  assert.deepEqual([...outcomes.values()], ["failed", "done", "done"]);
  assert.deepEqual([failure?.code, failure?.exitCode], ["IMG1005", 4]);
  assert.ok(!existsSync(join(state.project.state, "logs/t:disk")), "it did not even begin");
  const warnings = events.filter((event) => event.type === "warning") as readonly Extract<Event, { type: "warning" }>[];
  assert.deepEqual(warnings.map(({ code, message }) => [code, message]), [["IMG6003", '"t:memory" wants 2048 MiB of memory, and there are 1024 MiB']]);
});

test("who needs disk space waits for those that hold it", async (t) => {
  const state = stateOf(t), most = freeSpace(state.project.state) * 0.6;
  let running = 0, peak = 0;
  const work = async (): Promise<void> => {
    peak = Math.max(peak, ++running);
    await sleep(30);
    running--;
  };
  const names = ["t:1", "t:2", "t:3"];
  for (const name of names) make(name, { disk: most, cpu: 0, work });
  const { outcomes } = await go(state, names);
  assert.deepEqual([...outcomes.values(), peak], ["done", "done", "done", 1]);
});

test("the trace of a run has everything in it, also when it fails", async (t) => {
  const state = stateOf(t), trace = new Trace();
  let attempts = 0;
  const first = make("t:first", { retries: { times: 1, delay: 1 }, work() { if (++attempts === 1) throw unreachable(); } });
  const second = make("t:second", { after: [first], locks: ["x"], work: () => sleep(20) });
  make("t:third", { after: [first], locks: ["x"], work: () => sleep(20) });
  make("t:bad", { after: [second], work() { throw new Error("no"); } });
  await go(state, ["t:first", "t:second", "t:third", "t:bad"], { trace, failures: "continue" });
  const graph = loadedNow().graph;
  const events = checkTrace(trace.text((name) => graph.get(name)!.dependencies));
  const spans = events.filter(({ cat, pid }) => pid === 1 && cat?.startsWith("target") === true);
  assert.deepEqual(spans.map(({ name, args }) => `${name} ${String(args["attempt"])} ${String(args["outcome"])}`).sort(), ["t:bad 1 failed", "t:first 1 failed", "t:first 2 done", "t:second 1 done", "t:third 1 done"]);
  assert.deepEqual(spans.filter(({ args }) => (args["waited for"] as readonly string[]).includes("lock x")).length, 1);
  assert.deepEqual(new Set(events.filter(({ cat }) => cat === "part").map(({ name }) => name)), new Set(["recipe", "store", "check inputs", "record and place"]));
  assert.deepEqual(events.filter(({ ph }) => ph === "i").map(({ name }) => name), ["retry"]);
  const cores = events.filter(({ ph, name }) => ph === "C" && name === "cores").map(({ args }) => args["cores"] as number);
  assert.ok(Math.max(...cores) >= 1 && cores.at(-1) === 0);
  assert.equal(events.filter(({ pid, ph }) => pid === 2 && ph === "X").length, 4, "each was looked at once");
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
  await go(state, names, { jobs: 1, forced: new Set(names), patience: 60_000 });
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

test("signals and timers have their turn among recipes that never wait", async (t) => {
  const controller = new AbortController();
  const names = Array.from({ length: 400 }, (_, i) => `t:${i}`);
  for (const name of names) make(name, { work() { for (const end = performance.now() + 2; performance.now() < end; ); } });
  let turns = 0;
  const timer = setInterval(() => { if (++turns === 3) controller.abort("SIGINT"); }, 1);
  const { outcomes } = await go(stateOf(t), names, { jobs: 2, signal: controller.signal }).finally(() => clearInterval(timer));
  const done = [...outcomes.values()].filter((outcome) => outcome === "done").length;
  assert.ok(done > 0 && done < names.length / 2, `${done} of ${names.length} were made before an abort at the third turn`);
  assert.equal([...outcomes.values()].filter((outcome) => outcome === "cancelled").length, names.length - done);
});

test("what is proven fresh is done before the loop begins, what stands behind it is looked at", async (t) => {
  const state = stateOf(t), one = make("t:1"), two = make("t:2", { after: [one] });
  make("t:3", { after: [two] });
  group("all", [{ name: "t:3" }]);
  await go(state, ["all"]);
  const proven = new Set(["t:1", "t:2"]);
  const { events, outcomes } = await go(state, ["all"], { proven });
  assert.deepEqual(events.map((event) => `${event.type} ${"target" in event ? event.target : ""}`), ["target fresh t:1", "target fresh t:2", "target fresh t:3"]);
  assert.deepEqual([...outcomes.values()], ["fresh", "fresh", "fresh", "fresh"]);
  const stopped = await go(state, ["all"], { proven, signal: AbortSignal.abort() });
  assert.deepEqual([...stopped.outcomes.values()], ["cancelled", "cancelled", "cancelled", "cancelled"]);
  assert.deepEqual((await go(state, ["t:3"], { proven: new Set(["t:2"]) })).events.map(({ type }) => type), ["target fresh", "target fresh", "target fresh"], "it counts only with all that it needs");
});

test("each target is told of exactly once", async (t) => {
  const one = make("t:1"), state = stateOf(t);
  make("t:2", { after: [one] });
  const { events } = await go(state, ["t:2"]);
  assert.deepEqual(events.map((event) => `${event.type} ${"target" in event ? event.target : ""}`), ["target started t:1", "target done t:1", "target started t:2", "target done t:2"]);
  assert.deepEqual((await go(state, ["t:2"])).events.map(({ type }) => type), ["target fresh", "target fresh"]);
});
