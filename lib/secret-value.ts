/**
 * Values of secrets, when a recipe is to have them; and the search for them where they must not be: in what is
 * declared, in command lines, in outputs. One function a place that secrets can come from.
 * @module
 */
import { type Dirent, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ExitCode, ImgtaskError, isImgtaskError } from "./error.ts";
import { Secretive, shortestSecret } from "./redact.ts";
import type { SecretContext, SecretRef, Secrets } from "./secret.ts";
import type { Declaration } from "./target.ts";

/** How the value of a plain place is got. Managers are asked by their handle's own reader. */
const readers: { readonly [From in "environment" | "file"]: (name: string, project: string) => string | undefined } = {
  environment: (name) => process.env[name],
  file: (name, project) => {
    try {
      return readFileSync(resolve(project, name), "utf8").replace(/\r?\n$/, "");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  },
};

function placeOf(ref: SecretRef): string {
  return ref.from === "manager" ? `${ref.manager}, as "${ref.name}"` : ref.from === "environment" ? `environment variable "${ref.name}"` : `file "${ref.name}"`;
}

function cureOf({ from, name }: SecretRef): string {
  if (from === "environment") return `Export ${name} in the shell, or the CI job, that imgtask runs in`;
  return from === "file" ? "Write it there, readable by you alone" : "Is it there under this name, and this long?";
}

/**
 * The values of a target's secrets, by name.
 *
 * @param handles those that the target was declared with; a snapshot has only their plain data.
 * @throws {ImgtaskError} IMG1007 when one is not there, or too short to be told from other text; what a manager's reader throws.
 */
export async function secretValues(declaration: Declaration, handles: Secrets, context: SecretContext): Promise<Readonly<Record<string, string>>> {
  const values: Record<string, string> = {};
  for (const [key, ref] of Object.entries(declaration.secrets ?? {})) {
    const value = ref.from === "manager" ? await handles[key]?.read?.(context) : readers[ref.from](ref.name, context.project);
    if (value === undefined || Buffer.byteLength(value) < shortestSecret) {
      throw new ImgtaskError("IMG1007", `Secret "${key}" of "${declaration.name}" is ${value === undefined || value === "" ? "not there" : "too short"}`, {
        expected: `${shortestSecret} bytes or more in ${placeOf(ref)}`,
        found: value === undefined ? "nothing" : value === "" ? "an empty value" : "fewer, which could not be told from other text",
        hint: cureOf(ref),
        exitCode: ExitCode.prerequisite,
        ...(declaration.location === undefined ? {} : { location: declaration.location }),
      });
    }
    values[key] = value;
  }
  return values;
}

/**
 * Refuses declarations that hold the value of a secret, in whatever form: options are kept in records and shown.
 * So is a digest of what the imagefile reads while it is evaluated.
 *
 * @param read what it read.
 * @throws {ImgtaskError} IMG2036
 */
export function refuseDeclared(declarations: readonly Declaration[], project: string, read: { readonly environment: readonly string[]; readonly files: readonly string[] }): void {
  const refs = declarations.flatMap(({ secrets }) => Object.values(secrets ?? {}));
  const variables = new Set(refs.flatMap(({ from, name }) => (from === "environment" ? [name] : [])));
  const values: string[] = [];
  for (const { from, name } of refs) {
    try {
      // A manager is not asked before a recipe is to have the value.
      const value = from === "manager" ? undefined : readers[from](name, project);
      if (value !== undefined && Buffer.byteLength(value) >= shortestSecret) values.push(value);
    } catch {
      // Told when it is to be used.
    }
  }
  const early = refs.find(({ from, name }) => (from === "environment" ? read.environment.includes(name) : from === "file" && read.files.includes(resolve(project, name))));
  if (early !== undefined) {
    throw new ImgtaskError("IMG2036", "The imagefile reads a secret while it is evaluated", {
      expected: `${placeOf(early)} read by recipes only, which get it as a secret`,
      hint: "What is read meanwhile is part of fingerprints. Use `secrets` of the recipe's context",
      exitCode: ExitCode.usage,
    });
  }
  const secretive = new Secretive(values);
  for (const declaration of declarations) {
    const twice = declaration.env.find((name) => variables.has(name));
    if (twice === undefined && !secretive.isIn(Buffer.from(JSON.stringify({ ...declaration, secrets: undefined })))) continue;
    throw new ImgtaskError("IMG2036", `The declaration of "${declaration.name}" holds a secret`, {
      expected: "secrets that are named in `secrets` and nowhere else",
      found: twice === undefined ? "the value of a secret among its options" : `variable "${twice}" in env, whose digest is kept`,
      hint: "Give it to the recipe by `secrets: { token: secret.env(…) }`",
      exitCode: ExitCode.usage,
      ...(declaration.location === undefined ? {} : { location: declaration.location }),
    });
  }
}

/** Refuses a command line that holds a secret: every process of the host can read it. @throws {ImgtaskError} IMG3050 */
export function refuseArgv(words: readonly unknown[], secretive: Secretive): void {
  if (!words.flat().some((word) => secretive.isIn(Buffer.from(String(word))))) return;
  throw new ImgtaskError("IMG3050", "A command was not begun: its command line holds a secret, and every process can read that", {
    hint: "Give it by the environment, exec(argv, { env: { TOKEN: secrets.token } }), or by standard input, { input: secrets.token }",
  });
}

function leak(declaration: Declaration, output: string, where: string): ImgtaskError {
  return new ImgtaskError("IMG3051", `Output "${output}" of "${declaration.name}" holds a secret`, {
    expected: "outputs without secrets, in whatever form: they are kept and handed on",
    found: `the value of one of its secrets ${where}`,
    hint: "Nothing of it was kept. Put into the output where the secret is to be had, not the secret",
    ...(declaration.location === undefined ? {} : { location: declaration.location }),
  });
}

async function fileHolds(path: string, secretive: Secretive): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const buffer = Buffer.alloc(1 << 20);
    let kept = Buffer.alloc(0);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return false;
      const here = Buffer.concat([kept, buffer.subarray(0, bytesRead)]);
      if (secretive.isIn(here)) return true;
      kept = Buffer.from(here.subarray(Math.max(0, here.length - secretive.longest)));
    }
  } finally {
    await handle.close();
  }
}

/** Looks through an output, names and links included, before it is stored. @throws {ImgtaskError} IMG3051 */
export async function refuseOutput(declaration: Declaration, output: string, path: string, secretive: Secretive): Promise<void> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat?.isFile() === true && (await fileHolds(path, secretive))) throw leak(declaration, output, "in its content");
  if (stat?.isDirectory() !== true) return;
  const visit = async (directory: string, inner: string): Promise<void> => {
    for (const entry of readdirSync(directory, { withFileTypes: true }) as readonly Dirent[]) {
      const full = join(directory, entry.name);
      if (secretive.isIn(Buffer.from(`${inner}${entry.name}`))) throw leak(declaration, output, "in the name of a file");
      if (entry.isSymbolicLink() && secretive.isIn(Buffer.from(readlinkSync(full)))) throw leak(declaration, output, "in a symbolic link");
      if (entry.isFile() && (await fileHolds(full, secretive))) throw leak(declaration, output, "in the content of a file");
      if (entry.isDirectory()) await visit(full, `${inner}${entry.name}/`);
    }
  };
  await visit(path, "");
}

/** An error that says nothing of secrets, causes and stacks included. */
export function cleanError(error: unknown, secretive: Secretive, depth = 5): unknown {
  if (error === undefined || error === null || depth === 0) return undefined;
  const text = (value: string | undefined): string | undefined => (value === undefined ? undefined : secretive.text(value));
  if (!(error instanceof Error)) return typeof error === "object" ? secretive.text(JSON.stringify(error) ?? "") : secretive.text(String(error));
  const cause = cleanError(error.cause, secretive, depth - 1);
  if (!isImgtaskError(error)) {
    const clean = new Error(secretive.text(error.message), cause === undefined ? {} : { cause });
    clean.name = error.name;
    clean.stack = secretive.text(error.stack ?? "");
    const { code } = error as NodeJS.ErrnoException;
    return code === undefined ? clean : Object.assign(clean, { code });
  }
  const { code, message, expected, found, hint, location, exitCode, stack } = error;
  const details = { expected: text(expected), found: text(found), hint: text(hint), location, cause };
  const clean = new ImgtaskError(code, secretive.text(message), { exitCode, ...Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)) });
  clean.stack = secretive.text(stack ?? "");
  return clean;
}
