/**
 * All that is declared of one target, as text. Knows nothing of freshness.
 * @module
 */
import type { Node } from "../graph.ts";
import type { InputRef } from "../target.ts";
import { shownLocation } from "./error.ts";
import { pad, painter, printable } from "./text.ts";

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
export function show(node: Node, options: { readonly color: boolean; readonly cwd: string }): string {
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
  section("env", declaration.env.map((name) => [name, ""]));
  section("tools", declaration.tools.map((tool) =>
    [tool.name, tool.type === "tool" ? (tool.min === undefined ? "" : `>= ${tool.min}`) : tool.anyOf.join(" or ")]));
  if (typeof declaration.params === "object" && declaration.params !== null && Object.keys(declaration.params).length > 0) {
    lines.push(paint("dim", "params"), ...JSON.stringify(declaration.params, undefined, 2).split("\n").map((line) => `  ${printable(line)}`));
  }
  if (declaration.platform !== undefined) section("platform", [[declaration.platform, ""]]);
  section("needed by", node.dependents.map((name) => [name, ""]));
  if (declaration.location !== undefined) section("declared", [[shownLocation(declaration.location, options.cwd), ""]]);
  return `${lines.join("\n")}\n`;
}
