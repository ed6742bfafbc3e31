/**
 * `imgtask verify FILE…`: not there yet.
 * @module
 */
import { ExitCode, ImgtaskError } from "../error.ts";
import type { CommandContext } from "./context.ts";

/** Verifies files by what was published beside them. */
export async function verifyFile(_context: CommandContext): Promise<ExitCode> {
  throw new ImgtaskError("IMG2020", `Command "verify" needs "--rebuild"`, { hint: "Run `imgtask help verify` to see its options", exitCode: ExitCode.usage });
}
