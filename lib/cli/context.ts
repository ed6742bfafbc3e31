/**
 * What every command of the command line is given. Knows no command.
 * @module
 */
import type { Evidence } from "../evidence.ts";
import type { Graph } from "../graph.ts";
import { wantsColor } from "../report/choose.ts";
import type { Options } from "./options.ts";

/** The imagefile as a command sees it. */
export interface Loaded {
  readonly graph: Graph;
  /** Name of the default export: what is built when no target is named. */
  readonly default: string | undefined;
}

/** The surroundings of one command. Data goes to `stdout`, everything else to `stderr`. */
export interface CommandContext {
  readonly options: Options;
  /** Absolute path of the working directory, `--directory` applied. */
  readonly cwd: string;
  /** Absolute path of the imagefile, or `undefined` when there is none. */
  readonly imagefile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal;
  /** Whether text for `stderr` may hold colours. */
  readonly color: boolean;
  /** Of a run: the evidence that was looked at just now, and did not suffice. */
  readonly evidence?: Evidence | undefined;
  /** Writes text as it is; a line ends with its own newline. */
  stdout(text: string): void;
  stderr(text: string): void;
  /**
   * Reads the imagefile.
   *
   * @throws {ImgtaskError} IMG2xxx when there is none, or it is wrong.
   */
  load(): Promise<Loaded>;
}

/** Whether data on standard output may hold colours: on a terminal that can, unless the user says otherwise. */
export function dataColor(context: Pick<CommandContext, "options" | "env">): boolean {
  return wantsColor(process.stdout, context.env, context.options.color);
}
