/**
 * From parameters with handles in them to plain data with references: what freshness and snapshots are made of.
 * Pure: reads no file, and knows nothing of targets but their names.
 * @module
 */
import { isArtifact, isSource, isSourceGlob } from "./artifact.ts";
import { ExitCode, ImgtaskError, type Location } from "./error.ts";

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A reference from a target to something it reads. */
export type InputRef =
  | { readonly type: "artifact"; readonly target: string; readonly output: string }
  | { readonly type: "source"; readonly path: string }
  | { readonly type: "glob"; readonly patterns: readonly string[] };

/** Replaces every handle in a value by a reference, collecting what they refer to. */
export function lift(value: unknown, path: string, found: Record<string, InputRef>, target: string, location: Location | undefined): Json | undefined {
  const bad = (what: string): ImgtaskError =>
    new ImgtaskError("IMG2002", `Target "${target}" has a parameter that cannot be hashed at ${path}`, {
      expected: "null, a boolean, a finite number, a string, a list, a plain object, or a handle",
      found: what,
      exitCode: ExitCode.usage,
      ...(location === undefined ? {} : { location }),
    });
  const handle = (ref: InputRef): Json => {
    // `{ "a.0": x, a: [y] }`: one of the two would not be an input any more.
    if (Object.hasOwn(found, path)) throw bad("two handles at one place, since a key has a dot in it");
    found[path] = ref;
    return { $input: path };
  };
  const producer = producerOf(value);
  const artifact = isArtifact(value) ? value : isArtifact(producer) ? producer : undefined;
  if (artifact !== undefined) {
    return handle({ type: "artifact", target: artifact.target, output: artifact.output });
  }
  if (isSource(value)) return handle({ type: "source", path: value.path });
  if (isSourceGlob(value)) return handle({ type: "glob", patterns: value.patterns });
  if (value === undefined) {
    // A recipe would be given nothing, and the target would not depend on it.
    if (path.startsWith("inputs.")) throw missing(path, target, location);
    return undefined;
  }
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw bad(String(value));
    return value;
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => lift(item, `${path}.${index}`, found, target, location) ?? null);
  }
  if (typeof value === "object") {
    const { name } = value as { readonly name?: unknown };
    const others = Object.entries(outputsOf(value)).filter(([, output]) => isArtifact(output) && output.target === name);
    if (others.length > 0) throw withoutOut(path, `${name as string}`, others.map(([output]) => output), target, location);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw bad(`an object of class ${value.constructor?.name ?? "unknown"}`);
    const result: Record<string, Json> = {};
    for (const [key, item] of Object.entries(value)) {
      if (key === "$input" || key === "__proto__") throw bad(`the key "${key}", which means something else here`);
      const lifted = lift(item, `${path}.${key}`, found, target, location);
      if (lifted !== undefined) result[key] = lifted;
    }
    return result;
  }
  throw bad(`a ${typeof value}`);
}

function missing(path: string, target: string, location: Location | undefined): ImgtaskError {
  return new ImgtaskError("IMG2040", `Target "${target}" has nothing as its input "${path.slice("inputs.".length)}"`, {
    expected: "a handle: a target, an output of one, or a source",
    found: "undefined",
    exitCode: ExitCode.usage,
    ...(location === undefined ? {} : { location }),
  });
}

function withoutOut(path: string, named: string, outputs: readonly string[], target: string, location: Location | undefined): ImgtaskError {
  return new ImgtaskError("IMG2040", `Target "${target}" names "${named}" at ${path}, which has no output "out"`, {
    expected: outputs.map((name) => `its "outputs.${name}"`).join(" or "),
    found: "the target, which stands for its output \"out\"",
    exitCode: ExitCode.usage,
    ...(location === undefined ? {} : { location }),
  });
}

function outputsOf(value: unknown): Readonly<Record<string, unknown>> {
  return (value as { readonly outputs?: Readonly<Record<string, unknown>> } | null | undefined)?.outputs ?? {};
}

function producerOf(value: unknown): unknown {
  return outputsOf(value)["out"];
}
