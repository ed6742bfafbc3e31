/**
 * The graph as text for Mermaid and Graphviz. Draws nothing itself.
 * @module
 */
import type { Graph } from "../graph.ts";

/** Edges between the named targets, from what is needed to what needs it. */
function edges(graph: Graph, names: readonly string[]): readonly (readonly [string, string])[] {
  const among = new Set(names);
  return names.flatMap((name) => graph.get(name)!.dependencies.filter((dependency) => among.has(dependency)).map((dependency) => [dependency, name] as const));
}

/** Characters that mean something inside a quoted Mermaid label, as its entity codes. */
function mermaidLabel(name: string): string {
  return name.replace(/[^A-Za-z0-9 :._+-]/g, (character) => `#${character.codePointAt(0)!};`);
}

/**
 * The named targets as a Mermaid flowchart. Nodes are numbered: a name such as `end` would be a keyword.
 *
 * @param names targets that exist in the graph
 */
export function mermaid(graph: Graph, names: readonly string[]): string {
  const ids = new Map(names.map((name, index) => [name, `n${index}`]));
  return [
    "flowchart LR",
    ...names.map((name) => `  ${ids.get(name)!}["${mermaidLabel(name)}"]`),
    ...edges(graph, names).map(([from, to]) => `  ${ids.get(from)!} --> ${ids.get(to)!}`),
    "",
  ].join("\n");
}

const dotString = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/** The named targets as a Graphviz digraph. */
export function dot(graph: Graph, names: readonly string[]): string {
  return [
    "digraph imgtask {",
    "  rankdir=LR;",
    "  node [shape=box];",
    ...names.map((name) => `  ${dotString(name)};`),
    ...edges(graph, names).map(([from, to]) => `  ${dotString(from)} -> ${dotString(to)};`),
    "}",
    "",
  ].join("\n");
}

/** The named targets as data, for `--json`. */
export function graphData(graph: Graph, names: readonly string[]): object {
  return {
    targets: names.map((name) => ({ name, kind: graph.get(name)!.declaration.kind })),
    edges: edges(graph, names).map(([from, to]) => ({ from, to })),
  };
}
