/**
 * Words what an audit saw of a target: each undeclared thing on a line, with the declaration that would cover it.
 * Writes nowhere.
 * @module
 */
import type { AuditFinding, AuditUnused, Event } from "../event.ts";
import { shownPath } from "./error.ts";
import type { ReportOptions } from "./reporter.ts";
import { painter, printable } from "./text.ts";

/** Code of the warning about what is declared and not used. */
const unusedCode = "IMG6040";

/** Findings of one target that are told one by one. */
const shown = 25;

const verbs: Readonly<Record<AuditFinding["type"], string>> = {
  read: "reads",
  list: "lists",
  probe: "looks for",
  write: "writes",
  tool: "starts",
  environment: "reads variable",
  network: "connects to",
  socket: "talks to",
};

function cure({ type, what }: AuditFinding, cwd: string): string {
  const shown = shownPath(what, cwd);
  const quoted = JSON.stringify(shown);
  switch (type) {
    case "read":
    case "probe":
    case "list":
      return shown.startsWith("/") ? `copy it into the project for source(), or untracked: { reads: [${quoted}] }` : type === "list" ? `source(${quoted})` : type === "probe" ? `source() of a directory or pattern that holds ${quoted}` : `source(${quoted})`;
    case "write":
      return `write below tmp or outputs, or untracked: { writes: [${quoted}] }`;
    case "tool":
      return `tools: [tool(${JSON.stringify(what.split("/").at(-1))}, { … })]`;
    case "environment":
      return what.includes(" ") ? "name the variables in env" : `env: [${quoted}]`;
    case "network":
      return 'resources: { network: true }';
    case "socket":
      return `do without it: what the other process does cannot be seen`;
  }
}

function unusedWords({ type, what }: AuditUnused): string {
  return `declares ${type === "environment" ? "variable" : type} ${printable(what)} and does not use it`;
}

/** What an audit saw of a target, in lines. */
export function auditWords(event: Extract<Event, { readonly type: "target audited" }>, options: ReportOptions): readonly string[] {
  const paint = painter(options.color);
  const { target, undeclared, unused } = event;
  const name = paint("cyan", `[${target}]`);
  if (undeclared.length + unused.length === 0) return [`${name} audited: all that it uses is declared`];
  const lines: string[] = [];
  for (const finding of undeclared.slice(0, shown)) {
    const { type, what, by, through } = finding;
    const path = what.startsWith("/") ? shownPath(what, options.cwd) : what;
    const how = [...(through === null ? [] : [`as ${printable(shownPath(through, options.cwd))}`]), ...(by === null ? [] : [`by ${printable(by)}`])].join(", ");
    lines.push(`${name} ${paint("red", "undeclared")}: ${verbs[type]} ${printable(path)}${how === "" ? "" : ` (${how})`}`, `  ${paint("dim", "declare".padEnd(8))} ${cure(finding, options.cwd)}`);
  }
  if (undeclared.length > shown) lines.push(`${name} ${paint("red", "undeclared")}: and ${undeclared.length - shown} more; --json tells all`);
  for (const one of unused) lines.push(`${name} ${paint("yellow", `warning ${unusedCode}`)}: ${unusedWords(one)}`);
  return lines;
}
