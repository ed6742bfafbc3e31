/**
 * `target()`, the one function that every kind of target is made of, and `group()` beside it.
 * Declares only: reads no file, starts no process, and knows nothing of how targets are run.
 * @module
 */
import {
  type Artifact,
  type Form,
  type Input,
  makeArtifact,
  type OutputSpec,
  type Producer,
  type Source,
  type SourceGlob,
} from "./artifact.ts";
import { callerFrames, callerLocation, placeIn } from "./caller.ts";
import { ExitCode, ImgtaskError, type Location } from "./error.ts";
import { type InputRef, type Json, lift } from "./lift.ts";
import { type Demand, demandOf, type Resources } from "./resources.ts";
import { checkPatience, type Retries } from "./retry.ts";
import { type SecretRef, secretRefs, type Secrets } from "./secret.ts";
import type { Requirement } from "./tool.ts";

export type { InputRef, Json } from "./lift.ts";
export { source, type SourceFunction } from "./source.ts";

/** Anything a target can be given to read. */
export type Handle = Input | Source | SourceGlob;

/** Parameters: JSON in which handles may stand anywhere. Each handle becomes an input of the target. */
export type Params =
  | null
  | boolean
  | number
  | string
  | undefined
  | Handle
  | readonly Params[]
  | { readonly [key: string]: Params };

/** What a recipe sees where a handle stood: a path, or the paths that a pattern matched. */
export type Resolved<T> = T extends SourceGlob
  ? readonly string[]
  : T extends Source | Artifact | Producer
    ? string
    : T extends readonly (infer E)[]
      ? readonly Resolved<E>[]
      : T extends object
        ? { readonly [K in keyof T]: Resolved<T[K]> }
        : T;

/** Inputs by name: handles, or lists of handles. */
export type Inputs = Readonly<Record<string, Handle | readonly Handle[]>>;

/** Outputs by name: `"file"`, `"tree"`, or the result of `output()`. */
export type Outputs = Readonly<Record<string, Form | OutputSpec>>;

type TypeOf<S> = S extends { readonly type: infer T extends string } ? T : S extends string ? S : never;

/** Places that a target uses and that freshness knows nothing of. */
export interface Untracked {
  /** Files and directories that it may read. */
  readonly reads?: readonly string[];
  /** Files and directories that it may write, and read. */
  readonly writes?: readonly string[];
}

/** How a command is run by {@linkcode RunContext.exec}. */
export interface ExecOptions {
  /** Working directory. @default the target's scratch directory */
  readonly cwd?: string;
  /** Added to the environment of the command; `undefined` removes a name. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to its standard input. @default nothing: /dev/null */
  readonly input?: string | Uint8Array;
  /** Where its standard output goes: into the log, back to the caller (64 MiB at most), or into a file. @default "log" */
  readonly stdout?: "log" | "capture" | { readonly file: string };
  /** Exit codes that are no failure. @default [0] */
  readonly ok?: readonly number[];
  /** Milliseconds after which it is ended and fails. @default none */
  readonly timeout?: number;
}

/** What a finished command left behind. */
export interface ExecResult {
  readonly code: number;
  /** Its standard output when captured, otherwise empty. */
  readonly stdout: string;
}

/** A command and its arguments; never a shell string. */
export type Argv = readonly [string, ...string[]];

/** What a recipe is given. Everything else it could reach is refused or not tracked, so it should not reach it. */
export interface RunContext<I = Record<string, never>, P = Json, O = Outputs, S = {}> {
  /** Name of the target, `kind:name`. */
  readonly target: string;
  /** Paths of the inputs. Read only. */
  readonly inputs: { readonly [K in keyof I]: Resolved<I[K]> };
  /** The parameters, with a path wherever a handle stood. */
  readonly params: Resolved<P>;
  /** The declared environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values of the declared secrets. Give them to commands by `env` or `input` of `exec()`, never in a command line. */
  readonly secrets: { readonly [K in keyof S]: string };
  /** Paths where the outputs must be made. Their parent directory exists, they themselves do not. */
  readonly outputs: { readonly [K in keyof O]: string };
  /** An empty directory of this run's own, removed afterwards. */
  readonly tmp: string;
  /** Directory of the imagefile. Reading below it is not tracked: declare a source instead. */
  readonly project: string;
  /** Seconds since 1970 to use for every time stamp in an output (`SOURCE_DATE_EPOCH`). */
  readonly epoch: number;
  /** Aborts when the run is to end. */
  readonly signal: AbortSignal;
  /** Runs a command by its argument vector; fails when it fails. */
  exec(argv: Argv, options?: ExecOptions): Promise<ExecResult>;
  /** zx's shell, bound to this run's directory, log, environment and signal. Quoting is right for bash only. */
  readonly $: (pieces: TemplateStringsArray, ...args: unknown[]) => Promise<{ readonly stdout: string }>;
  /** Writes a line to the target's log. */
  log(line: string): void;
  /** Says what is being done now, for the live view: `progress("42 %")`. */
  progress(text: string): void;
}

/** What `target()` takes. */
export interface TargetSpec<I extends Inputs, P extends Params, O extends Outputs, S extends Secrets = {}> {
  /** One line for `imgtask list`. */
  readonly description?: string;
  /** What it reads. @default {} */
  readonly inputs?: I;
  /** Values the recipe depends on. @default {} */
  readonly params?: P;
  /** Names of environment variables the recipe may read; their values are part of the fingerprint. @default [] */
  readonly env?: readonly string[];
  /**
   * Values that only the recipe gets: they enter no fingerprint, log, record or output. Where they are and their
   * `version` are part of the fingerprint. @default {}
   */
  readonly secrets?: S;
  /** What it needs from the host. @default [] */
  readonly tools?: readonly Requirement[];
  /** What it makes. */
  readonly outputs: O;
  /** Architecture of what it makes, as of `plugins/arch`. */
  readonly platform?: string;
  /** What it takes of the host while it runs. No part of the fingerprint. @default { cpu: 1 } */
  readonly resources?: Resources;
  /** Milliseconds after which an attempt is ended and fails. No part of the fingerprint. @default none */
  readonly timeout?: number;
  /** How often it is tried again after a temporary failure of the network. No part of the fingerprint. @default never */
  readonly retries?: Retries;
  /**
   * Places beside inputs and outputs that it uses on purpose, and that its result does not depend on: where to find a
   * mirror, a key that is kept, a directory to publish to. Below the directory of the imagefile, or absolute.
   * Not part of the fingerprint; only `run --audit` looks at them. @default nothing
   */
  readonly untracked?: Untracked;
  /**
   * Whether its log is for some eyes only: shown nowhere, and encrypted with age at the end of the run, for the
   * recipients in `IMGTASK_LOG_RECIPIENTS`. No part of the fingerprint. @default false
   */
  readonly sensitive?: boolean;
  /**
   * Files that the recipe makes beside its outputs and that stay where they are, as a private key: while one of them is
   * missing, the target is stale. What is in them is no part of the fingerprint, and of no record. Below the directory of
   * the imagefile, or absolute. @default none
   */
  readonly keeps?: readonly string[];
  /** For plugins: `import.meta.url` of the recipe's module. @default the imagefile and the modules it imports */
  readonly module?: string;
  /** Makes the outputs. Runs only when the fingerprint changed. */
  readonly run: (context: RunContext<I, P, O, S>) => Promise<void> | void;
}

/** A declared target. A frozen value: what it holds are names, not content. */
export interface Target<Name extends string = string, O extends Outputs = Outputs> {
  readonly name: Name;
  readonly description: string | undefined;
  /** Typed handles to what it makes. */
  readonly outputs: { readonly [K in keyof O]: Artifact<TypeOf<O[K]>> };
}

/** A target as plain data: all that freshness depends on, and all that a snapshot keeps. */
export interface Declaration {
  readonly name: string;
  readonly kind: string;
  readonly description?: string;
  readonly location?: Location;
  /** By path into `inputs` or `params`: `inputs.rootfs`, `params.machine.users.0.sshKeys.0`. */
  readonly inputs: Readonly<Record<string, InputRef>>;
  /** The parameters, with `{ "$input": key }` where a handle stood. */
  readonly params: Json;
  readonly env: readonly string[];
  /** Where secrets are, by the recipe's names for them. */
  readonly secrets?: Readonly<Record<string, SecretRef>>;
  readonly tools: readonly Requirement[];
  readonly outputs: Readonly<Record<string, OutputSpec>>;
  readonly platform?: string;
  readonly resources: Demand;
  readonly timeout?: number;
  readonly retries?: Retries;
  readonly untracked?: Untracked;
  readonly sensitive?: boolean;
  readonly keeps?: readonly string[];
  /** File URL of the recipe's module, or `undefined` for a recipe of the imagefile's own. */
  readonly module?: string;
  /** Targets that belong to a group, or must merely come first. */
  readonly members: readonly string[];
}

/** A recipe as the engine calls it. */
export type Recipe = (context: RunContext) => Promise<void> | void;

/** A declared target together with its recipe. Groups have none. */
export interface Registered {
  readonly declaration: Declaration;
  readonly recipe: Recipe | undefined;
  /** The raw arguments, from which the recipe's context is resolved. */
  readonly inputs: Inputs;
  readonly params: Params;
  /** Handles to its secrets. */
  readonly secrets: Secrets;
  /** Where it was declared, and the calls in the user's code that led there, the innermost first. */
  readonly frames: readonly Location[];
}

interface Registry {
  readonly targets: Registered[];
}

const registryKey = Symbol.for("imgtask.registry@1");

/** @internal The declared targets, shared by every copy of this package in the process. */
export function registry(): Registry {
  const holder = globalThis as { [registryKey]?: Registry };
  return (holder[registryKey] ??= { targets: [] });
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._+-]*(:[A-Za-z0-9][A-Za-z0-9._+-]*)?$/;

function checkName(name: unknown, location: Location | undefined): asserts name is string {
  if (typeof name === "string" && namePattern.test(name) && name.length <= 200) return;
  throw new ImgtaskError("IMG2001", `Bad target name ${JSON.stringify(name)}`, {
    expected: `letters, digits, ".", "_", "+", "-", with one ":" between kind and name, as in "iso:kali"`,
    exitCode: ExitCode.usage,
    ...(location === undefined ? {} : { location }),
  });
}

/** The kind `group` is what `group()` declares: targets without a recipe. */
function reserved(name: string, location: Location | undefined): ImgtaskError {
  return new ImgtaskError("IMG2001", `Bad target name "${name}"`, {
    expected: `a kind other than "group", which is for group()`,
    exitCode: ExitCode.usage,
    ...(location === undefined ? {} : { location }),
  });
}

function badOutputName(key: string, target: string, location: Location | undefined): ImgtaskError {
  return new ImgtaskError("IMG2003", `Target "${target}" has an output named ${JSON.stringify(key)}`, {
    expected: `a letter or "_", then letters, digits, "_" or "-"`,
    exitCode: ExitCode.usage,
    ...(location === undefined ? {} : { location }),
  });
}

function checkOutputPath(path: string, target: string, location: Location | undefined): void {
  const parts = path.split("/");
  if (path !== "" && !path.startsWith("/") && parts.every((part) => !["", ".", ".."].includes(part)) && parts[0] !== ".imgtask" && !/[\x00-\x1f\x7f]/.test(path)) return;
  throw new ImgtaskError("IMG2003", `Target "${target}" puts an output at "${path}"`, {
    expected: `a path inside the project, without "..", "." and control characters, and not below ".imgtask"`,
    exitCode: ExitCode.usage,
    ...(location === undefined ? {} : { location }),
  });
}

/**
 * Declares a target.
 *
 * @param name `kind:name`; unique in the imagefile.
 * @throws {ImgtaskError} IMG2001 for a bad name, IMG2002 for a parameter that cannot be hashed or resources that make no sense, IMG2003 for an
 * output outside the project.
 *
 * @example
 * ```ts
 * const sizes = target("report:sizes", {
 *   description: "Sizes of the finished images",
 *   inputs: { disk },
 *   outputs: { out: output("file", "report", { path: "artifacts/report/sizes.txt" }) },
 *   async run({ inputs, outputs, exec }) {
 *     await exec(["du", "-h", inputs.disk], { stdout: { file: outputs.out } });
 *   },
 * });
 * ```
 */
export function target<
  const Name extends string,
  const O extends Outputs,
  const I extends Inputs = {},
  const P extends Params = {},
  const S extends Secrets = {},
>(name: Name, spec: TargetSpec<I, P, O, S>): Target<Name, O> {
  const frames = callerFrames();
  const location = placeIn(frames);
  checkName(name, location);
  if (name === "group" || name.startsWith("group:")) throw reserved(name, location);
  checkPatience(spec.retries, spec.timeout, name, location);
  const found: Record<string, InputRef> = {};
  lift(spec.inputs ?? {}, "inputs", found, name, location);
  const params = lift(spec.params ?? {}, "params", found, name, location) ?? null;
  const outputs: Record<string, OutputSpec> = {};
  const handles: Record<string, Artifact> = {};
  for (const [key, value] of Object.entries(spec.outputs)) {
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key)) throw badOutputName(key, name, location);
    const declared = typeof value === "string" ? { form: value, type: value } : value;
    if (declared.path !== undefined) checkOutputPath(declared.path, name, location);
    outputs[key] = declared;
    handles[key] = makeArtifact(declared.type, name, key, declared.form, declared.path);
  }
  const declaration: Declaration = {
    name,
    kind: name.split(":")[0]!,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    ...(location === undefined ? {} : { location }),
    inputs: found,
    params,
    env: [...(spec.env ?? [])].sort(),
    ...(Object.keys(spec.secrets ?? {}).length === 0 ? {} : { secrets: secretRefs(spec.secrets!) }),
    tools: spec.tools ?? [],
    outputs,
    ...(spec.platform === undefined ? {} : { platform: spec.platform }),
    resources: demandOf(spec.resources ?? {}, name, location),
    ...(spec.timeout === undefined ? {} : { timeout: spec.timeout }),
    ...(spec.retries === undefined ? {} : { retries: spec.retries }),
    ...(spec.untracked === undefined ? {} : { untracked: spec.untracked }),
    ...(spec.sensitive === true ? { sensitive: true } : {}),
    ...(spec.keeps === undefined ? {} : { keeps: spec.keeps }),
    ...(spec.module === undefined ? {} : { module: spec.module }),
    members: [],
  };
  registry().targets.push({
    declaration,
    recipe: spec.run as unknown as Recipe,
    inputs: spec.inputs ?? {},
    params: spec.params,
    secrets: spec.secrets ?? {},
    frames,
  });
  return Object.freeze({
    name,
    description: spec.description,
    outputs: Object.freeze(handles) as Target<Name, O>["outputs"],
  });
}

/** A name for several targets. */
export interface Group<Name extends string = string> {
  readonly name: Name;
  readonly description: string | undefined;
  readonly members: readonly string[];
}

/**
 * Gives several targets one name. As the imagefile's default export it is what `imgtask run` builds without names.
 *
 * @example
 * ```ts
 * export default group("all", [kaliIso, debianDisk]);
 * ```
 */
export function group<const Name extends string>(
  name: Name,
  members: readonly { readonly name: string }[],
  options: { readonly description?: string } = {},
): Group<Name> {
  const location = callerLocation();
  checkName(name, location);
  const names = members.map((member) => member.name);
  registry().targets.push({
    declaration: {
      name,
      kind: "group",
      ...(options.description === undefined ? {} : { description: options.description }),
      ...(location === undefined ? {} : { location }),
      inputs: {},
      params: null,
      env: [],
      tools: [],
      outputs: {},
      resources: { cpu: 0 },
      members: names,
    },
    recipe: undefined,
    inputs: {},
    params: null,
    secrets: {},
    frames: [],
  });
  return Object.freeze({ name, description: options.description, members: Object.freeze(names) });
}
