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
import { bootId } from "./files.ts";
import { type Fact, type Identity, typeBits } from "./witness.ts";

const format = "imgtask evidence 1";
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
  /** What its judgement rested on; `undefined` when it was not judged, or a change could hide. */
  readonly facts: readonly Fact[] | undefined;
  /** Environment variables it depends on. */
  readonly env: readonly string[];
  /** Stands for the digests of what it made; `undefined` when it made nothing. */
  readonly made: bigint | undefined;
  /** What it was judged with: `made` of its dependencies, in their order. `undefined`: as they are now. */
  readonly used?: readonly bigint[];
}

/** All that is written. */
export interface Evaluated {
  /** In an order in which dependencies come first. */
  readonly targets: readonly Testimony[];
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

/** A number for the digests of outputs: 63 bits of their SHA-256. */
export function madeOf(digests: readonly string[]): bigint {
  return createHash("sha256").update(digests.join("\n")).digest().readBigInt64LE(0);
}

function salted(salt: string, name: string, value: string | undefined): string {
  return value === undefined ? "unset" : createHash("sha256").update(`${salt}\0${name}\0${value}`).digest("hex");
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
    const indexOf = (this.#index ??= new Map(this.names.map((name, index) => [name, index])));
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

  /** What is known of all targets, to be written again beside what is new. */
  *testimonies(): Iterable<Testimony> {
    const { flags: flag, dependencyEnds, dependencies, used, made, factEnds, facts, envEnds, env } = this.#numbers;
    const slice = (ends: Uint32Array, i: number): readonly [number, number] => [i === 0 ? 0 : ends[i - 1]!, ends[i]!];
    for (let i = 0; i < this.names.length; i++) {
      yield {
        name: this.names[i]!,
        group: (flag[i]! & flags.group) !== 0,
        dependencies: Array.from(dependencies.subarray(...slice(dependencyEnds, i)), (index) => this.names[index]!),
        facts: (flag[i]! & flags.judged) === 0 ? undefined : Array.from(facts.subarray(...slice(factEnds, i)), (fact) => this.#fact(fact)),
        env: Array.from(env.subarray(...slice(envEnds, i)), (variable) => this.#own.env[variable]![0]),
        made: (flag[i]! & flags.made) === 0 ? undefined : made[i]!,
        used: [...used.subarray(...slice(dependencyEnds, i))],
      };
    }
  }

  #pathOf(fact: number): string {
    const path = this.#paths[fact]!;
    return path.startsWith("/") ? path : `${this.#directory}/${path}`;
  }

  #fact(fact: number): Fact {
    const { kinds: kind, seen } = this.#numbers;
    const from = fact * width;
    const what = kind[fact]! & ~kinds.follow;
    return {
      path: this.#pathOf(fact),
      follow: (kind[fact]! & kinds.follow) !== 0,
      seen: what === kinds.gone ? undefined : what === kinds.type ? seen[from]! : ([...seen.subarray(from, from + width)] as unknown as Identity),
    };
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
      this.#variables[variable] = salted(this.#own.salt, name, this.#env[name]) === value ? 1 : 2;
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

/** Numbers things in the order in which they come. */
class Numbered<T> {
  readonly all: T[] = [];
  readonly #numbers = new Map<string, number>();

  of(key: string, make: () => T): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.all.push(make()) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/** Keeps evidence. Failing to is no error. */
export function writeEvidence(file: string, { imagefile, directory, epoch, env }: Surroundings, { targets, default: named, basis, unsynced }: Evaluated): void {
  const facts = new Numbered<Fact>(), variables = new Numbered<string>();
  const prefix = `${directory}/`;
  const shown = (path: string): string => (path.startsWith(prefix) ? path.slice(prefix.length) : path);
  const factOf = (fact: Fact): number => facts.of(`${fact.follow ? "f" : "l"}${typeof fact.seen === "object" ? fact.seen.join(" ") : String(fact.seen)} ${fact.path}`, () => fact);
  const variableOf = (name: string): number => variables.of(name, () => name);
  const index = new Map(targets.map(({ name }, at) => [name, at]));
  const flag: number[] = [], dependencyEnds: number[] = [], dependencies: number[] = [], used: bigint[] = [], made: bigint[] = [];
  const factEnds: number[] = [], factsOf: number[] = [], envEnds: number[] = [], envOf: number[] = [];
  for (const target of targets) {
    const now = target.dependencies.map((name) => targets[index.get(name)!]!.made ?? 0n);
    const before = target.used ?? now;
    // Judged with other outputs than those of now, it would have to be judged again.
    const judged = target.facts !== undefined && before.every((one, at) => one === now[at]);
    flag.push((target.group ? flags.group : 0) | (judged ? flags.judged : 0) | (target.made === undefined ? 0 : flags.made));
    target.dependencies.forEach((name, at) => {
      dependencies.push(index.get(name)!);
      used.push(before[at]!);
    });
    if (judged) {
      for (const fact of target.facts!) factsOf.push(factOf(fact));
      for (const name of target.env) envOf.push(variableOf(name));
    }
    dependencyEnds.push(dependencies.length);
    factEnds.push(factsOf.length);
    envEnds.push(envOf.length);
    made.push(target.made ?? 0n);
  }
  const basisFacts = basis.facts.map(factOf), basisEnv = basis.env.map(variableOf);
  const kind = new Uint32Array(facts.all.length), seen = new Float64Array(facts.all.length * width);
  facts.all.forEach((fact, at) => {
    kind[at] = (fact.follow ? kinds.follow : 0) | (fact.seen === undefined ? kinds.gone : typeof fact.seen === "number" ? kinds.type : kinds.identity);
    if (fact.seen !== undefined) seen.set(typeof fact.seen === "number" ? [fact.seen] : fact.seen, at * width);
  });
  const salt = randomBytes(16).toString("hex");
  const own: Own = {
    runtime, imagefile, epoch, boot: unsynced ? (bootId() ?? "unknown") : null, default: named ?? null, snapshot: basis.snapshot, salt,
    env: variables.all.map((name) => [name, salted(salt, name, env[name])] as const),
  };
  const numbers: Numbers = {
    flags: Uint32Array.from(flag), dependencyEnds: Uint32Array.from(dependencyEnds), dependencies: Uint32Array.from(dependencies),
    used: BigInt64Array.from(used), made: BigInt64Array.from(made), factEnds: Uint32Array.from(factEnds), facts: Uint32Array.from(factsOf),
    envEnds: Uint32Array.from(envEnds), env: Uint32Array.from(envOf), basisFacts: Uint32Array.from(basisFacts), basisEnv: Uint32Array.from(basisEnv), kinds: kind, seen,
  };
  writeColumns(file, format, own, [targets.map(({ name }) => name), facts.all.map(({ path }) => shown(path)), ...numberColumns.map((name) => numbers[name])]);
}
