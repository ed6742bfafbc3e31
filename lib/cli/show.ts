/**
 * The command `show`: all that is declared of targets, and who made their newest results.
 * @module
 */
import { dirname } from "node:path";
import { ExitCode, ImgtaskError } from "../error.ts";
import { select } from "../graph.ts";
import { findProject } from "../project.ts";
import { shownPath } from "../report/error.ts";
import { type MadeBy, show as words } from "../report/show.ts";
import { openState, openTrust } from "../state.ts";
import { type CommandContext, dataColor } from "./context.ts";

/** Writes the declarations of the named targets, or of the default one, to standard output. */
export async function show(context: CommandContext): Promise<ExitCode> {
  const { graph, default: named } = await context.load();
  const patterns = context.options.targets.length > 0 ? context.options.targets : named === undefined ? [] : [named];
  if (patterns.length === 0) {
    throw new ImgtaskError("IMG2020", `Command "show" needs the name of a target`, {
      found: "no name, and an imagefile without a default export",
      hint: "Run `imgtask list` to see the targets",
      exitCode: ExitCode.usage,
    });
  }
  const found = findProject(context.cwd, context.options.imagefile);
  const trust = await openTrust(found);
  const { records } = openState(found, trust);
  const madeBy = (name: string): MadeBy | undefined => {
    const record = records.latest(name);
    return record === undefined ? undefined : { time: record.time, verified: trust !== undefined, ...record.producer };
  };
  const nodes = select(graph, patterns).map((name) => graph.get(name)!);
  const project = dirname(context.imagefile ?? context.cwd);
  if (context.options.json) {
    const data = nodes.map(({ declaration: { location, ...rest }, dependencies, dependents }) => ({
      ...rest,
      module: undefined,
      location: location === undefined ? null : { ...location, file: shownPath(location.file, project) },
      dependencies,
      dependents,
      result: madeBy(rest.name) ?? null,
    }));
    context.stdout(`${JSON.stringify({ targets: data }, undefined, 2)}\n`);
  } else context.stdout(nodes.map((node) => words(node, { color: dataColor(context), cwd: context.cwd, madeBy: madeBy(node.declaration.name) })).join("\n"));
  return ExitCode.ok;
}
