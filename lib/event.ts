/**
 * Everything that can happen in a run, as data. The words for it are in `report/`.
 * @module
 */
import type { ImgtaskError } from "./error.ts";

/** Why a target is stale, as data. */
export type Reason =
  /** No result of this target is on record. */
  | { readonly type: "never run" }
  /** Asked for with `--force`. */
  | { readonly type: "forced" }
  /** A host file that it reads was added, removed or changed. `path` is relative to the project. */
  | { readonly type: "source"; readonly path: string; readonly change: "added" | "removed" | "changed" }
  /** An output of another target that it reads has other content now. */
  | { readonly type: "upstream"; readonly target: string; readonly output: string }
  /** A parameter differs; values as JSON, `undefined` where it was not there. */
  | { readonly type: "option"; readonly name: string; readonly from: string | undefined; readonly to: string | undefined }
  /** A declared environment variable differs. Values are never told. */
  | { readonly type: "environment"; readonly name: string }
  | { readonly type: "tool"; readonly name: string; readonly from: string | undefined; readonly to: string | undefined }
  /** The code of the recipe, or code that it reaches, differs. */
  | { readonly type: "recipe"; readonly module: string }
  /** What it declares of its outputs differs. */
  | { readonly type: "outputs"; readonly name: string }
  /** Anything else in the manifest: its schema, the platform. */
  | { readonly type: "manifest"; readonly key: string }
  /** The stored result is damaged or gone. */
  | { readonly type: "store"; readonly output: string; readonly problem: "missing" | "damaged" };

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
  | { readonly type: "target progress"; readonly target: string; readonly text: string }
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
