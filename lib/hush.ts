/**
 * What a run does differently when its target has secrets: their values for the recipe, and everything that leaves the
 * recipe cleaned of them or refused. Knows nothing of freshness.
 * @module
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { run, type Sink } from "./process.ts";
import { protect, Redactor, Secretive } from "./redact.ts";
import { cleanError, refuseArgv, refuseOutput, secretValues } from "./secret-value.ts";
import type { SecretContext } from "./secret.ts";
import type { Registered } from "./target.ts";

/** Guards the secrets of one run. */
export interface Hush {
  /** By the names under which the target declares them. */
  readonly values: Readonly<Record<string, string>>;
  /** Text without them. */
  text(text: string): string;
  /** A way into the log for one stream of a command. */
  sink(): Sink;
  /** @throws {ImgtaskError} IMG3050 for a command line that holds one. */
  argv(words: readonly unknown[]): void;
  /** @throws {ImgtaskError} IMG3051 for an output that holds one. */
  output(name: string, path: string): Promise<void>;
  error(error: unknown): unknown;
}

/** What the readers of secret managers get: commands of theirs write to no log, and see the user's whole environment. */
function contextOf(project: string, signal: AbortSignal): SecretContext {
  return {
    project,
    env: process.env,
    signal,
    exec: async (argv, env = {}) => {
      const logFd = openSync("/dev/null", "w");
      try {
        return await run(argv, { cwd: project, env: { ...process.env, ...env }, logFd, signal }, { stdout: "capture", ok: Array.from({ length: 256 }, (_, code) => code) });
      } finally {
        closeSync(logFd);
      }
    },
  };
}

/**
 * @param project directory of the imagefile.
 * @throws {ImgtaskError} IMG1007 when a secret is not there or too short.
 */
export async function hushFor({ declaration, secrets }: Pick<Registered, "declaration" | "secrets">, project: string, signal: AbortSignal, logFd: number): Promise<Hush> {
  const values = await secretValues(declaration, secrets, contextOf(project, signal));
  const secretive = new Secretive(Object.values(values));
  // What the process itself says, about strays too.
  protect(Object.values(values));
  return {
    values: Object.freeze(values),
    text: (text) => secretive.text(text),
    sink: () => new Redactor(secretive, (bytes) => void writeSync(logFd, bytes)),
    argv: (words) => refuseArgv(words, secretive),
    output: (name, path) => refuseOutput(declaration, name, path, secretive),
    error: (error) => cleanError(error, secretive),
  };
}
