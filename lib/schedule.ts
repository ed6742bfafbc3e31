/**
 * The only loop: brings the wanted targets from want through ready, queued and running to done or failed.
 * Freshness is decided when a target becomes ready. Which of the queued starts next is `queue.ts`'s to say.
 * @module
 */
import type { Digest } from "./digest.ts";
import { ImgtaskError, isImgtaskError } from "./error.ts";
import { diskError } from "./disk-error.ts";
import type { Listener, Outcome, Result } from "./event.ts";
import { closure } from "./graph.ts";
import type { Loaded } from "./load.ts";
import { judge, type Verdict } from "./plan.ts";
import { estimator, longestPaths } from "./priority.ts";
import { type Amounts, Queue } from "./queue.ts";
import type { Record } from "./record.ts";
import { closeLog, openLog, restoreOutput, runTarget } from "./run.ts";
import { resolveNow, type State } from "./state.ts";
import type { Declaration } from "./target.ts";

/** Milliseconds that a free core waits for a verdict on what just became ready. */
const patience = 25;

/** How a run is scheduled. */
export interface ScheduleOptions {
  /** Processor cores to keep busy. */
  readonly jobs: number;
  /** Go on with what does not depend on a failed target. */
  readonly keepGoing: boolean;
  /** Targets that run even when fresh. */
  readonly forced: ReadonlySet<string>;
  /** Places in a pool; 1 for a pool that is not named. */
  readonly pools: Readonly<{ [name: string]: number }>;
  /**
   * Records of targets that are known to be fresh, with all that they need: they are done before the loop begins.
   * @default none
   */
  readonly proven?: ReadonlyMap<string, Record>;
  readonly signal: AbortSignal;
  readonly on: Listener;
}

type Stale = Extract<Verdict, { readonly type: "stale" }>;

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
  readonly #upstream = new Map<string, Digest>();
  readonly #outcomes = new Map<string, Outcome>();
  /** Dependencies not yet done, by target. */
  readonly #waiting = new Map<string, number>();
  /** Made when the first target is stale: a run with nothing to do needs none. */
  #priority: ReadonlyMap<string, number> | undefined;
  readonly #queue: Queue;
  /** What is queued, by name. */
  readonly #stale = new Map<string, Stale>();
  #active = 0;
  /** Of the active ones, those whose freshness is being decided. */
  #deciding = 0;
  #patience: NodeJS.Timeout | undefined;
  #failure: ImgtaskError | undefined;
  #settled: () => void = () => {};
  readonly #stop = new AbortController();

  constructor(loaded: Loaded, order: readonly string[], state: State, options: ScheduleOptions) {
    this.#loaded = loaded;
    this.#order = order;
    this.#state = state;
    this.#options = options;
    const { jobs, pools } = options;
    this.#queue = new Queue((resource) => (resource === "cpu" ? jobs : Object.hasOwn(pools, resource) ? pools[resource]! : 1));
  }

  async finish(): Promise<Summary> {
    const { signal } = this.#options;
    const abort = (): void => this.#stop.abort();
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
      if (this.#loaded.graph.get(name)!.declaration.kind !== "group") this.#options.on({ type: "target cancelled", target: name });
    }
    return { outcomes: this.#outcomes, failure: this.#failure };
  }

  /** Whether nothing new may be started. */
  get #closed(): boolean {
    return this.#stop.signal.aborted || (this.#failure !== undefined && !this.#options.keepGoing);
  }

  /** Marks what is proven fresh, without a promise for each of them, and looks at what is ready then. */
  #begin(): void {
    if (this.#closed) return;
    const { proven, on } = this.#options;
    const ready: string[] = [];
    for (const name of this.#order) {
      if (this.#waiting.get(name) !== 0) continue;
      const record = proven?.get(name);
      if (record !== undefined) {
        this.#publish(record);
        on({ type: "target fresh", target: name });
      }
      if (record !== undefined || this.#isGroup(name)) this.#close(name, "fresh");
      else ready.push(name);
    }
    for (const name of ready) this.#ready(name);
  }

  #isGroup(name: string): boolean {
    return this.#loaded.graph.get(name)!.declaration.kind === "group";
  }

  /** All that the target needs is done: decide whether it is fresh. */
  #ready(name: string): void {
    if (this.#closed) return;
    if (this.#isGroup(name)) return this.#done(name, "fresh");
    this.#active++;
    this.#deciding++;
    const { declaration } = this.#loaded.graph.get(name)!;
    void this.#decide(declaration)
      .catch((error: unknown) => this.#fail(declaration, error, 0, undefined))
      .finally(() => {
        this.#active--;
        this.#deciding--;
        this.#advance();
      });
  }

  async #decide(declaration: Declaration): Promise<void> {
    const { name } = declaration;
    const now = await resolveNow(declaration, this.#loaded, this.#state, this.#upstream);
    const verdict = await judge(declaration, now, this.#state, this.#options.forced.has(name));
    if (verdict.type === "stale") return this.#enqueue(declaration, verdict);
    const { record, restore } = verdict;
    for (const output of restore) await restoreOutput(declaration, output, record.outputs[output]!, this.#state);
    if (this.#state.records.latest(name) !== record) this.#state.records.append(record);
    this.#publish(record);
    if (restore.length > 0) this.#options.on({ type: "target restored", target: name, paths: restore.map((output) => record.outputs[output]!.path!) });
    else this.#options.on({ type: "target fresh", target: name });
    this.#done(name, restore.length > 0 ? "restored" : "fresh");
  }

  #enqueue(declaration: Declaration, verdict: Stale): void {
    const { graph } = this.#loaded;
    this.#priority ??= longestPaths(this.#order, (name) => graph.get(name)!.dependents, estimator(graph, this.#state.records));
    this.#stale.set(declaration.name, verdict);
    this.#queue.add(declaration.name, this.#priority.get(declaration.name)!, amountsOf(declaration));
  }

  #publish(record: Record): void {
    for (const [output, stored] of Object.entries(record.outputs)) this.#upstream.set(`${record.target}#${output}`, stored.digest);
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
    else if (this.#queue.size > 0) this.#patience ??= setTimeout(() => this.#startQueued(), patience);
    if (this.#active === 0) this.#settled();
  }

  #startQueued(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    if (this.#closed) return;
    for (const name of this.#queue.take()) this.#start(this.#loaded.graph.get(name)!.declaration, this.#stale.get(name)!);
  }

  #start(declaration: Declaration, verdict: Stale): void {
    this.#active++;
    this.#stale.delete(declaration.name);
    const started = Date.now();
    let log: { readonly fd: number; readonly path: string } | undefined;
    void (async () => {
      log = openLog(this.#state, declaration.name);
      this.#options.on({ type: "target started", target: declaration.name, reasons: verdict.reasons, log: log.path });
      await this.#run(declaration, verdict, log, started);
    })()
      .catch((error: unknown) => this.#fail(declaration, error, Date.now() - started, log?.path))
      .finally(() => {
        if (log !== undefined) closeLog(log);
        this.#queue.release(declaration.name);
        this.#active--;
        this.#advance();
      });
  }

  async #run(declaration: Declaration, verdict: Stale, log: { readonly fd: number }, started: number): Promise<void> {
    const { name } = declaration;
    const before = this.#state.records.latest(name);
    const { record, edited } = await runTarget(
      {
        registered: await this.#loaded.registered(name),
        resolution: verdict.resolution,
        reasons: verdict.reasons,
        state: this.#state,
        upstream: this.#upstream,
        formOf: (target, output) => this.#loaded.graph.get(target)!.declaration.outputs[output]!.form,
        signal: this.#stop.signal,
        progress: (text) => this.#options.on({ type: "target progress", target: name, text }),
        resolveAgain: () => resolveNow(declaration, this.#loaded, this.#state, this.#upstream),
      },
      log,
    );
    if (edited) {
      this.#options.on({ type: "warning", code: "IMG3014", message: `What "${name}" reads was edited while it ran`, hint: "Its result was not recorded: the next run makes it again" });
    }
    this.#publish(record);
    const results: Result[] = Object.entries(record.outputs).map(([output, { digest, size, path }]) => ({ output, digest, size, path }));
    const unchanged = before !== undefined && results.every(({ output, digest }) => before.outputs[output]?.digest === digest);
    this.#options.on({ type: "target done", target: name, duration: Date.now() - started, results, unchanged });
    this.#done(name, "done");
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
      (isImgtaskError(error) ? error : new ImgtaskError("IMG3020", `"${name}" failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error }));
    const located = known.location === undefined && declaration.location !== undefined ? ImgtaskError.prototype.at.call(known, declaration.location) : known;
    this.#failure ??= located;
    this.#outcomes.set(name, "failed");
    this.#options.on({ type: "target failed", target: name, duration, error: located, log });
    this.#skipDependents(name);
    // Nothing new starts now; what already runs is let finish, so that its work is not lost.
    if (!this.#options.keepGoing) this.#queue.clear();
  }

  #skipDependents(failed: string): void {
    const queue = [failed];
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      for (const dependent of this.#loaded.graph.get(name)!.dependents) {
        if (!this.#waiting.has(dependent) || this.#outcomes.has(dependent)) continue;
        this.#outcomes.set(dependent, "skipped");
        if (this.#loaded.graph.get(dependent)!.declaration.kind !== "group") this.#options.on({ type: "target skipped", target: dependent, because: failed });
        queue.push(dependent);
      }
    }
  }
}

/** What a target takes while it runs. */
function amountsOf({ resources }: Declaration): Amounts {
  return new Map([["cpu", Math.max(resources.cpu, 0)] as const, ...resources.pools.map((pool) => [pool, 1] as const)]);
}
