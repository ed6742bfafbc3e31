/**
 * Runs a command for what it says and how it ends, whatever that is: what an exit code means is told with the text.
 * Knows no command.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { PublishContext } from "../../lib/mod.ts";

/** What a command left behind. */
export interface Answer {
  readonly code: number;
  readonly stdout: string;
  /** What was written to standard error, by all that it started. */
  readonly stderr: string;
}

/** How a command is run. */
export interface AnswerOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Around it: what starts the command, as an agent does. @default nothing */
export type Around = (argv: readonly string[]) => readonly string[];

const withErrorsIn = 'exec 2>"$1"; shift; exec "$@"';
const anyCode: readonly number[] = Array.from({ length: 256 }, (_, code) => code);

/** Runs a command. @param errors a file of this run's own, which is written anew. */
export async function answerTo(
  { exec, log }: Pick<PublishContext, "exec" | "log">,
  argv: readonly string[],
  errors: string,
  { input, env = {} }: AnswerOptions = {},
  around: Around = (inner) => inner,
): Promise<Answer> {
  const full = around(["sh", "-c", withErrorsIn, "sh", errors, ...argv]);
  writeFileSync(errors, "");
  const { code, stdout } = await exec(full as [string, ...string[]], { stdout: "capture", ok: anyCode, env: { ...env, LC_ALL: "C" }, ...(input === undefined ? {} : { input }) });
  const stderr = readFileSync(errors, "utf8");
  if (stderr !== "") log(stderr.trimEnd());
  return { code, stdout, stderr };
}
