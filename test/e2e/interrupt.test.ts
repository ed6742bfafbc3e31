/**
 * Interrupted builds: at whatever moment a signal comes, nothing goes on, finished work is kept, and the next run
 * needs no repair and believes nothing that is not true.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { note, preamble, processesWith, TestProject } from "../rig/project.ts";

const layers = 3, width = 2;

/** Layers of targets; each waits a little in a real child with a child of its own, then writes what is known. */
const imagefile = `${preamble}let before = [];
const all = [];
for (let layer = 0; layer < ${layers}; layer++) {
  const now = [];
  for (let i = 0; i < ${width}; i++) {
    const made = target(\`make:\${layer}-\${i}\`, {
      inputs: { before, seed: source("seed") }, params: { layer, i }, env: ["MARK"], outputs: { out: output(i === 1 ? "tree" : "file", "x", { path: \`artifacts/\${layer}-\${i}\` }) },
      async run({ target, params, inputs, outputs, exec }) {
        ${note}
        const file = params.i === 1 ? outputs.out + "/f" : outputs.out;
        if (params.i === 1) await exec(["mkdir", outputs.out]);
        await exec(["sh", "-c", 'sleep 30 & part=$!; sleep 0.02; printf "%s-%s-" "$2" "$3" >"$1"; sleep 0.02; cat "$4" >>"$1"; kill $part', "sh", file, String(params.layer), String(params.i), inputs.seed]);
        writeFileSync(file, readFileSync(file, "utf8") + inputs.before.length);
      },
    });
    now.push(made);
  }
  before = now;
  all.push(...now);
}
export default group("all", all);
`;

function project(t: TestContext): { readonly made: TestProject; readonly env: Record<string, string>; readonly check: () => Promise<readonly string[]> } {
  const made = new TestProject({ "imagefile.ts": imagefile, seed: "seed-0-" });
  t.after(() => made.eject());
  const env = { MARK: `mark-${Math.random()}` };
  const check = async (): Promise<readonly string[]> => {
    const { code, stderr } = await made.start(["run"], { env }).finished;
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /warning|damaged|could not be read/i);
    const seed = made.read("seed");
    for (let layer = 0; layer < layers; layer++) {
      for (let i = 0; i < width; i++) {
        assert.equal(made.read(`artifacts/${layer}-${i}${i === 1 ? "/f" : ""}`), `${layer}-${i}-${seed}${layer === 0 ? 0 : width}`);
      }
    }
    assert.deepEqual(readdirSync(made.path(".imgtask/tmp")), [], "no leftovers");
    assert.deepEqual(readdirSync(made.path("artifacts")).filter((name) => name.startsWith(".")), []);
    return made.ran();
  };
  return { made, env, check };
}

async function noneLeft(mark: string): Promise<void> {
  for (let i = 0; i < 40 && processesWith(mark).length > 0; i++) await sleep(50);
  assert.deepEqual(processesWith(mark), []);
}

const points = { SIGKILL: 18, SIGINT: 6, SIGTERM: 6 } as const;

for (const [signal, count] of Object.entries(points) as [keyof typeof points, number][]) {
  test(`${signal} at ${count} moments over a build`, { timeout: 170_000 }, async (t) => {
    const { made, env, check } = project(t);
    await check();
    // How long a whole build takes here and now.
    made.write("seed", "seed-length-");
    const began = Date.now();
    await check();
    const whole = Date.now() - began;
    let hit = 0;
    for (let point = 0; point < count; point++) {
      made.write("seed", `seed-${signal}-${point}-`);
      const { child, finished } = made.start(["run"], { env });
      await sleep(((point + Math.random()) / count) * whole);
      child.kill(signal);
      const { code, signal: killed, stderr } = await finished;
      await noneLeft(env["MARK"]!);
      if (killed !== null || code !== 0) hit++;
      if (signal !== "SIGKILL" && code !== 0) {
        // Before its handlers stand, node itself ends at once.
        assert.ok(code === (signal === "SIGINT" ? 130 : 143) || killed === signal, `${code} ${stderr}`);
        assert.doesNotMatch(stderr, /^ {4}at /m);
        assert.equal(existsSync(made.path(".imgtask/lock")) && killed === null, false, "the lock's note is gone");
      }
      const done = made.ran();
      const recorded = stderr.split("\n").filter((line) => /\] done/.test(line)).map((line) => /\[(\S+)\]/.exec(line)![1]!);
      for (const name of recorded) assert.ok(done.includes(name));
      // Half of the times the next run finds the same inputs, half of the times others.
      if (point % 2 === 1) {
        made.write("seed", `seed-again-${signal}-${point}-`);
        await check();
      } else for (const name of await check()) assert.equal(recorded.includes(name), false, `${name} was finished and is not run again`);
    }
    t.diagnostic(`${hit} of ${count} hit the build; 0 repairs, 0 wrong results`);
    assert.ok(hit >= count / 2);
  });
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
