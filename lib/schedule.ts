/**
 * The only loop: brings the wanted targets from want through ready, queued and running to done or failed.
 * Freshness is decided when a target becomes ready; what runs is the longest remaining path first.
 * @module
 */
import type { Digest } from "./digest.ts";
import { ImgtaskError, isImgtaskError } from "./error.ts";
import { fullDisk } from "./full-disk.ts";
import type { Listener, Outcome, Result } from "./event.ts";
import { closure } from "./graph.ts";
import type { Loaded } from "./load.ts";
import { criticalPaths, judge, type Verdict } from "./plan.ts";
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
  readonly #priority: ReadonlyMap<string, number>;
  readonly #queue: { readonly declaration: Declaration; readonly verdict: Stale }[] = [];
  readonly #pools = new Map<string, number>();
  #cores = 0;
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
    this.#priority = criticalPaths(loaded.graph, order, state);
  }

  async finish(): Promise<Summary> {
    const { signal } = this.#options;
    const abort = (): void => this.#stop.abort();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    for (const name of this.#order) this.#waiting.set(name, this.#loaded.graph.get(name)!.dependencies.length);
    const settled = new Promise<void>((resolve) => (this.#settled = resolve));
    for (const name of this.#order) if (this.#waiting.get(name) === 0) this.#ready(name);
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

  /** All that the target needs is done: decide whether it is fresh. */
  #ready(name: string): void {
    if (this.#closed) return;
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
    if (declaration.kind === "group") return this.#done(name, "fresh");
    const now = await resolveNow(declaration, this.#loaded, this.#state, this.#upstream);
    const verdict = await judge(declaration, now, this.#state, this.#options.forced.has(name));
    if (verdict.type === "stale") {
      this.#queue.push({ declaration, verdict });
      this.#queue.sort((a, b) => this.#priority.get(b.declaration.name)! - this.#priority.get(a.declaration.name)!);
      return;
    }
    const { record, restore } = verdict;
    for (const output of restore) await restoreOutput(declaration, output, record.outputs[output]!, this.#state);
    if (this.#state.records.latest(name) !== record) this.#state.records.append(record);
    this.#publish(record);
    if (restore.length > 0) this.#options.on({ type: "target restored", target: name, paths: restore.map((output) => record.outputs[output]!.path!) });
    else this.#options.on({ type: "target fresh", target: name });
    this.#done(name, restore.length > 0 ? "restored" : "fresh");
  }

  #publish(record: Record): void {
    for (const [output, stored] of Object.entries(record.outputs)) this.#upstream.set(`${record.target}#${output}`, stored.digest);
  }

  #done(name: string, outcome: Outcome): void {
    this.#outcomes.set(name, outcome);
    for (const dependent of this.#loaded.graph.get(name)!.dependents) {
      const left = this.#waiting.get(dependent);
      if (left === undefined) continue;
      this.#waiting.set(dependent, left - 1);
      if (left === 1 && !this.#outcomes.has(dependent)) this.#ready(dependent);
    }
  }

  /** Starts what has room; settles when nothing is left to do. */
  #advance(): void {
    // What just became ready may be more urgent than what is queued: wait for its verdict, but not for long.
    if (this.#deciding === 0) this.#startQueued();
    else if (this.#queue.length > 0) this.#patience ??= setTimeout(() => this.#startQueued(), patience);
    if (this.#active === 0) this.#settled();
  }

  #startQueued(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    if (this.#closed) return;
    for (const queued of [...this.#queue]) {
      if (!this.#fits(queued.declaration)) continue;
      this.#queue.splice(this.#queue.indexOf(queued), 1);
      this.#start(queued.declaration, queued.verdict);
    }
  }

  #places(declaration: Declaration): number {
    return Math.min(Math.max(declaration.resources.cpu, 0), this.#options.jobs);
  }

  #fits(declaration: Declaration): boolean {
    if (this.#cores > 0 && this.#cores + this.#places(declaration) > this.#options.jobs) return false;
    const { pools } = this.#options;
    return declaration.resources.pools.every((pool) => (this.#pools.get(pool) ?? 0) < (Object.hasOwn(pools, pool) ? pools[pool]! : 1));
  }

  #take(declaration: Declaration, sign: 1 | -1): void {
    this.#cores += sign * this.#places(declaration);
    for (const pool of declaration.resources.pools) this.#pools.set(pool, (this.#pools.get(pool) ?? 0) + sign);
  }

  #start(declaration: Declaration, verdict: Stale): void {
    this.#active++;
    this.#take(declaration, 1);
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
        this.#take(declaration, -1);
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
      fullDisk(error, this.#state.project.state) ??
      (isImgtaskError(error) ? error : new ImgtaskError("IMG3020", `"${name}" failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error }));
    const located = known.location === undefined && declaration.location !== undefined ? ImgtaskError.prototype.at.call(known, declaration.location) : known;
    this.#failure ??= located;
    this.#outcomes.set(name, "failed");
    this.#options.on({ type: "target failed", target: name, duration, error: located, log });
    this.#skipDependents(name);
    // Nothing new starts now; what already runs is let finish, so that its work is not lost.
    if (!this.#options.keepGoing) this.#queue.length = 0;
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
