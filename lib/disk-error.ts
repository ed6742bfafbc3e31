/**
 * Tells a full or failing disk, and files that are out of reach, from other failures, and which file system it is. Knows nothing of who wrote.
 * @module
 */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { ExitCode, ImgtaskError, isImgtaskError, type Location } from "./error.ts";

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

/** What keeps files from being written, or looked at, though the disk is well. */
const barred: Readonly<Record<string, string>> = {
  EACCES: "no permission",
  EPERM: "not permitted",
  EROFS: "a file system that is mounted read-only",
};

/**
 * The error that a missing permission, or a file system that is read-only, is behind another one, or `undefined` when it is
 * not. For what went wrong before anything ran: a file system that becomes read-only meanwhile has failed.
 */
export function accessError(error: unknown): ImgtaskError | undefined {
  if (isImgtaskError(error)) return undefined;
  let { code, path } = error as NodeJS.ErrnoException;
  // Where node cannot make a path of directories, it says that the last of them is not there.
  if (code === "ENOENT" && path !== undefined && (error as NodeJS.ErrnoException).syscall === "mkdir") {
    while (path !== dirname(path) && !existsSync(path)) path = dirname(path);
    try {
      accessSync(path, constants.W_OK);
    } catch (refused) {
      ({ code } = refused as NodeJS.ErrnoException);
    }
  }
  if (code === undefined || path === undefined || !Object.hasOwn(barred, code)) return undefined;
  return new ImgtaskError("IMG1010", `No access to "${path}"`, {
    expected: "a project whose files can be read, and whose directory can be written to",
    found: code === (error as NodeJS.ErrnoException).code ? `${barred[code]!} (${(error as Error).message})` : barred[code]!,
    hint: code === "EROFS" ? "Copy the project to where it can be written; `plan`, `why` and `list` work here" : `imgtask runs as ${whoRuns()}: is that whose files these are? A run by root or sudo leaves files that others cannot change`,
    exitCode: ExitCode.prerequisite,
    cause: error,
  });
}

function whoRuns(): string {
  try {
    return `user "${userInfo().username}"`;
  } catch {
    return `user ${process.geteuid?.() ?? "?"}`; // One without a name, as in containers.
  }
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

function fullDisk(error: unknown, direct: (NodeJS.ErrnoException & { readonly dest?: string }) | undefined, state: string | undefined): ImgtaskError | undefined {
  // Of a copy, it is the place of the new one that is full.
  const path = direct?.dest ?? direct?.path ?? state;
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
