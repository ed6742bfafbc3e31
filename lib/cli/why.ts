/**
 * The command `why`: what a run would do with one target and because of what, and how it went last time.
 * @module
 */
import { ExitCode } from "../error.ts";
import { select } from "../graph.ts";
import { makePlan } from "../plan.ts";
import { why as whyText, whyData } from "../report/why.ts";
import type { CommandContext } from "./context.ts";
import type { Engine } from "./run.ts";

/** Prints the verdict on one target with all its reasons. */
export async function why(context: CommandContext, { state, loaded }: Engine): Promise<ExitCode> {
  const [name] = select(loaded.graph, context.options.targets.slice(0, 1));
  const entries = await makePlan(loaded, [name!], state, new Set());
  const entry = entries.find(({ target }) => target === name) ?? entries.at(-1)!;
  const last = state.records.latest(entry.target);
  context.stdout(
    context.options.json
      ? `${JSON.stringify(whyData(entry, last), null, 2)}\n`
      : whyText(entry, { color: context.color && process.stdout.isTTY === true, last }),
  );
  return ExitCode.ok;
}
