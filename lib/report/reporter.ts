/**
 * What every reporter is. Knows no reporter and no terminal.
 * @module
 */
import type { Listener } from "../event.ts";

/** Shows the events of a run to someone: a person, a CI system, a program. */
export interface Reporter {
  /** Takes the events, in order. */
  readonly on: Listener;
  /** Ends the output; gives the terminal back as it was. May be called twice. */
  close(): void;
}

/** Where text goes. */
export interface Sink {
  write(text: string): unknown;
}

/** What reporters for people are made with. */
export interface ReportOptions {
  /** Whether text may hold colours. */
  readonly color: boolean;
  /** Absolute path of the directory that paths are shown relative to. */
  readonly cwd: string;
  /** Tell fresh targets and warnings' details too. @default false */
  readonly verbose?: boolean;
  /** Aborts when the run is to end before its time. */
  readonly signal?: AbortSignal | undefined;
}
