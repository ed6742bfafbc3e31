/**
 * Where things are: the imagefile, the directory it stands in, and the state imgtask keeps beside it.
 * @module
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { digestOf } from "./digest.ts";
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
  /**
   * Where caches are that are believed unread: snapshot, stat cache, tool versions, evidence of freshness. The state
   * directory; but where only signed results are trusted, a directory of the user's own, which nobody shares.
   */
  readonly caches: string;
}

/**
 * Finds the imagefile: the named one, or the nearest one in a directory or above it.
 *
 * @throws {ImgtaskError} IMG2008 when there is none
 */
export function findProject(cwd: string, named?: string): Project {
  if (named !== undefined) {
    const imagefile = resolve(cwd, named);
    if (statSync(imagefile, { throwIfNoEntry: false })?.isFile() !== true) {
      throw new ImgtaskError("IMG2008", `No imagefile "${named}"`, { expected: `a file at ${imagefile}`, hint: "Paths of --imagefile are relative to the directory that -C names", exitCode: ExitCode.usage });
    }
    return projectOf(imagefile);
  }
  if (!existsSync(cwd)) throw new ImgtaskError("IMG2008", `No directory ${JSON.stringify(cwd)}`, { expected: "the directory of an imagefile, or one below it", exitCode: ExitCode.usage });
  for (let directory = resolve(cwd); ; directory = dirname(directory)) {
    const name = imagefileNames.find((one) => existsSync(join(directory, one)));
    if (name !== undefined) return projectOf(join(directory, name));
    if (directory === dirname(directory)) throw noImagefile(join(resolve(cwd), imagefileNames[0]));
  }
}

function projectOf(imagefile: string): Project {
  const directory = dirname(imagefile);
  const state = join(directory, ".imgtask");
  const trusted = process.env["IMGTASK_TRUSTED_RESULTS"] ?? "";
  return { imagefile, directory, state, caches: trusted === "" ? state : privateCaches(directory, trusted) };
}

/** A directory of the user's own, another one for each project and each set of trusted keys. */
function privateCaches(directory: string, trusted: string): string {
  const named = process.env["XDG_STATE_HOME"] ?? "";
  const home = join(named.startsWith("/") ? named : join(homedir(), ".local/state"), "imgtask");
  if (`${home}/`.startsWith(`${directory}/`)) {
    throw new ImgtaskError("IMG2027", "The user's directory for state lies within the project", {
      expected: "a directory that nobody else shares, since only signed results are trusted",
      found: home,
      hint: "Set XDG_STATE_HOME to a directory outside of the project",
      exitCode: ExitCode.usage,
    });
  }
  let keys = trusted;
  try {
    keys = readFileSync(resolve(trusted), "utf8");
  } catch {
    // The keys themselves, not a file with them.
  }
  return join(home, digestOf(`${directory}\0${keys}`).slice(0, 32));
}

function noImagefile(path: string): ImgtaskError {
  return new ImgtaskError("IMG2008", "No imagefile found", {
    expected: `${path}, or an imagefile.ts in a directory above it`,
    hint: "Run `imgtask init` to write one, or name it with --imagefile",
    exitCode: ExitCode.usage,
  });
}

/** Where the evidence of freshness is kept. */
export function evidenceFile(project: Project): string {
  return join(project.caches, "evidence");
}

/** What the paths begin with of all directories in which commands of this process run. */
export function commandsDirectory(project: Project): string {
  return join(project.state, "tmp", `${process.pid}-`);
}
