/**
 * `target()`, the one function that every kind of target is made of, and `group()` beside it.
 * Declares only: reads no file, starts no process, and knows nothing of how targets are run.
 * @module
 */
import { makeArtifact, type Artifact, type OutputSpec } from "./artifact.ts";
import { callerFrames, callerLocation, placeIn } from "./caller.ts";
import type { AskNotices, Inputs, Outputs, Params, PinContext, RunContext, TypeOf, Untracked } from "./context.ts";
import { ExitCode, ImgtaskError, type Location } from "./error.ts";
import * as fit from "./fit.ts";
import { type InputRef, type Json, lift } from "./lift.ts";
import type { LockEntry, Pin } from "./lock-file.ts";
import { checkCall, checkOptions } from "./option.ts";
import { type Demand, demandOf } from "./resources.ts";
import { checkPatience, type Retries } from "./retry.ts";
import { type SecretRef, secretRefs, type Secrets } from "./secret.ts";
import { checkSpec, type TargetSpec } from "./spec.ts";
import type { Requirement } from "./tool.ts";

export type {
  Amount, Argv, AskNotices, ExecOptions, ExecResult, Handle, Inputs, NoticeContext, Outputs, Params, PinAccess, PinContext, PinSpec, Resolved, RunContext, Untracked,
} from "./context.ts";
export type { InputRef, Json } from "./lift.ts";
export { source, type SourceFunction } from "./source.ts";
export type { TargetSpec } from "./spec.ts";

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
  /** Which entry of the lock file counts, and what of it. */
  readonly pin?: { readonly entry: string; readonly fields: readonly (keyof Pin)[] };
  /** It can be asked for security notices. */
  readonly notices?: true;
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
  /** Asks what would be pinned now. */
  readonly resolvePin?: (context: PinContext) => Promise<LockEntry>;
  /** Asks for security notices. */
  readonly notices?: AskNotices;
  /** Secrets for what asks. */
  readonly asks?: Secrets;
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
  /**
   * Names of the targets whose recipes are wanted, where the declarations are known already: of the others only
   * handles are made. `undefined`: all.
   */
  only?: ReadonlySet<string> | undefined;
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
 * output outside the project, IMG2040 for a field that there is not, that is missing, or that is something else.
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
  if (registry().only?.has(name) === false) return handlesOf(name, spec);
  const frames = callerFrames();
  const location = placeIn(frames);
  checkName(name, location);
  checkSpec(`target("${name}")`, spec);
  if (name === "group" || name.startsWith("group:")) throw reserved(name, location);
  checkPatience(spec.retries, spec.timeout, name, location);
  const found: Record<string, InputRef> = {};
  lift(spec.inputs ?? {}, "inputs", found, name, location);
  const params = lift(spec.params ?? {}, "params", found, name, location) ?? null;
  const outputs: Record<string, OutputSpec> = {};
  for (const [key, value] of Object.entries(spec.outputs)) {
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key)) throw badOutputName(key, name, location);
    const declared = typeof value === "string" ? { form: value, type: value } : value;
    if (declared.path !== undefined) checkOutputPath(declared.path, name, location);
    outputs[key] = declared;
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
    ...(spec.pin === undefined ? {} : { pin: { entry: spec.pin.entry, fields: spec.pin.fields } }),
    ...(spec.notices === undefined ? {} : { notices: true }),
    ...(spec.module === undefined ? {} : { module: spec.module }),
    members: [],
  };
  registry().targets.push({
    declaration,
    recipe: spec.run as unknown as Recipe,
    ...(spec.pin?.resolve === undefined ? {} : { resolvePin: spec.pin.resolve }),
    ...(spec.notices === undefined ? {} : { notices: spec.notices }),
    ...(spec.asks === undefined ? {} : { asks: spec.asks }),
    inputs: spec.inputs ?? {},
    params: spec.params,
    secrets: spec.secrets ?? {},
    frames,
  });
  return handlesOf(name, spec);
}

/** What the imagefile gets. */
function handlesOf<Name extends string, O extends Outputs>(name: Name, spec: { readonly description?: string; readonly outputs: O }): Target<Name, O> {
  const handles: Record<string, Artifact> = {};
  for (const [key, value] of Object.entries(spec.outputs)) {
    const { type, form, path } = typeof value === "string" ? ({ form: value, type: value } as OutputSpec) : value;
    handles[key] = makeArtifact(type, name, key, form, path);
  }
  return Object.freeze({ name, description: spec.description, outputs: Object.freeze(handles) as Target<Name, O>["outputs"] });
}

/** A name for several targets. */
export interface Group<Name extends string = string> {
  readonly name: Name;
  readonly description: string | undefined;
  readonly members: readonly string[];
}

const groupFits = { description: fit.text };
const memberFits = { members: fit.needed(fit.listOf(fit.by("a target", (value) => fit.isObject(value) && typeof value["name"] === "string"), "a list of targets")) };

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
  checkCall("group", name, options, groupFits);
  checkOptions(`group("${name}")`, { members }, memberFits);
  const names = members.map((member) => member.name);
  const made = Object.freeze({ name, description: options.description, members: Object.freeze(names) });
  // A group has no recipe.
  if (registry().only !== undefined) return made;
  const location = callerLocation();
  checkName(name, location);
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
  return made;
}
