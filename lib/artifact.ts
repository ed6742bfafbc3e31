/**
 * Typed handles to what targets produce and to the host files they read.
 * A handle is a name, not content: it knows neither paths in the store nor digests.
 * @module
 */

/** How an output looks on disk: one regular file, or a directory tree. */
export type Form = "file" | "tree";

/** An output as a target declares it. */
export interface OutputSpec<Type extends string = string> {
  /** How it looks on disk. */
  readonly form: Form;
  /** What it is, for the type checker: `"rootfs"`, `"disk"`, `"verified media"` … */
  readonly type: Type;
  /**
   * Where it appears in the project, relative to the imagefile's directory. `{time}` becomes the time of the
   * run as `YYYYMMDDHHMMSS` (UTC). Without a path the output stays in the store.
   */
  readonly path?: string;
  /**
   * For trees: only add what is missing under `path`, and never remove or change what else is there.
   * @default false
   */
  readonly merge?: boolean;
  /**
   * It tells of the run that made it, as a log with its time does, and is another one each time: `verify --rebuild`
   * does not compare it.
   * @default false
   */
  readonly tellsOfRun?: boolean;
}

/** Declares an output. `"file"` and `"tree"` alone are short for an output of that form and type. */
export function output<const Type extends string>(
  form: Form,
  type: Type,
  options: Omit<OutputSpec, "form" | "type"> = {},
): OutputSpec<Type> {
  return Object.freeze({ form, type, ...options });
}

const artifactBrand = Symbol.for("imgtask.artifact@1");
const sourceBrand = Symbol.for("imgtask.source@1");

/** A typed handle to one output of a target. Passing it on draws the edge of the graph. */
export interface Artifact<Type extends string = string> {
  /** What it is; the type checker compares this. */
  readonly type: Type;
  /** Name of the target that makes it. */
  readonly target: string;
  /** Name of the output on that target. */
  readonly output: string;
  readonly form: Form;
  /** Where it appears in the project, as its target declared. */
  readonly path?: string;
}

/** A target whose principal output, named `out`, is of the given type. */
export interface Producer<Type extends string = string> {
  readonly outputs: { readonly out: Artifact<Type> };
}

/** Where an artifact of some type is wanted: the artifact, or the target whose principal output it is. */
export type Input<Type extends string = string> = Artifact<Type> | Producer<Type>;

/** Host files outside the graph, hashed before a target runs. */
export interface Source {
  readonly type: "source";
  /** A file or directory, relative to the imagefile's directory. */
  readonly path: string;
}

/** Host files outside the graph that match patterns. */
export interface SourceGlob {
  readonly type: "source glob";
  /** Patterns as of the package `globby`; `!` excludes. Relative to the imagefile's directory. */
  readonly patterns: readonly string[];
}

/** @internal */
export function makeArtifact<Type extends string>(
  type: Type,
  target: string,
  output: string,
  form: Form,
  path?: string,
): Artifact<Type> {
  const value = { type, target, output, form, ...(path === undefined ? {} : { path }) };
  return Object.freeze(Object.defineProperty(value, artifactBrand, { value: true }));
}

/** @internal */
export function makeSource(path: string): Source {
  return Object.freeze(Object.defineProperty({ type: "source" as const, path }, sourceBrand, { value: true }));
}

/** @internal */
export function makeSourceGlob(patterns: readonly string[]): SourceGlob {
  const value = { type: "source glob" as const, patterns: Object.freeze([...patterns]) };
  return Object.freeze(Object.defineProperty(value, sourceBrand, { value: true }));
}

function has(value: unknown, brand: symbol): boolean {
  return typeof value === "object" && value !== null && brand in value;
}

/** Whether a value is a handle made by a target. */
export function isArtifact(value: unknown): value is Artifact {
  return has(value, artifactBrand);
}

/** Whether a value is a handle made by `source()`. */
export function isSource(value: unknown): value is Source {
  return has(value, sourceBrand) && (value as Source).type === "source";
}

/** Whether a value is a handle made by `source.glob()`. */
export function isSourceGlob(value: unknown): value is SourceGlob {
  return has(value, sourceBrand) && (value as SourceGlob).type === "source glob";
}
