/**
 * Random graphs, and a run of them in virtual time by the real policy: the queue and the priorities of `lib/`.
 * @module
 */
import { longestPaths } from "../../lib/priority.ts";
import { type Amounts, Queue } from "../../lib/queue.ts";

/** Something that takes time, after what it needs. */
export interface Task {
  readonly name: string;
  readonly needs: readonly string[];
  /** How long it takes. */
  readonly duration: number;
  /** How long it is thought to take. */
  readonly estimate: number;
  readonly amounts: Amounts;
}

/** When a task ran. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

/** What a simulated run was. */
export interface Simulated {
  readonly makespan: number;
  readonly spans: ReadonlyMap<string, Span>;
}

/** The most urgent by the policy of `lib/`, or as it came. */
export type Order = "longest path" | "as declared";

/** Runs tasks in virtual time. Fails when nothing runs and something is left. */
export function simulate(tasks: readonly Task[], capacity: (resource: string) => number, order: Order = "longest path"): Simulated {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const dependents = new Map<string, string[]>(tasks.map(({ name }) => [name, []]));
  for (const { name, needs } of tasks) for (const need of needs) dependents.get(need)!.push(name);
  const urgency = longestPaths(tasks.map(({ name }) => name), (name) => dependents.get(name)!, (name) => (order === "longest path" ? byName.get(name)!.estimate : 0));
  const waiting = new Map(tasks.map(({ name, needs }) => [name, needs.length]));
  const queue = new Queue(capacity);
  const enqueue = (name: string): void => queue.add(name, urgency.get(name)!, byName.get(name)!.amounts);
  const spans = new Map<string, Span>();
  const running: { readonly name: string; readonly end: number }[] = [];
  let now = 0;
  for (const { name, needs } of tasks) if (needs.length === 0) enqueue(name);
  for (let left = tasks.length; left > 0; ) {
    for (const name of queue.take()) {
      const end = now + byName.get(name)!.duration;
      spans.set(name, { begin: now, end });
      running.push({ name, end });
    }
    if (running.length === 0) throw new Error(`deadlock: ${left} tasks are left`);
    now = Math.min(...running.map(({ end }) => end));
    for (const { name } of running.filter(({ end }) => end === now)) {
      queue.release(name);
      left--;
      for (const dependent of dependents.get(name)!) {
        const open = waiting.get(dependent)! - 1;
        waiting.set(dependent, open);
        if (open === 0) enqueue(dependent);
      }
    }
    running.splice(0, running.length, ...running.filter(({ end }) => end > now));
  }
  return { makespan: now, spans };
}

/** Length of the longest path. */
export function criticalPath(tasks: readonly Task[]): number {
  const ends = new Map<string, number>();
  for (const { name, needs, duration } of tasks) ends.set(name, duration + Math.max(0, ...needs.map((need) => ends.get(need)!)));
  return Math.max(0, ...ends.values());
}

/** Shapes of graphs that builds have. */
export const shapes = ["layered", "in-tree", "out-tree", "chains and fans", "series-parallel", "random"] as const;

/** One of {@linkcode shapes}. */
export type Shape = (typeof shapes)[number];

/** Names of what each task needs, of a random graph of a shape; those that are needed come first. */
export function randomGraph(shape: Shape, size: number, random: () => number): readonly (readonly number[])[] {
  const below = (limit: number): number => Math.floor(random() * limit);
  const several = (from: number, to: number, most: number): readonly number[] => [...new Set(Array.from({ length: 1 + below(most) }, () => from + below(to - from)))];
  const needs: (readonly number[])[] = [];
  switch (shape) {
    case "layered": {
      const width = 2 + below(12);
      for (let i = 0; i < size; i++) {
        const layer = Math.floor(i / width);
        needs.push(layer === 0 ? [] : several((layer - 1) * width, layer * width, 3));
      }
      return needs;
    }
    case "out-tree":
      for (let i = 0; i < size; i++) needs.push(i === 0 ? [] : [Math.max(0, i - 1 - below(Math.min(i, 12)))]);
      return needs;
    case "in-tree": {
      // Leaves first: each gives to one that comes later.
      const lists: number[][] = Array.from({ length: size }, () => []);
      for (let i = 0; i < size - 1; i++) lists[Math.min(size - 1, i + 1 + below(12))]!.push(i);
      return lists;
    }
    case "chains and fans": {
      // A download, a chain behind it, and images and tests that fan out, as imagefiles have it.
      for (let end = 0; needs.length < size; end = needs.length) {
        const chain = 1 + below(6), fan = 1 + below(8);
        for (let i = 0; i < chain && needs.length < size; i++) needs.push(i === 0 ? [] : [needs.length - 1]);
        const last = needs.length - 1;
        for (let i = 0; i < fan && needs.length < size; i++) needs.push(end > 0 && random() < 0.2 ? [last, below(end)] : [last]);
      }
      return needs;
    }
    case "series-parallel": {
      // Forks and joins, one after the other.
      for (let join: number | undefined; needs.length < size; ) {
        const heads = 1 + below(10);
        const tails: number[] = [];
        for (let i = 0; i < heads && needs.length < size; i++) {
          const length = 1 + below(4);
          for (let j = 0; j < length && needs.length < size; j++) needs.push(j === 0 ? (join === undefined ? [] : [join]) : [needs.length - 1]);
          tails.push(needs.length - 1);
        }
        if (needs.length < size) join = needs.push(tails) - 1;
      }
      return needs;
    }
    case "random": {
      const degree = 0.5 + random() * 2;
      for (let i = 0; i < size; i++) needs.push(Array.from({ length: i }, (_, j) => j).filter(() => random() < degree / size));
      return needs;
    }
  }
}
