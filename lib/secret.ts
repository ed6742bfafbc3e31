/**
 * `secret`: handles to values that a recipe may use and that nothing may keep. A handle says where the value is, and
 * never holds it. Declares only: reads nothing.
 * @module
 */
import { callerLocation } from "./caller.ts";
import { ExitCode, ImgtaskError } from "./error.ts";

/** Where a secret is: plain data, part of the fingerprint. The value is not. */
export type SecretRef =
  | { readonly from: "environment"; readonly name: string; readonly version?: string }
  | { readonly from: "file"; readonly name: string; readonly version?: string };

/** A handle to a secret. */
export type Secret = SecretRef & { readonly type: "secret" };

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
}

function make(from: SecretRef["from"], name: string, options: SecretOptions): Secret {
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
});

/** The plain data of handles, by name. */
export function secretRefs(secrets: Secrets): Readonly<Record<string, SecretRef>> {
  return Object.fromEntries(Object.entries(secrets).map(([key, { from, name, version }]) => [key, { from, name, ...(version === undefined ? {} : { version }) }]));
}
