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

/**
 * Says that nothing is to be done, when all that the command line asks for is fresh beyond doubt.
 *
 * @returns `true` when it was said; else what was looked at, for who looks closer
 */
export function unchanged(options: Options, cwd: string, env: NodeJS.ProcessEnv): true | Evidence | undefined {
  // There the answer is made of annotations.
  if (env["GITHUB_ACTIONS"] === "true") return undefined;
  const started = performance.now();
  let targets: number, evidence: Evidence | undefined;
  try {
    const project = findProject(cwd, options.imagefile);
    evidence = Evidence.read(evidenceFile(project), { ...project, epoch: epochOf(env["SOURCE_DATE_EPOCH"]), env });
    if (evidence === undefined || !evidence.basisHolds()) return undefined;
    const names = options.targets.length > 0 ? selectNames(evidence.names, options.targets) : evidence.default === undefined ? [] : [evidence.default];
    const answer = evidence.prove(names);
    if (names.length === 0 || !answer.all) return evidence;
    targets = answer.targets;
  } catch {
    // Whoever looks closer says what is wrong.
    return undefined;
  }
  if (!options.quiet) process.stderr.write(`${nothingWords(targets, performance.now() - started)}\n`);
  return true;
}
