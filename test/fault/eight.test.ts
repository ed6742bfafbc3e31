/**
 * Eight imgtask on one project, round after round: one of them stopped for a minute, others killed. No target runs
 * twice at once, everybody ends well, and the bytes are right.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { preamble, noneWith, TestProject } from "../rig/project.ts";
import { stack } from "../rig/layers.ts";

const processes = 8, rounds = 50, stopped = 60_000;

const names = ["make:1", "make:2", "make:3"];

/** Each recipe says in one line each when it begins and when it ends; short appends do not mix. */
const imagefile = `${preamble}const say = (what) => appendFileSync(fromOutside("MARKS"), what + " " + process.pid + "\\n");
const one = (i, before) => target("make:" + i, {
  inputs: { seed: source("seed"), before }, outputs: { out: output("file", "x", { path: "artifacts/" + i }) },
  async run({ target, inputs, outputs, exec }) {
    say("begin " + target);
    await exec(["sh", "-c", 'cat "$1" >"$2"', "sh", inputs.seed, outputs.out], { env: { MARK: fromOutside("MARK") } });
    writeFileSync(outputs.out, readFileSync(outputs.out, "utf8") + inputs.before.map((path) => readFileSync(path, "utf8")).join(""));
    say("end " + target);
  },
});
const first = one(1, []), second = one(2, []);
export default group("all", [first, second, one(3, [first, second])]);
`;

test(`${processes} processes × ${rounds} rounds, one stopped for ${stopped / 1000} s, some killed`, { timeout: 1_200_000 }, async (t) => {
  const made = new TestProject({ "imagefile.ts": imagefile, seed: "" });
  t.after(() => made.eject());
  const marks = made.path("../marks");
  const mark = `mark-${Math.random()}`;
  const env = { MARKS: marks, MARK: mark };
  let waited = 0, ends = 0, killed = 0, killedAtWork = 0, stops = 0, runs = 0, repeated = 0;
  for (let round = 0; round < rounds; round++) {
    const seed = `round ${round};`;
    made.write("seed", seed);
    const before = existsSync(marks) ? readFileSync(marks, "utf8").length : 0;
    const since = (): readonly string[] => (existsSync(marks) ? readFileSync(marks, "utf8").slice(before).split("\n").filter((line) => line !== "") : []);
    const started = Array.from({ length: processes }, () => made.start(["run"], { env, timeout: 300_000 }));
    // Whoever works is hit, not one that waits.
    const working = async (): Promise<(typeof started)[number] | undefined> => {
      for (let i = 0; i < 2000 && since().length === 0; i++) await sleep(5);
      const pid = Number(since().at(-1)?.split(" ")[2]);
      return started.find(({ child }) => child.pid === pid);
    };
    let victim: (typeof started)[number] | undefined;
    if (round === 5) {
      const holder = await working();
      holder?.child.kill("SIGSTOP");
      if (holder !== undefined && holder.child.exitCode === null) stops++;
      await sleep(stopped);
      // Nobody took the place of one that merely sleeps.
      assert.equal(new Set(since().map((line) => line.split(" ")[2])).size, 1, "another one ran targets meanwhile");
      assert.equal(started.filter(({ child }) => child.exitCode !== null).length, 0, "the others wait");
      holder?.child.kill("SIGCONT");
    } else if (round % 5 === 1) {
      victim = await working();
      victim?.child.kill("SIGKILL");
    }
    const finished = await Promise.all(started.map(({ finished: one }) => one));
    for (const [index, { code, signal, stderr }] of finished.entries()) {
      ends++;
      if (signal === "SIGKILL" && started[index] === victim) {
        killed++;
        continue;
      }
      assert.equal(code, 0, `round ${round}: ${stderr}`);
      assert.doesNotMatch(stderr, stack);
      if (/wait/i.test(stderr)) waited++;
    }
    assert.deepEqual(await noneWith(mark, 4000), [], `round ${round}: processes left`);
    // Between the begin and the end of a target, or the death of who began it, nobody else begins it.
    const dead = victim?.child.signalCode === "SIGKILL" ? victim.child.pid : undefined;
    const open = new Map<string, number>(), finishedOnce = new Map<string, number>();
    for (const line of since()) {
      const [what, name, pid] = line.split(" ") as [string, string, string];
      const holder = open.get(name);
      if (what === "begin") {
        runs++;
        if (holder !== undefined && holder === dead) killedAtWork++;
        assert.ok(holder === undefined || holder === dead, `round ${round}: ${name} ran twice at once: ${since().join(", ")}`);
        open.set(name, Number(pid));
      } else {
        open.delete(name);
        finishedOnce.set(name, (finishedOnce.get(name) ?? 0) + 1);
      }
    }
    for (const name of names) {
      const times = finishedOnce.get(name) ?? 0;
      // Killed between the end of the recipe and its record, a target is made again.
      if (times > 1) repeated++;
      assert.ok(times === 1 || (times === 2 && dead !== undefined), `round ${round}: ${name} was made ${times} times`);
    }
    assert.deepEqual([1, 2, 3].map((i) => made.read(`artifacts/${i}`)), [seed, seed, seed.repeat(3)], `round ${round}`);
  }
  t.diagnostic(`${processes} processes × ${rounds} rounds: ${ends - killed} of ${ends} ended well, ${killed} were killed (${killedAtWork} in the middle of a target), ${stops} stopped for ${stopped / 1000} s, ${waited} waited and said for whom; ${runs} runs of targets, 0 at once, ${repeated} repeated (killed before their record); 0 wrong results`);
  assert.equal(stops, 1);
  assert.ok(killed >= 5 && waited > rounds);
});
