/**
 * Where things are: the imagefile, the directory it stands in, and the state imgtask keeps beside it.
 * @module
 */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { ExitCode, ImgtaskError } from "./error.ts";

/** Names an imagefile may have, the first that exists wins. */
export const imagefileNames = ["imagefile.ts", "imagefile.mts", "imagefile.js", "imagefile.mjs"] as const;

/** Paths of a project. All absolute. */
export interface Project {
  readonly imagefile: string;
  /** Directory of the imagefile; sources and outputs are relative to it. */
  readonly directory: string;
  /** `.imgtask` beside the imagefile. */
  readonly state: string;
}

/**
 * Finds the imagefile: the named one, or the nearest one in a directory or above it.
 *
 * @throws {ImgtaskError} IMG2008 when there is none
 */
export function findProject(cwd: string, named?: string): Project {
  if (named !== undefined) {
    const imagefile = resolve(cwd, named);
    if (!existsSync(imagefile)) throw noImagefile(imagefile);
    return projectOf(imagefile);
  }
  for (let directory = resolve(cwd); ; directory = dirname(directory)) {
    const name = imagefileNames.find((one) => existsSync(join(directory, one)));
    if (name !== undefined) return projectOf(join(directory, name));
    if (directory === dirname(directory)) throw noImagefile(join(resolve(cwd), imagefileNames[0]));
  }
}

function projectOf(imagefile: string): Project {
  const directory = dirname(imagefile);
  return { imagefile, directory, state: join(directory, ".imgtask") };
}

function noImagefile(path: string): ImgtaskError {
  return new ImgtaskError("IMG2008", "No imagefile found", {
    expected: `${path}, or an imagefile.ts in a directory above it`,
    hint: "Run `imgtask init` to write one, or name it with --imagefile",
    exitCode: ExitCode.usage,
  });
}
