/**
 * Whether a target is fresh, and why not. Reads state, writes none.
 * @module
 */
import { join } from "node:path";
import type { Digest } from "./digest.ts";
import type { Reason } from "./event.ts";
import { difference, fingerprint, manifest, type Resolution } from "./fingerprint.ts";
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

/** One line of a plan. */
export interface PlanEntry {
  readonly target: string;
  readonly verdict: "fresh" | "restore" | "stale" | "depends";
  /** Of a stale target. */
  readonly reasons: readonly Reason[];
  /** The target whose outcome decides, when the verdict is `"depends"`. */
  readonly on?: string;
}

/** Judges a target by its recorded results and what it depends on now. */
export async function judge(declaration: Declaration, now: Resolution, state: State, forced: boolean, witness?: Witness): Promise<Verdict> {
  if (forced) return { type: "stale", reasons: [{ type: "forced" }], resolution: now };
  const record = state.records.find(declaration.name, fingerprint(declaration, now));
  if (record === undefined) {
    const latest = state.records.latest(declaration.name);
    const reasons = latest === undefined ? [{ type: "never run" } as const] : difference(latest.manifest, manifest(declaration, now));
    return { type: "stale", reasons, resolution: now };
  }
  const standing = await look(declaration, record, state, witness);
  return "problem" in standing ? { type: "stale", reasons: [standing.problem], resolution: now } : { type: "fresh", record, restore: standing.restore };
}

/**
 * Looks at what a record says was made: whether the store has it, and which outputs do not stand where they should.
 *
 * @param witness is told of every file that was looked at
 */
export async function look(
  declaration: Declaration, record: Record, state: State, witness?: Witness,
): Promise<{ readonly restore: readonly string[] } | { readonly problem: Reason }> {
  const restore: string[] = [];
  for (const [name, spec] of Object.entries(declaration.outputs)) {
    const stored = record.outputs[name];
    const condition = stored === undefined ? "missing" : await state.store.check(stored.digest, spec.form, witness);
    if (condition !== "intact") return { problem: { type: "store", output: name, problem: condition } };
    if (stored!.path === undefined) continue;
    const path = join(state.project.directory, stored!.path);
    if (!(await state.artifacts.matches(stored!.digest, spec.form, path, spec.merge ?? false, witness))) restore.push(name);
  }
  return { restore };
}

/**
 * What a run would do, as far as it can be known before: what depends on a target that would run is said to
 * depend on it, since it may come out the same. Writes nothing.
 */
export async function makePlan(loaded: Loaded, names: readonly string[], state: State, forced: ReadonlySet<string>): Promise<readonly PlanEntry[]> {
  const { graph } = loaded;
  const upstream = new Map<string, Digest>();
  const undecided = new Map<string, string>();
  const entries: PlanEntry[] = [];
  for (const name of closure(graph, names)) {
    const { declaration, dependencies } = graph.get(name)!;
    const on = dependencies.find((one) => undecided.has(one));
    if (declaration.kind === "group") {
      if (on !== undefined) undecided.set(name, on);
      continue;
    }
    if (on !== undefined && !forced.has(name)) {
      undecided.set(name, on);
      entries.push({ target: name, verdict: "depends", reasons: [], on });
      continue;
    }
    if (forced.has(name)) {
      undecided.set(name, name);
      entries.push({ target: name, verdict: "stale", reasons: [{ type: "forced" }] });
      continue;
    }
    const verdict = await judge(declaration, await resolveNow(declaration, loaded, state, upstream, new Witness()), state, false);
    if (verdict.type === "stale") {
      undecided.set(name, name);
      entries.push({ target: name, verdict: "stale", reasons: verdict.reasons });
    } else {
      for (const [output, stored] of Object.entries(verdict.record.outputs)) upstream.set(`${name}#${output}`, stored.digest);
      entries.push({ target: name, verdict: verdict.restore.length > 0 ? "restore" : "fresh", reasons: [] });
    }
  }
  return entries;
}
