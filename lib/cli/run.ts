/**
 * The commands `run` and `plan`: load, plan, schedule, report.
 * @module
 */
import { join } from "node:path";
import { readdir, rm } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { Budget, usableCores } from "../budget.ts";
import type { Digest } from "../digest.ts";
import { ExitCode, ImgtaskError } from "../error.ts";
import type { Event, Outcome } from "../event.ts";
import { Evidence } from "../evidence.ts";
import { Judgements } from "../gather.ts";
import { closure, type Graph, select } from "../graph.ts";
import { History } from "../history.ts";
import { load, type Loaded } from "../load.ts";
import { takeLock } from "../lock.ts";
import { makePlan } from "../plan.ts";
import { commandsDirectory, evidenceFile, type Project } from "../project.ts";
import type { Reporter } from "../report/reporter.ts";
import { schedule } from "../schedule.ts";
import { flushState, openState, openTrust, prepareState, type State } from "../state.ts";
import type { Requirement } from "../tool.ts";
import { missingTools } from "../tool-versions.ts";
import { passwordsIn } from "../url-password.ts";
import type { CommandContext } from "./context.ts";
import { unknownCommand } from "./options.ts";

/** What these commands need beside the context of every command. */
export interface Engine {
  readonly state: State;
  readonly loaded: Loaded;
}

/** Names of the targets that the command line asks for. */
export function wanted(context: CommandContext, loaded: Loaded): readonly string[] {
  const { targets, implied } = context.options;
  if (targets.length > 0) {
    const first = targets[0]!;
    if (implied && !loaded.graph.has(first) && !/[:*]/.test(first)) throw unknownCommand(first, [...loaded.graph.keys()]);
    return select(loaded.graph, targets);
  }
  if (loaded.default !== undefined && loaded.graph.has(loaded.default)) return [loaded.default];
  throw new ImgtaskError("IMG2022", "No target named, and the imagefile has no default", {
    expected: "names of targets, or a default export: `export default group(\"all\", […])`",
    hint: "Run `imgtask list` to see the targets",
    exitCode: ExitCode.usage,
  });
}

function forcedOf(context: CommandContext, names: readonly string[], graph: Graph): ReadonlySet<string> {
  if (!context.options.force && !context.options.audit) return new Set();
  return new Set(names.flatMap((name) => (graph.get(name)!.declaration.members.length > 0 ? graph.get(name)!.declaration.members : [name])));
}

function requirementsOf(loaded: Loaded, names: readonly string[], proven: ReadonlySet<string>): readonly Requirement[] {
  return closure(loaded.graph, names).flatMap((name) => (proven.has(name) ? [] : loaded.graph.get(name)!.declaration.tools));
}

/** The targets that evidence proves fresh, among the named ones and all that they need. */
function provenFresh(loaded: Loaded, state: State, names: readonly string[], evidence: Evidence | undefined): ReadonlySet<string> {
  if (evidence === undefined) return new Set();
  const proven = new Set(evidence.prove(names).proven);
  // What is judged must know what its dependencies made: without a record of that, they are judged, too.
  const order = closure(loaded.graph, names);
  for (const name of order.toReversed()) {
    if (proven.has(name)) continue;
    for (const dependency of loaded.graph.get(name)!.dependencies) {
      if (!loaded.graph.get(dependency)!.group && state.records.latest(dependency) === undefined) proven.delete(dependency);
    }
  }
  return proven;
}

/** Fails when something that the targets need is not on this host, unless it is to be installed and can be. */
export async function checkTools(context: CommandContext, { loaded, state }: Engine, names: readonly string[], proven: ReadonlySet<string>): Promise<void> {
  const requirements = requirementsOf(loaded, names, proven);
  const findings = await state.tools.problems(requirements);
  if (findings.length === 0) return;
  const { detect, install, missing, pasteable } = await import("../package-manager.ts");
  const manager = detect();
  const { packages } = missing(findings, manager);
  const command = manager === undefined || packages.length === 0 ? undefined : pasteable(manager, packages);
  if (!context.options.installTools || manager === undefined || packages.length === 0) throw missingTools(findings, command);
  context.stderr(`Installing ${packages.join(" ")}\n`);
  await install({ manager, packages, signal: context.signal, on: (argv) => context.stderr(`$ ${argv.join(" ")}\n`) });
  state.tools.forget();
  const left = await state.tools.problems(requirements);
  if (left.length > 0) throw missingTools(left, undefined);
}

/** Loads the reporter only when something happens: a run with nothing to do needs no spinner. */
function lazyReporter(context: CommandContext): { on(event: Event): void; open(): Promise<void>; finish(): Promise<void> } {
  const { options } = context;
  const kept: Event[] = [];
  let reporter: Reporter | undefined;
  let loading: Promise<void> | undefined;
  const open = async (requested: typeof options.reporter): Promise<void> => {
    const { chooseReporter } = await import("../report/choose.ts");
    reporter = await chooseReporter({ requested, color: options.color, cwd: context.cwd, verbose: options.verbose, signal: context.signal });
    for (const event of kept.splice(0)) reporter.on(event);
  };
  const requested = options.json ? "json" : options.quiet ? "quiet" : options.reporter;
  return {
    open: () => (loading ??= open(requested)),
    on(event) {
      if (reporter !== undefined) return reporter.on(event);
      kept.push(event);
      if (event.type === "target started" || event.type === "waiting") loading ??= open(requested);
    },
    async finish() {
      loading ??= open(requested ?? (process.env["GITHUB_ACTIONS"] === "true" ? undefined : "plain"));
      await loading;
      reporter?.close();
    },
  };
}

/** Removes what a killed run left in `.imgtask/tmp`. Only called while the lock is held. */
async function removeLeftovers(state: State): Promise<void> {
  const directory = join(state.project.state, "tmp");
  const names = await readdir(directory);
  if (names.length > 0) await (await import("../stray.ts")).endStrays(join(directory, "/"));
  for (const name of names) {
    await rm(join(directory, name), { recursive: true, force: true }).catch(async () => {
      // Files of subordinate ids can only be removed by root of the namespace that maps them.
      const { execFileSync } = await import("node:child_process");
      const { namespaceArgv } = await import("../sandbox.ts");
      const [command, ...args] = namespaceArgv({ uid: process.geteuid?.() ?? 1 }, ["rm", "-rf", "--one-file-system", "--", join(directory, name)]);
      try {
        execFileSync(command, args, { stdio: "ignore" });
      } catch {
        // Left for `imgtask clean`.
      }
    });
  }
}

/** Bytes that the store may hold beside what the recorded results need: `IMGTASK_STORE_LIMIT` in GiB. */
function storeLimit(): number {
  const gigabytes = Number(process.env["IMGTASK_STORE_LIMIT"] ?? "20");
  return (Number.isFinite(gigabytes) && gigabytes >= 0 ? gigabytes : 20) * 1024 ** 3;
}

function tellV8(...flags: readonly string[]): void {
  if (process.versions["deno"] === undefined) for (const flag of flags) setFlagsFromString(flag);
}

/**
 * Tells V8 what suits runs of some seconds. It waits ten times as long as usual until it compiles a function by its
 * optimizing compiler, which would take half a second of a core, in the way of commands; what really takes long is compiled all
 * the same. The space for young objects stays as it is when the run begins, where it would grow to 34 MB; and garbage is
 * collected when half as much again is there as after the last time, not three times as much.
 */
function tuneV8(): void {
  tellV8("--interrupt-budget=1320000", "--semi-space-growth-factor=1", "--heap-growing-percent=50");
}

/** Memory as V8 would have it, where targets are too few to fill it: a recipe that computes much is a third faster so. */
function giveRoom(targets: number): void {
  if (targets < 2000) tellV8("--semi-space-growth-factor=2", "--heap-growing-percent=0");
}

/** Runs the named targets, or the default. */
export async function run(context: CommandContext, project: Project): Promise<ExitCode> {
  const { options } = context;
  const audit = options.audit ? await import("./audit.ts") : undefined;
  if (audit !== undefined && !audit.isTraced()) return audit.underTrace(context, project);
  const started = Date.now();
  tuneV8();
  const trust = await openTrust(project);
  if (trust !== undefined) (await import("../trust.ts")).sweep(project.state);
  const reporter = lazyReporter(context);
  const notifier = (process.env["IMGTASK_NOTIFY_WEBHOOK"] ?? process.env["IMGTASK_NOTIFY_SLACK"]) === undefined ? undefined : (await import("./notify.ts")).openNotifier(process.env);
  const history = new History();
  const on = (event: Event): void => {
    reporter.on(event);
    history.on(event);
    notifier?.on(event);
  };
  const trace = options.trace === undefined ? undefined : (await import("./trace.ts")).openTrace(options.trace, context.cwd);
  prepareState(project);
  // The state is read only when nobody else can add to it any more.
  let waited = false;
  const lock = await takeLock(project.state, {
    purpose: `imgtask ${options.targets.join(" ")}`.trimEnd().slice(0, 200),
    signal: context.signal,
    waiting: (holder) => {
      waited = true;
      reporter.on({ type: "waiting", holder });
    },
  });
  if (lock === undefined) return signalCode(context);
  try {
    const state = openState(project, trust, process.env, { frozen: options.frozen });
    const aside = trust === undefined ? [] : (await import("../trust.ts")).putAside(project, process.env);
    // What was looked at a moment ago counts, unless somebody else was at work meanwhile.
    const looked = waited || trust !== undefined || context.evidence?.isIn(evidenceFile(project)) !== true ? undefined : context.evidence;
    const kept = looked ?? Evidence.read(evidenceFile(project), { ...project, epoch: state.epoch, env: process.env });
    // Results that somebody else recorded since are not in it.
    const held = kept?.basisHolds() === true ? kept : undefined;
    const loaded = await load(project, state.cache, { believed: held?.snapshot });
    const names = wanted(context, loaded);
    const before = held?.snapshot === loaded.basis?.id ? held : undefined;
    const proven = options.force || options.audit ? new Set<string>() : provenFresh(loaded, state, names, before);
    const order = closure(loaded.graph, names).filter((name) => !loaded.graph.get(name)!.group);
    if (proven.size > 0) loaded.narrow?.(new Set(order.filter((name) => !proven.has(name))));
    giveRoom(loaded.graph.size);
    const judgements = new Judgements();
    await checkTools(context, { state, loaded }, names, proven);
    await removeLeftovers(state);
    const jobs = options.jobs ?? usableCores();
    if (order.some((name) => loaded.graph.get(name)!.secret) || passwordsIn(process.env).length > 0) (await import("./hide.ts")).hideSecrets();
    reporter.on({ type: "run started", targets: order, jobs });
    // With evidence, the log is the one whose damage was told of.
    if (before === undefined && state.records.damaged > 0) {
      reporter.on({ type: "warning", code: "IMG6001", message: `${state.records.damaged} recorded result${state.records.damaged === 1 ? "" : "s"} could not be read and will be made again`, hint: undefined });
    }
    if (aside.length > 0) {
      reporter.on({ type: "warning", code: "IMG6005", message: `Private keys that no trusted key signed were put aside: ${aside.join(", ")}`, hint: "They are in .imgtask/keys/.untrusted; what needs one makes a new one" });
    }
    // If the tracer ends, nothing can be loaded any more.
    if (audit !== undefined) await reporter.open();
    const { outcomes, failure } = await (audit?.auditTargets ?? schedule)(loaded, names, state, {
      budget: new Budget({ jobs, memory: options.memory, directory: project.state }),
      failures: options.failures,
      forced: forcedOf(context, names, loaded.graph),
      trace: trace?.trace,
      proven,
      judgements,
      signal: context.signal,
      on,
    });
    // Daemons that a recipe started. What is still in a command's group was ended with the command.
    if ([...outcomes.values()].some((outcome) => outcome !== "fresh" && outcome !== "restored")) await (await import("../stray.ts")).endStrays(commandsDirectory(project));
    const { untrusted } = state.records;
    if (untrusted > 0) {
      reporter.on({ type: "warning", code: "IMG6002", message: `${untrusted} result${untrusted === 1 ? "" : "s"} that no trusted key signed ${untrusted === 1 ? "was" : "were"} not taken`, hint: undefined });
    }
    trace?.write((name) => loaded.graph.get(name)!.dependencies, (event) => reporter.on(event));
    const counts: { [K in Outcome]: number } = { fresh: 0, restored: 0, done: 0, failed: 0, skipped: 0, cancelled: 0 };
    for (const name of order) counts[outcomes.get(name)!]++;
    if (counts.done > 0) {
      const { collectSometimes } = await import("../collect.ts");
      const newest = (): ReadonlySet<Digest> => {
        const records = [...state.records.all()].filter((record) => state.records.latest(record.target) === record);
        return new Set(records.flatMap(({ outputs }) => Object.values(outputs).map(({ digest }) => digest)));
      };
      if (await collectSometimes(state.store, join(project.caches, "store-size"), newest, storeLimit())) {
        const { collectSheets } = await import("../recipe-sheet.ts");
        const recorded = [...state.records.all()].flatMap(({ manifest }) => manifest.flatMap(([key, value]) => (key.startsWith("recipe ") ? [value] : [])));
        collectSheets(project.state, new Set([...recorded, ...[...loaded.graph.values()].map(({ declaration }) => loaded.recipeDigest(declaration))]));
      }
      // What grew by a few lines only can wait until the store is looked at.
      if (state.records.whole) state.records.compact();
    }
    judgements.write(evidenceFile(project), loaded, state, before);
    state.workplaces.close();
    flushState(state);
    await keepFigures(history, project, context.cwd, on);
    await notifier?.send(project.directory, on);
    reporter.on({ type: "run ended", duration: Date.now() - started, outcomes: counts, signal: signalOf(context) });
    if (context.signal.aborted) return signalCode(context);
    return failure === undefined ? ExitCode.ok : failure.exitCode === ExitCode.ok ? ExitCode.failed : failure.exitCode;
  } finally {
    await reporter.finish();
    await lock.release();
  }
}

/**
 * Adds to the history, and writes the metrics where they are asked for. That either cannot be written is a warning; but
 * where a disk is full or fails, figures are the least that is lost, and nothing is said of them.
 */
async function keepFigures(history: History, project: Project, cwd: string, on: (event: Event) => void): Promise<void> {
  try {
    history.write(project.state);
  } catch (error) {
    if (!["ENOSPC", "EDQUOT", "EIO", "EROFS"].includes((error as NodeJS.ErrnoException).code ?? "")) on({ type: "warning", code: "IMG6006", message: `The history could not be written: ${(error as Error).message}`, hint: undefined });
  }
  const file = process.env["IMGTASK_METRICS"] ?? "";
  if (file !== "") (await import("./metrics.ts")).writeMetrics(project, file, cwd, on);
}

/** The signal that ends the run, if one does: a failure that nobody waited for ends it as well. */
function signalOf({ signal }: CommandContext): "SIGINT" | "SIGTERM" | "SIGHUP" | undefined {
  const reason: unknown = signal.reason;
  return reason === "SIGINT" || reason === "SIGTERM" || reason === "SIGHUP" ? reason : undefined;
}

function signalCode(context: CommandContext): ExitCode {
  const signal = signalOf(context);
  return signal === undefined ? ExitCode.failed : signal === "SIGINT" ? ExitCode.interrupted : ExitCode.terminated;
}

/** Says what a run would do; writes nothing. */
export async function plan(context: CommandContext, { state, loaded }: Engine): Promise<ExitCode> {
  const names = wanted(context, loaded);
  const entries = await makePlan(loaded, names, state, forcedOf(context, names, loaded.graph));
  const { planData, planText } = await import("../report/plan.ts");
  context.stdout(context.options.json ? `${JSON.stringify(planData(entries), null, 2)}\n` : planText(entries, { color: process.stdout.isTTY === true && context.color }));
  const changes = entries.some((entry) => entry.verdict !== "fresh");
  return context.options.exitCode && changes ? ExitCode.wouldChange : ExitCode.ok;
}
