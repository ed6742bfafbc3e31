/**
 * `imgtask verify --rebuild`: makes targets again, one after another, and compares with what is stored.
 * @module
 */
import { join } from "node:path";
import { type Content, contentOf } from "../content.ts";
import { ExitCode, ImgtaskError } from "../error.ts";
import { fingerprint } from "../fingerprint.ts";
import { closure } from "../graph.ts";
import { load, type Loaded } from "../load.ts";
import { takeLock } from "../lock.ts";
import { findProject } from "../project.ts";
import { type OutputComparison, rebuild } from "../rebuild.ts";
import type { Record } from "../record.ts";
import { formatError } from "../report/error.ts";
import { type Rebuilt, rebuiltData, rebuiltError, rebuiltText } from "../report/rebuilt.ts";
import { closeLog, openLog } from "../log.ts";
import { flushState, openState, openTrust, prepareState, resolveNow, type State, type Upstream } from "../state.ts";
import { Witness } from "../witness.ts";
import { type CommandContext, dataColor } from "./context.ts";
import { checkTools, wanted } from "./run.ts";

/** Makes the named targets again; ends with 3 when one came out another way. */
export async function verifyRebuild(context: CommandContext): Promise<ExitCode> {
  const project = findProject(context.cwd, context.options.imagefile);
  const trust = await openTrust(project);
  prepareState(project);
  // Nobody may replace what it is compared with meanwhile.
  const lock = await takeLock(project.state, {
    purpose: `imgtask verify --rebuild ${context.options.targets.join(" ")}`.slice(0, 200),
    signal: context.signal,
    waiting: (holder) => context.stderr(`Waiting for another imgtask on this project: ${holder}\n`),
  });
  if (lock === undefined) return ExitCode.interrupted;
  try {
    const state = openState(project, trust);
    const loaded = await load(project, state.cache, { write: false });
    const named = wanted(context, loaded);
    const chosen = new Set(context.options.deep ? closure(loaded.graph, named) : named.flatMap((name) => membersOf(loaded, name)));
    await checkTools(context, { state, loaded }, [...chosen].filter((name) => loaded.graph.get(name)!.declaration.kind !== "group"), new Set());
    const results = await compareAll(context, loaded, state, chosen, new Set(named));
    state.workplaces.close();
    flushState(state);
    context.stdout(context.options.json ? `${JSON.stringify(rebuiltData(results), undefined, 2)}\n` : rebuiltText(results, { color: dataColor(context) }));
    if (context.signal.aborted) return ExitCode.interrupted;
    const error = rebuiltError(results);
    if (error !== undefined) context.stderr(`${formatError(error, { color: context.color, cwd: context.cwd })}\n`);
    return error?.exitCode ?? ExitCode.ok;
  } finally {
    await lock.release();
  }
}

/** A group stands for its members. */
function membersOf(loaded: Loaded, name: string): readonly string[] {
  const { kind, members } = loaded.graph.get(name)!.declaration;
  return kind === "group" ? members.flatMap((member) => membersOf(loaded, member)) : [name];
}

async function compareAll(context: CommandContext, loaded: Loaded, state: State, chosen: ReadonlySet<string>, named: ReadonlySet<string>): Promise<readonly Rebuilt[]> {
  const made = new Map<string, Content>();
  const upstream: Upstream = { get: (output) => made.get(output) };
  const results: Rebuilt[] = [];
  for (const name of closure(loaded.graph, [...chosen])) {
    const { declaration } = loaded.graph.get(name)!;
    if (declaration.kind === "group") continue;
    const resolution = await resolveNow(declaration, loaded, state, upstream, new Witness());
    const print = fingerprint(declaration, resolution);
    const record = state.records.find(name, print);
    if (record === undefined || !(await intact(state, declaration.outputs, record))) throw stale(name);
    for (const [output, stored] of Object.entries(record.outputs)) made.set(`${name}#${output}`, contentOf(stored));
    if (!chosen.has(name)) continue;
    // Making it again would change what is outside: publish once more, replace a key.
    if ((declaration.untracked?.writes ?? []).length > 0 || (declaration.keeps ?? []).length > 0 || declaration.kind === "publish") {
      if (named.has(name)) throw outside(name);
      results.push({ target: name, outcome: "skipped", duration: 0, outputs: [] });
      continue;
    }
    context.stderr(`[${name}] making it again\n`);
    const started = Date.now();
    // A name that no target can have.
    const log = openLog(join(state.project.state, "logs"), `verify~${name}`, declaration.sensitive ?? false);
    let outputs: readonly OutputComparison[];
    try {
      outputs = await rebuild({
        registered: await loaded.registered(name),
        resolution,
        state,
        upstream,
        formOf: (target, output) => loaded.graph.get(target)!.declaration.outputs[output]!.form,
        signal: declaration.timeout === undefined ? context.signal : AbortSignal.any([context.signal, AbortSignal.timeout(declaration.timeout)]),
        progress: () => {},
      }, record, log);
    } finally {
      await closeLog(log);
    }
    if (fingerprint(declaration, await resolveNow(declaration, loaded, state, upstream, new Witness())) !== print) throw edited(name);
    results.push({ target: name, outcome: outputs.some(({ differences }) => differences.length > 0) ? "different" : "equal", duration: Date.now() - started, outputs });
  }
  return results;
}

async function intact(state: State, outputs: Readonly<{ [name: string]: { readonly form: "file" | "tree" } }>, record: Record): Promise<boolean> {
  for (const [name, stored] of Object.entries(record.outputs)) if ((await state.store.check(stored, outputs[name]!.form)) !== "intact") return false;
  return true;
}

function stale(name: string): ImgtaskError {
  return new ImgtaskError("IMG2170", `"${name}" is stale: there is no result of what it is now to compare with`, {
    hint: `Run \`imgtask run ${name}\` first`,
    exitCode: ExitCode.usage,
  });
}

function outside(name: string): ImgtaskError {
  return new ImgtaskError("IMG2171", `"${name}" cannot be made again without changing something outside of it`, {
    expected: "a target that writes nothing but its outputs",
    hint: "Verify what it is made from",
    exitCode: ExitCode.usage,
  });
}

function edited(name: string): ImgtaskError {
  return new ImgtaskError("IMG3014", `What "${name}" reads was edited while it ran`, { hint: "Run it again" });
}
