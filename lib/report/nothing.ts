/**
 * The one sentence of a run that had nothing to do, apart from all others: it is said without loading them.
 * @module
 */
import { formatDuration } from "./duration.ts";

/** `"Nothing to do: 13 targets fresh (21 ms)"`; the duration in milliseconds. */
export function nothingWords(targets: number, duration: number): string {
  return `Nothing to do: ${targets} target${targets === 1 ? "" : "s"} fresh (${formatDuration(duration)})`;
}
