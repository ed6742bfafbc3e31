/**
 * The same source on Deno: the command line lists, runs, finds everything fresh, and locks.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type Finished, note, preamble, processesWith, repository, TestProject } from "../rig/project.ts";

const deno = join(repository, "node_modules/.bin/deno");

function project(t: TestContext): TestProject {
  const made = new TestProject({
    "in.txt": "text",
    "deno.json": JSON.stringify({
      imports: { imgtask: join(repository, "plugins/mod.ts"), "imgtask/plugins/": `${join(repository, "plugins")}/`, "imgtask/distros/": `${join(repository, "distros")}/` },
      nodeModulesDir: "manual",
    }),
    "imagefile.ts": `${preamble}const one = target("make:one", { description: "upper case", inputs: { file: source("in.txt") }, outputs: { out: output("file", "x", { path: "artifacts/one" }) },
  async run({ target, inputs, outputs, exec }) { ${note} await exec(["tr", "a-z", "A-Z"], { input: readFileSync(inputs.file), stdout: { file: outputs.out } }); } });
const two = target("make:two", { inputs: { one }, outputs: { out: output("tree", "x", { path: "artifacts/two" }) },
  async run({ target, inputs, outputs, $ }) { ${note} await $\`mkdir \${outputs.out} && cp \${inputs.one} \${outputs.out}/copy && sleep 0.3\`; } });
export default group("all", [two]);\n`,
  });
  t.after(() => made.eject());
  return made;
}

function run(made: TestProject, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> & { readonly kill: (signal: NodeJS.Signals) => void } {
  const runs = join(made.directory, "../runs");
  const args = ["run", "-A", "--quiet", "--config", made.path("deno.json"), join(repository, "lib/cli/main.ts"), ...argv];
  const child = spawn(deno, args, { cwd: made.directory, env: { ...process.env, RUNS: runs, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const finished = new Promise<Finished>((resolve, reject) => {
    let stdout = "", stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += String(chunk)));
    child.stderr.on("data", (chunk: Buffer) => (stderr += String(chunk)));
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return Object.assign(finished, { kill: (signal: NodeJS.Signals) => void child.kill(signal) });
}

const skip = !existsSync(deno) && "deno is not installed";

test("list, run, and run again with nothing to do", { skip, timeout: 120_000 }, async (t) => {
  const made = project(t);
  const list = await run(made, ["list"]);
  assert.equal(list.code, 0, list.stderr);
  assert.match(list.stdout, /make:one +upper case/);
  const first = await run(made, ["run"]);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(made.read("artifacts/two/copy"), "TEXT");
  assert.deepEqual(made.ran(), ["make:one", "make:two"]);
  const second = await run(made, ["run"]);
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /fresh/);
  assert.deepEqual(made.ran(), []);
  made.write("in.txt", "other");
  assert.equal((await run(made, ["run"])).code, 0);
  assert.deepEqual(made.ran(), ["make:one", "make:two"]);
  assert.equal(made.read("artifacts/two/copy"), "OTHER");
});

test("three at once run each target once", { skip, timeout: 120_000 }, async (t) => {
  const made = project(t);
  const results = await Promise.all([run(made, ["run"]), run(made, ["run"]), made.imgtask("list").then(() => run(made, ["run"]))]);
  for (const { code, stderr } of results) assert.equal(code, 0, stderr);
  assert.deepEqual([made.runs("make:one"), made.runs("make:two")], [1, 1]);
});

test("SIGINT ends the run and its commands with 130", { skip, timeout: 60_000 }, async (t) => {
  const made = project(t);
  const mark = `mark-${Math.random()}`;
  made.write("imagefile.ts", made.read("imagefile.ts").replace("sleep 0.3", "sleep 30"));
  const running = run(made, ["run"], { MARK: mark });
  while (made.runs("make:two") === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise((resolve) => setTimeout(resolve, 300));
  running.kill("SIGINT");
  assert.equal((await running).code, 130);
  assert.deepEqual(processesWith(`${made.directory}/.imgtask`), []);
});
