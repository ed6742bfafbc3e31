/**
 * All that is declared of one target, as text. Knows nothing of freshness.
 * @module
 */
import type { Node } from "../graph.ts";
import type { InputRef } from "../target.ts";
import { shownLocation } from "./error.ts";
import { pad, painter, printable } from "./text.ts";

/** Who made the newest result of a target. */
export interface MadeBy {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Id of the key that signed it; `undefined` when it is not signed. */
  readonly key?: string;
  readonly builder?: string;
  /** Whether the signature is one of a trusted key; else nobody looked at it. */
  readonly verified: boolean;
}

/** `"2026-11-21T00:30:00Z, signed with key E8225694F8DE5946 by ci/main"`. */
function madeWords({ time, key, builder, verified }: MadeBy): string {
  const when = new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
  if (key === undefined) return `${when}, not signed`;
  return `${when}, signed with key ${printable(key)}${builder === undefined ? "" : ` by ${printable(builder)}`}${verified ? "" : " by its own account: no keys are trusted"}`;
}

function input(ref: InputRef): string {
  switch (ref.type) {
    case "artifact":
      return ref.output === "out" ? ref.target : `${ref.target}#${ref.output}`;
    case "source":
      return `source ${printable(ref.path)}`;
    case "glob":
      return `source ${ref.patterns.map(printable).join(" ")}`;
  }
}

/** A target's declaration as text, with a newline at the end. */
export function show(node: Node, options: { readonly color: boolean; readonly cwd: string; readonly madeBy?: MadeBy | undefined }): string {
  const paint = painter(options.color);
  const { declaration } = node;
  const lines = [paint("bold", declaration.name)];
  if (declaration.description !== undefined) lines.push(`  ${printable(declaration.description)}`);
  const section = (title: string, rows: readonly (readonly [string, string])[]): void => {
    if (rows.length === 0) return;
    const column = Math.max(...rows.map(([name]) => name.length));
    lines.push(paint("dim", title), ...rows.map(([name, words]) => `  ${pad(printable(name), column)}  ${words}`.trimEnd()));
  };
  section("inputs", Object.entries(declaration.inputs).map(([name, ref]) => [name, input(ref)]));
  section("outputs", Object.entries(declaration.outputs).map(([name, { form, type, path }]) =>
    [name, `${type}${form === type ? "" : ` (${form})`}  ${path === undefined ? "in the store" : printable(path)}`]));
  section("members", declaration.members.map((name) => [name, ""]));
  section("env", [...declaration.env.map((name) => [name, ""] as const), ...(declaration.untracked?.env ?? []).map((name) => [name, "not part of the fingerprint"] as const)]);
  section("tools", declaration.tools.map((tool) =>
    [tool.name, tool.type === "tool" ? (tool.min === undefined ? "" : `>= ${tool.min}`) : tool.anyOf.join(" or ")]));
  if (typeof declaration.params === "object" && declaration.params !== null && Object.keys(declaration.params).length > 0) {
    lines.push(paint("dim", "params"), ...JSON.stringify(declaration.params, undefined, 2).split("\n").map((line) => `  ${printable(line)}`));
  }
  if (declaration.platform !== undefined) section("platform", [[declaration.platform, ""]]);
  if (options.madeBy !== undefined) section("newest result", [[madeWords(options.madeBy), ""]]);
  section("needed by", node.dependents.map((name) => [name, ""]));
  if (declaration.location !== undefined) section("declared", [[shownLocation(declaration.location, options.cwd), ""]]);
  return `${lines.join("\n")}\n`;
}
