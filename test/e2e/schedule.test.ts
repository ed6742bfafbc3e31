/**
 * Scheduling with the real command line: a network that comes back, time limits, locks, memory, disk, what a failure
 * means for the others, and traces.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checkTrace, type TraceEvent } from "../rig/chrome-trace.ts";
import { type Finished, processesWith, TestProject } from "../rig/project.ts";

/** A kind of target that runs something between two lines of a journal; a package, as kinds are. */
const kit = `import { target } from "imgtask";
import { appendFileSync, writeFileSync } from "node:fs";
export const journal = (line) => appendFileSync(process.env.RUNS + "/journal", line + "\\n");
export const made = (name, { work, ...parts }) => target(name, { outputs: { out: "file" }, params: { name }, ...parts, module: import.meta.url, async run(context) {
  journal("+" + name);
  try { await work?.(context); } finally { journal("-" + name); }
  writeFileSync(context.outputs.out, name);
} });
`;

const preamble = `import { ExitCode, group, ImgtaskError, output, target } from "imgtask";
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { journal, made } from "kit";
`;

function project(t: TestContext, imagefile: string): TestProject {
  const one = new TestProject({
    "imagefile.ts": preamble + imagefile,
    "node_modules/kit/package.json": `{ "name": "kit", "version": "1.0.0", "type": "module", "exports": "./index.js" }`,
    "node_modules/kit/index.js": kit,
  });
  t.after(() => one.eject());
  return one;
}

/** Lines of the journal since the last call. */
function journal(one: TestProject): readonly string[] {
  // `RUNS` lies beside the project.
  const file = "../runs/journal";
  const lines = one.exists(file) ? one.read(file).trimEnd().split("\n") : [];
  one.rm(file);
  return lines;
}

/** The most that ran at once, by a journal. */
function peak(lines: readonly string[], weight: (name: string) => number = () => 1): number {
  let now = 0, most = 0;
  for (const line of lines) {
    now += (line.startsWith("+") ? 1 : -1) * weight(line.slice(1));
    most = Math.max(most, now);
  }
  assert.ok(Math.abs(now) < 1e-9);
  return most;
}

type EventData = Readonly<Record<string, unknown>> & { readonly type: string; readonly target?: string };

function eventsOf({ stdout }: Finished): readonly EventData[] {
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as EventData);
}

function outcomes(one: Finished): Readonly<Record<string, string>> {
  return Object.fromEntries(eventsOf(one).filter(({ type }) => /^target (?:done|fresh|failed|skipped|cancelled)$/.test(type)).map(({ type, target }) => [target!, type.slice(7)]).sort());
}

/** A server on the loopback that answers 503 so many times, then 200. */
async function flaky(t: TestContext, failures: number): Promise<{ readonly url: string; asked: number }> {
  const server = createServer((_, answer) => {
    one.asked++;
    answer.writeHead(one.asked <= failures ? 503 : 200, { connection: "close" }).end("body");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const one = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked: 0 };
  return one;
}

const fetching = `
const fetched = made("fetch:page", {
  env: ["PAGE"], resources: { cpu: 0, network: true }, retries: { times: 3, delay: 200 },
  async work({ env, outputs, tmp }) {
    if (existsSync(outputs.out) || existsSync(tmp + "/left")) throw new Error("an earlier attempt shows");
    writeFileSync(tmp + "/left", "");
    writeFileSync(outputs.out, "half");
    const answer = await fetch(env.PAGE);
    if (answer.status >= 500) throw new ImgtaskError("IMG5001", "The page cannot be reached", { found: String(answer.status), exitCode: ExitCode.temporary });
  },
});
export default made("use:page", { inputs: { fetched } });
`;

test("a network that fails k times and then works: k + 1 attempts, each from nothing, told in every form", async (t) => {
  for (const failures of [0, 1, 3]) {
    const one = project(t, fetching), server = await flaky(t, failures);
    const finished = await one.start(["run", "--json"], { env: { PAGE: server.url } }).finished;
    assert.equal(finished.code, 0, finished.stderr);
    assert.equal(server.asked, failures + 1);
    const retries = eventsOf(finished).filter(({ type }) => type === "target retrying");
    assert.deepEqual(retries.map(({ attempt, attempts }) => [attempt, attempts]), Array.from({ length: failures }, (_, index) => [index + 2, 4]));
    for (const { error, delay } of retries) {
      assert.equal((error as { code: string }).code, "IMG5001");
      assert.ok((delay as number) <= 800);
    }
    const log = one.read(".imgtask/logs/fetch:page/latest.log");
    assert.equal(log.match(/^imgtask: IMG5001: The page cannot be reached; attempt \d of 4 in \d+ ms$/gm)?.length ?? 0, failures);
    assert.deepEqual(readdirSync(one.path(".imgtask/tmp")), []);
    const again = await one.start(["run"], { env: { PAGE: server.url } }).finished;
    assert.match(again.stderr, /Nothing to do: 2 targets fresh/);
    assert.equal(server.asked, failures + 1);
  }
  const one = project(t, fetching), server = await flaky(t, 99);
  const gone = await one.start(["run"], { env: { PAGE: server.url } }).finished;
  assert.equal(gone.code, 75);
  assert.equal(server.asked, 4);
  assert.match(gone.stderr, /^\[fetch:page\] IMG5001: The page cannot be reached; attempt 4 of 4 in [\d.]+ s$/m);
  assert.match(gone.stderr, /^error IMG5001: The page cannot be reached$/m);
});

test("an interrupt while something waits to be tried again ends the run at once", async (t) => {
  const one = project(t, fetching.replace("delay: 200", "delay: 600_000, limit: 600_000"));
  const server = await flaky(t, 99);
  const { child, finished } = one.start(["run", "--json"], { env: { PAGE: server.url } });
  while (server.asked === 0) await sleep(20);
  await sleep(300);
  child.kill("SIGINT");
  const ended = await finished;
  assert.equal(ended.code, 130);
  assert.deepEqual(outcomes(ended), { "fetch:page": "cancelled", "use:page": "cancelled" });
  assert.equal(server.asked, 1);
});

test("a target that takes too long is ended with all that it started", async (t) => {
  const mark = `mark-${Math.random()}`;
  const one = project(t, `
made("slow:commands", { timeout: 700, env: ["MARK"], work: ({ exec }) => exec(["sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000"]) });
made("slow:deaf", { timeout: 300, work: () => new Promise(() => {}) });
export default made("slow:none", { timeout: 60_000 });
`);
  const finished = await one.start(["run", "--json", "-k", "-j4", "slow:*"], { env: { MARK: mark } }).finished;
  assert.equal(finished.code, 1);
  assert.deepEqual(outcomes(finished), { "slow:commands": "failed", "slow:deaf": "failed", "slow:none": "done" });
  const failed = eventsOf(finished).filter(({ type }) => type === "target failed");
  assert.deepEqual(failed.map(({ error }) => (error as { code: string }).code), ["IMG3003", "IMG3003"]);
  const commands = failed.find(({ target }) => target === "slow:commands")!.error as { readonly expected: string; readonly found: string };
  assert.equal(commands.expected, "an end within 0.7 s");
  assert.match(commands.found, /its log ends with: \$ sh -c trap/);
  assert.deepEqual(processesWith(mark), [], "nothing is left running");
  assert.deepEqual(outcomes(await one.start(["run", "--json"]).finished), { "slow:none": "fresh" });
});

test("locks never overlap, and memory and places are never exceeded", async (t) => {
  const one = project(t, `
const all = [];
for (let i = 0; i < 6; i++) all.push(made("lock:" + i, { resources: { cpu: 0, locks: ["usb"] }, work: () => sleep(30) }));
for (let i = 0; i < 8; i++) all.push(made("memory:" + i, { resources: { cpu: 0, memory: "400M" }, work: () => sleep(30) }));
for (let i = 0; i < 9; i++) all.push(made("network:" + i, { resources: { cpu: 0, network: true }, work: () => sleep(30) }));
for (let i = 0; i < 4; i++) all.push(made("kvm:" + i, { resources: { cpu: 0, kvm: true }, work: () => sleep(30) }));
for (let i = 0; i < 6; i++) all.push(made("cpu:" + i, { work: () => sleep(30) }));
export default group("all", all);
`);
  const finished = await one.start(["run", "--json", "-j4", "--memory", "1G"]).finished;
  assert.equal(finished.code, 0, finished.stderr);
  const lines = journal(one);
  const peaks = Object.fromEntries(["lock", "memory", "network", "kvm", "cpu"].map((kind) => [kind, peak(lines.filter((line) => line.slice(1).startsWith(`${kind}:`)))]));
  t.diagnostic(JSON.stringify(peaks));
  assert.equal(lines.length, 2 * 33);
  assert.ok(peaks["lock"] === 1 && peaks["memory"]! <= 2 && peaks["network"]! <= 4 && peaks["kvm"]! <= 2 && peaks["cpu"]! <= 4, JSON.stringify(peaks));
  assert.ok(peaks["memory"]! === 2 && peaks["network"]! >= 2, "what fits runs at once");
});

test("too little memory warns, too little disk fails with exit code 4, before anything of it runs", async (t) => {
  const one = project(t, `
made("big:disk", { resources: { disk: "900000000G" } });
made("big:memory", { resources: { memory: "8G" } });
made("big:locks", { resources: { locks: ["x"] } });
`);
  const memory = await one.imgtask("run", "--memory", "1G", "big:memory");
  assert.equal(memory.code, 0);
  assert.match(memory.stderr, /^warning IMG6003: "big:memory" wants 8192 MiB of memory, and there are 1024 MiB$/m);
  journal(one);
  const disk = await one.imgtask("run", "big:disk", "big:locks", "-k");
  assert.equal(disk.code, 4);
  assert.match(disk.stderr, /^error IMG1005: Too little free disk space for "big:disk"$/m);
  assert.match(disk.stderr, /imagefile\.ts:\d+/);
  assert.deepEqual(journal(one), ["+big:locks", "-big:locks"]);
});

const failing = `
const bad = made("x:bad", { work: async () => { while (!existsSync(process.env.RUNS + "/begun")) await sleep(10); throw new Error("no"); } });
const beside = made("x:beside", { env: ["MARK"], work: async ({ exec }) => { writeFileSync(process.env.RUNS + "/begun", ""); await exec(["sleep", "1.5"]); } });
made("x:after", { inputs: { bad } });
made("x:behind", { inputs: { beside } });
made("x:free", { resources: { locks: ["one"] }, inputs: { beside: made("x:first", { inputs: { beside } }) } });
`;

for (const [option, expected, code] of [
  [[], { "x:after": "skipped", "x:bad": "failed", "x:behind": "cancelled", "x:beside": "done", "x:first": "cancelled", "x:free": "cancelled" }, 1],
  [["--keep-going"], { "x:after": "skipped", "x:bad": "failed", "x:behind": "done", "x:beside": "done", "x:first": "done", "x:free": "done" }, 1],
  [["--fail-fast"], { "x:after": "skipped", "x:bad": "failed", "x:behind": "cancelled", "x:beside": "cancelled", "x:first": "cancelled", "x:free": "cancelled" }, 1],
] as const) {
  test(`a failure ${option[0] ?? "without an option"}: what becomes of the others`, async (t) => {
    const one = project(t, failing), mark = `mark-${Math.random()}`;
    const finished = await one.start(["run", "--json", "-j2", ...option, "x:*"], { env: { MARK: mark } }).finished;
    assert.equal(finished.code, code, finished.stderr);
    assert.deepEqual(outcomes(finished), expected);
    assert.deepEqual(processesWith(mark), []);
    // What was finished is kept, and what was ended leaves no trace.
    const done = Object.entries(expected).filter(([, outcome]) => outcome === "done").map(([name]) => name);
    const next = outcomes(await one.start(["run", "--json", "-k", "x:*"], { env: { MARK: mark } }).finished);
    for (const name of Object.keys(expected)) if (next[name] === "fresh") assert.ok(done.includes(name), name);
    for (const name of done) assert.equal(next[name], "fresh", name);
  });
}

/** Spans of targets in a trace, `name outcome`. */
function spans(events: readonly TraceEvent[]): readonly string[] {
  return events.filter(({ pid, cat }) => pid === 1 && cat?.startsWith("target") === true).map(({ name, args }) => `${name} ${String(args["outcome"])}`).sort();
}

test("traces of a run that works, one with nothing to do, one that fails and one that is interrupted", async (t) => {
  const one = project(t, failing + `
made("y:wait", { env: ["MARK"], work: async ({ exec }) => { writeFileSync(process.env.RUNS + "/waits", ""); await exec(["sleep", "1000"]); } });
`);
  const mark = `mark-${Math.random()}`;
  const traced = async (...argv: readonly string[]): Promise<readonly TraceEvent[]> => {
    await one.start(["run", "--trace", "trace.json", ...argv], { env: { MARK: mark } }).finished;
    return checkTrace(one.read("trace.json"));
  };
  const works = await traced("x:free");
  assert.deepEqual(spans(works), ["x:beside done", "x:first done", "x:free done"]);
  const critical = works.filter(({ cat }) => cat === "target,critical").map(({ name }) => name);
  assert.deepEqual(critical, ["x:beside", "x:first", "x:free"]);
  const parts = works.filter(({ cat }) => cat === "part").map(({ name }) => name);
  assert.deepEqual(parts.slice(0, 4), ["recipe", "store", "check inputs", "record and place"]);
  assert.ok(works.some(({ ph, name, args }) => ph === "C" && name === "cores" && args["cores"] === 1));
  assert.deepEqual(spans(await traced("x:free")), []);
  assert.deepEqual(spans(await traced("x:after", "x:behind", "-j2")).filter((span) => !span.startsWith("x:behind")), ["x:bad failed"]);

  const { child, finished } = one.start(["run", "--trace", "trace.json", "y:wait"], { env: { MARK: mark } });
  while (!existsSync(one.path("../runs/waits"))) await sleep(20);
  child.kill("SIGTERM");
  assert.equal((await finished).code, 143);
  assert.deepEqual(spans(checkTrace(one.read("trace.json"))), ["y:wait cancelled"]);
  assert.deepEqual(readdirSync(one.directory).filter((name) => name.endsWith(".new")), []);
});

test("a trace that cannot be written is refused before anything runs", async (t) => {
  const one = project(t, `export default made("x:y", {});`);
  for (const place of ["missing/trace.json", "."]) {
    const { code, stderr } = await one.imgtask("run", "--trace", place);
    assert.equal(code, 2);
    assert.match(stderr, /^error IMG2020: No trace can be written to /m);
  }
  assert.deepEqual(journal(one), []);
  assert.ok(!existsSync(join(one.directory, ".imgtask")) || statSync(one.path(".imgtask")).isDirectory());
});
