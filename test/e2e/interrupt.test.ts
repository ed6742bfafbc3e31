/**
 * Interrupted builds: at whatever moment a signal comes, nothing goes on, finished work is kept, and the next run
 * needs no repair and believes nothing that is not true.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Layers, stack } from "../rig/layers.ts";
import { note, preamble, noneWith, TestProject } from "../rig/project.ts";

const points = 6;

for (const [signal, exit] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  test(`${signal} at ${points} moments over a build`, { timeout: 170_000 }, async (t) => {
    const layers = new Layers();
    t.after(() => layers.dispose());
    layers.begin();
    await layers.recovers("first");
    // How long a whole build takes here and now.
    layers.begin();
    const began = Date.now();
    await layers.recovers("timing");
    const whole = Date.now() - began;
    let hit = 0, kept = 0;
    for (let point = 0; point < points; point++) {
      layers.begin();
      const { child, finished } = layers.project.start(["run", "-j2"], { env: { MARK: layers.mark } });
      await sleep(((point + Math.random()) / points) * whole);
      child.kill(signal);
      const { code, signal: killed, stderr } = await finished;
      await layers.noneLeft();
      if (killed !== null || code !== 0) {
        hit++;
        // Before its handlers stand, node itself ends at once.
        assert.ok(code === exit || killed === signal, `${code} ${stderr}`);
        assert.doesNotMatch(stderr, stack);
        assert.equal(existsSync(layers.project.path(".imgtask/lock")) && killed === null, false, "the lock's note is gone");
      }
      const recorded = layers.recorded(), ran = layers.project.ran();
      for (const name of recorded) assert.ok(ran.includes(name));
      // Half of the times the next run finds the same inputs, half of the times others.
      if (point % 2 === 1) layers.reseed();
      for (const name of await layers.recovers(`${signal} ${point}`)) assert.ok(point % 2 === 1 || !recorded.includes(name), `${name} was finished and is not run again`);
      kept += recorded.length;
    }
    t.diagnostic(`${hit} of ${points} hit the build; ${kept} finished targets kept, 0 repairs, 0 wrong results`);
    assert.ok(hit >= points / 2);
  });
}

async function noneLeft(mark: string): Promise<void> {
  assert.deepEqual(await noneWith(mark, 4000), []);
}

test("SIGINT ends a command that ignores it, and a recipe that never ends", { timeout: 60_000 }, async (t) => {
  const made = new TestProject({
    "imagefile.ts": `${preamble}const a = target("make:a", { env: ["MARK"], outputs: { out: "file" }, async run({ target, exec }) { ${note} await exec(["sh", "-c", 'trap "" INT TERM; while :; do sleep 0.1; done']); } });
const b = target("make:b", { outputs: { out: "file" }, async run({ target }) { ${note} await new Promise(() => {}); } });
const c = target("make:c", { env: ["MARK"], outputs: { out: "file" }, async run({ target, $ }) { ${note} await $\`trap "" INT TERM; while :; do sleep 0.1; done\`; } });
export default group("all", [a, b, c]);\n`,
  });
  t.after(() => made.eject());
  const env = { MARK: `mark-${Math.random()}` };
  const { child, finished } = made.start(["run", "-j3"], { env });
  for (let i = 0; i < 200 && made.runs("make:a") + made.runs("make:b") + made.runs("make:c") < 3; i++) await sleep(50);
  await sleep(200);
  const began = Date.now();
  child.kill("SIGINT");
  const { code, stderr } = await finished;
  assert.equal(code, 130, stderr);
  assert.ok(Date.now() - began < 12_000, `took ${Date.now() - began} ms`);
  await noneLeft(env["MARK"]!);
});

test("SIGINT is heard among recipes that never wait, and what they did is told as they go", { timeout: 60_000 }, async (t) => {
  const made = new TestProject({
    "imagefile.ts": `${preamble}for (let i = 0; i < 1000; i++) target(\`make:\${i}\`, { outputs: { out: "file" }, run({ target, outputs }) { ${note} for (const end = performance.now() + 10; performance.now() < end; ); writeFileSync(outputs.out, target); } });\n`,
  });
  t.after(() => made.eject());
  const { child, finished } = made.start(["run", "make:*"]);
  // Not before something is told: the words must not come all at once at the end.
  await new Promise<void>((resolve) => child.stderr!.on("data", (chunk: Buffer) => String(chunk).includes("done in") && resolve()));
  child.kill("SIGINT");
  const { code, stderr } = await finished;
  assert.equal(code, 130, stderr);
  const done = made.ran().length;
  assert.ok(done < 500, `${done} of 1000 had run`);
  assert.match(stderr, new RegExp(`Interrupted by SIGINT: ${1000 - done} cancelled, ${done} done`));
});

test("a second Ctrl-C lets the clean-up end, also where each comes twice, as by cross-env; a third ends it", { timeout: 60_000 }, async (t) => {
  const made = new TestProject({
    "imagefile.ts": `${preamble}export default target("make:a", { env: ["MARK"], outputs: { out: "file" }, async run({ target, exec }) { ${note} await exec(["sh", "-c", 'trap "" INT TERM; while :; do sleep 0.1; done']); } });\n`,
  });
  t.after(() => made.eject());
  for (const presses of [2, 3]) {
    const env = { MARK: `mark-${Math.random()}` };
    const { child, finished } = made.start(["run"], { env });
    for (let i = 0; i < 200 && made.runs("make:a") === 0; i++) await sleep(50);
    made.ran();
    await sleep(200);
    for (let press = 0; press < presses; press++) {
      child.kill("SIGINT");
      await sleep(20);
      child.kill("SIGINT");
      await sleep(300);
    }
    const { code, stderr } = await finished;
    assert.equal(code, 130, stderr);
    // What was cut off says nothing of its end, and leaves a note that the next run passes over.
    assert.equal(/Interrupted by SIGINT: 1 cancelled/.test(stderr), presses === 2, stderr);
    assert.equal(existsSync(made.path(".imgtask/lock")), presses === 3);
    await noneLeft(env.MARK);
  }
});
