/**
 * The command `run` when there is nothing to do: asks the evidence, and loads nothing else. Takes no lock, since it
 * neither runs nor writes anything.
 * @module
 */
import { epochOf } from "../epoch.ts";
import { Evidence } from "../evidence.ts";
import { selectNames } from "../graph.ts";
import { evidenceFile, findProject } from "../project.ts";
import { nothingWords } from "../report/nothing.ts";
import type { Options } from "./options.ts";

/** Says that nothing is to be done, when all that the command line asks for is fresh beyond doubt. */
export function unchanged(options: Options, cwd: string, env: NodeJS.ProcessEnv): boolean {
  // There the answer is made of annotations.
  if (env["GITHUB_ACTIONS"] === "true") return false;
  const started = performance.now();
  let targets: number;
  try {
    const project = findProject(cwd, options.imagefile);
    const evidence = Evidence.read(evidenceFile(project), { ...project, epoch: epochOf(env["SOURCE_DATE_EPOCH"]), env });
    if (evidence === undefined || !evidence.basisHolds()) return false;
    const names = options.targets.length > 0 ? selectNames(evidence.names, options.targets) : evidence.default === undefined ? [] : [evidence.default];
    const answer = evidence.prove(names);
    if (names.length === 0 || !answer.all) return false;
    targets = answer.targets;
  } catch {
    // Whoever looks closer says what is wrong.
    return false;
  }
  if (!options.quiet) process.stderr.write(`${nothingWords(targets, performance.now() - started)}\n`);
  return true;
}
