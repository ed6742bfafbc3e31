/**
 * What the host files that a target reads are right now. Knows no target and no fingerprint.
 * @module
 */
import { type BigIntStats, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { ExitCode, ImgtaskError } from "./error.ts";
import type { SourceEntry } from "./fingerprint.ts";
import type { StatCache } from "./stat-cache.ts";
import { Witness } from "./witness.ts";

/** The bits of a mode that a recipe can see a difference in. */
const octal = (stat: BigIntStats): string => (stat.mode & 0o7777n).toString(8).padStart(4, "0");

/** Bytes from which a file counts by its blocks that are not all zeros; by size alone, so that a copy without holes agrees. */
const bigFile = 64 * 1024 * 1024;

/** What a file's content is known by. */
async function contentOf(full: string, stat: BigIntStats, cache: StatCache): Promise<string> {
  if (stat.size < bigFile) return cache.digest(full, stat);
  // Under a key that is no path: what the cache knows under the path is the plain digest.
  const key = `sparse ${full}`;
  const known = cache.lookup(key, stat);
  if (known !== undefined) return `sparse ${known}`;
  const { digestSparse } = await import("./sparse.ts");
  const began = Date.now();
  const digest = await digestSparse(full);
  cache.remember(key, stat, digest, began);
  return `sparse ${digest}`;
}

async function entryOf(project: string, path: string, stat: BigIntStats, cache: StatCache): Promise<SourceEntry> {
  const full = join(project, path);
  if (stat.isSymbolicLink()) return { path, content: `link ${readlinkSync(full)}` };
  if (stat.isDirectory()) return { path, content: `directory ${octal(stat)}` };
  if (stat.isFile()) return { path, content: `file ${octal(stat)} ${await contentOf(full, stat, cache)}` };
  throw new ImgtaskError("IMG2007", `Source "${path}" is neither a file, a directory nor a symbolic link`, { exitCode: ExitCode.usage });
}

function missing(project: string, path: string, found: string): ImgtaskError {
  return new ImgtaskError("IMG2005", `Source "${path}" does not exist`, {
    expected: `a file or directory at ${join(project, path)}`,
    found,
    hint: "Paths of sources are relative to the directory of the imagefile",
    exitCode: ExitCode.usage,
  });
}

/**
 * The entries of a source: one for a file; for a directory, itself and all below it in code unit order. A symbolic
 * link given as the source stands for what it points to; one inside a directory for itself.
 *
 * @throws {ImgtaskError} IMG2005 when nothing is there
 */
export async function sourceEntries(project: string, path: string, cache: StatCache, witness: Witness = new Witness()): Promise<readonly SourceEntry[]> {
  const clean = relative(project, join(project, path)).split(sep).join("/") || ".";
  const entries: SourceEntry[] = [];
  const visit = async (inner: string): Promise<void> => {
    const stat = witness.stat(join(project, inner));
    if (stat === undefined) throw missing(project, path, "nothing");
    entries.push(await entryOf(project, inner, stat, cache));
    if (stat.isDirectory()) {
      const names = witness.names(join(project, inner));
      for (const name of names) if (inner !== "." || name !== ".imgtask") await visit(inner === "." ? name : `${inner}/${name}`);
    }
  };
  const given = witness.stat(join(project, clean));
  if (given?.isSymbolicLink() !== true) {
    await visit(clean);
    return entries;
  }
  // The recipe reads through the link: what counts is where it leads.
  entries.push(await entryOf(project, clean, given, cache));
  // Links may lead to further links: what is at their end is seen through all of them.
  if (witness.stat(join(project, clean), true) === undefined) throw missing(project, path, `a symbolic link to "${readlinkSync(join(project, clean))}", where nothing is`);
  const end = realpathSync(join(project, clean));
  for (const entry of await sourceEntries(dirname(end), basename(end), cache, witness)) {
    entries.push({ path: `${clean}/${entry.path.slice(basename(end).length)}`, content: entry.content });
  }
  return entries;
}

/** The entries that match patterns; directories only by what is in them. */
export async function globEntries(project: string, patterns: readonly string[], cache: StatCache, witness: Witness = new Witness()): Promise<readonly SourceEntry[]> {
  const entries: SourceEntry[] = [];
  for (const path of await globPaths(project, patterns, witness)) {
    const stat = witness.stat(join(project, path));
    if (stat !== undefined) entries.push(await entryOf(project, path, stat, cache));
  }
  return entries;
}

/**
 * Paths that match, relative to the project, in code unit order. State of imgtask never matches, nor do symbolic
 * links; and no `*` matches a line break in a name. A recipe is given these paths and no others.
 *
 * @param witness is told of every directory whose names were read: unchanged, they match the same paths
 */
export async function globPaths(project: string, patterns: readonly string[], witness?: Witness): Promise<readonly string[]> {
  const { globbySync } = await import("globby");
  const fs = {
    readdirSync: ((path: string, options: { withFileTypes: true }) => {
      witness?.stat(path, true);
      return readdirSync(path, options);
    }) as typeof readdirSync,
    lstatSync: ((path: string) => {
      witness?.stat(path);
      return lstatSync(path);
    }) as typeof lstatSync,
    statSync: ((path: string) => {
      // Of the project itself only counts that it is there.
      if (path === project) witness?.type(path);
      else witness?.stat(path, true);
      return statSync(path);
    }) as typeof statSync,
  };
  const found = globbySync([...patterns], { cwd: project, dot: true, onlyFiles: true, followSymbolicLinks: false, expandDirectories: false, ignore: [".imgtask/**"], fs });
  return found.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
