/**
 * What a recipe is given, and the types of what a target reads and makes. Types alone: how any of it is resolved or run
 * stands elsewhere.
 * @module
 */
import type { Artifact, Form, Input, OutputSpec, Producer, Source, SourceGlob } from "./artifact.ts";
import type { Json } from "./lift.ts";
import type { Lineage } from "./lineage.ts";
import type { LockEntry, Pin } from "./lock-file.ts";
import type { NoticeAnswer } from "./notice.ts";

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

/** The type of an output as it is declared. */
export type TypeOf<S> = S extends { readonly type: infer T extends string } ? T : S extends string ? S : never;

/** What a target uses and freshness knows nothing of. */
export interface Untracked {
  /**
   * Environment variables that the recipe may read when it runs, as those of proxies. In no fingerprint, record or cache is
   * anything of their values; passwords of URLs in them are guarded as secrets are.
   */
  readonly env?: readonly string[];
  /** Files and directories that it may read. */
  readonly reads?: readonly string[];
  /** Files and directories that it may write, and read. */
  readonly writes?: readonly string[];
}

/** How far something is that goes on byte by byte. */
export interface Amount {
  /** Bytes that are there. */
  readonly bytes: number;
  /** Bytes that there will be, when that is known. */
  readonly total?: number;
  /** Bytes a second, over the last seconds; 0 when it cannot be told yet. */
  readonly rate: number;
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

/** A target's entry in `imgtask.lock`, as its recipe sees and changes it. */
export interface PinAccess {
  /** What is pinned; `undefined` when nothing is. */
  readonly entry: Pin | undefined;
  /** Says what this result, not verified yet, would be pinned as: once it is, it need not be made again. */
  propose(pin: Pin): void;
  /** Says what was verified: it is written when the result is recorded. */
  accept(pin: Pin): void;
}

/** How a target's entry in `imgtask.lock` is part of it. */
export interface PinSpec {
  /** Name of the entry: the id of the media. */
  readonly entry: string;
  /** Fields of a pin that the result depends on. */
  readonly fields: readonly (keyof Pin)[];
  /** Asks what would be pinned now, and verifies it. @default another target of the entry knows */
  readonly resolve?: (context: PinContext) => Promise<LockEntry>;
}

/** What is given to what asks for something to pin, outside a run. */
export type PinContext = Pick<RunContext, "params" | "env" | "project" | "tmp" | "signal" | "exec" | "log" | "progress"> & {
  /** Values of the secrets in `asks` of the target. */
  readonly secrets: Readonly<Record<string, string>>;
};

/** What is given to what asks for security notices, outside a run. */
export interface NoticeContext extends PinContext {
  /** The target's entry in `imgtask.lock`. @default the target declares no `pin`, or nothing is known of it */
  readonly entry: LockEntry | undefined;
  /**
   * Path of an output of the last result, to be read only; of a tree, of one of its files. `undefined` when the store
   * does not have it.
   */
  stored(output: string, path?: string): Promise<string | undefined>;
}

/** Asks which security notices concern what a target makes. What cannot be had is an answer, too. */
export type AskNotices = (context: NoticeContext) => Promise<readonly NoticeAnswer[]>;

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
  /** Its entry in `imgtask.lock`. @default the target declares no `pin` */
  readonly pin?: PinAccess;
  /** How the inputs came about, as the records have it. */
  lineage(): Lineage;
  /** Aborts when the run is to end. */
  readonly signal: AbortSignal;
  /** Runs a command by its argument vector; fails when it fails. */
  exec(argv: Argv, options?: ExecOptions): Promise<ExecResult>;
  /** zx's shell, bound to this run's directory, log, environment and signal. Quoting is right for bash only. */
  readonly $: (pieces: TemplateStringsArray, ...args: unknown[]) => Promise<{ readonly stdout: string }>;
  /** Writes a line to the target's log. */
  log(line: string): void;
  /** Says what is being done now, for the live view: `progress("42 %")`; and how far it is: `progress("a.iso", { bytes, total, rate })`. */
  progress(text: string, amount?: Amount): void;
}
