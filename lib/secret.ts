/**
 * `secret`: handles to values that a recipe may use and that nothing may keep. A handle says where the value is, and
 * never holds it. Declares only: reads nothing.
 * @module
 */
import { callerLocation } from "./caller.ts";
import { ExitCode, ImgtaskError } from "./error.ts";
import * as fit from "./fit.ts";
import { checkOptions, type Fits } from "./option.ts";

/** Where a secret is: plain data, part of the fingerprint. The value is not. */
export type SecretRef =
  | { readonly from: "environment"; readonly name: string; readonly version?: string }
  | { readonly from: "file"; readonly name: string; readonly version?: string }
  /** A manager of secrets that a plugin asks, and its name there. */
  | { readonly from: "manager"; readonly manager: string; readonly name: string; readonly version?: string };

/** What the reader of a secret manager can use. */
export interface SecretContext {
  /** Directory of the imagefile. */
  readonly project: string;
  /** The environment of imgtask: where a manager is, and how to log in to it, is the user's affair and not part of a result. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Runs a command; its output goes to no log. Fails when it cannot be started. */
  readonly exec: (argv: readonly [string, ...string[]], env?: Readonly<Record<string, string | undefined>>) => Promise<{ readonly code: number; readonly stdout: string }>;
}

/** Asks a secret manager for a value; `undefined` when it has none. Its errors must not hold the value. */
export type SecretReader = (context: SecretContext) => Promise<string | undefined>;

/** A handle to a secret. */
export type Secret = SecretRef & {
  readonly type: "secret";
  /** Of a manager's secret: asks for the value. */
  readonly read?: SecretReader;
};

/** Secrets of a target, by the names under which its recipe gets them. */
export type Secrets = Readonly<Record<string, Secret>>;

/** What `secret.env()` and `secret.file()` take beside the place. */
export interface SecretOptions {
  /** Says that the value is another one that matters: part of the fingerprint. @default none: a new value makes nothing stale */
  readonly version?: string;
}

/** Declares secrets. A value needs 8 bytes at least, so that it can be told from other text. */
export interface SecretFunctions {
  /**
   * A secret in an environment variable.
   *
   * @example
   * ```ts
   * target("upload:list", { secrets: { token: secret.env("UPLOAD_TOKEN") }, outputs: { out: "file" }, async run({ secrets, exec }) {
   *   await exec(["upload"], { env: { TOKEN: secrets.token } });
   * } });
   * ```
   */
  env(name: string, options?: SecretOptions): Secret;
  /** A secret in a file, relative to the directory of the imagefile or absolute; one line break at its end is dropped. */
  file(path: string, options?: SecretOptions): Secret;
  /**
   * For plugins: a secret that a manager keeps, as `pass()` and `vault()` have it.
   *
   * @param manager its name, for people.
   * @param name what the secret is called there.
   */
  manager(manager: string, name: string, read: SecretReader, options?: SecretOptions): Secret;
}

const fits: Fits<SecretOptions> = { version: fit.text };

function make(from: "environment" | "file", name: string, options: SecretOptions): Secret {
  checkOptions(`secret.${from === "file" ? "file" : "env"}()`, options, fits);
  const good = typeof name === "string" && (from === "file" ? name !== "" && !name.includes("\0") : /^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  const location = good ? undefined : callerLocation();
  if (!good) {
    throw new ImgtaskError("IMG2035", `Bad ${from === "file" ? "path" : "name"} of a secret: ${JSON.stringify(name)}`, {
      expected: from === "file" ? "the path of a file" : "the name of an environment variable",
      exitCode: ExitCode.usage,
      ...(location === undefined ? {} : { location }),
    });
  }
  return Object.freeze({ type: "secret", from, name, ...(options.version === undefined ? {} : { version: options.version }) });
}

/** {@inheritDoc SecretFunctions} */
export const secret: SecretFunctions = Object.freeze({
  env: (name: string, options: SecretOptions = {}) => make("environment", name, options),
  file: (path: string, options: SecretOptions = {}) => make("file", path, options),
  manager: (manager: string, name: string, read: SecretReader, options: SecretOptions = {}): Secret => {
    checkOptions("secret.manager()", options, fits);
    return Object.freeze({ type: "secret" as const, from: "manager" as const, manager, name, read, ...(options.version === undefined ? {} : { version: options.version }) });
  },
});

/** The plain data of handles, by name. */
export function secretRefs(secrets: Secrets): Readonly<Record<string, SecretRef>> {
  return Object.fromEntries(Object.entries(secrets).map(([key, handle]) => {
    const { from, name, version } = handle;
    return [key, { from, ...(from === "manager" ? { manager: handle.manager } : {}), name, ...(version === undefined ? {} : { version }) } as SecretRef];
  }));
}
