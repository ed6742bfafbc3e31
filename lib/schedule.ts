/**
 * The only loop: brings the wanted targets from want through ready, queued and running to done or failed.
 * Freshness is decided when a target becomes ready. Which of the queued starts next is `queue.ts`'s to say.
 * @module
 */
import { setMaxListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import type { Budget } from "./budget.ts";
import { type Content, contentOf } from "./content.ts";
import { ImgtaskError, isImgtaskError } from "./error.ts";
import { accessError, diskError } from "./disk-error.ts";
import type { Listener, Outcome } from "./event.ts";
import type { Judgements } from "./gather.ts";
import { closure } from "./graph.ts";
import { Job, type JobHost } from "./job.ts";
import type { Loaded } from "./load.ts";
import { judge } from "./plan.ts";
import { estimator, longestPaths } from "./priority.ts";
import { Queue } from "./queue.ts";
import type { Record } from "./record.ts";
import { type Audit, restoreOutput } from "./run.ts";
import { resolveNow, type State, type Upstream } from "./state.ts";
import type { Declaration } from "./target.ts";
import type { Trace, TraceSpan } from "./trace.ts";
import { Witness } from "./witness.ts";

/**
 * What a failure means for the others: what runs is finished and nothing new begins (`no-new`), all that does not
 * depend on it goes on (`continue`), or what runs is ended (`kill`).
 */
export type FailureMode = "no-new" | "continue" | "kill";

/** How a run is scheduled. */
export interface ScheduleOptions {
  /** How much may be taken at once. */
  readonly budget: Budget;
  readonly failures: FailureMode;
  /** Targets that run even when fresh. */
  readonly forced: ReadonlySet<string>;
  /** Targets that are known to be fresh, with all that they need: they are done before the loop begins. @default none */
  readonly proven?: ReadonlySet<string>;
  /** Is told what every target was found to be. @default nobody */
  readonly judgements?: Judgements;
  /** Is told what happens when. @default nobody */
  readonly trace?: Trace | undefined;
  /** Milliseconds that a free core waits for a verdict on what just became ready. @default 25 */
  readonly patience?: number;
  /** Watches the recipes. Then nothing else may run beside one. */
  readonly audit?: Audit | undefined;
  readonly signal: AbortSignal;
  readonly on: Listener;
}

/** What became of the wanted targets. */
export interface Summary {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** The first failure. */
  readonly failure: ImgtaskError | undefined;
}

/** Runs what is stale among the named targets and all that they need. */
export async function schedule(loaded: Loaded, names: readonly string[], state: State, options: ScheduleOptions): Promise<Summary> {
  return new Schedule(loaded, closure(loaded.graph, names), state, options).finish();
}

class Schedule {
  readonly #loaded: Loaded;
  readonly #order: readonly string[];
  readonly #state: State;
  readonly #options: ScheduleOptions;
  readonly #made = new Map<string, Content>();
  readonly #upstream: Upstream = { get: (output) => this.#made.get(output) ?? this.#proven(output) };
  readonly #outcomes = new Map<string, Outcome>();
  /** Dependencies not yet done, by target. */
  readonly #waiting = new Map<string, number>();
  /** Made when the first target is stale: a run with nothing to do needs none. */
  #priority: ReadonlyMap<string, number> | undefined;
  readonly #queue: Queue;
  readonly #host: JobHost;
  /** What is queued, by name. */
  readonly #queued = new Map<string, Job>();
  #active = 0;
  /** Of the active ones, those whose freshness is being decided. */
  #deciding = 0;
  #patience: NodeJS.Timeout | undefined;
  /** When the event loop last had a turn that was asked for; in milliseconds. */
  #turned = performance.now();
  #turning: Promise<void> | undefined;
  #failure: ImgtaskError | undefined;
  #settled: () => void = () => {};
  /** Ends what runs. */
  readonly #stop = new AbortController();
  /** Nothing new may begin. */
  readonly #closing = new AbortController();

  constructor(loaded: Loaded, order: readonly string[], state: State, options: ScheduleOptions) {
    this.#loaded = loaded;
    this.#order = order;
    this.#state = state;
    this.#options = options;
    this.#queue = new Queue((resource) => options.budget.of(resource));
    // Any number of commands may run at once, and of targets wait to be tried again.
    setMaxListeners(0, this.#stop.signal, this.#closing.signal);
    const { budget, trace, audit, on } = options;
    this.#host = { loaded, state, upstream: this.#upstream, judgements: options.judgements, budget, trace, audit, stop: this.#stop.signal, closing: this.#closing.signal, on };
  }

  async finish(): Promise<Summary> {
    const { signal } = this.#options;
    const abort = (): void => {
      this.#stop.abort();
      this.#closing.abort();
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    for (const name of this.#order) this.#waiting.set(name, this.#loaded.graph.get(name)!.dependencies.length);
    const settled = new Promise<void>((resolve) => (this.#settled = resolve));
    this.#begin();
    this.#advance();
    // A recipe that waits for something no timer or handle stands for must not let the process end under it.
    const alive = setInterval(() => {}, 3_600_000);
    await settled;
    clearInterval(alive);
    signal.removeEventListener("abort", abort);
    for (const name of this.#order) {
      if (this.#outcomes.has(name)) continue;
      this.#outcomes.set(name, "cancelled");
      if (!this.#isGroup(name)) this.#options.on({ type: "target cancelled", target: name });
    }
    return { outcomes: this.#outcomes, failure: this.#failure };
  }

  /** Whether nothing new may be started. */
  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Marks what is proven fresh, without a promise for each of them, and looks at what is ready then. */
  #begin(): void {
    if (this.#closed) return;
    const { proven, on } = this.#options;
    const ready: string[] = [];
    for (const name of this.#order) {
      if (this.#waiting.get(name) !== 0) continue;
      const group = this.#isGroup(name);
      if (!group && proven?.has(name) !== true) {
        ready.push(name);
        continue;
      }
      if (!group) on({ type: "target fresh", target: name });
      this.#close(name, "fresh");
    }
    for (const name of ready) this.#ready(name);
  }

  #isGroup(name: string): boolean {
    return this.#loaded.graph.get(name)!.group;
  }

  /**
   * Work that never waits goes on by promises alone, and would keep signals, timers and the garbage collector's tasks from
   * their turn for as long as there is any.
   */
  #breathe(): Promise<void> | undefined {
    if (this.#turning === undefined && performance.now() - this.#turned < 20) return undefined;
    return (this.#turning ??= turn().then(() => {
      this.#turned = performance.now();
      this.#turning = undefined;
    }));
  }

  /** All that the target needs is done: decide whether it is fresh. */
  #ready(name: string): void {
    if (this.#closed) return;
    if (this.#isGroup(name)) return this.#done(name, "fresh");
    this.#active++;
    this.#deciding++;
    const { declaration } = this.#loaded.graph.get(name)!;
    const span = this.#options.trace?.begin("freshness", name);
    void this.#decide(declaration, span)
      .catch((error: unknown) => this.#fail(declaration, error, 0, undefined))
      .finally(() => {
        span?.end();
        this.#active--;
        this.#deciding--;
        this.#advance();
      });
  }

  async #decide(declaration: Declaration, span: TraceSpan | undefined): Promise<void> {
    const { name } = declaration;
    await this.#breathe();
    if (this.#closed) return;
    const inputs = new Witness(), outputs = new Witness();
    const now = await resolveNow(declaration, this.#loaded, this.#state, this.#upstream, inputs);
    const verdict = await judge(declaration, now, this.#state, this.#options.forced.has(name), outputs);
    if (verdict.type === "stale") {
      span?.end({ verdict: "stale", reasons: verdict.reasons });
      return this.#enqueue(new Job(declaration, verdict, inputs, this.#host));
    }
    const { record, restore } = verdict;
    if (restore.length > 0) span?.part("restore");
    for (const output of restore) await restoreOutput(declaration, output, record.outputs[output]!, this.#state);
    span?.end({ verdict: restore.length > 0 ? "restored" : "fresh" });
    if (this.#state.records.latest(name) !== record) this.#state.records.append(record);
    await this.#options.judgements?.keep(declaration, record, this.#state, inputs, restore.length > 0 ? undefined : outputs);
    this.#publish(record);
    if (restore.length > 0) this.#options.on({ type: "target restored", target: name, paths: restore.map((output) => record.outputs[output]!.path!) });
    else this.#options.on({ type: "target fresh", target: name });
    this.#done(name, restore.length > 0 ? "restored" : "fresh");
  }

  #enqueue(job: Job): void {
    const { graph } = this.#loaded;
    const { name } = job.declaration;
    this.#priority ??= longestPaths(this.#order.filter((one) => this.#options.proven?.has(one) !== true), (one) => graph.get(one)!.dependents, estimator(graph, this.#state.records));
    job.enqueued();
    this.#queued.set(name, job);
    this.#queue.add(name, this.#priority.get(name)!, job.amounts);
  }

  /** Content of an output of a target that is proven fresh: its record is read when somebody asks. */
  #proven(output: string): Content | undefined {
    const at = output.lastIndexOf("#");
    const target = output.slice(0, at);
    return this.#options.proven?.has(target) === true ? this.#state.records.latest(target)?.outputs[output.slice(at + 1)] : undefined;
  }

  #publish(record: Record): void {
    for (const [output, stored] of Object.entries(record.outputs)) this.#made.set(`${record.target}#${output}`, contentOf(stored));
  }

  /** Notes what became of a target; gives those that now have all they need. */
  #close(name: string, outcome: Outcome): readonly string[] {
    this.#outcomes.set(name, outcome);
    const ready: string[] = [];
    for (const dependent of this.#loaded.graph.get(name)!.dependents) {
      const left = this.#waiting.get(dependent);
      if (left === undefined) continue;
      this.#waiting.set(dependent, left - 1);
      if (left === 1 && !this.#outcomes.has(dependent)) ready.push(dependent);
    }
    return ready;
  }

  #done(name: string, outcome: Outcome): void {
    for (const dependent of this.#close(name, outcome)) this.#ready(dependent);
  }

  /** Starts what has room; settles when nothing is left to do. */
  #advance(): void {
    // What just became ready may be more urgent than what is queued: wait for its verdict, but not for long.
    if (this.#deciding === 0) this.#startQueued();
    else if (this.#queue.size > 0) this.#patience ??= setTimeout(() => this.#startQueued(), this.#options.patience ?? 25);
    if (this.#active === 0) this.#settled();
  }

  #startQueued(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    if (this.#closed) return;
    this.#options.budget.refresh();
    for (const name of this.#queue.take()) this.#start(name);
    if (this.#options.trace === undefined) return;
    for (const job of this.#queued.values()) job.lacked ??= this.#queue.lacking(job.amounts);
  }

  #start(name: string): void {
    const job = this.#queued.get(name)!;
    this.#queued.delete(name);
    this.#active++;
    this.#count();
    void this.#carryOut(job).finally(() => {
      this.#active--;
      this.#advance();
    });
  }

  async #carryOut(job: Job): Promise<void> {
    const { name } = job.declaration;
    await this.#breathe();
    if (this.#closed) {
      this.#release(name);
      return void (await job.close());
    }
    try {
      this.#publish(await job.run());
      this.#release(name);
      this.#done(name, "done");
    } catch (error) {
      this.#release(name);
      if (job.mayTryAgain(error)) {
        // It holds nothing while it waits.
        this.#advance();
        if (await job.wait(error)) return this.#enqueue(job);
      }
      this.#fail(job.declaration, error, job.elapsed, await job.close());
    }
  }

  #release(name: string): void {
    this.#queue.release(name);
    this.#count();
  }

  #count(): void {
    this.#options.trace?.counter("cores", this.#queue.used("cpu"));
    this.#options.trace?.counter("memory", this.#queue.used("memory"));
  }

  #fail(declaration: Declaration, error: unknown, duration: number, log: string | undefined): void {
    const { name } = declaration;
    if (this.#stop.signal.aborted) {
      this.#outcomes.set(name, "cancelled");
      this.#options.on({ type: "target cancelled", target: name });
      return;
    }
    const known =
      diskError(error, this.#state.project.state) ??
      accessError(error) ??
      (isImgtaskError(error) ? error : new ImgtaskError("IMG3020", `"${name}" failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error }));
    const located = known.location === undefined && declaration.location !== undefined ? ImgtaskError.prototype.at.call(known, declaration.location) : known;
    this.#failure ??= located;
    this.#outcomes.set(name, "failed");
    this.#options.on({ type: "target failed", target: name, duration, error: located, log });
    this.#skipDependents(name);
    if (this.#options.failures === "continue") return;
    // Nothing new starts now. What already runs is let finish, so that its work is not lost, unless that is not wanted.
    this.#queue.clear();
    this.#queued.clear();
    this.#closing.abort();
    if (this.#options.failures === "kill") this.#stop.abort();
  }

  #skipDependents(failed: string): void {
    const queue = [failed];
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      for (const dependent of this.#loaded.graph.get(name)!.dependents) {
        if (!this.#waiting.has(dependent) || this.#outcomes.has(dependent)) continue;
        this.#outcomes.set(dependent, "skipped");
        if (!this.#isGroup(dependent)) this.#options.on({ type: "target skipped", target: dependent, because: failed });
        queue.push(dependent);
      }
    }
  }
}
