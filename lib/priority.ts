/**
 * How urgent targets are: the length of the longest path from each to the end of the run, by recorded durations.
 * Reads records only; decides nothing.
 * @module
 */
import type { Graph } from "./graph.ts";
import type { Records } from "./record.ts";

/** Milliseconds a target takes when nothing is known of it or of others of its kind. */
const unknownDuration = 1000;

/** How long a target will take, in milliseconds: as long as last time, else the median of its kind, else a second. */
export function estimator(graph: Graph, records: Records): (name: string) => number {
  // Asked for only when a target has never run: reading the results of all the others takes its time.
  let medians: ReadonlyMap<string, number> | undefined;
  return (name) => {
    const { kind } = graph.get(name)!.declaration;
    // A group is only a name.
    return records.latest(name)?.duration ?? (kind === "group" ? 0 : (medians ??= mediansOf(graph, records)).get(kind) ?? unknownDuration);
  };
}

function mediansOf(graph: Graph, records: Records): ReadonlyMap<string, number> {
  const byKind = new Map<string, number[]>();
  for (const [name, { declaration }] of graph) {
    const duration = records.latest(name)?.duration;
    if (duration === undefined) continue;
    const known = byKind.get(declaration.kind);
    if (known === undefined) byKind.set(declaration.kind, [duration]);
    else known.push(duration);
  }
  return new Map([...byKind].map(([kind, durations]) => [kind, durations.sort((a, b) => a - b)[durations.length >> 1]!]));
}

/**
 * For each target, the length of the longest path from its start to the end of the run.
 *
 * @param order dependencies first.
 */
export function longestPaths(order: readonly string[], dependentsOf: (name: string) => readonly string[], durationOf: (name: string) => number): ReadonlyMap<string, number> {
  const lengths = new Map<string, number>();
  for (const name of order.toReversed()) {
    let after = 0;
    // What is not wanted in this run has no length.
    for (const dependent of dependentsOf(name)) after = Math.max(after, lengths.get(dependent) ?? 0);
    lengths.set(name, durationOf(name) + after);
  }
  return lengths;
}
