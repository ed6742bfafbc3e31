/**
 * The evaluated graph as data, kept so that a run with nothing to do need not evaluate the imagefile: valid while
 * every file and environment variable that the evaluation read is unchanged. Runs no code of the user's.
 *
 * The file is a line with the SHA-256 of all that follows, a line of JSON with the edges and what it rests on, and a
 * line of JSON for each declaration: of thousands, a run with little to do reads a few.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { type Digest, digestFileSync, digestOf, saltedDigest } from "./digest.ts";
import type { Graph, Node } from "./graph.ts";
import type { StatCache } from "./stat-cache.ts";
import type { Declaration } from "./target.ts";

const format = "imgtask snapshot 2";

/** What an evaluation of the imagefile yields beside the graph, as data. */
export interface Evaluation {
  /** Name of the default target or group. */
  readonly default?: string;
  /**
   * Digests of the code of recipes, by URL of the recipe's module, otherwise by name of the target; under `""` the one
   * of all targets that have no entry, which is the most frequent.
   */
  readonly recipes: Readonly<Record<string, Digest>>;
}

const flags = { group: 1, secret: 2 } as const;

interface Stored extends Evaluation {
  readonly format: string;
  /** Names of the targets, in the order of their declaration. */
  readonly names: readonly string[];
  readonly flags: readonly number[];
  /** What each target needs, by its place among the names; and for each target where its part ends. */
  readonly needs: readonly number[];
  readonly ends: readonly number[];
  readonly runtime: string;
  readonly imagefile: string;
  /** `null`: not there. */
  readonly files: readonly (readonly [path: string, digest: Digest | null])[];
  /** Salted, since values may be secrets. */
  readonly salt: string;
  readonly environment: readonly (readonly [name: string, digest: string])[];
}

const runtime = `${process.version} ${process.arch}`;

/** A kept evaluation, and what it rests on. */
export interface Snapshot {
  readonly graph: Graph;
  readonly evaluation: Evaluation;
  /** Tells it from every other one. */
  readonly id: string;
  /** Digests of the files that were read for it, by absolute path; `null` for those that were not there. */
  readonly files: ReadonlyMap<string, Digest | null>;
  /** Names of the environment variables that were read for it. */
  readonly environment: readonly string[];
}

/** Digest of a file through the cache; `undefined` when it is gone. */
export function cachedDigest(path: string, cache: StatCache): Digest | undefined {
  try {
    const stat = lstatSync(path, { bigint: true });
    // A symbolic link's own stat says nothing of what it points to.
    if (!stat.isFile()) return digestFileSync(path);
    const known = cache.lookup(path, stat);
    if (known !== undefined) return known;
    const began = Date.now();
    const digest = digestFileSync(path);
    cache.remember(path, stat, digest, began);
    return digest;
  } catch {
    return undefined;
  }
}

/**
 * The kept evaluation of an imagefile when it still holds, otherwise `undefined`.
 *
 * @param believed id of a snapshot that is known to hold
 */
export function readSnapshot(file: string, imagefile: string, cache: StatCache, env: NodeJS.ProcessEnv, believed?: string): Snapshot | undefined {
  try {
    const bytes = readFileSync(file);
    const end = bytes.indexOf(10);
    const body = bytes.subarray(end + 1), id = bytes.toString("latin1", 0, end);
    if (id !== digestOf(body)) return undefined;
    const [head, ...lines] = body.toString("utf8").split("\n");
    const stored = JSON.parse(head!) as Stored;
    if (stored.format !== format || stored.runtime !== runtime || stored.imagefile !== imagefile) return undefined;
    if (id !== believed) {
      for (const [name, digest] of stored.environment) if (saltedDigest(stored.salt, name, env[name]) !== digest) return undefined;
      for (const [path, digest] of stored.files) if ((cachedDigest(path, cache) ?? null) !== digest) return undefined;
    }
    return snapshotOf(id, stored, keptGraph(stored, lines));
  } catch {
    return undefined;
  }
}

function snapshotOf(id: string, stored: Stored, graph: Graph): Snapshot {
  return { graph, evaluation: stored, id, files: new Map(stored.files), environment: stored.environment.map(([name]) => name) };
}

function edgesOf(graph: Graph): Pick<Stored, "names" | "needs" | "ends"> {
  const names = [...graph.keys()], at = new Map(names.map((name, i) => [name, i]));
  const needs: number[] = [], ends: number[] = [];
  for (const { dependencies } of graph.values()) {
    for (const need of dependencies) needs.push(at.get(need)!);
    ends.push(needs.length);
  }
  return { names, needs, ends };
}

/** A target of a kept graph. */
class KeptNode implements Node {
  readonly dependencies: readonly string[];
  readonly dependents: string[] = [];
  readonly group: boolean;
  readonly secret: boolean;
  #declaration: Declaration | string;

  constructor(line: string, flag: number, dependencies: readonly string[]) {
    this.#declaration = line;
    this.group = (flag & flags.group) !== 0;
    this.secret = (flag & flags.secret) !== 0;
    this.dependencies = dependencies;
  }

  get declaration(): Declaration {
    return typeof this.#declaration === "string" ? (this.#declaration = JSON.parse(this.#declaration) as Declaration) : this.#declaration;
  }
}

/** A graph that was in order when it was kept. */
function keptGraph({ names, flags: flag, needs, ends }: Stored, lines: readonly string[]): Graph {
  const nodes = names.map((_, i) => new KeptNode(lines[i]!, flag[i]!, needs.slice(i === 0 ? 0 : ends[i - 1]!, ends[i]!).map((need) => names[need]!)));
  const graph = new Map(nodes.map((node, i) => [names[i]!, node]));
  // In the order of the names, as they were.
  const order = names.map((_, i) => i).sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
  for (const i of order) for (const need of nodes[i]!.dependencies) graph.get(need)!.dependents.push(names[i]!);
  return graph;
}

/**
 * Keeps an evaluation. Failing to is no error: the imagefile is evaluated again next time.
 *
 * @param optional files that may be missing; that one appears counts
 * @returns `undefined` when it could not be kept
 */
export function writeSnapshot(
  file: string,
  imagefile: string,
  graph: Graph,
  evaluation: Evaluation,
  files: readonly string[],
  optional: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  cache: StatCache,
): Snapshot | undefined {
  const salt = randomBytes(16).toString("hex");
  const digests = files.map((path) => [path, cachedDigest(path, cache)] as const);
  if (digests.some(([, digest]) => digest === undefined)) return undefined;
  const others = optional.map((path) => [path, cachedDigest(path, cache) ?? null] as const);
  const nodes = [...graph.values()];
  const stored: Stored = {
    ...evaluation,
    format,
    runtime,
    imagefile,
    files: [...(digests as readonly (readonly [string, Digest])[]), ...others],
    salt,
    environment: Object.entries(environment).map(([name, value]) => [name, saltedDigest(salt, name, value)] as const),
    flags: nodes.map(({ group, secret }) => (group ? flags.group : 0) | (secret ? flags.secret : 0)),
    ...edgesOf(graph),
  };
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const id = writeLines(`${file}.new`, stored, nodes);
    renameSync(`${file}.new`, file);
    return snapshotOf(id, stored, graph);
  } catch {
    return undefined;
  }
}

/** Declarations that are turned into text at a time: of ten thousand the text takes ten megabytes, and again as bytes. */
const atOnce = 256;

/** Writes the lines of a file behind their digest, which it gives. */
function writeLines(file: string, stored: Stored, nodes: readonly Node[]): string {
  const fd = openSync(file, "w", 0o600);
  try {
    const hash = createHash("sha256"), room = 65;
    let at = room;
    const write = (text: string): void => {
      const bytes = Buffer.from(text);
      hash.update(bytes);
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
      at += bytes.length;
    };
    write(JSON.stringify(stored));
    for (let from = 0; from < nodes.length; from += atOnce) write(nodes.slice(from, from + atOnce).map(({ declaration }) => `\n${JSON.stringify(declaration)}`).join(""));
    const id = hash.digest("hex");
    if (writeSync(fd, `${id}\n`, 0) !== room) throw new Error("not written whole");
    return id;
  } finally {
    closeSync(fd);
  }
}
