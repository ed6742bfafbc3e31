/**
 * The command `graph`: the graph as text for Mermaid or Graphviz.
 * @module
 */
import { ExitCode } from "../error.ts";
import { closure, select } from "../graph.ts";
import { dot, graphData, mermaid } from "../report/graph-text.ts";
import type { CommandContext } from "./context.ts";

/** Writes all targets, or the named ones with what they need, to standard output. */
export async function graph(context: CommandContext): Promise<ExitCode> {
  const loaded = await context.load();
  const { targets, format, json } = context.options;
  const names = targets.length === 0 ? [...loaded.graph.keys()] : closure(loaded.graph, select(loaded.graph, targets));
  if (json) context.stdout(`${JSON.stringify(graphData(loaded.graph, names), undefined, 2)}\n`);
  else context.stdout(format === "dot" ? dot(loaded.graph, names) : mermaid(loaded.graph, names));
  return ExitCode.ok;
}
