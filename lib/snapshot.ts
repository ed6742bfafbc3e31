/**
 * The evaluated graph as data, kept so that a run with nothing to do need not evaluate the imagefile: valid while
 * every file and environment variable that the evaluation read is unchanged. Runs no code of the user's.
 * @module
 */
import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Digest, digestFileSync, digestOf, saltedDigest } from "./digest.ts";
import type { StatCache } from "./stat-cache.ts";
import type { Declaration } from "./target.ts";

const format = "imgtask snapshot 1";

/** What an evaluation of the imagefile yields, as data. */
export interface Evaluation {
  readonly declarations: readonly Declaration[];
  /** Name of the default target or group. */
  readonly default?: string;
  /**
   * Digests of the code of recipes, by URL of the recipe's module, otherwise by name of the target; under `""` the one
   * of all targets that have no entry, which is the most frequent.
   */
  readonly recipes: Readonly<Record<string, Digest>>;
}

interface Stored extends Evaluation {
  readonly format: string;
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
    const text = readFileSync(file, "utf8");
    const end = text.indexOf("\n");
    const body = text.slice(end + 1);
    if (text.slice(0, end) !== digestOf(body)) return undefined;
    const stored = JSON.parse(body) as Stored;
    if (stored.format !== format || stored.runtime !== runtime || stored.imagefile !== imagefile) return undefined;
    if (text.slice(0, end) === believed) return snapshotOf(believed, stored);
    for (const [name, digest] of stored.environment) if (saltedDigest(stored.salt, name, env[name]) !== digest) return undefined;
    for (const [path, digest] of stored.files) if ((cachedDigest(path, cache) ?? null) !== digest) return undefined;
    return snapshotOf(text.slice(0, end), stored);
  } catch {
    return undefined;
  }
}

function snapshotOf(id: string, stored: Stored): Snapshot {
  return { evaluation: stored, id, files: new Map(stored.files), environment: stored.environment.map(([name]) => name) };
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
  const stored: Stored = {
    ...evaluation,
    format,
    runtime,
    imagefile,
    files: [...(digests as readonly (readonly [string, Digest])[]), ...others],
    salt,
    environment: Object.entries(environment).map(([name, value]) => [name, saltedDigest(salt, name, value)] as const),
  };
  const body = JSON.stringify(stored);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const id = digestOf(body);
    writeFileSync(`${file}.new`, `${id}\n${body}`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return snapshotOf(id, stored);
  } catch {
    return undefined;
  }
}
