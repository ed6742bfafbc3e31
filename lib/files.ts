/**
 * Small helpers around the file system that node lacks. Knows nothing of what the files are.
 * @module
 */
import { type BigIntStats, constants, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { copyFile, lstat, open } from "node:fs/promises";
import { join } from "node:path";

/** Nanoseconds that a file's time stamps must lie back before a later change is sure to show in them: several kernel ticks. */
export const racyWindow = 40_000_000n;

/** Whether a file changed so recently that a change yet to come could have the same time stamps (git's "racy" rule). */
export function isRacy(stat: BigIntStats, now: number = Date.now()): boolean {
  const newest = stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs;
  return BigInt(now) * 1_000_000n - newest < racyWindow;
}

/** Whether an error says that the file is not there; where links lead round in a circle, nothing is. */
function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}

/** Waits until a file, or the names in a directory, are on disk. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What tells one boot of the host from the next; `undefined` where the kernel does not say. */
export function bootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Whether an error says that something may not be looked at. */
export function isForbidden(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EACCES";
}

/**
 * `lstat` with nanoseconds, or `stat` to follow a symbolic link; `undefined` when nothing is there. Does not give way:
 * a look takes two microseconds, a promise for it twenty.
 */
export function statOf(path: string, follow = false): BigIntStats | undefined {
  const options = { bigint: true, throwIfNoEntry: false } as const;
  try {
    return follow ? statSync(path, options) : lstatSync(path, options);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Copies a file to a path where nothing is: by reflink where the file system can, otherwise with its holes, which
 * `copyFile` would fill.
 */
export async function copyWhole(from: string, to: string): Promise<void> {
  const { size, blocks } = await lstat(from);
  if (size < 1024 * 1024 || blocks * 512 >= size) return copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (!["ENOTSUP", "EOPNOTSUPP", "EXDEV", "EINVAL", "ENOTTY", "ENOSYS"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await (await import("./sparse.ts")).copySparse(from, to);
  }
}

/** Whether everything below a directory is among some paths relative to it. `names` lists a directory. */
export function holdsOnly(root: string, known: { has(path: string): boolean }, names: (path: string) => readonly string[] = readdirSync, relative = ""): boolean {
  for (const name of names(join(root, relative))) {
    const inner = relative === "" ? name : `${relative}/${name}`;
    if (!known.has(inner) || (statOf(join(root, inner))?.isDirectory() === true && !holdsOnly(root, known, names, inner))) return false;
  }
  return true;
}
