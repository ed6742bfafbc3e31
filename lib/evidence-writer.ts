/**
 * Writes evidence: anew, or with what changed in what is known from before. Judges nothing.
 * @module
 */
import { randomBytes } from "node:crypto";
import { saltedDigest } from "./digest.ts";
import type { Evidence, Surroundings } from "./evidence.ts";
import { begin, bytesOf, flags, kinds, type EvidenceTable, type Numbers, type Own, runtime, width, writeTable } from "./evidence-table.ts";
import { bootId } from "./files.ts";
import type { Fact, Identity } from "./witness.ts";

/** What is known of one target. */
export interface Testimony {
  readonly name: string;
  readonly group: boolean;
  /** Names of the targets it needs. */
  readonly dependencies: readonly string[];
}

/** What a judgement found. */
export interface Learned {
  /** What it rested on; `undefined` when a change could hide. */
  readonly facts: readonly Fact[] | undefined;
  /** Environment variables it depends on. */
  readonly env: readonly string[];
  /** Stands for the contents of what the target made, see `madeOf`. */
  readonly made: bigint;
}

/** All that is written. */
export interface Evaluated {
  /** In an order in which dependencies come first. Asked for only when all is written anew. */
  readonly targets: () => readonly Testimony[];
  /** What was learned now, by target; of those that ran or failed without a result nothing, and what was known does not count any more. */
  readonly learned: ReadonlyMap<string, Learned | undefined>;
  /** Evidence from before, of the same snapshot. */
  readonly before: Evidence | undefined;
  /** Files that have another identity without any change of content, and what a fact of one has become. */
  readonly moved: { readonly paths: { keys(): Iterable<string>; readonly size: number }; readonly now: (fact: Fact) => Fact };
  readonly default: string | undefined;
  /** What the evaluated graph rests on: its snapshot, and what was read for it. */
  readonly basis: { readonly snapshot: string; readonly facts: readonly Fact[]; readonly env: readonly string[] };
  /** Whether something that the facts tell of may not be on disk yet. */
  readonly unsynced: boolean;
}

/** A path as it is kept: below the project relative to it. */
const shortened = (path: string, directory: string): string => (path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : path);

/** Collects facts, each once, as the columns have them. */
class FactColumns {
  readonly paths: string[] = [];
  readonly kinds: number[] = [];
  readonly seen: number[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #directory: string;
  readonly #first: number;

  /** @param first number of the first that is added */
  constructor(directory: string, first: number) {
    this.#directory = directory;
    this.#first = first;
  }

  /** Number of a fact. */
  of(fact: Fact): number {
    const key = keyOf(fact);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      const { path, follow, seen } = fact;
      const kind = (follow ? kinds.follow : 0) | (seen === undefined ? kinds.gone : typeof seen === "number" ? kinds.type : kinds.identity);
      number = this.add(shortened(path, this.#directory), kind, typeof seen === "object" ? seen : [seen ?? 0, 0, 0, 0, 0]);
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** Adds one that is known to be new. */
  add(path: string, kind: number, seen: ArrayLike<number>): number {
    this.kinds.push(kind);
    for (let i = 0; i < width; i++) this.seen.push(seen[i]!);
    return this.paths.push(path) - 1 + this.#first;
  }

  /** Notes the number of one that is kept already. */
  know(fact: Fact, number: number): void {
    this.#numbers.set(keyOf(fact), number);
  }
}

const keyOf = ({ path, follow, seen }: Fact): string => `${follow ? "f" : "l"}${typeof seen === "object" ? seen.join(" ") : String(seen)} ${path}`;

/** A fact that is kept. */
function factAt({ numbers: { kinds: kind, seen }, paths }: EvidenceTable, fact: number, directory: string): Fact {
  const path = paths.list[fact]!, what = kind[fact]! & ~kinds.follow, part = [...seen.subarray(fact * width, (fact + 1) * width)];
  return { path: path.startsWith("/") ? path : `${directory}/${path}`, follow: (kind[fact]! & kinds.follow) !== 0, seen: what === kinds.gone ? undefined : what === kinds.type ? part[0] : (part as unknown as Identity) };
}

/** Environment variables by number, each with its value. */
class Variables {
  readonly list: (readonly [name: string, value: string])[];
  readonly #salt: string;
  readonly #env: Surroundings["env"];
  readonly #numbers: Map<string, number>;

  constructor(salt: string, env: Surroundings["env"], known: Own["env"]) {
    this.#salt = salt;
    this.#env = env;
    this.list = [...known];
    this.#numbers = new Map(known.map(([name, value], i) => [`${value} ${name}`, i]));
  }

  // What was judged before may have been judged with another value.
  of(name: string, value = saltedDigest(this.#salt, name, this.#env[name])): number {
    const key = `${value} ${name}`;
    let number = this.#numbers.get(key);
    if (number === undefined) this.#numbers.set(key, (number = this.list.push([name, value]) - 1));
    return number;
  }
}

/** Keeps evidence. Failing to is no error. */
export function writeEvidence(file: string, surroundings: Surroundings, evaluated: Evaluated): void {
  if (!amend(file, surroundings, evaluated)) writeWhole(file, surroundings, evaluated);
}

function ownOf({ imagefile, epoch }: Surroundings, { basis, default: named, unsynced, before }: Evaluated, rest: Pick<Own, "salt" | "env" | "whole">): Own {
  const boot = unsynced || (before !== undefined && before.table.own.boot !== null) ? (bootId() ?? "unknown") : null;
  return { runtime, imagefile, epoch, boot, default: named ?? null, snapshot: basis.snapshot, ...rest };
}

/** Numbers in parts, some of which are replaced. */
function replaced(ends: Uint32Array, values: Uint32Array, by: ReadonlyMap<number, readonly number[]>): readonly [ends: Uint32Array, values: Uint32Array] {
  const targets = [...by.keys()].sort((a, b) => a - b);
  const grown = targets.reduce((sum, target) => sum + by.get(target)!.length - (ends[target]! - begin(ends, target)), 0);
  const newEnds = new Uint32Array(ends.length), newValues = new Uint32Array(values.length + grown);
  let target = 0, shift = 0;
  const keep = (until: number): void => {
    newValues.set(values.subarray(begin(ends, target), begin(ends, until)), begin(ends, target) + shift);
    for (; target < until; target++) newEnds[target] = ends[target]! + shift;
  };
  for (const one of targets) {
    keep(one);
    newValues.set(by.get(one)!, begin(ends, one) + shift);
    shift += by.get(one)!.length - (ends[one]! - begin(ends, one));
    newEnds[one] = ends[one]! + shift;
    target = one + 1;
  }
  keep(ends.length);
  return [newEnds, newValues];
}

/**
 * Writes what is known from before with what changed. Facts that nobody needs any more stay, until they are as many as
 * the others.
 *
 * @returns `false` when all should be written anew
 */
function amend(file: string, surroundings: Surroundings, evaluated: Evaluated): boolean {
  const { learned, before, moved, basis } = evaluated;
  if (before === undefined) return false;
  const { table } = before;
  const { own, numbers } = table, { directory } = surroundings;
  const facts = new FactColumns(directory, numbers.kinds.length), variables = new Variables(own.salt, surroundings.env, own.env);
  for (const fact of numbers.basisFacts) facts.know(factAt(table, fact, directory), fact);
  const flag = numbers.flags.slice(), used = numbers.used.slice(), made = numbers.made.slice();
  const factsOf = new Map<number, readonly number[]>(), envOf = new Map<number, readonly number[]>();
  const remade = new Uint8Array(flag.length);
  for (const [name, one] of learned) {
    const target = before.indexOf(name);
    if (target === undefined) return false;
    factsOf.set(target, one?.facts?.map((fact) => facts.of(fact)) ?? []);
    envOf.set(target, one?.facts === undefined ? [] : one.env.map((variable) => variables.of(variable)));
    flag[target] = (flag[target]! & ~flags.judged) | (one === undefined ? 0 : flags.made) | (one?.facts === undefined ? 0 : flags.judged);
    if (one === undefined || made[target] === one.made) continue;
    made[target] = one.made;
    remade[target] = 1;
  }
  for (let target = 0; target < flag.length; target++) {
    const judgedNow = factsOf.has(target);
    for (let at = begin(numbers.dependencyEnds, target); at < numbers.dependencyEnds[target]!; at++) {
      const need = numbers.dependencies[at]!;
      if (judgedNow) used[at] = made[need]!;
      // Judged with other outputs than those of now, it would have to be judged again.
      else if (remade[need] === 1 && used[at] !== made[need]) flag[target]! &= ~flags.judged;
    }
  }
  const seen = numbers.seen.slice();
  if (moved.paths.size > 0) {
    const paths = new Set([...moved.paths.keys()].map((path) => shortened(path, directory)));
    table.paths.list.forEach((path, fact) => {
      if (!paths.has(path) || (numbers.kinds[fact]! & ~kinds.follow) !== kinds.identity) return;
      seen.set(moved.now(factAt(table, fact, directory)).seen as Identity, fact * width);
    });
  }
  const basisFacts = Uint32Array.from(basis.facts, (fact) => facts.of(fact)), basisEnv = Uint32Array.from(basis.env, (name) => variables.of(name));
  if (numbers.kinds.length + facts.kinds.length > own.whole * 2 + 64) return false;
  const [factEnds, newFacts] = replaced(numbers.factEnds, numbers.facts, factsOf);
  const [envEnds, env] = replaced(numbers.envEnds, numbers.env, envOf);
  const allKinds = new Uint32Array(numbers.kinds.length + facts.kinds.length), allSeen = new Float64Array(allKinds.length * width);
  allKinds.set(numbers.kinds);
  allKinds.set(facts.kinds, numbers.kinds.length);
  allSeen.set(seen);
  allSeen.set(facts.seen, seen.length);
  const all: Numbers = { ...numbers, flags: flag, used, made, factEnds, facts: newFacts, envEnds, env, basisFacts, basisEnv, kinds: allKinds, seen: allSeen };
  writeTable(file, ownOf(surroundings, evaluated, { salt: own.salt, env: variables.list, whole: own.whole }), table.names.bytes, Buffer.concat([table.paths.bytes, bytesOf(facts.paths)]), all);
  return true;
}

function writeWhole(file: string, surroundings: Surroundings, evaluated: Evaluated): void {
  const { learned, before, moved, basis } = evaluated, { directory } = surroundings;
  const targets = evaluated.targets();
  const old = before?.table;
  const facts = new FactColumns(directory, 0);
  const salt = old?.own.salt ?? randomBytes(16).toString("hex");
  const variables = new Variables(salt, surroundings.env, []);
  // Most facts are as they were: they are copied as numbers.
  const copies = new Int32Array(old?.paths.list.length ?? 0).fill(-1);
  const copyOf = (fact: number): number => {
    if (copies[fact] !== -1) return copies[fact]!;
    const { kinds: kind, seen } = old!.numbers;
    const now = moved.paths.size === 0 || (kind[fact]! & ~kinds.follow) !== kinds.identity ? undefined : moved.now(factAt(old!, fact, directory));
    return (copies[fact] = now === undefined ? facts.add(old!.paths.list[fact]!, kind[fact]!, seen.subarray(fact * width, (fact + 1) * width)) : facts.of(now));
  };
  const part = (ends: Uint32Array, at: number): readonly [number, number] => [begin(ends, at), ends[at]!];
  const index = new Map(targets.map(({ name }, at) => [name, at]));
  const madeNow = targets.map(({ name }): bigint | undefined => {
    const at = before?.indexOf(name);
    return learned.get(name)?.made ?? (at === undefined || (old!.numbers.flags[at]! & flags.made) === 0 ? undefined : old!.numbers.made[at]!);
  });
  const flag: number[] = [], dependencyEnds: number[] = [], dependencies: number[] = [], used: bigint[] = [];
  const factEnds: number[] = [], factsOf: number[] = [], envEnds: number[] = [], envOf: number[] = [];
  targets.forEach(({ name, group, dependencies: needs }, target) => {
    const one = learned.get(name);
    const at = learned.has(name) ? undefined : before?.indexOf(name);
    const now = needs.map((need) => madeNow[index.get(need)!] ?? 0n);
    const then = at === undefined ? now : [...old!.numbers.used.subarray(...part(old!.numbers.dependencyEnds, at))];
    // Judged with other outputs than those of now, it would have to be judged again.
    const same = then.length === now.length && then.every((content, i) => content === now[i]);
    const judged = same && (at === undefined ? one?.facts !== undefined : (old!.numbers.flags[at]! & flags.judged) !== 0);
    flag.push((group ? flags.group : 0) | (judged ? flags.judged : 0) | (madeNow[target] === undefined ? 0 : flags.made));
    needs.forEach((need, i) => {
      dependencies.push(index.get(need)!);
      used.push(judged ? now[i]! : 0n);
    });
    if (judged && at === undefined) {
      for (const fact of one!.facts!) factsOf.push(facts.of(fact));
      for (const variable of one!.env) envOf.push(variables.of(variable));
    } else if (judged) {
      for (const fact of old!.numbers.facts.subarray(...part(old!.numbers.factEnds, at!))) factsOf.push(copyOf(fact));
      for (const variable of old!.numbers.env.subarray(...part(old!.numbers.envEnds, at!))) envOf.push(variables.of(...old!.own.env[variable]!));
    }
    dependencyEnds.push(dependencies.length);
    factEnds.push(factsOf.length);
    envEnds.push(envOf.length);
  });
  const basisFacts = basis.facts.map((fact) => facts.of(fact)), basisEnv = basis.env.map((name) => variables.of(name));
  const numbers: Numbers = {
    flags: Uint32Array.from(flag), dependencyEnds: Uint32Array.from(dependencyEnds), dependencies: Uint32Array.from(dependencies),
    used: BigInt64Array.from(used), made: BigInt64Array.from(madeNow, (one) => one ?? 0n), factEnds: Uint32Array.from(factEnds), facts: Uint32Array.from(factsOf),
    envEnds: Uint32Array.from(envEnds), env: Uint32Array.from(envOf), basisFacts: Uint32Array.from(basisFacts), basisEnv: Uint32Array.from(basisEnv),
    kinds: Uint32Array.from(facts.kinds), seen: Float64Array.from(facts.seen),
  };
  const own = ownOf(surroundings, evaluated, { salt, env: variables.list, whole: facts.kinds.length });
  writeTable(file, own, bytesOf(targets.map(({ name }) => name)), bytesOf(facts.paths), numbers);
}
