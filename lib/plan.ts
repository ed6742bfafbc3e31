/**
 * Whether a target is fresh, and why not. Reads state, writes none.
 * @module
 */
import { join, resolve } from "node:path";
import type { Content } from "./content.ts";
import { difference } from "./difference.ts";
import type { Reason } from "./event.ts";
import { statOf } from "./files.ts";
import { fingerprint, manifest, type Resolution } from "./fingerprint.ts";
import { closure } from "./graph.ts";
import type { Loaded } from "./load.ts";
import type { Record } from "./record.ts";
import { resolveNow, type State } from "./state.ts";
import { Witness } from "./witness.ts";
import type { Declaration } from "./target.ts";

/** What is known of a target whose upstream outputs are known. */
export type Verdict =
  /** A recorded result holds; `restore` names the outputs that do not stand where they should. */
  | { readonly type: "fresh"; readonly record: Record; readonly restore: readonly string[] }
  | { readonly type: "stale"; readonly reasons: readonly Reason[]; readonly resolution: Resolution };

/** An output that does not stand where it should. */
export interface Restore {
  readonly output: string;
  /** Relative to the project. */
  readonly path: string;
  /** `"different"`: it was edited, or it is of another result. */
  readonly problem: "missing" | "different";
}

/** One line of a plan. */
export interface PlanEntry {
  readonly target: string;
  readonly verdict: "fresh" | "restore" | "stale" | "depends";
  /** Of a stale target. */
  readonly reasons: readonly Reason[];
  /** A target that it reads and that would run. When the verdict is `"depends"`, its outcome decides. */
  readonly on?: string;
  /** Outputs that would come back from the store, and what is wrong with their paths. */
  readonly restore?: readonly Restore[];
  /** Of a fresh or restored target: when the result that holds was made, in milliseconds since 1970, if it is not the last one. */
  readonly earlier?: number;
}

/** What is different since the newest result. */
function changes(declaration: Declaration, now: Resolution, state: State): readonly Reason[] {
  const latest = state.records.latest(declaration.name);
  return latest === undefined ? [{ type: "never run" }] : difference(latest.manifest, manifest(declaration, now));
}

/** Judges a target by its recorded results and what it depends on now. */
export async function judge(declaration: Declaration, now: Resolution, state: State, forced: boolean, witness?: Witness): Promise<Verdict> {
  if (forced) return { type: "stale", reasons: [{ type: "forced" }, ...changes(declaration, now, state)], resolution: now };
  const record = state.records.find(declaration.name, fingerprint(declaration, now));
  if (record === undefined) return { type: "stale", reasons: changes(declaration, now, state), resolution: now };
  const standing = await look(declaration, record, state, witness);
  return "problem" in standing ? { type: "stale", reasons: [standing.problem], resolution: now } : { type: "fresh", record, restore: standing.restore };
}

/**
 * Looks at what a record says was made: whether the store has it, which outputs do not stand where they should, and
 * whether what the target keeps beside them is there.
 *
 * @param witness is told of every file that was looked at
 */
export async function look(
  declaration: Declaration, record: Record, state: State, witness: Witness = new Witness(),
): Promise<{ readonly restore: readonly string[] } | { readonly problem: Reason }> {
  const restore: string[] = [];
  for (const [name, spec] of Object.entries(declaration.outputs)) {
    const stored = record.outputs[name];
    const condition = stored === undefined ? "missing" : await state.store.check(stored, spec.form, witness);
    if (condition !== "intact") return { problem: { type: "store", output: name, problem: condition } };
    if (stored!.path === undefined) continue;
    const path = join(state.project.directory, stored!.path);
    if (!(await state.artifacts.matches(stored!, spec.form, path, spec.merge ?? false, witness))) restore.push(name);
  }
  for (const path of declaration.keeps ?? []) {
    if (witness.type(resolve(state.project.directory, path))?.isFile() !== true) return { problem: { type: "kept", path, problem: "missing" } };
  }
  return { restore };
}

/** Whether a result on record may turn out to hold, when outputs that are still to be made come out as they were then. */
function mayHold(declaration: Declaration, now: Resolution, state: State): boolean {
  const current = manifest(declaration, now);
  return state.records.results(declaration.name).some((record) => difference(record.manifest, current).length === 0);
}

function restoring(output: string, path: string, state: State): Restore {
  const there = statOf(join(state.project.directory, path));
  return { output, path, problem: there === undefined ? "missing" : "different" };
}

/**
 * What a run would do, as far as it can be known before. A target that reads what would be made anew is stale when
 * something else of it changed, too; otherwise it depends on that, since it may come out the same. Writes nothing.
 */
export async function makePlan(loaded: Loaded, names: readonly string[], state: State, forced: ReadonlySet<string>): Promise<readonly PlanEntry[]> {
  const { graph } = loaded;
  const upstream = new Map<string, Content>();
  const undecided = new Set<string>();
  const entries: PlanEntry[] = [];
  for (const name of closure(graph, names)) {
    const { declaration } = graph.get(name)!;
    if (declaration.kind === "group") continue;
    const now = await resolveNow(declaration, loaded, state, upstream, new Witness());
    const on = Object.values(declaration.inputs).find((input) => input.type === "artifact" && undecided.has(input.target)) as { readonly target: string } | undefined;
    if (on !== undefined && !forced.has(name)) {
      undecided.add(name);
      const depends = mayHold(declaration, now, state);
      entries.push({ target: name, verdict: depends ? "depends" : "stale", reasons: depends ? [] : changes(declaration, now, state), on: on.target });
      continue;
    }
    const verdict = await judge(declaration, now, state, forced.has(name));
    if (verdict.type === "stale") {
      undecided.add(name);
      entries.push({ target: name, verdict: "stale", reasons: verdict.reasons, ...(on === undefined ? {} : { on: on.target }) });
      continue;
    }
    const { record, restore } = verdict;
    for (const [output, stored] of Object.entries(record.outputs)) upstream.set(`${name}#${output}`, stored);
    const last = state.records.results(name).every(({ time }) => time <= record.time);
    const wrong = restore.map((output) => restoring(output, record.outputs[output]!.path!, state));
    entries.push({ target: name, verdict: restore.length > 0 ? "restore" : "fresh", reasons: [], restore: wrong, ...(last ? {} : { earlier: record.time }) });
  }
  return entries;
}
