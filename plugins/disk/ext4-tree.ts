/**
 * Finds entries of an ext4 file system in an image by patterns of paths, reading directories with debugfs.
 * Knows nothing of what is done with them.
 * @module
 */
import { ImgtaskError, type RunContext } from "../../lib/mod.ts";

/** One name in a directory. */
export interface Entry {
  readonly path: string;
  readonly inode: number;
  readonly kind: "directory" | "regular" | "other";
  /** Bytes of a regular file. */
  readonly size: number;
}

/** Something looked for, as path components: `*` and `?` within one name, `**` for any number of directories. */
export interface Pattern<T> {
  readonly parts: readonly string[];
  readonly of: T;
  /** Whether what is below a directory that matches belongs to it. */
  readonly deep: boolean;
}

/** Runs commands of debugfs and gives what they print. */
export type Debugfs = (commands: readonly string[]) => Promise<string>;

/** debugfs over a file system in a file of the working directory; `write` lets it change the file system. */
export function debugfsOf(system: string, script: string, { exec, tmp, epoch }: Pick<RunContext, "exec" | "tmp" | "epoch">, save: (file: string, text: string) => void, write: boolean): Debugfs {
  return async (commands) => {
    save(script, [`set_current_time @${epoch}`, ...commands, ""].join("\n"));
    const { stdout } = await exec(["debugfs", ...(write ? ["-w"] : []), "-f", script, system], { cwd: tmp, stdout: "capture" });
    return stdout;
  };
}

/**
 * Quotes a path for debugfs, whose scripts are lines of words.
 *
 * @throws {ImgtaskError} IMG3602 for a name with a control character: it could become another command.
 */
export function quote(path: string): string {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(path)) throw new ImgtaskError("IMG3602", "A file name on the disk has control characters", { found: JSON.stringify(path), expected: "names that debugfs can be told" });
  return `"${path.replaceAll('"', '""')}"`;
}

const entryLine = /^\/(\d+)\/(\d{6})\/\d+\/\d+\/(.*)\/(\d*)\/$/;

async function list(directories: readonly number[], debugfs: Debugfs): Promise<ReadonlyMap<number, readonly (Omit<Entry, "path"> & { readonly name: string })[]>> {
  const found = new Map<number, (Omit<Entry, "path"> & { readonly name: string })[]>();
  let current: (Omit<Entry, "path"> & { readonly name: string })[] = [];
  for (const line of (await debugfs(directories.map((inode) => `ls -p <${inode}>`))).split("\n")) {
    const match = entryLine.exec(line);
    if (match === null) {
      if (!line.startsWith("/")) continue;
      // A name cannot have a slash, so of one with a line break this is seen, and no part of it looks like an entry.
      throw new ImgtaskError("IMG3602", "A file name on the disk has control characters", { found: JSON.stringify(line), expected: "names that debugfs can be told" });
    }
    const [, inode, mode, name, size] = match;
    if (inode === "0" || name === "..") continue;
    if (name === ".") {
      current = [];
      found.set(Number(inode), current);
      continue;
    }
    const type = Number.parseInt(mode!, 8) & 0o170000;
    current.push({ name: name!, inode: Number(inode), kind: type === 0o040000 ? "directory" : type === 0o100000 ? "regular" : "other", size: Number(size) });
  }
  for (const inode of directories) {
    if (!found.has(inode)) throw new ImgtaskError("IMG3602", "A directory on the disk cannot be read", { found: `inode ${inode}` });
  }
  return found;
}

function matcher(part: string): (name: string) => boolean {
  if (!/[*?]/.test(part)) return (name) => name === part;
  const pattern = new RegExp(`^${part.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");
  return (name) => pattern.test(name);
}

interface State<T> {
  readonly pattern: Pattern<T>;
  readonly at: number;
}

/**
 * Finds what matches. Symbolic links are entries as others, and not followed.
 *
 * @param found is called for every match, directories before what is in them; more than once for an entry that
 * several patterns match.
 */
export async function find<T>(patterns: readonly Pattern<T>[], debugfs: Debugfs, found: (entry: Entry, pattern: T) => void): Promise<void> {
  const matchers = new Map<string, (name: string) => boolean>();
  const matches = (part: string, name: string): boolean => {
    let one = matchers.get(part);
    if (one === undefined) matchers.set(part, (one = matcher(part)));
    return one(name);
  };
  let level: { readonly inode: number; readonly path: string; readonly states: readonly State<T>[] }[] = [{ inode: 2, path: "", states: patterns.map((pattern) => ({ pattern, at: 0 })) }];
  while (level.length > 0) {
    const lists = await list(level.map(({ inode }) => inode), debugfs);
    const next: typeof level = [];
    for (const { inode: directory, path: above, states } of level) {
      for (const { name, ...rest } of lists.get(directory)!) {
        const entry: Entry = { ...rest, path: `${above}/${name}` };
        const below: State<T>[] = [];
        const advance = ({ pattern, at }: State<T>): void => {
          const part = pattern.parts[at]!;
          if (part === "**") {
            below.push({ pattern, at });
            advance({ pattern, at: at + 1 });
          } else if (matches(part, name)) {
            if (at + 1 < pattern.parts.length) return void below.push({ pattern, at: at + 1 });
            found(entry, pattern.of);
            if (pattern.deep) below.push({ pattern: { ...pattern, parts: ["*"] }, at: 0 });
          }
        };
        for (const state of states) advance(state);
        if (entry.kind === "directory" && below.length > 0) next.push({ inode: entry.inode, path: entry.path, states: below });
      }
    }
    level = next;
  }
}
