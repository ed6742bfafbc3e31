/**
 * How good the schedule is: random graphs in virtual time, by the policy that real runs are scheduled with. The
 * lower bound of a makespan is the critical path, or the work divided by the cores, whichever is longer.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "../rig/random.ts";
import { criticalPath, randomGraph, type Shape, shapes, simulate, type Task } from "../rig/simulate.ts";

/** Seconds, of a spread that builds have: many short ones, some a hundred times as long. */
function someDuration(random: () => number): number {
  return Math.exp(random() * Math.log(100));
}

interface Parts {
  readonly shape: Shape;
  readonly seed: number;
  /** Most cores that one task takes. */
  readonly widest: number;
  /** Factor by which estimates are wrong at most. */
  readonly wrong: number;
}

function tasksOf({ shape, seed, widest, wrong }: Parts): readonly Task[] {
  const random = randomFrom(seed);
  return randomGraph(shape, 20 + Math.floor(random() * 180), random).map((needs, index) => {
    const duration = someDuration(random);
    return {
      name: `t${index}`,
      needs: needs.map((need) => `t${need}`),
      duration,
      estimate: duration * wrong ** (2 * random() - 1),
      amounts: new Map([["cpu", 1 + Math.floor(random() * widest)]]),
    };
  });
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const shown = (values: readonly number[]): string => `median ${median(values).toFixed(3)}, 90 % ${[...values].sort((a, b) => a - b)[Math.floor(values.length * 0.9)]!.toFixed(3)}, worst ${Math.max(...values).toFixed(3)}`;
const perShape = 150;
const machines = [2, 3, 4, 8, 16];

interface Case extends Parts {
  readonly cores: number;
}

function cases(widest: number, wrong: number): readonly Case[] {
  return shapes.flatMap((shape, s) => Array.from({ length: perShape }, (_, i) => ({ shape, seed: 1 + s * perShape + i, widest, wrong, cores: machines[i % machines.length]! })));
}

const work = (tasks: readonly Task[]): number => tasks.reduce((sum, task) => sum + task.duration * task.amounts.get("cpu")!, 0);

/** Refuses a run in which something began too early. */
function checkOrder(tasks: readonly Task[], spans: ReadonlyMap<string, { readonly begin: number; readonly end: number }>): void {
  for (const { name, needs } of tasks) for (const need of needs) assert.ok(spans.get(need)!.end <= spans.get(name)!.begin, `${need} before ${name}`);
}

for (const wrong of [1, 4]) {
  test(`one core each, ${wrong === 1 ? "durations known" : `durations known up to a factor of ${wrong}`}: the makespan beside the lower bound`, (t) => {
    const ratios = new Map<Shape, number[]>(shapes.map((shape) => [shape, []]));
    const unordered: number[] = [];
    let nearest = 0;
    for (const one of cases(1, wrong)) {
      const tasks = tasksOf(one);
      const bound = Math.max(criticalPath(tasks), work(tasks) / one.cores);
      const { makespan, spans } = simulate(tasks, () => one.cores);
      checkOrder(tasks, spans);
      const ratio = makespan / bound, most = 2 - 1 / one.cores;
      assert.ok(ratio >= 1 - 1e-9, `${one.shape}, seed ${one.seed}: faster than possible`);
      assert.ok(ratio <= most + 1e-9, `${one.shape}, seed ${one.seed}, ${one.cores} cores: ${ratio} times the lower bound`);
      nearest = Math.max(nearest, ratio / most);
      ratios.get(one.shape)!.push(ratio);
      unordered.push(simulate(tasks, () => one.cores, "as declared").makespan / bound);
    }
    const all = [...ratios.values()].flat();
    for (const [shape, values] of ratios) t.diagnostic(`${shape}: ${values.length} graphs, ${shown(values)}`);
    t.diagnostic(`all: ${all.length} graphs, ${shown(all)}; nearest to 2 - 1/m: ${(nearest * 100).toFixed(0)} % of it; in order of declaration: ${shown(unordered)}`);
    assert.ok(all.length >= 500);
    assert.ok(median(all) <= 1.1, `${median(all)} times the lower bound in the median`);
    assert.ok(median(all) <= median(unordered), "an order that is no better than none");
  });
}

test("several cores each: never longer than the critical path and the work on the cores that are surely busy", (t) => {
  // While something is ready and waits, more than m - w of the m cores are busy, where w is the widest task (clamped
  // to m). All other time shortens the longest path. So: makespan <= critical path + work / (m - w + 1).
  const ratios: number[] = [], used: number[] = [];
  for (const one of cases(4, 2)) {
    const tasks = tasksOf(one).map((task) => ({ ...task, amounts: new Map([["cpu", Math.min(task.amounts.get("cpu")!, one.cores)]]) }));
    const widest = Math.max(...tasks.map((task) => task.amounts.get("cpu")!));
    const { makespan, spans } = simulate(tasks, () => one.cores);
    checkOrder(tasks, spans);
    const most = criticalPath(tasks) + work(tasks) / (one.cores - widest + 1);
    assert.ok(makespan <= most + 1e-6, `${one.shape}, seed ${one.seed}, ${one.cores} cores: ${makespan} > ${most}`);
    ratios.push(makespan / Math.max(criticalPath(tasks), work(tasks) / one.cores));
    used.push(makespan / most);
  }
  t.diagnostic(`${ratios.length} graphs, beside the lower bound: ${shown(ratios)}; beside the upper bound: ${shown(used)}`);
});

test("memory, places and locks beside cores: everything ends, nothing is over-committed, and something is always busy", (t) => {
  // A ready task that waits lacks some resource r, of which more than capacity - widest demand is held. So:
  // makespan <= critical path + the sum over r of (demand x time of all tasks) / (capacity - widest demand + 1).
  const capacities = new Map([["memory", 16], ["network", 4], ["kvm", 2], ["lock usb", 1]]);
  const ratios: number[] = [], used: number[] = [];
  for (const one of cases(2, 2)) {
    const random = randomFrom(one.seed * 7919);
    const capacity = (resource: string): number => (resource === "cpu" ? one.cores : capacities.get(resource)!);
    const tasks = tasksOf(one).map((task) => {
      const amounts = new Map(task.amounts);
      amounts.set("cpu", Math.min(amounts.get("cpu")!, one.cores));
      if (random() < 0.4) amounts.set("memory", 1 + Math.floor(random() * 12));
      if (random() < 0.2) amounts.set("network", 1);
      if (random() < 0.2) amounts.set("kvm", 1);
      if (random() < 0.05) amounts.set("lock usb", 1);
      return { ...task, amounts };
    });
    const { makespan, spans } = simulate(tasks, capacity);
    checkOrder(tasks, spans);
    let lower = criticalPath(tasks), most = criticalPath(tasks);
    for (const resource of ["cpu", ...capacities.keys()]) {
      const taking = tasks.filter((task) => (task.amounts.get(resource) ?? 0) > 0);
      for (const { name } of taking) {
        const { begin } = spans.get(name)!;
        const held = taking.reduce((sum, other) => sum + (spans.get(other.name)!.begin <= begin && begin < spans.get(other.name)!.end ? other.amounts.get(resource)! : 0), 0);
        assert.ok(held <= capacity(resource), `${one.shape}, seed ${one.seed}: ${held} of ${resource}`);
      }
      const volume = taking.reduce((sum, task) => sum + task.amounts.get(resource)! * task.duration, 0);
      lower = Math.max(lower, volume / capacity(resource));
      if (taking.length > 0) most += volume / (capacity(resource) - Math.max(...taking.map((task) => task.amounts.get(resource)!)) + 1);
    }
    assert.ok(makespan <= most + 1e-6, `${one.shape}, seed ${one.seed}: ${makespan} > ${most}`);
    ratios.push(makespan / lower);
    used.push(makespan / most);
  }
  t.diagnostic(`${ratios.length} graphs, beside the lower bound: ${shown(ratios)}; beside the upper bound: ${shown(used)}`);
});

test("a graph on which the policy is at its worst comes near the bound, and not beyond it", (t) => {
  // m(m - 1) tasks of 1, then one of m that nobody knew to be long: the last core does all of it alone.
  for (const cores of machines) {
    const amounts = new Map([["cpu", 1]]);
    const short = Array.from({ length: cores * (cores - 1) }, (_, index) => ({ name: `s${index}`, needs: [], duration: 1, estimate: 2, amounts }));
    const { makespan } = simulate([...short, { name: "long", needs: [], duration: cores, estimate: 1, amounts }], () => cores);
    const ratio = makespan / cores;
    assert.ok(Math.abs(ratio - (2 - 1 / cores)) < 1e-9, `${ratio} on ${cores} cores`);
  }
  t.diagnostic(`2 - 1/m is reached on ${machines.join(", ")} cores when an estimate is wrong`);
});
