/**
 * The compiled modules of an imagefile as they are kept: `.imgtask/modules/ID` has them as the project has their
 * sources, and an index of what they were made from. Neither compiles nor imports them.
 *
 * A directory is written under another name and renamed, and never written to again. It is used when all that its
 * index names is as it was, and its own files have the bytes that the index says.
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { type Digest, digestOf } from "./digest.ts";
import { statOf } from "./files.ts";
import { packageVersion } from "./package.ts";
import type { Project } from "./project.ts";
import { cachedDigest } from "./snapshot.ts";
import type { StatCache } from "./stat-cache.ts";

/** What the name of a compiled module has behind that of its source; so that it is a module whatever package.json says. */
export const ending = ".mjs";

/** Files that something rests on, by digest; `null` for those that were not there, and would change it. Absolute paths. */
export type Rests = ReadonlyMap<string, Digest | null>;

/** What is known of an imagefile's modules. */
export interface Kept {
  /** URL to import; `undefined` when they are left to tsx. */
  readonly entry: string | undefined;
  /** Absolute paths of the files that they were made from. */
  readonly sources: readonly string[];
}

interface Index {
  readonly format: string;
  readonly imagefile: string;
  readonly cwd: string;
  /** Why they are left to tsx: nothing is kept but this. */
  readonly refused: string | null;
  readonly rests: readonly (readonly [path: string, digest: Digest | null])[];
  readonly files: readonly (readonly [name: string, digest: Digest])[];
}

const format = (): string => `imgtask modules 1 ${packageVersion()}`;
const indexName = "index.json";
/** Directories that are kept: of other branches, or for another working directory. */
const most = 4;
/** Milliseconds after which what nobody finished is removed. */
const abandoned = 3_600_000;

/** Where a project's compiled modules are. */
export function modulesDirectory(project: Pick<Project, "state">): string {
  return join(project.state, "modules");
}

/** The directories that are kept, the newest first. */
function kept(modules: string): readonly string[] {
  try {
    return readdirSync(modules).filter((name) => !name.startsWith(".")).sort().toReversed();
  } catch {
    return [];
  }
}

/** The compiled modules of a project that were made from what is there now; `undefined` when there are none. */
export function findCompiled(project: Project, cwd: string, cache: StatCache): Kept | undefined {
  const modules = modulesDirectory(project), real = realpathSync(project.directory);
  for (const name of kept(modules).slice(0, most)) {
    const directory = join(modules, name);
    try {
      const index = readIndex(directory);
      if (index === undefined || index.imagefile !== relative(project.directory, project.imagefile) || index.cwd !== relative(real, cwd)) continue;
      const rests = index.rests.map(([path, digest]) => [join(project.directory, path), digest] as const);
      if (!rests.every(([path, digest]) => (digest === null ? statOf(path, true) === undefined : cachedDigest(path, cache) === digest))) continue;
      if (!index.files.every(([file, digest]) => digestOf(readFileSync(join(directory, file))) === digest)) continue;
      const sources = rests.flatMap(([path, digest]) => (digest === null ? [] : [path]));
      return { entry: index.refused === null ? pathToFileURL(join(directory, index.imagefile + ending)).href : undefined, sources };
    } catch {
      // Damaged, or just removed.
    }
  }
  return undefined;
}

function readIndex(directory: string): Index | undefined {
  const text = readFileSync(join(directory, indexName), "utf8");
  const body = text.slice(65);
  if (text[64] !== "\n" || digestOf(body) !== text.slice(0, 64)) return undefined;
  const index = JSON.parse(body) as Index;
  return index.format === format() ? index : undefined;
}

/**
 * Keeps compiled modules, or that there can be none, and removes old ones. Only while the lock is held: nobody who runs
 * recipes is pulled the modules away that they import later.
 *
 * @param of the absolute path of the imagefile, the project's directory, the working directory
 * @param modules their texts by the paths of their sources; or why there are none
 * @returns whether it could be kept
 */
export function keepCompiled(directory: string, of: { readonly imagefile: string; readonly directory: string; readonly cwd: string }, modules: ReadonlyMap<string, string> | string, rests: Rests): boolean {
  const name = `${Date.now().toString(16).padStart(12, "0")}-${randomBytes(8).toString("hex")}`;
  const temporary = join(directory, `.${name}`);
  try {
    mkdirSync(temporary, { recursive: true, mode: 0o700 });
    // Behind a link, packages would be looked for elsewhere.
    if (realpathSync(directory) !== directory) throw new Error("a symbolic link");
    const files: (readonly [string, Digest])[] = [];
    for (const [source, text] of typeof modules === "string" ? [] : modules) {
      const file = relative(of.directory, source) + ending;
      mkdirSync(dirname(join(temporary, file)), { recursive: true, mode: 0o700 });
      writeFileSync(join(temporary, file), text, { mode: 0o600 });
      files.push([file, digestOf(text)]);
    }
    const index: Index = {
      format: format(),
      imagefile: relative(of.directory, of.imagefile),
      cwd: relative(of.directory, of.cwd),
      refused: typeof modules === "string" ? modules : null,
      rests: [...rests].map(([path, digest]) => [relative(of.directory, path), digest] as const),
      files,
    };
    const body = JSON.stringify(index);
    writeFileSync(join(temporary, indexName), `${digestOf(body)}\n${body}`, { mode: 0o600 });
    renameSync(temporary, join(directory, name));
  } catch {
    remove(temporary);
    return false;
  }
  try {
    for (const old of kept(directory).filter((one) => one !== name).slice(most - 1)) remove(join(directory, old));
    for (const one of readdirSync(directory)) {
      const path = join(directory, one);
      if (one.startsWith(".") && Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > abandoned) remove(path);
    }
  } catch {
    // Removed the next time.
  }
  return true;
}

function remove(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch {
    // Left for the next time.
  }
}
