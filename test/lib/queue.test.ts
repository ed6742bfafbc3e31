/**
 * The queue: the most urgent that fits starts, nothing is ever over-committed, and nobody waits for ever.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Amounts, patience, Queue } from "../../lib/queue.ts";
import { randomFrom } from "../rig/random.ts";

const amounts = (parts: Readonly<Record<string, number>>): Amounts => new Map(Object.entries(parts));
const one = amounts({ cpu: 1 });
const cores = (number: number) => (resource: string): number => (resource === "cpu" ? number : 1);

test("the most urgent starts first; of equally urgent ones the first that came", () => {
  const queue = new Queue(cores(1));
  for (const [name, priority] of [["a", 1], ["b", 5], ["c", 3], ["d", 5]] as const) queue.add(name, priority, one);
  const order: string[] = [];
  for (let [next] = queue.take(); next !== undefined; [next] = queue.take()) {
    order.push(next);
    queue.release(next);
  }
  assert.deepEqual(order, ["b", "d", "c", "a"]);
});

test("what does not fit is passed over, what fits starts", () => {
  const queue = new Queue(cores(2));
  queue.add("wide", 9, amounts({ cpu: 2 }));
  queue.add("narrow", 1, one);
  assert.deepEqual(queue.take(), ["wide"]);
  queue.add("wide2", 9, amounts({ cpu: 2 }));
  queue.release("wide");
  queue.add("first", 99, one);
  assert.deepEqual(queue.take(), ["first", "narrow"]);
  assert.deepEqual(queue.lacking(amounts({ cpu: 2, memory: 1 })), ["cpu"]);
  assert.deepEqual([queue.used("cpu"), queue.used("memory"), queue.size], [2, 0, 1]);
});

test("what wants more than there is takes all there is, and beside it only what takes none of it", () => {
  const queue = new Queue(cores(2));
  queue.add("huge", 9, amounts({ cpu: 64 }));
  queue.add("small", 8, one);
  queue.add("weightless", 1, amounts({ cpu: 0 }));
  assert.deepEqual(queue.take(), ["huge", "weightless"]);
  queue.release("huge");
  assert.deepEqual(queue.take(), ["small"]);
});

test("names of resources are names, whatever an object would make of them", () => {
  const queue = new Queue(() => 1);
  for (const name of ["constructor", "__proto__", "toString"]) {
    queue.add(`${name} 1`, 1, new Map([[name, 1]]));
    queue.add(`${name} 2`, 0, new Map([[name, 1]]));
  }
  assert.equal(queue.take().length, 3);
  assert.equal(queue.take().length, 0);
});

test("a wide one is not starved by less urgent narrow ones that keep coming", () => {
  const queue = new Queue(cores(4));
  const running: string[] = [];
  for (let i = 0; i < 4; i++) queue.add(`n${i}`, 100, one);
  running.push(...queue.take());
  queue.add("wide", 10, amounts({ cpu: 4 }));
  let begun = -1;
  for (let i = 4; i < 200 && begun < 0; i++) {
    queue.add(`n${i}`, 0, one);
    queue.release(running.shift()!);
    const started = queue.take();
    if (started.includes("wide")) begun = i - 4;
    running.push(...started);
  }
  // It is passed over so often, then what runs is let end.
  assert.equal(begun, patience + 3);
});

test("what is kept free for one that starves can be used as long as it does not delay it", () => {
  const queue = new Queue((resource) => (resource === "cpu" ? 4 : 1));
  queue.add("holder", 100, amounts({ "lock usb": 1 }));
  queue.take();
  queue.add("starves", 50, amounts({ cpu: 2, "lock usb": 1 }));
  for (let i = 0; i < patience + 1; i++) {
    queue.add(`n${i}`, 1, one);
    queue.take();
    if (i < patience) queue.release(`n${i}`);
  }
  queue.add("more", 1, one);
  assert.deepEqual(queue.take(), ["more"], "two of four cores are not needed for it");
  queue.add("too much", 1, one);
  assert.deepEqual(queue.take(), []);
  queue.release("holder");
  assert.deepEqual(queue.take(), ["starves"]);
});

test("3,000 random queues: everything ends, and no resource is ever over-committed", (t) => {
  let targets = 0, longest = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const random = randomFrom(seed);
    const whole = (most: number): number => Math.floor(random() * (most + 1));
    const resources = ["cpu", "memory", "disk", "network", "lock a", "lock b"];
    const capacity = new Map(resources.map((resource) => [resource, 1 + whole(resource.startsWith("lock") ? 0 : 7)]));
    const queue = new Queue((resource) => capacity.get(resource)!);
    const wants = new Map<string, Amounts>();
    const number = 1 + whole(40);
    for (let i = 0; i < number; i++) {
      const wanted = resources.filter(() => random() < 0.5);
      // Some want more than there is, some a fraction.
      wants.set(`t${i}`, new Map(wanted.map((resource) => [resource, resource === "cpu" ? whole(20) / 2 : whole(10)])));
      queue.add(`t${i}`, whole(5), wants.get(`t${i}`)!);
    }
    const running: string[] = [];
    let done = 0;
    for (let round = 0; done < number; round++) {
      assert.ok(round <= number, `seed ${seed}: something never starts`);
      running.push(...queue.take());
      assert.ok(running.length > 0, `seed ${seed}: deadlock`);
      for (const resource of resources) {
        const held = running.reduce((sum, name) => sum + Math.min(wants.get(name)!.get(resource) ?? 0, capacity.get(resource)!), 0);
        assert.ok(held <= capacity.get(resource)! + 1e-6, `seed ${seed}: ${held} of ${resource}`);
        assert.ok(Math.abs(held - queue.used(resource)) < 1e-6, `seed ${seed}: ${resource} is counted wrongly`);
      }
      const [ended] = running.splice(whole(running.length - 1), 1);
      queue.release(ended!);
      done++;
      longest = Math.max(longest, round);
    }
    targets += number;
    assert.deepEqual([queue.size, ...resources.map((resource) => queue.used(resource))], [0, 0, 0, 0, 0, 0, 0]);
  }
  t.diagnostic(`${targets} targets in 3,000 queues, 0 over-committed, 0 left behind`);
});
