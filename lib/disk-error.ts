/**
 * Tells a full or failing disk from other failures, and which file system it is. Knows nothing of who wrote.
 * @module
 */
import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ImgtaskError, isImgtaskError, type Location } from "./error.ts";

/** Bytes of free space below which a failed command is taken to have failed for want of it. */
const little = 64 * 1024;
/** The same for room for files. File systems that know no such limit say there is room for none at all. */
const few = 8;

/** The directory at which the file system of a path is mounted; the nearest one above it that exists counts. */
function mountPoint(path: string): string | undefined {
  let directory = path;
  let device: number | undefined;
  for (;;) {
    const { dev } = statSync(directory, { throwIfNoEntry: false }) ?? {};
    if (device !== undefined && dev !== device) return previous(path, directory);
    device ??= dev;
    if (directory === dirname(directory)) return device === undefined ? undefined : directory;
    directory = dirname(directory);
  }
}

/** The directory on the way from `above` down to `path` that comes directly below `above`. */
function previous(path: string, above: string): string {
  let directory = path;
  while (dirname(directory) !== above) directory = dirname(directory);
  return directory;
}

function errorsIn(error: unknown): readonly NodeJS.ErrnoException[] {
  const found: NodeJS.ErrnoException[] = [];
  for (let one = error; typeof one === "object" && one !== null && found.length < 10; one = (one as Error).cause) found.push(one as NodeJS.ErrnoException);
  return found;
}

/** What the kernel says when the disk itself, or the way to it, is to blame. */
const broken: Readonly<Record<string, string>> = {
  EIO: "an input/output error",
  EROFS: "the file system is read-only, as after an error",
  ENXIO: "the device is gone",
  ENODEV: "the device is gone",
  ESTALE: "the file server no longer knows the file",
};

/**
 * The error that a full or failing disk is behind another one, or `undefined` when it is not.
 *
 * @param state a directory that was written to, for errors that name no path, and for commands that failed
 */
export function diskError(error: unknown, state: string | undefined): ImgtaskError | undefined {
  if (isImgtaskError(error) && (error.code === "IMG3030" || error.code === "IMG3031")) return error;
  const all = errorsIn(error);
  return fullDisk(error, all.find(({ code }) => code === "ENOSPC" || code === "EDQUOT"), state) ?? brokenDisk(error, all.find(({ code }) => code !== undefined && Object.hasOwn(broken, code)), state);
}

function locationOf(error: unknown): { readonly location?: Location } {
  return isImgtaskError(error) && error.location !== undefined ? { location: error.location } : {};
}

function brokenDisk(error: unknown, direct: NodeJS.ErrnoException | undefined, state: string | undefined): ImgtaskError | undefined {
  // A command or a recipe may have its own dealings with devices: only what the kernel said to imgtask counts.
  if (direct === undefined) return undefined;
  const path = direct.path ?? state;
  let place: string | undefined;
  try {
    place = path === undefined ? undefined : mountPoint(path);
  } catch {
    // Then the path has to do.
  }
  return new ImgtaskError("IMG3031", path === undefined ? "The disk failed" : `The file system at "${place ?? path}" failed`, {
    expected: "a disk that can be read and written",
    found: `${broken[direct.code!]!}${direct.path === undefined ? "" : `, at "${direct.path}"`}`,
    hint: "Look at the kernel's messages (`dmesg`), and run again when the disk is well: what was finished is kept",
    cause: error,
    ...locationOf(error),
  });
}

function fullDisk(error: unknown, direct: NodeJS.ErrnoException | undefined, state: string | undefined): ImgtaskError | undefined {
  const path = direct?.path ?? state;
  if (path === undefined) return undefined;
  let place: string | undefined, free = 0, total = 0, noFiles = false;
  try {
    place = mountPoint(path);
    const { bavail, blocks, bsize, files, ffree } = statfsSync(place ?? "/");
    free = bavail * bsize;
    total = blocks * bsize;
    noFiles = files > 0 && ffree < few;
  } catch {
    // Nothing more can be told of it.
  }
  const command = isImgtaskError(error) && (error.code === "IMG3002" || error.code === "IMG3020");
  // Where node cannot make a path of directories for want of room, it says that the last of them is not there.
  const directory = errorsIn(error).some(({ code, syscall }) => code === "ENOENT" && syscall === "mkdir");
  if (direct === undefined && ((!command && !directory) || place === undefined || total === 0 || (free > little && !noFiles))) return undefined;
  return new ImgtaskError("IMG3030", `No space left on the file system at "${place ?? path}"`, {
    expected: "room for what is being made",
    found: direct?.code === "EDQUOT" ? "the disk quota is used up" : noFiles ? "no room for another file (inodes)" : `${free} of ${total} bytes free after the failure`,
    hint: "Free some space (`imgtask clean` removes what can be made again) and run again: what was finished is kept",
    cause: error,
    ...locationOf(error),
  });
}
