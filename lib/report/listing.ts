/**
 * The list of targets, grouped by kind. Knows nothing of freshness.
 * @module
 */
import type { Graph } from "../graph.ts";
import { pad, type Paint, painter, printable, width } from "./text.ts";

/** What {@linkcode listing} is told beside the graph. */
export interface ListingOptions {
  /** Name of the target that is built when none is named. */
  readonly default: string | undefined;
  readonly color: boolean;
}

/** Targets by kind in the order of their declaration, groups last. */
function byKind(graph: Graph): ReadonlyMap<string, readonly string[]> {
  const kinds = new Map<string, string[]>();
  for (const [name, { declaration }] of graph) {
    const key = declaration.members.length > 0 || declaration.kind === "group" ? "group" : declaration.kind;
    const list = kinds.get(key) ?? [];
    list.push(name);
    kinds.set(key, list);
  }
  const groups = kinds.get("group");
  if (groups !== undefined) {
    kinds.delete("group");
    kinds.set("group", groups);
  }
  return kinds;
}

/** The targets as text, with a newline at the end. The default target has a `*`. */
export function listing(graph: Graph, options: ListingOptions): string {
  if (graph.size === 0) return "The imagefile declares no targets\n";
  const paint: Paint = painter(options.color);
  const column = Math.min(40, Math.max(...[...graph.keys()].map(width)));
  const lines: string[] = [];
  for (const [kind, names] of byKind(graph)) {
    if (lines.length > 0) lines.push("");
    lines.push(paint("bold", kind));
    for (const name of names) {
      const { declaration } = graph.get(name)!;
      const words = declaration.description ?? (declaration.members.length > 0 ? declaration.members.join(", ") : "");
      const mark = name === options.default ? "*" : " ";
      lines.push(`${mark} ${paint("cyan", pad(name, column))}  ${printable(words)}`.trimEnd());
    }
  }
  if (options.default !== undefined) lines.push("", `* is built by \`imgtask run\` without names`);
  return `${lines.join("\n")}\n`;
}

/** The targets as data, for `--json`. */
export function listingData(graph: Graph, options: { readonly default: string | undefined }): object {
  return {
    default: options.default ?? null,
    targets: [...graph].map(([name, { declaration, dependencies }]) => ({
      name,
      kind: declaration.kind,
      description: declaration.description ?? null,
      dependencies,
      outputs: Object.entries(declaration.outputs).map(([output, { form, type, path }]) => ({ name: output, form, type, path: path ?? null })),
    })),
  };
}
