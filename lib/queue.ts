/**
 * Which of the queued starts next, given what is free: the most urgent that fits, and nobody waits for ever.
 * Pure: knows amounts and numbers, but no clock, no targets and no processes.
 * @module
 */

/** How much of each resource something takes while it runs: `cpu` → 2, `lock usb` → 1. */
export type Amounts = ReadonlyMap<string, number>;

/** Times that something may be passed over before what it takes is kept free for it. */
export const patience = 8;

interface Waiting {
  readonly name: string;
  readonly priority: number;
  readonly serial: number;
}

/** All that take the same amounts; any of them fits when one does, so that only the most urgent is looked at. */
interface Class {
  readonly amounts: Amounts;
  /** The most urgent last. */
  readonly waiting: Waiting[];
  /** How often something less urgent was started since one of this class was. */
  passed: number;
}

/** Of sums of fractions of a core. */
const tolerance = 1e-9;

/**
 * What waits for resources, and what holds them.
 *
 * The most urgent starts first; one that does not fit is passed over, so that nothing is idle which somebody could
 * use. After it was passed over {@linkcode patience} times, nothing starts any more that would delay it: what is
 * wide is not starved by what is narrow. What asks for more than there is takes all there is.
 *
 * @example
 * ```ts
 * const queue = new Queue((resource) => (resource === "cpu" ? 2 : 1));
 * queue.add("a", 10, new Map([["cpu", 2]]));
 * queue.add("b", 20, new Map([["cpu", 1]]));
 * queue.take(); // ["b"]; "a" starts after release("b")
 * ```
 */
export class Queue {
  readonly #capacity: (resource: string) => number;
  readonly #classes = new Map<string, Class>();
  readonly #held = new Map<string, Amounts>();
  readonly #used = new Map<string, number>();
  #serial = 0;
  #size = 0;

  constructor(capacity: (resource: string) => number) {
    this.#capacity = capacity;
  }

  /** Number of those that wait. */
  get size(): number {
    return this.#size;
  }

  /** How much of a resource is held. */
  used(resource: string): number {
    return this.#used.get(resource) ?? 0;
  }

  /** Puts something into the queue; the higher its priority, the more urgent. */
  add(name: string, priority: number, amounts: Amounts): void {
    const key = JSON.stringify([...amounts]);
    let of = this.#classes.get(key);
    if (of === undefined) this.#classes.set(key, (of = { amounts, waiting: [], passed: 0 }));
    const { waiting } = of;
    let low = 0, high = waiting.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      // Of equally urgent ones the first that came is the first that goes.
      if (waiting[middle]!.priority < priority) low = middle + 1;
      else high = middle;
    }
    waiting.splice(low, 0, { name, priority, serial: this.#serial++ });
    this.#size++;
  }

  /** Takes out all that can start now, the most urgent first. Each holds its resources until {@linkcode release}. */
  take(): readonly string[] {
    const started: string[] = [];
    for (let next = this.#choose(); next !== undefined; next = this.#choose()) {
      const { name } = next.waiting.pop()!;
      next.passed = 0;
      this.#size--;
      this.#hold(name, next.amounts);
      started.push(name);
    }
    return started;
  }

  /** Gives back what something held. */
  release(name: string): void {
    for (const [resource, amount] of this.#held.get(name) ?? []) this.#used.set(resource, this.used(resource) - amount);
    this.#held.delete(name);
    // Fractions must not add up to something that is never free again.
    if (this.#held.size === 0) this.#used.clear();
  }

  /** Forgets all that wait. */
  clear(): void {
    this.#classes.clear();
    this.#size = 0;
  }

  /** Which resources these amounts lack right now. */
  lacking(amounts: Amounts): readonly string[] {
    return [...amounts.keys()].filter((resource) => !this.#room(resource, amounts.get(resource)!, 0));
  }

  #room(resource: string, amount: number, reserved: number): boolean {
    const capacity = this.#capacity(resource);
    return this.used(resource) + reserved + Math.min(amount, capacity) <= capacity + tolerance;
  }

  #choose(): Class | undefined {
    const classes = [...this.#classes.values()].filter(({ waiting }) => waiting.length > 0).sort(moreUrgent);
    const reserved = new Map<string, number>();
    const passedOver: Class[] = [];
    for (const one of classes) {
      if ([...one.amounts].every(([resource, amount]) => this.#room(resource, amount, reserved.get(resource) ?? 0))) {
        for (const passed of passedOver) passed.passed++;
        return one;
      }
      passedOver.push(one);
      if (one.passed < patience) continue;
      for (const [resource, amount] of one.amounts) reserved.set(resource, (reserved.get(resource) ?? 0) + Math.min(amount, this.#capacity(resource)));
    }
    return undefined;
  }

  #hold(name: string, amounts: Amounts): void {
    const held = new Map([...amounts].map(([resource, amount]) => [resource, Math.min(amount, this.#capacity(resource))]));
    for (const [resource, amount] of held) this.#used.set(resource, this.used(resource) + amount);
    this.#held.set(name, held);
  }
}

function moreUrgent(a: Class, b: Class): number {
  const starvedA = a.passed >= patience ? a.passed : 0;
  const starvedB = b.passed >= patience ? b.passed : 0;
  if (starvedA !== starvedB) return starvedB - starvedA;
  const first = a.waiting.at(-1)!, second = b.waiting.at(-1)!;
  return second.priority - first.priority || first.serial - second.serial;
}
