/**
 * What the last judgements rested on: for each target the facts that its witness saw. While they hold, the target is
 * fresh, and neither its declaration nor its records need be read. Only a cache: losing it costs time.
 *
 * Sound because a fact that holds now stood when the target was judged, and a judgement depends on nothing but facts,
 * environment variables, and the outputs of other targets, which are proven first.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, type Stats, statSync } from "node:fs";
import { type Column, readColumns, writeColumns } from "./columns.ts";
import { saltedDigest } from "./digest.ts";
import { bootId } from "./files.ts";
import { type Fact, type Identity, typeBits } from "./witness.ts";

const format = "imgtask evidence 2";
const runtime = `${process.version} ${process.arch}`;

/** Where the evidence is looked at. */
export interface Surroundings {
  /** Absolute path of the imagefile. */
  readonly imagefile: string;
  /** Absolute path of its directory. */
  readonly directory: string;
  /** Seconds since 1970 for time stamps in outputs. */
  readonly epoch: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What is known of one target. */
export interface Testimony {
  readonly name: string;
  readonly group: boolean;
  /** Names of the targets it needs. */
  readonly dependencies: readonly string[];
  /** What was learned now; `undefined` when nothing was. */
  readonly learned: Learned | undefined;
  /** Whether what is known from before still counts. */
  readonly keep: boolean;
}

/** What a judgement found. */
export interface Learned {
  /** What it rested on; `undefined` when a change could hide. */
  readonly facts: readonly Fact[] | undefined;
  /** Environment variables it depends on. */
  readonly env: readonly string[];
  /** Stands for the contents of what the target made, see {@linkcode madeOf}. */
  readonly made: bigint;
}

/** All that is written. */
export interface Evaluated {
  /** In an order in which dependencies come first. */
  readonly targets: readonly Testimony[];
  /** Evidence from before, of the same snapshot. */
  readonly before: Evidence | undefined;
  /** What a fact from before has become without any change of content; `undefined` when it is what it was. */
  readonly moved?: (fact: Fact) => Fact;
  readonly default: string | undefined;
  /** What the evaluated graph rests on: its snapshot, and what was read for it. */
  readonly basis: { readonly snapshot: string; readonly facts: readonly Fact[]; readonly env: readonly string[] };
  /** Whether something that the facts tell of may not be on disk yet. */
  readonly unsynced: boolean;
}

interface Own {
  readonly runtime: string;
  readonly imagefile: string;
  readonly epoch: number;
  readonly boot: string | null;
  readonly default: string | null;
  readonly snapshot: string;
  /** Salted, since values may be secrets. */
  readonly salt: string;
  readonly env: readonly (readonly [name: string, value: string])[];
}

const kinds = { gone: 0, identity: 1, type: 2, follow: 4 } as const;
const flags = { group: 1, judged: 2, made: 4 } as const;
/** Numbers kept of a fact. */
const width = 5;

/** A number for the contents of outputs: 63 bits of the SHA-256 of their names. */
export function madeOf(contents: readonly string[]): bigint {
  return createHash("sha256").update(contents.join("\n")).digest().readBigInt64LE(0);
}

/** The columns of numbers. `…Ends` say where the part of each target in the column after it ends. */
interface Numbers {
  readonly flags: Uint32Array;
  readonly dependencyEnds: Uint32Array;
  readonly dependencies: Uint32Array;
  readonly used: BigInt64Array;
  readonly made: BigInt64Array;
  readonly factEnds: Uint32Array;
  readonly facts: Uint32Array;
  readonly envEnds: Uint32Array;
  readonly env: Uint32Array;
  readonly basisFacts: Uint32Array;
  readonly basisEnv: Uint32Array;
  readonly kinds: Uint32Array;
  readonly seen: Float64Array;
}

const numberColumns = [
  "flags", "dependencyEnds", "dependencies", "used", "made", "factEnds", "facts", "envEnds", "env", "basisFacts", "basisEnv", "kinds", "seen",
] as const satisfies readonly (keyof Numbers)[];

/** Evidence that was kept. */
export class Evidence {
  readonly names: readonly string[];
  readonly default: string | undefined;
  /** The snapshot of the evaluated graph that it belongs to. */
  readonly snapshot: string;
  readonly #own: Own;
  readonly #directory: string;
  readonly #env: Surroundings["env"];
  readonly #numbers: Numbers;
  readonly #paths: readonly string[];
  /** 0: not looked at, 1: holds, 2: does not. */
  readonly #facts: Uint8Array;
  readonly #variables: Uint8Array;
  #index: ReadonlyMap<string, number> | undefined;

  /** Reads evidence; `undefined` when there is none, or it was gathered in other surroundings. */
  static read(file: string, { imagefile, directory, epoch, env }: Surroundings): Evidence | undefined {
    const kept = readColumns(file, format);
    if (kept === undefined) return undefined;
    const own = kept.own as Own;
    if (own.runtime !== runtime || own.imagefile !== imagefile || own.epoch !== epoch || (own.boot !== null && own.boot !== bootId())) return undefined;
    return new Evidence(own, kept.columns, directory, env);
  }

  private constructor(own: Own, [names, paths, ...rest]: readonly Column[], directory: string, env: Surroundings["env"]) {
    this.names = names as readonly string[];
    this.default = own.default ?? undefined;
    this.snapshot = own.snapshot;
    this.#own = own;
    this.#directory = directory;
    this.#env = env;
    this.#paths = paths as readonly string[];
    this.#numbers = Object.fromEntries(numberColumns.map((name, at) => [name, rest[at]])) as unknown as Numbers;
    this.#facts = new Uint8Array(this.#paths.length);
    this.#variables = new Uint8Array(own.env.length);
  }

  /** Whether the evaluated graph is what evaluating the imagefile now would give. */
  basisHolds(): boolean {
    const { basisFacts, basisEnv } = this.#numbers;
    return basisFacts.every((fact) => this.#factHolds(fact)) && basisEnv.every((variable) => this.#variableHolds(variable));
  }

  /** The targets among some, and all that they need, that are fresh beyond doubt; and how many there are that are no groups. */
  prove(names: readonly string[]): { readonly proven: ReadonlySet<string>; readonly targets: number; readonly all: boolean } {
    const { flags: flag, dependencyEnds, dependencies, factEnds, facts, envEnds, env } = this.#numbers;
    const indexOf = (this.#index ??= indexed(this.names));
    const wanted = new Uint8Array(this.names.length);
    for (const name of names) {
      const index = indexOf.get(name);
      if (index !== undefined) wanted[index] = 1;
    }
    const begin = (ends: Uint32Array, i: number): number => (i === 0 ? 0 : ends[i - 1]!);
    // Dependencies stand before what needs them.
    for (let i = wanted.length - 1; i >= 0; i--) {
      if (wanted[i] === 1) for (let at = begin(dependencyEnds, i); at < dependencyEnds[i]!; at++) wanted[dependencies[at]!] = 1;
    }
    const fresh = new Uint8Array(wanted.length);
    const proven = new Set<string>();
    let targets = 0, all = true;
    for (let i = 0; i < wanted.length; i++) {
      if (wanted[i] === 0) continue;
      const group = (flag[i]! & flags.group) !== 0;
      if (!group) targets++;
      let holds = group || (flag[i]! & flags.judged) !== 0;
      for (let at = begin(dependencyEnds, i); holds && at < dependencyEnds[i]!; at++) holds = fresh[dependencies[at]!] === 1;
      for (let at = begin(envEnds, i); holds && at < envEnds[i]!; at++) holds = this.#variableHolds(env[at]!);
      for (let at = begin(factEnds, i); holds && at < factEnds[i]!; at++) holds = this.#factHolds(facts[at]!);
      if (holds) {
        fresh[i] = 1;
        proven.add(this.names[i]!);
      } else all = false;
    }
    return { proven, targets, all };
  }

  /** @internal Everything, for {@linkcode writeEvidence}. */
  raw(): { readonly numbers: Numbers; readonly paths: readonly string[]; readonly env: Own["env"]; readonly salt: string; readonly unsynced: boolean; readonly indexOf: ReadonlyMap<string, number> } {
    return { numbers: this.#numbers, paths: this.#paths, env: this.#own.env, salt: this.#own.salt, unsynced: this.#own.boot !== null, indexOf: (this.#index ??= indexed(this.names)) };
  }

  #pathOf(fact: number): string {
    const path = this.#paths[fact]!;
    return path.startsWith("/") ? path : `${this.#directory}/${path}`;
  }

  #factHolds(fact: number): boolean {
    if (this.#facts[fact] === 0) this.#facts[fact] = this.#look(fact) ? 1 : 2;
    return this.#facts[fact] === 1;
  }

  #look(fact: number): boolean {
    const { kinds: kind, seen } = this.#numbers;
    const what = kind[fact]! & ~kinds.follow;
    const stat = quickStat(this.#pathOf(fact), (kind[fact]! & kinds.follow) !== 0);
    if (stat === undefined || what === kinds.gone) return stat === undefined && what === kinds.gone;
    const at = fact * width;
    if (what === kinds.type) return (stat.mode & typeBits) === seen[at];
    return stat.ino === seen[at + 1] && stat.size === seen[at + 2] && stat.mtimeMs === seen[at + 3] && stat.ctimeMs === seen[at + 4] && stat.dev === seen[at];
  }

  #variableHolds(variable: number): boolean {
    if (this.#variables[variable] === 0) {
      const [name, value] = this.#own.env[variable]!;
      this.#variables[variable] = saltedDigest(this.#own.salt, name, this.#env[name]) === value ? 1 : 2;
    }
    return this.#variables[variable] === 1;
  }
}

const quietly = { throwIfNoEntry: false } as const;

/** As `statOf`, at half the price: the numbers are floats, which tell times apart to a quarter of a microsecond. */
function quickStat(path: string, follow: boolean): Stats | undefined {
  try {
    return follow ? statSync(path, quietly) : lstatSync(path, quietly);
  } catch {
    // Not to be looked at, or no longer below a directory.
    return undefined;
  }
}

function indexed(names: readonly string[]): ReadonlyMap<string, number> {
  return new Map(names.map((name, index) => [name, index]));
}

/** Collects facts, each once, as the columns have them. */
class FactColumns {
  readonly paths: string[] = [];
  readonly kinds: number[] = [];
  readonly seen: number[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #prefix: string;

  constructor(directory: string) {
    this.#prefix = `${directory}/`;
  }

  /** Number of a fact. */
  of(fact: Fact): number {
    const key = `${fact.follow ? "f" : "l"}${typeof fact.seen === "object" ? fact.seen.join(" ") : String(fact.seen)} ${fact.path}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      const { path, follow, seen } = fact;
      const kind = (follow ? kinds.follow : 0) | (seen === undefined ? kinds.gone : typeof seen === "number" ? kinds.type : kinds.identity);
      number = this.add(path.startsWith(this.#prefix) ? path.slice(this.#prefix.length) : path, kind, typeof seen === "object" ? seen : [seen ?? 0, 0, 0, 0, 0]);
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** Adds one that is known to be new. */
  add(path: string, kind: number, seen: ArrayLike<number>): number {
    this.kinds.push(kind);
    for (let i = 0; i < width; i++) this.seen.push(seen[i]!);
    return this.paths.push(path) - 1;
  }
}

/** Keeps evidence. Failing to is no error. */
export function writeEvidence(file: string, { imagefile, directory, epoch, env }: Surroundings, { targets, before, moved, default: named, basis, unsynced }: Evaluated): void {
  const old = before?.raw();
  const facts = new FactColumns(directory);
  const salt = old?.salt ?? randomBytes(16).toString("hex");
  const variables: (readonly [name: string, value: string])[] = [], variableNumbers = new Map<string, number>();
  // What was judged before may have been judged with another value.
  const variableOf = (name: string, value = saltedDigest(salt, name, env[name])): number => {
    const key = `${value} ${name}`;
    if (!variableNumbers.has(key)) variableNumbers.set(key, variables.push([name, value]) - 1);
    return variableNumbers.get(key)!;
  };
  // Most facts are as they were: they are copied as numbers.
  const copies = new Int32Array(old?.paths.length ?? 0).fill(-1);
  const copyOf = (fact: number): number => {
    if (copies[fact] !== -1) return copies[fact]!;
    const { kinds: kind, seen } = old!.numbers;
    const part = seen.subarray(fact * width, (fact + 1) * width);
    const path = old!.paths[fact]!, full = path.startsWith("/") ? path : `${directory}/${path}`;
    const now = moved === undefined || (kind[fact]! & ~kinds.follow) !== kinds.identity ? undefined : moved({ path: full, follow: (kind[fact]! & kinds.follow) !== 0, seen: [...part] as unknown as Identity });
    return (copies[fact] = now === undefined ? facts.add(path, kind[fact]!, part) : facts.of(now));
  };
  const part = (ends: Uint32Array, at: number): readonly [number, number] => [at === 0 ? 0 : ends[at - 1]!, ends[at]!];
  const index = indexed(targets.map(({ name }) => name));
  const madeNow = targets.map(({ name, learned }): bigint | undefined => {
    const at = old?.indexOf.get(name);
    return learned?.made ?? (at === undefined || (old!.numbers.flags[at]! & flags.made) === 0 ? undefined : old!.numbers.made[at]!);
  });
  const flag: number[] = [], dependencyEnds: number[] = [], dependencies: number[] = [], used: bigint[] = [];
  const factEnds: number[] = [], factsOf: number[] = [], envEnds: number[] = [], envOf: number[] = [];
  targets.forEach(({ name, group, dependencies: needs, learned, keep }, target) => {
    const at = keep && learned === undefined ? old?.indexOf.get(name) : undefined;
    const now = needs.map((one) => madeNow[index.get(one)!] ?? 0n);
    const then = at === undefined ? now : [...old!.numbers.used.subarray(...part(old!.numbers.dependencyEnds, at))];
    // Judged with other outputs than those of now, it would have to be judged again.
    const same = then.length === now.length && then.every((one, i) => one === now[i]);
    const judged = same && (at === undefined ? learned?.facts !== undefined : (old!.numbers.flags[at]! & flags.judged) !== 0);
    flag.push((group ? flags.group : 0) | (judged ? flags.judged : 0) | (madeNow[target] === undefined ? 0 : flags.made));
    needs.forEach((one, i) => {
      dependencies.push(index.get(one)!);
      used.push(judged ? now[i]! : 0n);
    });
    if (judged && at === undefined) {
      for (const fact of learned!.facts!) factsOf.push(facts.of(fact));
      for (const variable of learned!.env) envOf.push(variableOf(variable));
    } else if (judged) {
      for (const fact of old!.numbers.facts.subarray(...part(old!.numbers.factEnds, at!))) factsOf.push(copyOf(fact));
      for (const variable of old!.numbers.env.subarray(...part(old!.numbers.envEnds, at!))) envOf.push(variableOf(...old!.env[variable]!));
    }
    dependencyEnds.push(dependencies.length);
    factEnds.push(factsOf.length);
    envEnds.push(envOf.length);
  });
  const basisFacts = basis.facts.map((fact) => facts.of(fact)), basisEnv = basis.env.map((name) => variableOf(name));
  const own: Own = {
    runtime, imagefile, epoch, boot: unsynced || old?.unsynced === true ? (bootId() ?? "unknown") : null, default: named ?? null, snapshot: basis.snapshot, salt,
    env: variables,
  };
  const numbers: Numbers = {
    flags: Uint32Array.from(flag), dependencyEnds: Uint32Array.from(dependencyEnds), dependencies: Uint32Array.from(dependencies),
    used: BigInt64Array.from(used), made: BigInt64Array.from(madeNow, (one) => one ?? 0n), factEnds: Uint32Array.from(factEnds), facts: Uint32Array.from(factsOf),
    envEnds: Uint32Array.from(envEnds), env: Uint32Array.from(envOf), basisFacts: Uint32Array.from(basisFacts), basisEnv: Uint32Array.from(basisEnv),
    kinds: Uint32Array.from(facts.kinds), seen: Float64Array.from(facts.seen),
  };
  writeColumns(file, format, own, [targets.map(({ name }) => name), facts.paths, ...numberColumns.map((name) => numbers[name])]);
}
