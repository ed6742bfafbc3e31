/**
 * Everything that can happen in a run, as data. The words for it are in `report/`.
 * @module
 */
import type { ImgtaskError } from "./error.ts";
import type { Amount } from "./target.ts";

/** One thing that differs in a file or directory entry. The content itself is never told. */
export type EntryChange =
  | { readonly what: "content" }
  /** Permissions in octal, the target of a symbolic link, or one of `file`, `directory`, `link`. */
  | { readonly what: "mode" | "link" | "kind"; readonly from: string; readonly to: string };

/** Why a target is stale, as data. `undefined` stands where something was not there, or is not any more. */
export type Reason =
  /** No result of this target is on record. */
  | { readonly type: "never run" }
  /** Asked for with `--force`. */
  | { readonly type: "forced" }
  /** The stored result is damaged or gone. */
  | { readonly type: "store"; readonly output: string; readonly problem: "missing" | "damaged" }
  /** A file that it keeps beside its outputs is gone. */
  | { readonly type: "kept"; readonly path: string; readonly problem: "missing" }
  /** A parameter; values as JSON. A list of plain values is one parameter. */
  | { readonly type: "option"; readonly name: string; readonly from: string | undefined; readonly to: string | undefined }
  /** A host file that it reads. `path` is relative to the project; `details` are told of a changed one. */
  | { readonly type: "source"; readonly path: string; readonly change: "added" | "removed" | "changed"; readonly details: readonly EntryChange[] }
  /** An output of another target that it reads, by digest. */
  | { readonly type: "upstream"; readonly target: string; readonly output: string; readonly from: string | undefined; readonly to: string | undefined }
  /** The path or the patterns that an input stands for. */
  | { readonly type: "input"; readonly name: string; readonly from: string | undefined; readonly to: string | undefined }
  /** A declared environment variable. Values are never told. */
  | { readonly type: "environment"; readonly name: string; readonly change: "changed" | "set" | "unset" | "declared" | "no longer declared" }
  /** Version of a declared tool. */
  | { readonly type: "tool"; readonly name: string; readonly from: string | undefined; readonly to: string | undefined }
  /** The code of the recipe, or code that it reaches, by digest. */
  | { readonly type: "recipe"; readonly module: string; readonly from: string | undefined; readonly to: string | undefined }
  /** What it declares of an output, as JSON. */
  | { readonly type: "outputs"; readonly name: string; readonly from: string | undefined; readonly to: string | undefined }
  /** Anything else in the manifest: `schema`, `epoch`, `platform`. */
  | { readonly type: "manifest"; readonly key: string; readonly from: string | undefined; readonly to: string | undefined };

/** Something that a target did without having declared it. */
export interface AuditFinding {
  /**
   * `probe`: it looked for something that is not there, or at something without reading it. `list`: it listed a
   * directory. `tool`: it started a program. `socket`: it talked to a process that was not observed.
   */
  readonly type: "read" | "list" | "probe" | "write" | "tool" | "environment" | "network" | "socket";
  /** Absolute path, name of the variable, or address. */
  readonly what: string;
  /** Command line of the process; `null` for the recipe itself. */
  readonly by: string | null;
  /** The name by which it was read: a symbolic link. */
  readonly through: string | null;
}

/** Something that a target declared, and did not use. */
export interface AuditUnused {
  readonly type: "input" | "tool" | "environment";
  readonly what: string;
  /** Where an input stands in the declaration: `inputs.config`. */
  readonly key: string | null;
}

/** An output of a finished target. */
export interface Result {
  readonly output: string;
  /** SHA-256 of its content, hex; for a tree, of its list. */
  readonly digest: string;
  /** Bytes; for a tree, of all its files. */
  readonly size: number;
  /** Where it appears, relative to the project; `undefined` when it stays in the store. */
  readonly path: string | undefined;
}

/** What became of a target. */
export type Outcome = "fresh" | "restored" | "done" | "failed" | "skipped" | "cancelled";

/** Something that happened. Times are milliseconds. */
export type Event =
  | { readonly type: "waiting"; readonly holder: string }
  | { readonly type: "run started"; readonly targets: readonly string[]; readonly jobs: number }
  | { readonly type: "target fresh"; readonly target: string }
  /** Outputs that were missing or edited came back from the store; nothing was run. */
  | { readonly type: "target restored"; readonly target: string; readonly paths: readonly string[] }
  | { readonly type: "target started"; readonly target: string; readonly reasons: readonly Reason[]; readonly log: string }
  | { readonly type: "target progress"; readonly target: string; readonly text: string; readonly amount?: Amount }
  /** The network failed it: it waits `delay` and is tried again. `attempt` is the one that comes, of `attempts` at most. */
  | { readonly type: "target retrying"; readonly target: string; readonly attempt: number; readonly attempts: number; readonly delay: number; readonly error: ImgtaskError }
  | {
      readonly type: "target done";
      readonly target: string;
      readonly duration: number;
      readonly results: readonly Result[];
      /** It ran, and made just what it had made before: what depends on it stays fresh. */
      readonly unchanged: boolean;
    }
  /** What `--audit` saw of a target; before it is done or, when something is undeclared, failed. */
  | { readonly type: "target audited"; readonly target: string; readonly undeclared: readonly AuditFinding[]; readonly unused: readonly AuditUnused[] }
  | { readonly type: "target failed"; readonly target: string; readonly duration: number; readonly error: ImgtaskError; readonly log: string | undefined }
  /** Not run because a target that it needs failed. */
  | { readonly type: "target skipped"; readonly target: string; readonly because: string }
  /** Not run, or ended, because the run was interrupted or another target failed. */
  | { readonly type: "target cancelled"; readonly target: string }
  | { readonly type: "warning"; readonly code: string; readonly message: string; readonly hint: string | undefined }
  | {
      readonly type: "run ended";
      readonly duration: number;
      readonly outcomes: Readonly<Record<Outcome, number>>;
      readonly signal: "SIGINT" | "SIGTERM" | "SIGHUP" | undefined;
    };

/** Receives what happens, in order. */
export type Listener = (event: Event) => void;
