/**
 * Watches what recipes really read and write: reads along in the trace that strace keeps of this process and all
 * that it starts. Fails closed: whatever could not be observed is an error, and never a clean result.
 * @module
 */
import { accessSync, closeSync, openSync, readFileSync, readSync, statSync, unlinkSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { type Allowed, judgeAccesses, type Judgement } from "./audit-policy.ts";
import { ExitCode, ImgtaskError } from "./error.ts";
import { type Observation, Trace } from "./accesses.ts";

/** Environment variable by which the traced imgtask knows where the trace is, and the mark: `FILE:MARK:CWD`. */
export const traceVariable = "IMGTASK_AUDIT_TRACE";

/** Milliseconds that the tracer has to write what it has seen. */
const patience = 10_000;

/** Names that the runtime and libraries look at by themselves. */
const ambient = /^(?:NODE_.*|npm_.*|FORCE_COLOR|NO_COLOR|TERM|COLORTERM|CI|TZ|LANG|LC_.*|DEBUG|HOME|PATH|TMPDIR|WATCH_REPORT_DEPENDENCIES|UV_.*)$/;

/** Process that traces this one; 0 for none. */
export function tracerOf(): number {
  try {
    return Number(/^TracerPid:\s+(\d+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function notObserved(target: string | undefined, why: string): ImgtaskError {
  return new ImgtaskError("IMG3041", target === undefined ? "The audit cannot observe anything" : `The audit could not observe all that "${target}" does`, {
    expected: "a trace without gaps",
    found: why,
    hint: "Nothing is known of what was not declared; the result was not recorded",
    exitCode: ExitCode.failed,
  });
}

/** One stretch of watching, from `begin` to `end`. */
export interface Watch {
  /** The declared variables, seen through. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Begins the stretch. */
  begin(): void;
  /**
   * Ends the stretch, and tells what was undeclared and unused.
   *
   * @throws {ImgtaskError} IMG3041 when something could not be observed.
   */
  end(allowed: Omit<Allowed, "environment">): Promise<Judgement>;
  /** Ends the stretch after the recipe failed; tells what to throw: without the tracer, calls fail for no other reason. */
  abandon(target: string, error: unknown): unknown;
}

/** Observes recipes, one at a time, in a process that strace traces. */
export class Auditor {
  readonly #file: number;
  readonly #mark: string;
  readonly #trace: Trace;
  readonly #tracer: number;
  readonly #decoder = new StringDecoder("latin1");
  #offset = 0;
  #rest = "";

  /** @throws {ImgtaskError} IMG3041 when this process is not traced, or the trace does not go on. */
  static async open(setting: string): Promise<Auditor> {
    const auditor = new Auditor(setting);
    auditor.#say("begin");
    auditor.#say("end");
    try {
      await auditor.#observed();
    } catch (error) {
      throw notObserved(undefined, (error as Error).message);
    }
    return auditor;
  }

  private constructor(setting: string) {
    const [file, mark, ...cwd] = setting.split(":");
    this.#tracer = tracerOf();
    if (this.#tracer === 0) throw notObserved(undefined, "strace does not trace this process");
    try {
      this.#file = openSync(file!, "r");
      // Nothing of it stays behind, whatever happens.
      unlinkSync(file!);
    } catch (error) {
      throw notObserved(undefined, `no trace: ${(error as Error).message}`);
    }
    this.#mark = `/.imgtask-audit/${mark!}`;
    this.#trace = new Trace(this.#mark, cwd.join(":"));
  }

  /** A stretch of watching that is to begin. */
  watch(declared: Readonly<Record<string, string | undefined>>): Watch {
    const environment = watchEnvironment(declared);
    return {
      env: environment.declaredProxy,
      begin: () => {
        environment.begin();
        this.#say("begin");
      },
      abandon: (target, error) => {
        environment.restore();
        return tracerOf() === this.#tracer ? error : notObserved(target, "the tracer is gone");
      },
      end: async (allowed) => {
        environment.restore();
        this.#say("end");
        const { name } = allowed.declaration;
        let observation: Observation;
        try {
          observation = await this.#observed();
        } catch (error) {
          throw notObserved(name, (error as Error).message);
        }
        if (observation.blind.length > 0) throw notObserved(name, observation.blind.join("; "));
        return judgeAccesses(observation, { ...allowed, environment });
      },
    };
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Does a system call that the trace shows and that does nothing else. */
  #say(word: string): void {
    try {
      accessSync(`${this.#mark}/${word}`);
    } catch {
      // It is not there, of course.
    }
  }

  /** Reads the trace as far as to the last mark. */
  async #observed(): Promise<Observation> {
    for (const began = Date.now(); ; ) {
      if (tracerOf() !== this.#tracer) throw new Error("the tracer is gone");
      this.#readOn();
      const observation = this.#trace.take();
      if (observation !== undefined) return observation;
      if (Date.now() - began > patience) throw new Error("the trace does not go on");
      await sleep(5);
    }
  }

  #readOn(): void {
    if (statSync(`/proc/self/fd/${this.#file}`).size < this.#offset) throw new Error("the trace was cut off");
    const buffer = Buffer.alloc(1 << 20);
    for (;;) {
      const read = readSync(this.#file, buffer, 0, buffer.length, this.#offset);
      if (read === 0) return;
      this.#offset += read;
      const lines = (this.#rest + this.#decoder.write(buffer.subarray(0, read))).split("\n");
      this.#rest = lines.pop()!;
      for (const line of lines) this.#trace.feed(line);
    }
  }
}

interface WatchedEnvironment {
  readonly undeclared: ReadonlySet<string | undefined>;
  readonly declared: ReadonlySet<string>;
  readonly declaredProxy: Readonly<Record<string, string | undefined>>;
  begin(): void;
  restore(): void;
}

/** Whether the code that reads a variable is the recipe's, as far as the stack tells: not imgtask's nor a package's. */
function byRecipe(): boolean {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const frames = (new Error().stack ?? "").split("\n").slice(1).filter((line) => !line.includes("(node:") && !line.includes(" node:") && !/[/\\]lib[/\\]audit\.[jt]s/.test(line));
  Error.stackTraceLimit = limit;
  const first = frames.find((line) => !line.includes("<anonymous>")) ?? "";
  return !/[/\\]node_modules[/\\]/.test(first) && !first.includes(ownLibrary);
}

const ownLibrary = import.meta.url.slice(0, import.meta.url.lastIndexOf("/") + 1);

/** Notes which environment variables are read in this process: of the whole one, and of those that were declared. */
function watchEnvironment(declaredValues: Readonly<Record<string, string | undefined>>): WatchedEnvironment {
  const original = process.env;
  const undeclared = new Set<string | undefined>();
  const declared = new Set<string>();
  const note = (name: string | symbol | undefined): void => {
    if (typeof name === "symbol" || (name !== undefined && ambient.test(name)) || !byRecipe()) return;
    if (name !== undefined && Object.hasOwn(declaredValues, name)) declared.add(name);
    // Listed as a whole: each name adds nothing.
    else if (!undeclared.has(undefined)) undeclared.add(name);
  };
  const proxy = new Proxy(original, {
    get: (env, name) => (note(name), Reflect.get(env, name) as string | undefined),
    has: (env, name) => (note(name), Reflect.has(env, name)),
    ownKeys: (env) => (note(undefined), Reflect.ownKeys(env)),
    set: (env, name, value) => Reflect.set(env, name, value),
  });
  const use = (name: string | symbol): void => void (typeof name === "string" && declared.add(name));
  const declaredProxy = new Proxy(declaredValues, {
    get: (env, name) => (use(name), Reflect.get(env, name)),
    has: (env, name) => (use(name), Reflect.has(env, name)),
    ownKeys: (env) => (Object.keys(env).forEach(use), Reflect.ownKeys(env)),
  });
  return { undeclared, declared, declaredProxy, begin: () => void (process.env = proxy), restore: () => void (process.env = original) };
}
