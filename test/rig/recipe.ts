/**
 * Runs one declared target's recipe in a temporary directory, without the engine: for tests of plugins.
 * @module
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lineage } from "../../lib/lineage.ts";
import { run } from "../../lib/process.ts";
import { type Argv, type ExecOptions, registry, type RunContext } from "../../lib/target.ts";

export interface RecipeRun {
  /** Paths of the outputs by name. */
  readonly outputs: Record<string, string>;
  readonly directory: string;
  /** What the recipe and its commands wrote to the log. */
  readonly log: () => string;
  readonly dispose: () => void;
}

/**
 * @param name of a declared target
 * @param paths what each handle resolves to, by its key in the declaration: `inputs.media`, `params.machine.users.0.sshKeys.0`
 */
export async function runRecipe(
  name: string,
  paths: Readonly<Record<string, string | readonly string[]>> = {},
  options: { readonly env?: Record<string, string | undefined>; readonly secrets?: Readonly<Record<string, string>>; readonly lineage?: Lineage; readonly signal?: AbortSignal; /** Fills the directory of the imagefile. */ readonly prepare?: (project: string) => void } = {},
): Promise<RecipeRun> {
  const registered = registry().targets.findLast((one) => one.declaration.name === name);
  if (registered?.recipe === undefined) throw new Error(`no recipe for ${name}`);
  const { declaration } = registered;
  const directory = mkdtempSync(join(tmpdir(), "imgtask-recipe-"));
  for (const part of ["out", "tmp", "project"]) mkdirSync(join(directory, part));
  options.prepare?.(join(directory, "project"));
  const logFile = join(directory, "log");
  const logFd = openSync(logFile, "a");
  const inputs: Record<string, unknown> = {};
  for (const key of Object.keys(declaration.inputs)) {
    if (paths[key] === undefined) throw new Error(`no path given for ${key}`);
  }
  const fill = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== "object" || value === null) return value;
    if ("$input" in value) return paths[(value as { $input: string }).$input];
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)]));
  };
  for (const key of Object.keys(registered.inputs)) {
    const listed = registered.inputs[key];
    inputs[key] = Array.isArray(listed) ? listed.map((_, index) => paths[`inputs.${key}.${index}`]) : paths[`inputs.${key}`];
  }
  const outputs = Object.fromEntries(Object.keys(declaration.outputs).map((key) => [key, join(directory, "out", key)]));
  const signal = options.signal ?? new AbortController().signal;
  const env = { PATH: process.env["PATH"], HOME: process.env["HOME"], LC_ALL: "C.UTF-8", TZ: "UTC", TMPDIR: join(directory, "tmp"), SOURCE_DATE_EPOCH: "1700000000" };
  const context = {
    target: name,
    inputs,
    params: fill(declaration.params),
    env: Object.fromEntries([...declaration.env, ...(declaration.untracked?.env ?? [])].map((key) => [key, options.env?.[key] ?? process.env[key]])),
    secrets: options.secrets ?? {},
    outputs,
    tmp: join(directory, "tmp"),
    project: join(directory, "project"),
    epoch: 1_700_000_000,
    lineage: () => options.lineage ?? { made: [], unknown: [], fileOf: async () => undefined },
    signal,
    exec: (argv: Argv, execOptions: ExecOptions) => run(argv, { cwd: join(directory, "tmp"), env, logFd, signal }, execOptions),
    $: () => Promise.reject(new Error("no shell in tests of recipes")),
    log: (line: string) => {
      writeSync(logFd, `${line}\n`);
    },
    progress: () => {},
  } as unknown as RunContext;
  try {
    await registered.recipe(context);
  } catch (error) {
    console.error(readFileSync(logFile, "utf8").split("\n").slice(-40).join("\n"));
    throw error;
  }
  return {
    outputs,
    directory,
    log: () => readFileSync(logFile, "utf8"),
    dispose: () => {
      closeSync(logFd);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
