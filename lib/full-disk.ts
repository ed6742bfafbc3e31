/**
 * Tells a full disk from other failures, and which file system it is. Knows nothing of who wrote.
 * @module
 */
import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ImgtaskError, isImgtaskError } from "./error.ts";

/** Bytes of free space below which a failed command is taken to have failed for want of it. */
const little = 64 * 1024;

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

/**
 * The error that a full disk is behind another one, or `undefined` when it is not.
 *
 * @param state a directory that was written to, for errors that name no path, and for commands that failed
 */
export function fullDisk(error: unknown, state: string | undefined): ImgtaskError | undefined {
  if (isImgtaskError(error) && error.code === "IMG3030") return error;
  const direct = errorsIn(error).find(({ code }) => code === "ENOSPC" || code === "EDQUOT");
  const path = direct?.path ?? state;
  if (path === undefined) return undefined;
  let place: string | undefined, free = 0, total = 0;
  try {
    place = mountPoint(path);
    const { bavail, blocks, bsize } = statfsSync(place ?? "/");
    free = bavail * bsize;
    total = blocks * bsize;
  } catch {
    // Nothing more can be told of it.
  }
  const command = isImgtaskError(error) && (error.code === "IMG3002" || error.code === "IMG3020");
  if (direct === undefined && (!command || place === undefined || total === 0 || free > little)) return undefined;
  return new ImgtaskError("IMG3030", `No space left on the file system at "${place ?? path}"`, {
    expected: "room for what is being made",
    found: direct?.code === "EDQUOT" ? "the disk quota is used up" : `${free} of ${total} bytes free after the failure`,
    hint: "Free some space (`imgtask clean` removes what can be made again) and run again: what was finished is kept",
    cause: error,
    ...(isImgtaskError(error) && error.location !== undefined ? { location: error.location } : {}),
  });
}
