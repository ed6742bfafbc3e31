/**
 * The command `list`: the targets of the imagefile.
 * @module
 */
import { ExitCode } from "../error.ts";
import { select } from "../graph.ts";
import { listing, listingData } from "../report/listing.ts";
import { type CommandContext, dataColor } from "./context.ts";

/** Writes the targets, or those that match the given patterns, to standard output. */
export async function list(context: CommandContext): Promise<ExitCode> {
  const { graph, default: named } = await context.load();
  const { targets } = context.options;
  const shown = targets.length === 0 ? graph : new Map(select(graph, targets).map((name) => [name, graph.get(name)!]));
  if (context.options.json) context.stdout(`${JSON.stringify(listingData(shown, { default: named }), undefined, 2)}\n`);
  else context.stdout(listing(shown, { default: named !== undefined && shown.has(named) ? named : undefined, color: dataColor(context) }));
  return ExitCode.ok;
}
