/**
 * A stale target on its way from the queue to its end: its attempts, its log, and what is told of them. Knows neither
 * the graph nor the queue.
 * @module
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { attempt } from "./attempt.ts";
import type { Budget } from "./budget.ts";
import { contentName } from "./content.ts";
import { ExitCode, ImgtaskError, isImgtaskError } from "./error.ts";
import type { Listener, Result } from "./event.ts";
import type { Judgements } from "./gather.ts";
import type { Loaded } from "./load.ts";
import { closeLog, type Log, openLog } from "./log.ts";
import type { Verdict } from "./plan.ts";
import type { Amounts } from "./queue.ts";
import type { Record } from "./record.ts";
import { amountsOf } from "./resources.ts";
import { delayAfter, isTemporary } from "./retry.ts";
import type { Audit } from "./run.ts";
import { resolveNow, type State, type Upstream } from "./state.ts";
import type { Declaration } from "./target.ts";
import type { Trace, TraceSpan } from "./trace.ts";
import type { Witness } from "./witness.ts";

/** What all jobs of a run share. */
export interface JobHost {
  readonly loaded: Loaded;
  readonly state: State;
  readonly upstream: Upstream;
  readonly judgements: Judgements | undefined;
  readonly budget: Budget;
  readonly trace: Trace | undefined;
  /** Watches the recipes. @default nobody */
  readonly audit?: Audit | undefined;
  /** Ends what runs. */
  readonly stop: AbortSignal;
  /** Nothing new may begin. */
  readonly closing: AbortSignal;
  readonly on: Listener;
}

type Stale = Extract<Verdict, { readonly type: "stale" }>;

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}

/** A stale target that is to be made. */
export class Job {
  readonly declaration: Declaration;
  readonly amounts: Amounts;
  /** What it lacked when it was first passed over; for the trace. */
  lacked: readonly string[] | undefined;
  readonly #verdict: Stale;
  /** Saw what the verdict rests on. */
  readonly #inputs: Witness;
  readonly #host: JobHost;
  /** Number of the attempt that comes or runs. */
  #number = 1;
  #queued = 0;
  #started: number | undefined;
  #log: Log | undefined;

  constructor(declaration: Declaration, verdict: Stale, inputs: Witness, host: JobHost) {
    this.declaration = declaration;
    this.amounts = amountsOf(declaration.resources);
    this.#verdict = verdict;
    this.#inputs = inputs;
    this.#host = host;
  }

  /** Milliseconds since its first attempt began. */
  get elapsed(): number {
    return this.#started === undefined ? 0 : Date.now() - this.#started;
  }

  /** Notes that it waits from now on. */
  enqueued(): void {
    this.#queued = Date.now();
    this.lacked = undefined;
  }

  /** Makes one attempt. When it succeeds, all is told and closed. */
  async run(): Promise<Record> {
    const { declaration: { name, kind } } = this;
    const { trace, stop, on } = this.#host;
    this.#started ??= Date.now();
    const span = trace?.begin("targets", name, {
      kind, attempt: this.#number, reasons: this.#verdict.reasons, "queued for ms": Date.now() - this.#queued, "waited for": this.lacked ?? [],
    });
    try {
      this.#checkRoom();
      this.#log ??= openLog(join(this.#host.state.project.state, "logs"), name, this.declaration.sensitive ?? false);
      if (this.#number === 1) on({ type: "target started", target: name, reasons: this.#verdict.reasons, log: this.#log.path });
      const before = this.#host.state.records.latest(name);
      const record = await this.#attempt(this.#log, span);
      const results: Result[] = Object.entries(record.outputs).map(([output, { digest, size, path }]) => ({ output, digest, size, path }));
      const unchanged = before !== undefined && Object.entries(record.outputs).every(([output, made]) => output in before.outputs && contentName(before.outputs[output]!) === contentName(made));
      span?.end({ outcome: "done" });
      await this.close();
      on({ type: "target done", target: name, duration: this.elapsed, results, unchanged });
      return record;
    } catch (error) {
      span?.end({ outcome: stop.aborted ? "cancelled" : "failed", error: isImgtaskError(error) ? error.code : String(error) });
      throw error;
    }
  }

  async #attempt(log: { readonly fd: number; readonly path: string }, span: TraceSpan | undefined): Promise<Record> {
    const { declaration } = this;
    const { name } = declaration;
    const { loaded, state, upstream, judgements, audit, stop, on } = this.#host;
    judgements?.drop(name);
    const { record, edited, inputs } = await attempt(
      {
        registered: await loaded.registered(name),
        resolution: this.#verdict.resolution,
        inputs: this.#inputs,
        reasons: this.#verdict.reasons,
        state,
        upstream,
        formOf: (target, output) => loaded.graph.get(target)!.declaration.outputs[output]!.form,
        signal: stop,
        keep: (error) => !stop.aborted && !this.mayTryAgain(error),
        part: (part) => span?.part(part),
        progress: (text, amount) => on({ type: "target progress", target: name, text, ...(amount === undefined ? {} : { amount }) }),
        resolveAgain: (witness) => resolveNow(declaration, loaded, state, upstream, witness),
        ...(audit === undefined ? {} : { audit }),
      },
      log,
    );
    if (!edited) {
      // A result that no trusted key signed is not the next run's.
      if (state.records.has(name, record.fingerprint)) await judgements?.keep(declaration, record, state, inputs);
    } else {
      on({ type: "warning", code: "IMG3014", message: `What "${name}" reads was edited while it ran`, hint: "Its result was not recorded: the next run makes it again" });
    }
    return record;
  }

  /** Refuses what never has room; warns of what has to do with less than it wants. */
  #checkRoom(): void {
    const { name, resources, location } = this.declaration;
    const { disk = 0, memory = 0 } = resources;
    const { budget, state, on } = this.#host;
    if (disk > 0 && disk > budget.of("disk")) {
      throw new ImgtaskError("IMG1005", `Too little free disk space for "${name}"`, {
        expected: `${mebibytes(disk)} below "${state.project.state}"`,
        found: mebibytes(budget.of("disk")),
        hint: "Make room: `imgtask clean` removes temporary files, `imgtask clean --store` all that was built",
        exitCode: ExitCode.prerequisite,
        ...(location === undefined ? {} : { location }),
      });
    }
    if (memory === 0 || memory <= budget.of("memory") || this.#number > 1) return;
    on({
      type: "warning",
      code: "IMG6003",
      message: `"${name}" wants ${mebibytes(memory)} of memory, and there are ${mebibytes(budget.of("memory"))}`,
      hint: "No other target that asks for memory runs beside it; --memory says how much there is",
    });
  }

  /** Whether another attempt is left and may cure an error. */
  mayTryAgain(error: unknown): boolean {
    return !this.#host.closing.aborted && isTemporary(error) && this.#number <= (this.declaration.retries?.times ?? 0);
  }

  /** Waits after an attempt that failed; tells whether there is to be another. Ends at once when the run does. */
  async wait(error: unknown): Promise<boolean> {
    const { declaration: { name, retries } } = this;
    const { on, trace, closing } = this.#host;
    const { code, message } = error as ImgtaskError;
    const delay = Math.round(delayAfter(this.#number, retries!));
    const number = ++this.#number, attempts = retries!.times + 1;
    if (this.#log !== undefined) writeSync(this.#log.fd, `imgtask: ${code}: ${message}; attempt ${number} of ${attempts} in ${delay} ms\n`);
    on({ type: "target retrying", target: name, attempt: number, attempts, delay, error: error as ImgtaskError });
    trace?.instant("retry", { target: name, attempt: number, delay, error: code });
    await sleep(delay, undefined, { signal: closing }).catch(() => {});
    return !closing.aborted;
  }

  /** Closes its log; gives the path under which it stays when there is one. */
  async close(): Promise<string | undefined> {
    const log = this.#log;
    this.#log = undefined;
    if (log === undefined) return undefined;
    try {
      return await closeLog(log);
    } catch (error) {
      this.#host.on({ type: "warning", code: "IMG6008", message: `The log of "${this.declaration.name}" could not be encrypted, and was removed: ${(error as Error).message}`, hint: "IMGTASK_LOG_RECIPIENTS says for whom it is encrypted" });
      return undefined;
    }
  }
}
