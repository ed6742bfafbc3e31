/**
 * Runs one target: private directory, recipe, outputs into the store, record, links into the project.
 * Unaware of the graph.
 * @module
 */
import type { ChildProcess, spawn, SpawnOptions } from "node:child_process";
import { writeSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Auditor } from "./audit.ts";
import type { Judgement } from "./audit-policy.ts";
import { Commands } from "./commands.ts";
import { isDigest } from "./digest.ts";
import { ImgtaskError, isImgtaskError } from "./error.ts";
import type { Reason } from "./event.ts";
import { statOf } from "./files.ts";
import { fingerprint, manifest, type Resolution } from "./fingerprint.ts";
import { guardStrays } from "./guard.ts";
import { originOf } from "./origin.ts";
import { type Pinning, pinningOf } from "./pin.ts";
import { commandsDirectory } from "./project.ts";
import type { Hush } from "./hush.ts";
import { checkArgv, drain, type Place, run as runCommand, searchPath, type Sink, startGroup, which } from "./process.ts";
import type { Record, StoredOutput } from "./record.ts";
import { globPaths } from "./sources.ts";
import type { State, Upstream } from "./state.ts";
import { thrownAt } from "./thrown.ts";
import { passwordsIn } from "./url-password.ts";
import { sameFiles, Witness } from "./witness.ts";
import type { Amount, Argv, Declaration, ExecOptions, Recipe, Registered, RunContext } from "./target.ts";

/** What a run is given beside the target. */
export interface RunOptions {
  readonly registered: Registered;
  readonly resolution: Resolution;
  readonly reasons: readonly Reason[];
  readonly state: State;
  readonly upstream: Upstream;
  /** Form of an upstream output. */
  readonly formOf: (target: string, output: string) => "file" | "tree";
  readonly signal: AbortSignal;
  /** Whether what a failed recipe left is kept until the next run. @default unless the run was ended */
  readonly keep?: (error: unknown) => boolean;
  /** Is told which part of the work begins. @default nobody */
  readonly part?: (name: "recipe" | "store" | "check inputs" | "record and place") => void;
  readonly progress: (text: string, amount?: Amount) => void;
  /** Saw what the verdict rests on. */
  readonly inputs: Witness;
  /** What everything the target depends on is after the run; differs when it was edited meanwhile. */
  readonly resolveAgain: (witness: Witness) => Promise<Resolution>;
  /** Watches the recipe, and is told what it did. */
  readonly audit?: Audit;
}

/** What `--audit` adds to a run. */
export interface Audit {
  readonly auditor: Auditor;
  /** Files of the code of a target's recipe. */
  readonly codeOf: (declaration: Declaration) => ReadonlySet<string>;
  readonly report: (target: string, judgement: Judgement) => void;
}

/** What a run left behind. */
export interface RunResult {
  readonly record: Record;
  /** The inputs were edited during the run: the result was not recorded, and the target is stale. */
  readonly edited: boolean;
  /** Saw the inputs after the run. */
  readonly inputs: Witness;
}

/** Milliseconds from which a recipe's work is worth waiting until it is on disk. */
const worthwhile = 250;

/** Runs a stale target to its end. Errors leave no output, no link and no record. */
export async function runTarget(options: RunOptions, log: { readonly fd: number }): Promise<RunResult> {
  const { state, registered, resolution } = options;
  const { declaration } = registered;
  const pinning = pinningOf(declaration, pinIn(resolution), state.frozen);
  // A key that cannot be used is found before hours of work, not behind them.
  await state.records.ready();
  const started = Date.now();
  const hush = await hushOf(options, log.fd);
  const directory = state.workplaces.take();
  guardStrays(commandsDirectory(state.project));
  let keep = false, done = false;
  try {
    const outputs = Object.fromEntries(Object.keys(declaration.outputs).map((name) => [name, join(directory, "out", name)]));
    const watch = options.audit?.auditor.watch(environmentOf(declaration, resolution));
    const made = await makeContext(options, directory, outputs, log.fd, { env: watch?.env ?? environmentOf(declaration, resolution), hush, pin: pinning.access, watched: watch !== undefined });
    const code = options.audit?.codeOf(declaration);
    options.part?.("recipe");
    watch?.begin();
    await callRecipe(registered.recipe!, made, declaration).catch((error: unknown) => {
      throw watch === undefined ? error : watch.abandon(declaration.name, error);
    });
    if (options.signal.aborted) throw new ImgtaskError("IMG3004", `"${declaration.name}" was ended because the run was`, { exitCode: 130 });
    if (watch !== undefined) {
      const { project } = state;
      const judgement = await watch.end({ declaration, directory, inputs: made.given, project: project.directory, state: project.state, code: code! });
      options.audit!.report(declaration.name, judgement);
      if (judgement.undeclared.length > 0) throw undeclared(declaration, judgement);
    }
    options.part?.("store");
    for (const [name, path] of Object.entries(hush === undefined ? {} : outputs)) await hush!.output(name, path);
    const stored: { [name: string]: StoredOutput } = {};
    checkKept(declaration, state);
    for (const name of Object.keys(declaration.outputs)) stored[name] = await storeOutput(declaration, name, outputs[name]!, started, state);
    const time = Date.now(), duration = time - started;
    const recordOf = (under: Resolution): Record => ({
      target: declaration.name, fingerprint: fingerprint(declaration, under), manifest: manifest(declaration, under), outputs: stored, time, duration, reasons: options.reasons,
    });
    const [proposed, accepted] = [pinning.proposed(), pinning.accepted()].map((pin) => (pin === undefined ? undefined : recordOf({ ...resolution, pin })));
    const record = accepted ?? recordOf(resolution);
    for (const name of Object.keys(stored)) await refuseForeign(declaration, name, stored[name]!, state);
    options.part?.("check inputs");
    let inputs = new Witness();
    const again = await options.resolveAgain(inputs);
    // An edit that was put back is seen by the time stamps alone, while the recipe may have read it.
    // Another target may have pinned the same meanwhile.
    const known = [fingerprint(declaration, resolution), proposed?.fingerprint, accepted?.fingerprint];
    const edited = !known.includes(fingerprint(declaration, again)) || !sameFiles(inputs, options.inputs);
    if (edited) return { record, edited, inputs };
    // The bytes are safe in the store. Killed between here and the last link, the next run restores what is missing.
    options.part?.("record and place");
    if (proposed !== undefined) state.records.append(proposed, duration >= worthwhile);
    if (accepted !== undefined) {
      // A run that is killed before the record is written makes the target again, of what is pinned then.
      await state.lock.write(new Map([[declaration.pin!.entry, pinning.accepted()!]]));
      inputs = new Witness();
      await options.resolveAgain(inputs);
    }
    state.records.append(record, record.duration >= worthwhile);
    for (const name of Object.keys(stored)) await restoreOutput(declaration, name, stored[name]!, state);
    done = true;
    return { record, edited, inputs };
  } catch (error) {
    // What a failed recipe left is there to look at until the next run, and for its commands to be run again.
    // With secrets in it, nothing of it stays.
    keep = hush === undefined && (options.keep?.(error) ?? !options.signal.aborted);
    throw hush === undefined ? error : hush.error(error);
  } finally {
    if (!keep) {
      state.store.conceal(join(directory, "in"));
      await state.workplaces.giveBack(directory, done);
    }
  }
}

/** What is pinned, if anything is. */
export function pinIn({ pin }: Resolution): Exclude<Resolution["pin"], number> {
  return typeof pin === "number" ? undefined : pin;
}

function undeclared({ name }: Declaration, { undeclared: found }: Judgement): ImgtaskError {
  return new ImgtaskError("IMG3040", `"${name}" uses what it does not declare`, {
    expected: "only inputs, tools, environment variables and outputs that are declared",
    found: `${found.length} undeclared, listed above`,
    hint: "Declare them, or do without; the result was not recorded",
  });
}

/** Makes an output appear at its path, if it has one. */
export async function restoreOutput(declaration: Declaration, name: string, stored: StoredOutput, state: State): Promise<void> {
  if (stored.path === undefined) return;
  const spec = declaration.outputs[name]!;
  const path = join(state.project.directory, stored.path);
  if (await state.artifacts.matches(stored, spec.form, path, spec.merge ?? false)) return;
  await state.artifacts.restore(stored, spec.form, path, spec.merge ?? false);
}

/** Directories whose content is imgtask's own: what stands in an output's place there came from an earlier run. */
const ownDirectories = /^(?:artifacts|workspaces|logs)\//;

/** Refuses to replace what was there before the target first put its output at a path. */
async function refuseForeign(declaration: Declaration, name: string, { path }: StoredOutput, state: State): Promise<void> {
  if (path === undefined || declaration.outputs[name]!.merge === true || ownDirectories.test(path)) return;
  if (state.records.latest(declaration.name)?.outputs[name]?.path === path) return;
  const full = join(state.project.directory, path);
  const stat = statOf(full);
  if (stat === undefined) return;
  // An earlier run's result that is no longer believed: these very bytes can be had again.
  for (const { outputs } of state.records.hearsay(declaration.name)) {
    const before = outputs?.[name];
    if (before?.path === path && isDigest(before.digest) && (await state.artifacts.matches(before, declaration.outputs[name]!.form, full, false))) return;
  }
  throw new ImgtaskError("IMG3013", `Something else stands where output "${name}" of "${declaration.name}" belongs: "${path}"`, {
    expected: "nothing, or what imgtask put there",
    found: stat.isDirectory() ? "a directory" : "a file",
    hint: "Move it away, or give the output another path; imgtask does not replace what it has not made",
  });
}

/** Milliseconds that a recipe has to notice that the run is over; longer than its commands have. */
const patience = 8000;

/** Calls a recipe; gives up waiting for one that does not end after the run was aborted. */
async function untilAborted(recipe: Recipe, context: RunContext): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const { signal, target } = context;
  let start = (): void => {};
  const givenUp = new Promise<never>((_, reject) => {
    start = () => {
      timer = setTimeout(() => reject(new ImgtaskError("IMG3004", `"${target}" did not end when the run did`, { exitCode: 130 })), patience);
    };
  });
  signal.addEventListener("abort", start, { once: true });
  try {
    await Promise.race([recipe(context), givenUp]);
  } finally {
    signal.removeEventListener("abort", start);
    clearTimeout(timer);
  }
}

/** Calls a recipe; its errors name the line of the project that failed, or else where the target was declared. */
export async function callRecipe(recipe: Recipe, { context, commands }: { readonly context: RunContext; readonly commands: Commands }, declaration: Declaration): Promise<void> {
  try {
    await untilAborted(recipe, context);
    await commands.finish(declaration.name);
  } catch (error) {
    await commands.end();
    const location = thrownAt(error, context.project) ?? declaration.location;
    if (isImgtaskError(error)) throw error.location === undefined ? ImgtaskError.prototype.at.call(error, location) : error;
    const message = error instanceof Error ? error.message : String(error);
    throw new ImgtaskError("IMG3020", `The recipe of "${declaration.name}" failed: ${message.split("\n")[0]!}`, {
      cause: error,
      ...(location === undefined ? {} : { location }),
    });
  }
}

/** What a target keeps must be there after its recipe, or it would never be fresh. */
function checkKept({ name, keeps = [], location }: Declaration, { project }: State): void {
  const missing = keeps.find((path) => statOf(resolve(project.directory, path))?.isFile() !== true);
  if (missing === undefined) return;
  throw new ImgtaskError("IMG3010", `The recipe of "${name}" did not make "${missing}", which it keeps`, {
    expected: `a file at "${missing}"`,
    found: "none",
    ...(location === undefined ? {} : { location }),
  });
}

async function storeOutput(declaration: Declaration, name: string, path: string, started: number, state: State): Promise<StoredOutput> {
  const spec = declaration.outputs[name]!;
  const stat = statOf(path);
  const found = stat === undefined ? "nothing" : stat.isDirectory() ? "a directory" : stat.isFile() ? "a file" : "something else";
  if (found !== (spec.form === "tree" ? "a directory" : "a file")) {
    throw new ImgtaskError("IMG3010", `The recipe of "${declaration.name}" did not make its output "${name}"`, {
      expected: `a ${spec.form === "tree" ? "directory" : "file"} at outputs.${name}`,
      found,
      hint: `Does the recipe write to outputs.${name}, and wait for all that it starts?`,
      ...(declaration.location === undefined ? {} : { location: declaration.location }),
    });
  }
  const durable = Date.now() - started >= worthwhile;
  const content = spec.form === "tree" ? await state.store.putTree(path, durable) : await state.store.putFile(path, durable);

  const time = new Date(started).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14);
  return { ...content, ...(spec.path === undefined ? {} : { path: spec.path.replaceAll("{time}", time) }) };
}

/** What the recipe sees of the environment. */
export function environmentOf({ untracked }: Declaration, { env }: Resolution): Resolution["env"] {
  return { ...env, ...Object.fromEntries((untracked?.env ?? []).map((name) => [name, process.env[name]])) };
}

/** Guards secrets, if there are any: declared ones, and passwords in what the environment says. */
export async function hushOf(options: Pick<RunOptions, "registered" | "resolution" | "state" | "signal">, logFd: number): Promise<Hush | undefined> {
  const { registered, state, signal } = options;
  const passwords = passwordsIn(baseEnvironment(options, ""));
  if (registered.declaration.secrets === undefined && passwords.length === 0) return undefined;
  return (await import("./hush.ts")).hushFor(registered, passwords, state.project.directory, signal, logFd);
}

let inherited: NodeJS.ProcessEnv | undefined;

/** What commands are given of the caller's environment. Read once: what a recipe does to `process.env` is not for others. */
function inheritedEnvironment(): NodeJS.ProcessEnv {
  const kept = ["PATH", "HOME", "USER", "LOGNAME", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];
  return (inherited ??= Object.fromEntries(kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))));
}

/** Environment of every command: nothing of the caller's but what finding programs and reaching the network needs. */
function baseEnvironment(options: Pick<RunOptions, "registered" | "resolution" | "state">, tmp: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...inheritedEnvironment() };
  for (const [name, value] of Object.entries(environmentOf(options.registered.declaration, options.resolution))) if (value !== undefined) env[name] = value;
  return { ...env, LC_ALL: "C.UTF-8", TZ: "UTC", TMPDIR: tmp, SOURCE_DATE_EPOCH: String(options.state.epoch) };
}

/** What a recipe is given when it runs in a private directory. */
export async function makeContext(options: Pick<RunOptions, "registered" | "resolution" | "state" | "upstream" | "formOf" | "signal" | "progress">, directory: string, outputs: { [name: string]: string }, logFd: number, seen: { readonly env: Resolution["env"]; readonly hush: Hush | undefined; readonly pin: Pinning["access"]; readonly watched?: boolean }): Promise<{ readonly context: RunContext; readonly given: ReadonlyMap<string, string | readonly string[]>; readonly commands: Commands }> {
  const { registered, state, signal } = options;
  const { declaration } = registered;
  const tmp = join(directory, "tmp");
  const env = baseEnvironment(options, tmp);
  const paths = new Map<string, string | readonly string[]>();
  let index = 0;
  for (const [key, input] of Object.entries(declaration.inputs)) {
    if (input.type === "source") paths.set(key, join(state.project.directory, input.path));
    else if (input.type === "glob") paths.set(key, (await globPaths(state.project.directory, input.patterns)).map((path) => join(state.project.directory, path)));
    else {
      const content = options.upstream.get(`${input.target}#${input.output}`)!;
      paths.set(key, await state.store.expose(content, options.formOf(input.target, input.output), join(directory, "in", String(index++))));
    }
  }
  const { hush } = seen;
  const log = (line: string): void => {
    writeSync(logFd, `${hush === undefined ? line : hush.text(line)}\n`);
  };
  const commands = new Commands(signal);
  const place = { cwd: tmp, env, logFd, signal, sink: hush?.sink, watched: seen.watched ?? false };
  const context = {
    target: declaration.name,
    inputs: resolveInputs(registered, paths),
    params: fill(declaration.params, paths),
    env: seen.env,
    secrets: hush?.values ?? {},
    ...(seen.pin === undefined ? {} : { pin: seen.pin }),
    outputs,
    tmp,
    project: state.project.directory,
    epoch: state.epoch,
    lineage: () => originOf(declaration, state, options.upstream),
    signal,
    exec: (argv: Argv, execOptions: ExecOptions = {}) => commands.run(String((argv as Argv | undefined)?.[0]), async (signal) => {
      checkArgv(argv);
      hush?.argv(argv);
      log(`$ ${argv.join(" ")}`);
      return await runCommand(argv, { ...place, signal }, execOptions);
    }),
    $: declaration.module === undefined ? shell(place, hush) : () => Promise.reject(new ImgtaskError("IMG3021", "Built-in kinds run commands by argument vector")),
    log,
    progress: hush === undefined ? options.progress : (text: string, amount?: Amount) => options.progress(hush.text(text), amount),
  };
  return { context: Object.freeze(context) as unknown as RunContext, given: paths, commands };
}

function resolveInputs(registered: Registered, paths: ReadonlyMap<string, string | readonly string[]>): Readonly<{ [name: string]: unknown }> {
  return Object.fromEntries(
    Object.entries(registered.inputs).map(([name, value]) => [name, Array.isArray(value) ? value.map((_, index) => paths.get(`inputs.${name}.${index}`)) : paths.get(`inputs.${name}`)]),
  );
}

/** The parameters with paths where handles stood. */
function fill(value: unknown, paths: ReadonlyMap<string, string | readonly string[]>): unknown {
  if (Array.isArray(value)) return value.map((item) => fill(item, paths));
  if (typeof value !== "object" || value === null) return value;
  const key = (value as { $input?: unknown }).$input;
  if (typeof key === "string") return paths.get(key);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fill(item, paths)]));
}

/** zx's `$` for the user's own recipes. Loaded when the first of them uses it. */
function shell({ cwd, env, logFd, signal, sink }: Place, hush: Hush | undefined): RunContext["$"] {
  return async (pieces, ...args) => {
    const { $ } = await import("zx/core");
    const bash = which("bash", searchPath(env)) ?? "bash";
    if (signal.aborted) throw new ImgtaskError("IMG3004", "A shell command was not begun because the run was ended", { exitCode: 130 });
    hush?.argv([...pieces, ...args]);
    let gone: Promise<void> = Promise.resolve();
    // zx's own way to start and end commands knows no group that outlives its leader.
    const start = (command: string, _arguments: readonly string[], options: SpawnOptions): ChildProcess => {
      const group = startGroup(bash, ["-c", command], { ...options, stdio: ["ignore", "pipe", "pipe"], shell: false }, signal);
      gone = group.gone;
      return group.child;
    };
    const bound = $({ cwd, env: env as NodeJS.ProcessEnv, quiet: true, verbose: false, shell: bash, prefix: "set -euo pipefail;", stdio: ["ignore", "pipe", "pipe"], spawn: start as unknown as typeof spawn });
    const running = bound(pieces, ...(args as never[]));
    const direct = (): Sink => ({ push: (chunk) => void writeSync(logFd, String(chunk)), end: () => {} });
    const written = drain([running.stdout, running.stderr], sink ?? direct);
    try {
      const finished = await running;
      await gone;
      written();
      return finished;
    } catch (error) {
      await gone;
      // A log that cannot be written to is the error, whatever came of the command.
      written();
      if (signal.aborted) throw new ImgtaskError("IMG3004", "A shell command was ended because the run was", { exitCode: 130, cause: error });
      const { exitCode, signal: killer, stderr } = error as { exitCode?: number | null; signal?: NodeJS.Signals | null; stderr?: string };
      const found = typeof exitCode === "number" ? `exit code ${exitCode}` : typeof killer === "string" ? `an end by ${killer}` : undefined;
      const last = (stderr ?? "").trim().split("\n").at(-1) ?? "";
      throw new ImgtaskError("IMG3002", `A shell command failed: ${last === "" ? pieces.join("…").trim() : last}`, {
        expected: "exit code 0",
        ...(found === undefined ? {} : { found }),
        hint: `Run it again by hand: cd ${cwd} && ${running.cmd}`,
        // What zx says of an end is said already.
        ...(found === undefined ? { cause: error } : {}),
      });
    }
  };
}
