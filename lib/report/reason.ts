/**
 * Words the reasons why a target is stale, one short phrase each. Decides nothing.
 * @module
 */
import type { Reason } from "../event.ts";
import { printable } from "./text.ts";

const longest = 40;

function short(json: string | undefined): string {
  if (json === undefined) return "unset";
  const text = printable(json);
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}

function between(from: string | undefined, to: string | undefined): string {
  return `${short(from)} → ${short(to)}`;
}

/** A reason as one short phrase: `"source overlay/etc/motd changed"`. */
export function phrase(reason: Reason): string {
  switch (reason.type) {
    case "never run":
      return "never run before";
    case "forced":
      return "forced";
    case "source":
      return `source ${printable(reason.path)} ${reason.change}`;
    case "upstream":
      return `${reason.target}${reason.output === "out" ? "" : `#${reason.output}`} has new content`;
    case "option":
      return `option ${printable(reason.name)} ${between(reason.from, reason.to)}`;
    case "environment":
      return `environment variable ${printable(reason.name)} changed`;
    case "tool":
      return reason.from === reason.to ? `tool ${reason.name} changed` : `tool ${reason.name} ${between(reason.from, reason.to)}`;
    case "recipe":
      return `recipe changed (${printable(reason.module)})`;
    case "outputs":
      return `output ${printable(reason.name)} declared differently`;
    case "manifest":
      return `${printable(reason.key)} changed`;
    case "store":
      return `stored output ${printable(reason.output)} ${reason.problem}`;
  }
}

/** The first reason, and how many more there are: `"source a changed (and 3 more)"`. */
export function phraseAll(reasons: readonly Reason[]): string {
  const [first, ...rest] = reasons;
  if (first === undefined) return "";
  return rest.length === 0 ? phrase(first) : `${phrase(first)} (and ${rest.length} more)`;
}
