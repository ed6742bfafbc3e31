/**
 * Words the reasons why a target is stale, one short phrase each. Decides nothing.
 * @module
 */
import type { EntryChange, Reason } from "../event.ts";
import { cut, printable, width } from "./text.ts";

/** Columns of a value, and of a path, in a phrase. */
const longest = 40;
const longestPath = 60;

function short(value: string | undefined, absent = "unset"): string {
  return value === undefined ? absent : cut(printable(value), longest);
}

function between(from: string | undefined, to: string | undefined, absent?: string): string {
  return `${short(from, absent)} → ${short(to, absent)}`;
}

/** A path whose end, which tells most, is kept. */
function shortPath(path: string): string {
  const text = printable(path);
  return width(text) <= longestPath ? text : `…${[...text].slice(1 - longestPath).join("")}`;
}

/** A list of plain values as JSON, item by item; `undefined` when it is none. */
function items(json: string | undefined): readonly string[] | undefined {
  if (json === undefined || !json.startsWith("[")) return undefined;
  try {
    return (JSON.parse(json) as readonly unknown[]).map((item) => JSON.stringify(item));
  } catch {
    return undefined;
  }
}

/** What `list` has more of than `other`. */
function more(list: readonly string[], other: readonly string[]): readonly string[] {
  const left = [...other];
  return list.filter((item) => {
    const at = left.indexOf(item);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** What came and went of a list: `["+ \"vim\"", "- \"nano\""]`, nothing for another order; `undefined` unless there were two lists. */
export function listChange(from: string | undefined, to: string | undefined): readonly string[] | undefined {
  const before = items(from), now = items(to);
  if (before === undefined || now === undefined) return undefined;
  return [...more(now, before).map((item) => `+ ${short(item)}`), ...more(before, now).map((item) => `- ${short(item)}`)];
}

/** Items of a list that a phrase names. */
export const namedItems = 3;

function listWords(from: string | undefined, to: string | undefined): string | undefined {
  const words = listChange(from, to);
  if (words === undefined) return undefined;
  if (words.length === 0) return "in another order";
  return `${words.slice(0, namedItems).join(", ")}${words.length > namedItems ? ` and ${words.length - namedItems} more` : ""}`;
}

/** `"changed"`, `"mode 0644 → 0755"`, `"link a → b"`, `"directory → file"`. */
function entryWords(details: readonly EntryChange[]): string {
  const words = details.map((detail) => {
    if (detail.what === "content") return "changed";
    return `${detail.what === "kind" ? "" : `${detail.what} `}${between(detail.from, detail.to)}`;
  });
  return words.length === 0 ? "changed" : words.join(", ");
}

/** `"declared differently"` and what of it, for an output as JSON. */
function outputWords(from: string | undefined, to: string | undefined): string {
  if (from === undefined) return "added";
  if (to === undefined) return "removed";
  const before = JSON.parse(from) as { readonly [key: string]: unknown }, now = JSON.parse(to) as { readonly [key: string]: unknown };
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
  return keys.map((key) => `${key} ${between(JSON.stringify(before[key]), JSON.stringify(now[key]))}`).join(", ");
}

const manifestKeys: Readonly<Record<string, string>> = { epoch: "SOURCE_DATE_EPOCH", schema: "imgtask's way to judge" };

/** Name of an output: `"rootfs:debian"`, or with what of it when it is not the only one, `"iso:debian#log"`. */
function outputName(target: string, output: string): string {
  return printable(`${target}${output === "out" ? "" : `#${output}`}`);
}

/** A reason as one short phrase: `"source overlay/etc/motd changed"`. */
export function phrase(reason: Reason): string {
  switch (reason.type) {
    case "never run":
      return "never run before";
    case "forced":
      return "forced";
    case "source":
      return `source ${shortPath(reason.path)} ${reason.change === "changed" ? entryWords(reason.details) : reason.change}`;
    case "upstream": {
      const name = outputName(reason.target, reason.output);
      return reason.from === undefined ? `reads ${name} now` : reason.to === undefined ? `no longer reads ${name}` : `${name} has new content`;
    }
    case "input":
      if (reason.from === undefined) return `reads ${short(reason.to)} now`;
      return reason.to === undefined ? `no longer reads ${short(reason.from)}` : `${printable(reason.name)} ${between(reason.from, reason.to)}`;
    case "option":
      return `option${reason.name === "" ? "" : ` ${printable(reason.name)}`} ${listWords(reason.from, reason.to) ?? between(reason.from, reason.to)}`;
    case "environment":
      return `environment variable ${printable(reason.name)} ${reason.change}`;
    case "tool":
      return `tool ${printable(reason.name)} ${between(reason.from, reason.to, "undeclared")}`;
    case "recipe":
      return `recipe changed (${printable(reason.module)})`;
    case "outputs":
      return `output ${printable(reason.name)} ${outputWords(reason.from, reason.to)}`;
    case "manifest":
      return `${printable(manifestKeys[reason.key] ?? reason.key)} ${between(reason.from, reason.to)}`;
    case "store":
      return `stored output ${printable(reason.output)} ${reason.problem}`;
    case "kept":
      return `${shortPath(reason.path)} ${reason.problem}`;
  }
}

/** The first reason, and how many more there are: `"source a changed (and 3 more)"`. */
export function phraseAll(reasons: readonly Reason[]): string {
  const [first, ...rest] = reasons;
  if (first === undefined) return "";
  if (first.type === "forced" && rest.length > 0) return `forced; ${phraseAll(rest)}`;
  return rest.length === 0 ? phrase(first) : `${phrase(first)} (and ${rest.length} more)`;
}

/** A reason with `null` where something was or is not there, so that its fields are the same every time. */
export function reasonData(reason: Reason): object {
  switch (reason.type) {
    case "option":
    case "upstream":
    case "input":
    case "tool":
    case "recipe":
    case "outputs":
    case "manifest":
      return { ...reason, from: reason.from ?? null, to: reason.to ?? null };
    default:
      return reason;
  }
}
