/**
 * Small helpers around the file system that node lacks. Knows nothing of what the files are.
 * @module
 */
import { type BigIntStats, constants } from "node:fs";
import { copyFile, lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Whether an error says that the file is not there. */
function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
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

/** `lstat` with nanoseconds; `undefined` when nothing is there. */
export async function statOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
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

/** Whether everything below a directory is among some paths relative to it. */
export async function holdsOnly(root: string, known: { has(path: string): boolean }, relative = ""): Promise<boolean> {
  for (const entry of await readdir(join(root, relative), { withFileTypes: true })) {
    const inner = relative === "" ? entry.name : `${relative}/${entry.name}`;
    if (!known.has(inner) || (entry.isDirectory() && !(await holdsOnly(root, known, inner)))) return false;
  }
  return true;
}
