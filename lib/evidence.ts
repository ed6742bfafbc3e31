/**
 * What the last judgements rested on: for each target the facts that its witness saw. While they hold, the target is
 * fresh, and neither its declaration nor its records need be read. Only a cache: losing it costs time.
 *
 * Sound because a fact that holds now stood when the target was judged, and a judgement depends on nothing but facts,
 * environment variables, and the outputs of other targets, which are proven first.
 * @module
 */
import { createHash } from "node:crypto";
import { lstatSync, type Stats, statSync } from "node:fs";
import { saltedDigest } from "./digest.ts";
import { begin, type EvidenceTable, flags, kinds, readTable, runtime, versionOf, width } from "./evidence-table.ts";
import { bootId } from "./files.ts";
import { typeBits } from "./witness.ts";

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

/** A number for the contents of outputs: 63 bits of the SHA-256 of their names. */
export function madeOf(contents: readonly string[]): bigint {
  return createHash("sha256").update(contents.join("\n")).digest().readBigInt64LE(0);
}

/** Evidence that was kept. */
export class Evidence {
  readonly names: readonly string[];
  readonly default: string | undefined;
  /** The snapshot of the evaluated graph that it belongs to. */
  readonly snapshot: string;
  /** @internal All of it, for who writes the next. */
  readonly table: EvidenceTable;
  readonly #directory: string;
  readonly #env: Surroundings["env"];
  /** 0: not looked at, 1: holds, 2: does not. */
  readonly #facts: Uint8Array;
  readonly #variables: Uint8Array;
  #index: ReadonlyMap<string, number> | undefined;
  /** Version of the file just before it was read. */
  readonly #version: string;

  /** Reads evidence; `undefined` when there is none, or it was gathered in other surroundings. */
  static read(file: string, { imagefile, directory, epoch, env }: Surroundings): Evidence | undefined {
    const version = versionOf(file);
    const table = readTable(file);
    if (table === undefined) return undefined;
    const { own } = table;
    if (own.runtime !== runtime || own.imagefile !== imagefile || own.epoch !== epoch || (own.boot !== null && own.boot !== bootId())) return undefined;
    return new Evidence(table, directory, env, version);
  }

  private constructor(table: EvidenceTable, directory: string, env: Surroundings["env"], version: string) {
    this.table = table;
    this.names = table.names.list;
    this.default = table.own.default ?? undefined;
    this.snapshot = table.own.snapshot;
    this.#directory = directory;
    this.#env = env;
    this.#version = version;
    this.#facts = new Uint8Array(table.paths.list.length);
    this.#variables = new Uint8Array(table.own.env.length);
  }

  /** Whether a file is still the one that it was read from. */
  isIn(file: string): boolean {
    return versionOf(file) === this.#version;
  }

  /** Whether the evaluated graph is what evaluating the imagefile now would give. Looks anew each time. */
  basisHolds(): boolean {
    const { basisFacts, basisEnv } = this.table.numbers;
    for (const fact of basisFacts) this.#facts[fact] = 0;
    return basisFacts.every((fact) => this.#factHolds(fact)) && basisEnv.every((variable) => this.#variableHolds(variable));
  }

  /** The targets among some, and all that they need, that are fresh beyond doubt; and how many there are that are no groups. */
  prove(names: readonly string[]): { readonly proven: ReadonlySet<string>; readonly targets: number; readonly all: boolean } {
    const { flags: flag, dependencyEnds, dependencies, factEnds, facts, envEnds, env } = this.table.numbers;
    const wanted = new Uint8Array(this.names.length);
    for (const name of names) {
      const index = this.indexOf(name);
      if (index !== undefined) wanted[index] = 1;
    }
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

  /** Place of a target among the names. */
  indexOf(name: string): number | undefined {
    return (this.#index ??= new Map(this.names.map((one, index) => [one, index]))).get(name);
  }

  #pathOf(fact: number): string {
    const path = this.table.paths.list[fact]!;
    return path.startsWith("/") ? path : `${this.#directory}/${path}`;
  }

  #factHolds(fact: number): boolean {
    if (this.#facts[fact] === 0) this.#facts[fact] = this.#look(fact) ? 1 : 2;
    return this.#facts[fact] === 1;
  }

  #look(fact: number): boolean {
    const { kinds: kind, seen } = this.table.numbers;
    const what = kind[fact]! & ~kinds.follow;
    const stat = quickStat(this.#pathOf(fact), (kind[fact]! & kinds.follow) !== 0);
    if (stat === undefined || what === kinds.gone) return stat === undefined && what === kinds.gone;
    const at = fact * width;
    if (what === kinds.type) return (stat.mode & typeBits) === seen[at];
    return stat.ino === seen[at + 1] && stat.size === seen[at + 2] && stat.mtimeMs === seen[at + 3] && stat.ctimeMs === seen[at + 4] && stat.dev === seen[at];
  }

  #variableHolds(variable: number): boolean {
    if (this.#variables[variable] === 0) {
      const [name, value] = this.table.own.env[variable]!;
      this.#variables[variable] = saltedDigest(this.table.own.salt, name, this.#env[name]) === value ? 1 : 2;
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
