/**
 * From an imagefile to declared targets: has it evaluated, or takes its snapshot when that still holds.
 * @module
 */
import { randomUUID } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Apart } from "./code/apart.ts";
import { placeOf } from "./code/place.ts";
import { findCompiled, type Kept, modulesDirectory } from "./compiled.ts";
import { canonicalJson, type Digest, digestOf } from "./digest.ts";
import { ExitCode, ImgtaskError } from "./error.ts";
import { evaluate, mayCompile } from "./evaluate.ts";
import { buildGraph, type Graph } from "./graph.ts";
import type { Project } from "./project.ts";
import { closureOf, digestClosure, identifyPackage } from "./recipe.ts";
import { type RecipeSheet, writeSheet } from "./recipe-sheet.ts";
import { cachedDigest, type Evaluation, readSnapshot, type Snapshot, writeSnapshot } from "./snapshot.ts";
import type { StatCache } from "./stat-cache.ts";
import type { Declaration, Registered } from "./target.ts";

/** A loaded imagefile. */
export interface Loaded {
  readonly graph: Graph;
  /** Name of the target or group that is the imagefile's default export. */
  readonly default: string | undefined;
  /** Digest of the code of a target's recipe. */
  recipeDigest(declaration: Declaration): Digest;
  /** What the evaluation rests on, when it is kept. */
  readonly basis: Pick<Snapshot, "id" | "files" | "environment"> | undefined;
  /** The code behind that digest, where the imagefile has just been evaluated; otherwise it is kept by its digest. */
  readonly recipeSheet?: (declaration: Declaration) => Promise<RecipeSheet | undefined>;
  /** A target with its recipe; evaluates the imagefile if that has not been done. */
  registered(name: string): Promise<Registered>;
  /** Says that no other recipes will be asked for, so that the others need not be looked at when the imagefile is evaluated. */
  readonly narrow?: (names: ReadonlySet<string>) => void;
}

/** Milliseconds by which a file's time stamp may lag behind the clock. */
const clockSlack = 10;

/** Files whose change may change what an evaluation yields, beside the imported modules. */
const settings = ["tsconfig.json", "package.json", "package-lock.json", "deno.json", "deno.lock"];

/**
 * Loads the imagefile of a project.
 *
 * @param options.snapshot whether a snapshot may be used and written. @default true
 * @param options.believed id of a snapshot that is known to hold
 * @throws {ImgtaskError} IMG2009 when the imagefile cannot be evaluated, IMG2010 … for a bad graph
 */
export async function load(project: Project, cache: StatCache, options: { readonly snapshot?: boolean; readonly write?: boolean; readonly believed?: string | undefined } = {}): Promise<Loaded> {
  const file = join(project.caches, "snapshot");
  const began = Date.now();
  const kept = options.snapshot === false ? undefined : readSnapshot(file, project.imagefile, cache, process.env, options.believed);
  if (kept !== undefined) {
    const { graph } = kept;
    let targets: Promise<Map<string, Registered>> | undefined;
    let only: ReadonlySet<string> | undefined;
    const registered = async (name: string): Promise<Registered> => {
      if (only?.has(name) === false) throw new Error(`The recipe of "${name}" was not to be asked for`);
      targets ??= evaluateKept(project, cache, options.write !== false, only).then((registered) => {
        // The recipes that were just read must be those whose digests the snapshot has.
        if (editedSince(kept.files.keys(), began)) {
          throw new ImgtaskError("IMG2026", "The imagefile, or what it reads, was edited while it was being read", { hint: "Run again", exitCode: ExitCode.temporary });
        }
        return new Map(registered.map((one) => [one.declaration.name, one]));
      });
      const one = (await targets).get(name);
      const expected = graph.get(name)!.declaration;
      if (one === undefined || meaning(one.declaration) !== meaning(expected)) {
        throw new ImgtaskError("IMG2015", `The imagefile declares "${name}" differently each time it is evaluated`, {
          expected: "declarations that depend on the imagefile, its modules and the environment alone",
          hint: "Take the time, random numbers and files read during evaluation out of what you declare; use source() for files",
          exitCode: ExitCode.usage,
          ...(expected.location === undefined ? {} : { location: expected.location }),
        });
      }
      return one;
    };
    const narrow = (names: ReadonlySet<string>): void => {
      if (targets === undefined) only = names;
    };
    return { ...loaded(kept.evaluation, kept, graph, registered), narrow };
  }
  const { apart, compiled } = await modulesOf(project, cache, options.write !== false);
  const { registered, default: named, watched } = await evaluate(project, { compiled: compiled?.entry }).catch((error: unknown) => {
    apart?.close();
    throw error;
  });
  const environment = watched.environment();
  const declarations = registered.map((one) => one.declaration);
  const graph = buildGraph(declarations);
  if (declarations.some(({ secrets }) => secrets !== undefined)) {
    const { refuseDeclared } = await import("./secret-value.ts");
    refuseDeclared(declarations, project.directory, { environment: Object.keys(environment), files: watched.files() });
  }
  const digest = (path: string): Digest => cachedDigest(path, cache)!;
  const files = new Set<string>();
  const recipes: Record<string, Digest> = {};
  for (const module of new Set(declarations.flatMap((one) => (one.module === undefined ? [] : [one.module])))) {
    const entry = fileURLToPath(module);
    const closure = closureOf(entry);
    for (const path of closure.files) files.add(path);
    recipes[module] = digestClosure(entry, { files: closure.files.filter((path) => !path.endsWith("/package.json")) }, digest);
  }
  const { files: whole, unresolved } = closureOf(project.imagefile);
  for (const path of whole) files.add(path);
  const own = registered.filter(({ declaration, recipe }) => recipe !== undefined && declaration.module === undefined);
  // Without recipes of the imagefile's own there is nothing for the compiler to read.
  const code = own.length === 0 && !unresolved ? undefined : await (apart ?? (await startApart(project, false))).recipes(own.map(placeOf), { identify: (directory) => identifyPackage(directory, digest), digest });
  apart?.close();
  for (const path of code?.files ?? []) files.add(path);
  for (const path of code?.packages ?? []) files.add(path);
  const read = watched.files().filter((path) => !files.has(path)).map((path) => [path, cachedDigest(path, cache)] as const);
  for (const [path, content] of read) if (content !== undefined) files.add(path);
  const listed = watched.directories().map((path) => [nameIn(project, path), namesIn(path)] as const);
  // Edited since it was evaluated: what ran may not be what was read.
  const edited = editedSince([...(compiled?.sources ?? []), ...(code?.files ?? [])], began);
  if (code !== undefined) {
    // For recipes whose code cannot be followed exactly: all modules, and all that was read during evaluation.
    const seen = canonicalJson({ environment, read: read.map(([path, content]) => [nameIn(project, path), content ?? null]), listed });
    const all = digestOf(`${digestClosure(project.imagefile, { files: [...new Set([...whole, ...code.files, ...code.packages])] }, digest)}\n${seen}`);
    // A digest of what was edited never comes again.
    Object.assign(recipes, keyed(new Map([...code.recipes].map(([name, one]) => [name, edited ? digestOf(randomUUID()) : (one.digest ?? all)]))));
    if (options.write !== false) {
      for (const one of code.recipes.values()) writeSheet(project.state, one.digest ?? all, one.digest === undefined ? code.whole : one.sheet);
    }
  }
  // What has no content to compare is only seen by evaluating again.
  const comparable = listed.length === 0 && read.every(([, content]) => content !== undefined);
  const others = settings.map((name) => join(project.directory, name)).filter((path) => !files.has(path));
  const evaluation: Evaluation = { recipes, ...(named === undefined ? {} : { default: named }) };
  const keep = comparable && !edited && options.snapshot !== false && options.write !== false;
  const basis = keep ? writeSnapshot(file, project.imagefile, graph, evaluation, [...files], others, environment, cache) : undefined;
  const byName = new Map(registered.map((one) => [one.declaration.name, one]));
  const sheetOf = ({ name }: Declaration): RecipeSheet | undefined => {
    const one = code?.recipes.get(name);
    return one?.digest === undefined ? one && code!.whole : one.sheet;
  };
  return { ...loaded(evaluation, basis, graph, (name) => Promise.resolve(byName.get(name)!)), recipeSheet: (declaration) => Promise.resolve(sheetOf(declaration)) };
}

/** Starts the process that compiles, and reads the code of recipes. */
async function startApart(project: Project, compiles: boolean): Promise<Apart> {
  const { Apart } = await import("./code/apart.ts");
  return new Apart({ imagefile: project.imagefile, directory: project.directory }, compiles ? relative(project.directory, modulesDirectory(project)) : null);
}

/**
 * The compiled modules of a project; where there are none yet, has them compiled. None at all when they are left to tsx.
 *
 * @param write whether they may be kept
 * @returns with them the process that compiled them, which can be asked more and is to be closed
 */
async function modulesOf(project: Project, cache: StatCache, write: boolean): Promise<{ readonly apart?: Apart; readonly compiled?: Kept | undefined }> {
  if (!mayCompile(project)) return {};
  const compiled = findCompiled(project, process.cwd(), cache);
  if (compiled !== undefined || !write) return { compiled };
  const apart = await startApart(project, true);
  await apart.compiled();
  return { apart, compiled: findCompiled(project, process.cwd(), cache) };
}

/** Evaluates the imagefile of a graph that is kept, for the recipes of some targets or all. */
async function evaluateKept(project: Project, cache: StatCache, write: boolean, only: ReadonlySet<string> | undefined): Promise<readonly Registered[]> {
  const { apart, compiled } = await modulesOf(project, cache, write);
  apart?.close();
  return (await evaluate(project, { compiled: compiled?.entry, only })).registered;
}

/** Digests by name as they are kept: one entry for what differs from the most frequent one, which stands under `""`. */
function keyed(digests: ReadonlyMap<string, Digest>): Readonly<Record<string, Digest>> {
  const counts = new Map<Digest, number>();
  for (const digest of digests.values()) counts.set(digest, (counts.get(digest) ?? 0) + 1);
  const usual = [...counts].reduce<readonly [Digest | undefined, number]>((most, one) => (one[1] > most[1] ? one : most), [undefined, 0])[0];
  return Object.fromEntries([...(usual === undefined ? [] : [["", usual] as const]), ...[...digests].filter(([, digest]) => digest !== usual)]);
}

/** Whether one of some files was written, replaced or removed since a moment, or so shortly before that it cannot be told. */
function editedSince(files: Iterable<string>, moment: number): boolean {
  return [...files].some((path) => (statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? 0) >= moment - clockSlack);
}

/** A name for a path that is the same in every checkout. */
function nameIn(project: Project, path: string): string {
  const inner = relative(project.directory, path);
  return inner.startsWith("..") ? `outside the project: ${basename(path)}` : inner;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function loaded(evaluation: Evaluation, basis: Loaded["basis"], graph: Graph, registered: Loaded["registered"]): Loaded {
  return {
    graph,
    basis,
    default: evaluation.default,
    recipeDigest: ({ module, name }) => evaluation.recipes[module ?? name] ?? evaluation.recipes[""]!,
    registered,
  };
}

/** A declaration without what does not matter for its result. */
function meaning({ location: _location, description: _description, ...rest }: Declaration): string {
  return canonicalJson(rest);
}
