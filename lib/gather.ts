/**
 * What a run has learned of its targets, turned into evidence for the next one. Judges nothing itself.
 * @module
 */
import { join } from "node:path";
import { contentName } from "./content.ts";
import type { Digest } from "./digest.ts";
import { type Evidence, madeOf } from "./evidence.ts";
import { type Learned, writeEvidence } from "./evidence-writer.ts";
import { closure } from "./graph.ts";
import type { Loaded } from "./load.ts";
import { look } from "./plan.ts";
import type { Record } from "./record.ts";
import { cachedDigest } from "./snapshot.ts";
import type { State } from "./state.ts";
import type { Declaration } from "./target.ts";
import { type Fact, identityIn, Witness } from "./witness.ts";

/** Judgements of one run, by target. */
export class Judgements {
  readonly #judged = new Map<string, { readonly facts: readonly Fact[] | undefined; readonly made: bigint }>();
  readonly #dropped = new Set<string>();

  /**
   * A target was found to be what a record says.
   *
   * @param inputs saw what it reads
   * @param outputs saw what it made. @default they are looked at now
   */
  async keep(declaration: Declaration, record: Record, state: State, inputs: Witness, outputs?: Witness): Promise<void> {
    if (outputs === undefined) await look(declaration, record, state, (outputs = new Witness()));
    this.#judged.set(record.target, {
      facts: inputs.sure && outputs.sure ? [...inputs.facts, ...outputs.facts] : undefined,
      made: madeOf(Object.keys(record.outputs).sort().map((output) => `${output} ${contentName(record.outputs[output]!)}`)),
    });
    this.#dropped.delete(record.target);
  }

  /** A target ran or failed; what was known of it no longer counts. */
  drop(target: string): void {
    this.#judged.delete(target);
    this.#dropped.add(target);
  }

  /**
   * Writes evidence for the next run, when anything was learned: what was judged now, and what is known from before
   * of the others. Failing to is no error.
   *
   * @param before evidence that was found to belong to this evaluation, and to the records of before the run
   */
  write(file: string, loaded: Loaded, state: State, before: Evidence | undefined): void {
    try {
      this.#write(file, loaded, state, before);
    } catch {
      // The next run judges again.
    }
  }

  #write(file: string, loaded: Loaded, state: State, before: Evidence | undefined): void {
    const { basis } = loaded;
    if (basis === undefined || (before !== undefined && this.#judged.size === 0 && this.#dropped.size === 0)) return;
    const facts = basisFacts(basis.files, state);
    if (facts === undefined) return;
    const current = (fact: Fact): Fact => {
      if (!state.cache.moved.has(fact.path)) return fact;
      const stat = state.cache.carried(fact.path, (one) => String(identityIn(one)) === String(fact.seen));
      return stat === undefined ? fact : { ...fact, seen: identityIn(stat) };
    };
    const learned = new Map<string, Learned | undefined>([...this.#dropped].map((name) => [name, undefined]));
    for (const [name, { facts, made }] of this.#judged) learned.set(name, { made, env: variablesOf(loaded.graph.get(name)!.declaration), facts: facts?.map(current) });
    const unsynced = [...learned.values()].some((one) => one?.facts?.some(({ path }) => state.cache.isUnsynced(path)) ?? false);
    const { graph } = loaded, { directory, imagefile } = state.project;
    writeEvidence(file, { imagefile, directory, epoch: state.epoch, env: process.env }, {
      targets: () => closure(graph, [...graph.keys()]).map((name) => ({ name, group: graph.get(name)!.group, dependencies: graph.get(name)!.dependencies })),
      learned, before, moved: { paths: state.cache.moved, now: current }, default: loaded.default, basis: { snapshot: basis.id, facts, env: basis.environment }, unsynced,
    });
  }
}

/** Environment variables that a judgement depends on: the declared ones, and where tools are looked for. */
function variablesOf({ env, tools }: Declaration): readonly string[] {
  return tools.length === 0 ? env : [...env, "PATH"];
}

/** Facts about what the evaluation read, and about the log of results; `undefined` when they tell nothing for sure. */
function basisFacts(files: ReadonlyMap<string, Digest | null>, state: State): readonly Fact[] | undefined {
  const witness = new Witness();
  for (const [path, digest] of files) {
    if (witness.stat(path)?.isSymbolicLink() === true) witness.stat(path, true);
    if ((cachedDigest(path, state.cache) ?? null) !== digest) return undefined;
  }
  if (!witness.sure) return undefined;
  // Its last line was written under the lock that is still held: it needs no time to be sure of.
  witness.stat(join(state.project.state, "records"));
  return witness.facts;
}
