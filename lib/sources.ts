/**
 * What the host files that a target reads are right now. Knows no target and no fingerprint.
 * @module
 */
import type { BigIntStats } from "node:fs";
import { readdir, readlink, realpath } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { ExitCode, ImgtaskError } from "./error.ts";
import { statOf } from "./files.ts";
import type { SourceEntry } from "./fingerprint.ts";
import type { StatCache } from "./stat-cache.ts";

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
  if (stat.isSymbolicLink()) return { path, content: `link ${await readlink(full)}` };
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
export async function sourceEntries(project: string, path: string, cache: StatCache): Promise<readonly SourceEntry[]> {
  const clean = relative(project, join(project, path)).split(sep).join("/") || ".";
  const entries: SourceEntry[] = [];
  const visit = async (inner: string): Promise<void> => {
    const stat = await statOf(join(project, inner));
    if (stat === undefined) throw missing(project, path, "nothing");
    entries.push(await entryOf(project, inner, stat, cache));
    if (stat.isDirectory()) {
      const names = (await readdir(join(project, inner))).sort((a, b) => (a < b ? -1 : 1));
      for (const name of names) if (inner !== "." || name !== ".imgtask") await visit(inner === "." ? name : `${inner}/${name}`);
    }
  };
  const given = await statOf(join(project, clean));
  if (given?.isSymbolicLink() !== true) {
    await visit(clean);
    return entries;
  }
  // The recipe reads through the link: what counts is where it leads.
  entries.push(await entryOf(project, clean, given, cache));
  const end = await realpath(join(project, clean)).catch(() => undefined);
  if (end === undefined) throw missing(project, path, `a symbolic link to "${await readlink(join(project, clean))}", where nothing is`);
  for (const entry of await sourceEntries(dirname(end), basename(end), cache)) {
    entries.push({ path: `${clean}/${entry.path.slice(basename(end).length)}`, content: entry.content });
  }
  return entries;
}

/** The entries that match patterns; directories only by what is in them. Fails when none does. */
export async function globEntries(project: string, patterns: readonly string[], cache: StatCache): Promise<readonly SourceEntry[]> {
  const entries: SourceEntry[] = [];
  for (const path of await globPaths(project, patterns)) {
    const stat = await statOf(join(project, path));
    if (stat !== undefined) entries.push(await entryOf(project, path, stat, cache));
  }
  return entries;
}

/**
 * Paths that match, relative to the project, in code unit order. State of imgtask never matches, nor do symbolic
 * links; and no `*` matches a line break in a name. A recipe is given these paths and no others.
 */
export async function globPaths(project: string, patterns: readonly string[]): Promise<readonly string[]> {
  const { globby } = await import("globby");
  const found = await globby([...patterns], { cwd: project, dot: true, onlyFiles: true, followSymbolicLinks: false, expandDirectories: false, ignore: [".imgtask/**"] });
  return found.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
