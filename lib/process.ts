/**
 * Runs one command by its argument vector: its own process group, output into a log file, ended on abort.
 * Knows nothing of targets.
 * @module
 */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { accessSync, closeSync, constants, openSync, statSync } from "node:fs";
import { constants as numbers } from "node:os";
import { delimiter, join, resolve as resolvePath } from "node:path";
import { ImgtaskError } from "./error.ts";
import { Group } from "./group.ts";
import { guardGroup, isFound } from "./guard.ts";
import { type Order, type Spawned, spawnerHere } from "./spawner.ts";
import type { Argv, ExecOptions, ExecResult } from "./target.ts";

/** Takes what a command prints, and cleans it on the way to the log. */
export interface Sink {
  push(chunk: Buffer | string): void;
  /** Nothing more comes. */
  end(): void;
}

/** Where a command runs and what it may see. */
export interface Place {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Open file that receives standard error, and standard output unless it goes elsewhere. */
  readonly logFd: number;
  readonly signal: AbortSignal;
  /** Makes what stands between a stream of the command and the log. @default nothing: the command writes there itself */
  readonly sink?: (() => Sink) | undefined;
  /** Whether commands are traced, and so are to have no parent but this process. @default false */
  readonly watched?: boolean;
}

const { signals } = numbers;
const captureLimit = 64 * 1024 * 1024;

/** Directories searched for executables: `PATH`, then the system directories that an ordinary user's `PATH` lacks. */
export function searchPath(env: Readonly<Record<string, string | undefined>> = process.env): readonly string[] {
  const own = (env["PATH"] ?? "").split(delimiter).filter((directory) => directory.startsWith("/"));
  return [...new Set([...own, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])];
}

/** Absolute path of an executable, or `undefined`. */
export function which(name: string, directories: readonly string[] = searchPath()): string | undefined {
  for (const file of name.includes("/") ? [name] : directories.map((directory) => join(directory, name))) {
    try {
      // An error takes longer to make than a look.
      if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) continue;
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Try the next one.
    }
  }
  return undefined;
}

/** Quotes a word for a POSIX shell; for showing commands to people, never for running them. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_/.:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command line that a person can paste to run a command again. */
export function replay(argv: readonly string[], cwd: string, env: Readonly<Record<string, string | undefined>> = {}): string {
  const added = Object.entries(env).filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${quote(value!)}`);
  return [`cd ${quote(cwd)} &&`, ...added, ...argv.map(quote)].join(" ");
}

/** A command in a process group of its own, as Node started it. */
export interface Started {
  readonly child: ChildProcess;
  /** Ends the group: first politely, then for good. */
  readonly end: () => void;
  /** Resolves when nothing of the group is left. What the command left running has a second to end by itself. */
  readonly gone: Promise<void>;
}

type StdioElement = "ignore" | "pipe" | number;

/**
 * Holds a command back until its group is under guard, where the guard would not find it otherwise: killed before that,
 * imgtask closes the pipe without a word and nothing begins. The shell is replaced by the command, which sees neither the pipe nor a variable of the shell's.
 */
const gate = 'IFS= read -r go <&3 || exit 125; unset go PWD OLDPWD; exec 3<&- "$@"';

/** Starts a command in a process group of its own, which ends when `signal` aborts, and when this process dies. */
export function startGroup(file: string, args: readonly string[], options: Omit<SpawnOptions, "stdio"> & { readonly stdio: readonly StdioElement[] }, signal: AbortSignal): Started {
  const child = isFound(file, options.env)
    ? spawn(file, args, { ...options, stdio: [...options.stdio], detached: true })
    : spawn("/bin/sh", ["-c", gate, "sh", file, ...args], { ...options, stdio: [...options.stdio.slice(0, 3), "pipe"], detached: true });
  const { pid } = child;
  if (pid === undefined) return { child, end: () => {}, gone: Promise.resolve() };
  const release = guardGroup(pid);
  const go = child.stdio[3] as Socket | undefined;
  go?.on("error", () => {}); // It was ended before it began.
  go?.end("\n", () => go.destroy());
  const group = new Group(pid);
  const end = (): void => group.end();
  signal.addEventListener("abort", end, { once: true });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve())).then(async () => {
    await group.clear();
    signal.removeEventListener("abort", end);
    release();
  });
  return { child, end, gone };
}

/** A command on its way to its end. */
interface Running extends Pick<Spawned, "end" | "exit" | "gone"> {
  /** Its standard output when it was captured; to be asked for when it is gone. Throws what writing to the log threw. */
  readonly finish?: () => { readonly text: string; readonly overflow: boolean };
}

/** Starts a command by Node itself, which can give it pipes. */
function startHere({ file, args, cwd, env, stdout: outFd }: Order, options: ExecOptions, place: Place): Running {
  const stdout = options.stdout ?? "log";
  const piped = place.sink === undefined ? place.logFd : "pipe";
  const { child, end, gone } = startGroup(file, args, { cwd, env, stdio: [options.input === undefined ? "ignore" : "pipe", stdout === "capture" ? "pipe" : (outFd ?? piped), piped] }, place.signal);
  const drained = place.sink === undefined ? () => {} : drain(stdout === "log" ? [child.stdout, child.stderr] : [child.stderr], place.sink);
  const chunks: Buffer[] = [];
  let size = 0, overflow = false;
  const exit = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    if (stdout === "capture") child.stdout?.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= captureLimit) chunks.push(chunk);
      else if (!overflow) {
        overflow = true;
        end();
      }
    });
    if (options.input !== undefined && child.stdin !== null) {
      child.stdin.on("error", () => {}); // The command may end without reading all of it.
      child.stdin.end(options.input);
    }
    child.once("close", (code, signal) => resolve(code ?? 128 + (signal === null ? 1 : signals[signal])));
  });
  const finish = (): { readonly text: string; readonly overflow: boolean } => {
    drained();
    return { text: Buffer.concat(chunks).toString("utf8"), overflow };
  };
  return { end, exit, gone, finish };
}

/** Refuses what is no list of words, for recipes that the type checker did not stop. @throws {ImgtaskError} IMG3001 */
export function checkArgv(argv: unknown): asserts argv is Argv {
  if (!Array.isArray(argv) || argv.length === 0) {
    throw new ImgtaskError("IMG3001", "A command is no list of words", {
      expected: `the program and each of its arguments apart, as in exec(["cp", "--", from, to])`,
      found: Array.isArray(argv) ? "an empty list" : `a ${typeof argv}`,
    });
  }
  const bad = argv.findIndex((word) => typeof word !== "string" || word.includes("\0"));
  if (bad < 0) return;
  const word: unknown = argv[bad];
  throw new ImgtaskError("IMG3001", `Cannot run ${bad === 0 ? "a command" : `"${String(argv[0])}"`}: ${bad === 0 ? "its name" : `argument ${bad}`} ${typeof word === "string" ? "holds a NUL character" : "is no string"}`, {
    expected: "strings without NUL characters",
    ...(typeof word === "string" ? {} : { found: String(word) === "[object Object]" ? "an object" : String(word) }),
  });
}

/**
 * Runs a command to its end.
 *
 * @throws {ImgtaskError} IMG3001 when it cannot be started, IMG3002 when it fails, IMG3003 when it takes too long,
 * IMG3004 when it was ended because the run was.
 */
export async function run(argv: Argv, place: Place, options: ExecOptions = {}): Promise<ExecResult> {
  checkArgv(argv);
  const cwd = options.cwd ?? place.cwd;
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries({ ...place.env, ...options.env })) if (value !== undefined) env[key] = value;
  const strange = Object.keys(env).find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (strange !== undefined) {
    throw new ImgtaskError("IMG3001", `Cannot run "${argv[0]}": bad name of an environment variable: ${JSON.stringify(strange)}`, {
      expected: `letters, digits and "_", not beginning with a digit`,
    });
  }
  const file = which(argv[0].includes("/") ? resolvePath(cwd, argv[0]) : argv[0], searchPath(env));
  if (file === undefined) {
    throw new ImgtaskError("IMG3001", `Cannot run "${argv[0]}": not found`, {
      expected: `an executable in ${searchPath(env).join(":")}`,
      hint: `Is it installed? Named in "tools" of the target, it is looked for before anything runs`,
    });
  }
  if (place.signal.aborted) throw interrupted(argv[0]);
  const stdout = options.stdout ?? "log";
  const outFd = typeof stdout === "object" ? openSync(stdout.file, "w", 0o644) : undefined;
  const started = Date.now();
  let running: Running | undefined;
  let timedOut = false;
  const timer = options.timeout === undefined ? undefined : setTimeout(() => {
    timedOut = true;
    running?.end();
  }, options.timeout);
  try {
    const order: Order = { file, args: argv.slice(1), cwd, env, stdout: outFd, stderr: place.logFd };
    const plain = place.watched !== true && options.input === undefined && stdout !== "capture" && place.sink === undefined && isFound(file, env);
    running = (plain ? spawnerHere() : undefined)?.start(order, place.signal) ?? startHere(order, options, place);
    const code = await running.exit;
    await running.gone;
    const { text, overflow } = running.finish?.() ?? { text: "", overflow: false };
    if (place.signal.aborted) throw interrupted(argv[0]);
    const again = replay(argv, cwd, options.env);
    if (timedOut) {
      throw new ImgtaskError("IMG3003", `"${argv[0]}" took too long`, {
        expected: `an end within ${Math.round((options.timeout ?? 0) / 1000)} s`,
        found: `still running after ${Math.round((Date.now() - started) / 1000)} s`,
        hint: `Run it again by hand: ${again}`,
      });
    }
    if (overflow) throw new ImgtaskError("IMG3002", `"${argv[0]}" wrote more than ${captureLimit} bytes where little was expected`);
    if (!(options.ok ?? [0]).includes(code)) {
      throw new ImgtaskError("IMG3002", `"${argv[0]}" failed`, {
        expected: `exit code ${(options.ok ?? [0]).join(" or ")}`,
        found: `exit code ${code}`,
        hint: `Run it again by hand: ${again}`,
      });
    }
    return { code, stdout: text };
  } catch (error) {
    if (error instanceof ImgtaskError) throw error;
    throw new ImgtaskError("IMG3001", `Cannot run "${argv[0]}": ${(error as Error).message}`, { cause: error });
  } finally {
    clearTimeout(timer);
    if (outFd !== undefined) closeSync(outFd);
  }
}

/** Leads streams to the log through sinks of their own; call the result when they are at their end. It throws what writing threw. */
export function drain(streams: readonly (Readable | null)[], sink: () => Sink): () => void {
  let failure: unknown;
  const sinks = streams.map((stream) => {
    const one = sink();
    stream?.on("data", (chunk: Buffer | string) => {
      try {
        one.push(chunk);
      } catch (error) {
        failure ??= error;
      }
    });
    return one;
  });
  return () => {
    for (const one of sinks) one.end();
    if (failure !== undefined) throw failure as Error;
  };
}

function interrupted(name: string): ImgtaskError {
  return new ImgtaskError("IMG3004", `"${name}" was ended because the run was`, { exitCode: 130 });
}
