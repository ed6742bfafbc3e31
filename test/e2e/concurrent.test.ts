/**
 * Several imgtask on one project: one writes, the others wait and say for whom; no target runs twice.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { note, preamble, TestProject } from "../rig/project.ts";

const imagefile = `${preamble}const targets = [1, 2, 3].map((i) => target("make:" + i, {
  inputs: { seed: source("seed") }, outputs: { out: output("file", "x", { path: "artifacts/" + i }) },
  async run({ target, inputs, outputs, exec }) { ${note} await exec(["sleep", "0.1"]); writeFileSync(outputs.out, readFileSync(inputs.seed)); },
}));
export default group("all", targets);
`;

test("4 processes × 5 rounds: each target once a round, all succeed", { timeout: 120_000 }, async (t) => {
  const made = new TestProject({ "imagefile.ts": imagefile, seed: "" });
  t.after(() => made.eject());
  let waited = 0;
  for (let round = 0; round < 5; round++) {
    made.write("seed", `round ${round}`);
    const results = await Promise.all(Array.from({ length: 4 }, () => made.imgtask("run")));
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    waited += results.filter(({ stderr }) => /wait/i.test(stderr)).length;
    for (const name of ["make:1", "make:2", "make:3"]) assert.equal(made.runs(name), 1, `${name} in round ${round}`);
    made.ran();
    for (const i of [1, 2, 3]) assert.equal(made.read(`artifacts/${i}`), `round ${round}`);
  }
  t.diagnostic(`${waited} of 20 had to wait`);
  assert.ok(waited > 0);
});

test("a waiting process says for whom, and goes on at once when the holder is killed, even a stopped one", { timeout: 60_000 }, async (t) => {
  const made = new TestProject({ "imagefile.ts": imagefile.replace('"0.1"', '"30"').replace("inputs, outputs, exec })", "inputs, outputs, exec, env })").replace("inputs: {", `env: ["SLOW"], inputs: {`).replace("await exec", `if (env.SLOW) await exec`), seed: "x" });
  t.after(() => made.eject());
  const holder = made.start(["run"], { env: { SLOW: "1" } });
  while (made.ran().length === 0) await sleep(20);
  holder.child.kill("SIGSTOP");
  const waiter = made.start(["run"]);
  let said = "";
  waiter.child.stderr!.on("data", (chunk: Buffer) => (said += String(chunk)));
  for (let i = 0; i < 200 && !said.includes(`process ${holder.child.pid!}`); i++) await sleep(20);
  assert.match(said, new RegExp(`process ${holder.child.pid!}, imgtask`));
  await sleep(300);
  assert.deepEqual(made.ran(), made.ran(), "nothing runs while the lock is held");
  const began = Date.now();
  holder.child.kill("SIGKILL");
  const { code, stderr } = await waiter.finished;
  assert.equal(code, 0, stderr);
  assert.ok(Date.now() - began < 5000, `woke and finished after ${Date.now() - began} ms`);
  await holder.finished;
});

test("a waiting process can be interrupted", async (t) => {
  const made = new TestProject({ "imagefile.ts": imagefile.replace('"0.1"', '"30"'), seed: "x" });
  t.after(() => made.eject());
  const holder = made.start(["run"]);
  while (made.ran().length === 0) await sleep(20);
  const waiter = made.start(["run"]);
  await sleep(800);
  waiter.child.kill("SIGINT");
  assert.equal((await waiter.finished).code, 130);
  holder.child.kill("SIGTERM");
  assert.equal((await holder.finished).code, 143);
});
