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
import type { UrlPassword } from "./url-password.ts";

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

/** As a part of a URL means it. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * @param passwords of the environment. In command lines and outputs they are looked for with their user's name alone: people did
 * not choose them to be told from other text, and a word of a dictionary stands in every image.
 * @param project directory of the imagefile.
 * @throws {ImgtaskError} IMG1007 when a secret is not there or too short.
 */
export async function hushFor({ declaration, secrets }: Pick<Registered, "declaration" | "secrets">, passwords: readonly UrlPassword[], project: string, signal: AbortSignal, logFd: number): Promise<Hush> {
  const values = await secretValues(declaration, secrets, contextOf(project, signal));
  const logins = passwords.flatMap(({ user, password }) => [`${user}:${password}`, `${decoded(user)}:${decoded(password)}`]);
  const strict = new Secretive([...Object.values(values), ...logins]);
  const hidden = [...Object.values(values), ...logins, ...passwords.flatMap(({ password }) => [password, decoded(password)])];
  const secretive = new Secretive(hidden);
  // What the process itself says, about strays too.
  protect(hidden);
  return {
    values: Object.freeze(values),
    text: (text) => secretive.text(text),
    sink: () => new Redactor(secretive, (bytes) => void writeSync(logFd, bytes)),
    argv: (words) => refuseArgv(words, strict),
    output: (name, path) => refuseOutput(declaration, name, path, strict),
    error: (error) => cleanError(error, secretive),
  };
}
