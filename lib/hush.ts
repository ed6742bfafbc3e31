/**
 * What a run does differently when its target has secrets: their values for the recipe, and everything that leaves the
 * recipe cleaned of them or refused. Knows nothing of freshness.
 * @module
 */
import { writeSync } from "node:fs";
import type { Sink } from "./process.ts";
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

/** @throws {ImgtaskError} IMG1007 when a secret is not there or too short. */
export async function hushFor({ declaration, secrets }: Registered, context: SecretContext, logFd: number): Promise<Hush> {
  const values = await secretValues(declaration, secrets, context);
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
