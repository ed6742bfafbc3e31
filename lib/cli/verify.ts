/**
 * The command `verify`: of targets by making them again, of files by what was published beside them.
 * @module
 */
import type { ExitCode } from "../error.ts";
import type { CommandContext } from "./context.ts";

/** Dispatches to what was asked for. */
export async function verify(context: CommandContext): Promise<ExitCode> {
  if (context.options.rebuild || context.options.deep) return (await import("./verify-rebuild.ts")).verifyRebuild(context);
  return (await import("./verify-file.ts")).verifyFile(context);
}
