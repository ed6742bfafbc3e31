/**
 * SIGKILL between any two calls that change something, in the middle of writes, around every start of a process, and
 * by the clock: the next run repairs nothing, repeats no finished work and believes nothing that is not true.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { rmSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { callsIn, compileShim, Decoys, type Fault, faultEnvironment, spread } from "../rig/fault.ts";
import { randomFrom } from "../rig/random.ts";
import { Layers } from "../rig/layers.ts";

const counts = { calls: 200, torn: 30, processes: 75, clock: 40 } as const;

/** Counted over the points of one test. */
interface Tally {
  killed: number;
  /** Targets that were recorded before the kill, and so must not run again. */
  kept: number;
  again: number;
  decoys: number;
}

async function open(t: TestContext): Promise<{ readonly layers: Layers; readonly decoys: Decoys }> {
  const layers = new Layers();
  const decoys = new Decoys(layers.project.directory);
  t.after(() => {
    decoys.dispose();
    layers.dispose();
  });
  layers.begin();
  await layers.recovers("first");
  return { layers, decoys };
}

/** Kills one build and looks at what is left, and at the next run. */
async function killOnce({ layers, decoys }: { readonly layers: Layers; readonly decoys: Decoys }, name: string, other: boolean, tally: Tally, kill: () => Promise<NodeJS.Signals | null>): Promise<void> {
  layers.begin();
  const signal = await kill();
  await layers.noneLeft();
  assert.deepEqual(decoys.harmed(), [], name);
  if (signal === "SIGKILL") tally.killed++;
  const recorded = layers.recorded();
  tally.kept += recorded.length;
  // Some of the times the next run finds other inputs.
  if (other) layers.reseed();
  const ran = await layers.recovers(name);
  if (!other) for (const target of ran) if (recorded.includes(target)) tally.again++;
  if (other) assert.equal(ran.length, 6, `${name}: with another seed every target runs`);
  assert.equal(tally.again, 0, `${name}: ${ran.join(" ")} ran, though ${recorded.join(" ")} were on record`);
  assert.deepEqual(decoys.harmed(), [], name);
}

function closing(t: TestContext, title: string, points: number, tally: Tally): void {
  t.diagnostic(`${title}: ${tally.killed} of ${points} kills hit; 0 wrong results, 0 of ${tally.kept} finished targets repeated, 0 processes or leftovers, 0 of ${tally.decoys} decoys touched`);
}

/** Kills at calls spread evenly over all calls of a build. */
async function killAtCalls(t: TestContext, title: string, calls: string, does: "kill" | "tear", points: number, only?: string): Promise<void> {
  const shim = compileShim(t);
  const tally: Tally = { killed: 0, kept: 0, again: 0, decoys: 0 };
  const first = await open(t);
  const fault = (layers: Layers, at: number, log?: string): Record<string, string> =>
    faultEnvironment({ shim, root: layers.project.directory, calls, at, does, ...(only === undefined ? {} : { only }), ...(log === undefined ? {} : { log }) } satisfies Fault);
  const log = join(first.layers.project.directory, "../calls");
  first.layers.begin();
  const { code, stderr } = await first.layers.run(fault(first.layers, 0, log));
  assert.equal(code, 0, stderr);
  const total = callsIn(log).length;
  rmSync(log);
  const places: Awaited<ReturnType<typeof open>>[] = [first];
  await spread(
    Array.from({ length: points }, (_, index) => index),
    async () => {
      const place = places.pop() ?? (await open(t));
      tally.decoys += place.decoys.count;
      return place;
    },
    async (place, index) => {
      const at = 1 + Math.floor((index * total) / points);
      await killOnce(place, `call ${at} of ${total}`, index % 4 === 3, tally, async () => (await place.layers.run(fault(place.layers, at))).signal);
    },
  );
  closing(t, `${title} (${total} in a build)`, points, tally);
  assert.ok(tally.killed >= points * 0.9, `${tally.killed} of ${points} hit`);
}

test(`SIGKILL before ${counts.calls} calls that change files`, { timeout: 900_000 }, (t) => killAtCalls(t, "changing calls", "w", "kill", counts.calls));

test(`SIGKILL in the middle of ${counts.torn} writes`, { timeout: 300_000 }, (t) => killAtCalls(t, "torn writes", "w", "tear", counts.torn, "write /"));

test(`SIGKILL at ${counts.processes} calls around starting and feeding processes`, { timeout: 600_000 }, (t) => killAtCalls(t, "process calls", "p", "kill", counts.processes));

test(`SIGKILL at ${counts.clock} moments`, { timeout: 300_000 }, async (t) => {
  const random = randomFrom(1);
  const tally: Tally = { killed: 0, kept: 0, again: 0, decoys: 0 };
  const place = await open(t);
  tally.decoys = place.decoys.count;
  const { layers } = place;
  // How long a whole build takes here and now.
  const began = Date.now();
  layers.begin();
  await layers.recovers("timing");
  const whole = (Date.now() - began) * 0.8;
  for (let point = 0; point < counts.clock; point++) {
    await killOnce(place, `moment ${point}`, point % 4 === 3, tally, async () => {
      const { child, finished } = layers.project.start(["run", "-j2"], { env: { MARK: layers.mark } });
      await sleep(((point + random()) / counts.clock) * whole);
      child.kill("SIGKILL");
      return (await finished).signal;
    });
  }
  closing(t, "moments", counts.clock, tally);
  assert.ok(tally.killed >= counts.clock / 4);
});
