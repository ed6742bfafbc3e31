/**
 * What differs between two manifests, as reasons. Compares what was hashed, line by line, so that no reason is told
 * without a difference of the fingerprints, and none is missing where they differ. Reads no file.
 * @module
 */
import { canonicalJson } from "./digest.ts";
import type { EntryChange, Reason } from "./event.ts";
import { type Manifest, unknown } from "./fingerprint.ts";

type Lines = ReadonlyMap<string, string>;

/** The more telling first: where one is shown, it says most. */
const order: readonly Reason["type"][] = [
  "forced", "never run", "store", "kept", "option", "input", "source", "upstream", "environment", "tool", "outputs", "recipe", "manifest",
];

/**
 * Why a target is stale: what differs between the manifest of a recorded result and that of now. Outputs that are
 * still to be made ({@linkcode unknown}) are no difference.
 */
export function difference(before: Manifest, now: Manifest): readonly Reason[] {
  const old: Lines = new Map(before), current: Lines = new Map(now);
  // Under another meaning of manifests, nothing can be said line by line.
  if (old.get("schema") !== current.get("schema")) return [reasonFor("schema", old.get("schema"), current.get("schema"))];
  const keys = [...new Set([...current.keys(), ...old.keys()])]
    .filter((key) => old.get(key) !== current.get(key) && !(current.get(key) === unknown && old.has(key)));
  const lists = new Set<string>();
  const reasons = keys.flatMap((key): readonly Reason[] => {
    if (key.startsWith("source ") && appeared(split(key.slice(7))[0], old, current)) return [];
    const option = key.startsWith("option ") ? key.slice(7) : undefined;
    const name = option === undefined ? undefined : listAround(option, old, current);
    if (option !== undefined && name === undefined && (holds(option, old) || holds(option, current))) {
      // What was empty has parts now, or the other way round: they are told.
      if (["{}", "[]"].includes(old.get(key) ?? current.get(key)!)) return [];
    }
    if (name === undefined) return [reasonFor(key, old.get(key), current.get(key))];
    if (lists.has(name)) return [];
    lists.add(name);
    return [{ type: "option", name, from: asList(name, old) ?? old.get(`option ${name}`), to: asList(name, current) ?? current.get(`option ${name}`) }];
  });
  return dedupe(movedRecipe(reasons)).toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
}

/** Name of the list of plain values that an option is part of, or is: an item put in its middle is one change, not one of each that follows. */
function listAround(name: string, old: Lines, current: Lines): string | undefined {
  const outer = /^(?:((?:[^\\]|\\[^])*)\.)?\d+$/.exec(name);
  const list = outer === null ? name : (outer[1] ?? "");
  const plain = (lines: Lines): boolean => asList(list, lines) !== undefined || !holds(list, lines);
  return (asList(list, old) !== undefined || asList(list, current) !== undefined) && plain(old) && plain(current) ? list : undefined;
}

/** Whether an input as a whole came or went: that is told, not each of its files. */
function appeared(input: string, old: Lines, current: Lines): boolean {
  const key = `input ${input.replace(/[\\ ]/g, "\\$&")}`;
  return old.has(key) !== current.has(key);
}

function inner(name: string, lines: Lines): readonly string[] {
  const prefix = name === "" ? "option " : `option ${name}.`;
  return [...lines.keys()].filter((key) => key.startsWith(prefix) && key !== "option ");
}

/** Whether an option has parts of its own. */
function holds(name: string, lines: Lines): boolean {
  return inner(name, lines).length > 0;
}

/** A list of plain values as JSON, `undefined` when the option is anything else. */
function asList(name: string, lines: Lines): string | undefined {
  if (lines.get(`option ${name}`) === "[]") return "[]";
  const items = inner(name, lines);
  const prefix = name === "" ? "option " : `option ${name}.`;
  if (items.length === 0 || !items.every((key) => /^\d+$/.test(key.slice(prefix.length)))) return undefined;
  return `[${items.map((key) => lines.get(key)!).join(",")}]`;
}

function reasonFor(key: string, from: string | undefined, to: string | undefined): Reason {
  const [kind, rest] = split(key);
  switch (kind) {
    case "recipe":
      return { type: "recipe", module: rest, from, to };
    case "option":
      return { type: "option", name: rest, from, to };
    case "source": {
      const change = from === undefined ? "added" : to === undefined ? "removed" : "changed";
      return { type: "source", path: split(rest)[1], change, details: change === "changed" ? entryChanges(from!, to!) : [] };
    }
    case "upstream": {
      const [, output] = split(rest);
      const hash = output.lastIndexOf("#");
      return { type: "upstream", target: output.slice(0, hash), output: output.slice(hash + 1), from, to };
    }
    case "input":
      return { type: "input", name: split(rest)[0], from, to };
    case "environment":
      return { type: "environment", name: rest, change: environmentChange(from, to) };
    case "tool":
      return { type: "tool", name: rest, from, to };
    case "output":
      return { type: "outputs", name: rest, from, to };
    default:
      return { type: "manifest", key, from, to };
  }
}

/** First word of a key, in which blanks and backslashes are escaped, and the rest. */
function split(text: string): readonly [string, string] {
  const match = /^((?:[^\\ ]|\\[^])*) ?([^]*)$/.exec(text);
  return match === null ? [text, ""] : [match[1]!.replace(/\\([^])/g, "$1"), match[2]!];
}

function environmentChange(from: string | undefined, to: string | undefined): Extract<Reason, { type: "environment" }>["change"] {
  if (from === undefined) return "declared";
  if (to === undefined) return "no longer declared";
  return from === "unset" ? "set" : to === "unset" ? "unset" : "changed";
}

/** What differs between two entries such as `file 0644 DIGEST`, `directory 0755`, `link TARGET`. */
function entryChanges(from: string, to: string): readonly EntryChange[] {
  const [kindBefore, before] = split(from), [kind, now] = split(to);
  if (kindBefore !== kind) return [{ what: "kind", from: kindBefore, to: kind }];
  if (kind === "link") return [{ what: "link", from: before, to: now }];
  const [modeBefore, contentBefore] = split(before), [mode, content] = split(now);
  return [
    ...(contentBefore === content ? [] : [{ what: "content" } as const]),
    ...(modeBefore === mode ? [] : [{ what: "mode", from: modeBefore, to: mode } as const]),
  ];
}

/** A recipe that moved to another module is one change, not one that went and one that came. */
function movedRecipe(reasons: readonly Reason[]): readonly Reason[] {
  const recipes = reasons.filter((reason) => reason.type === "recipe");
  const gone = recipes.find(({ to }) => to === undefined), come = recipes.find(({ from }) => from === undefined);
  if (gone === undefined || come === undefined) return reasons;
  return reasons.flatMap((reason) => (reason === gone ? [] : reason === come ? [{ ...come, from: gone.from }] : [reason]));
}

/** A file that is read through two inputs is told once. */
function dedupe(reasons: readonly Reason[]): readonly Reason[] {
  const seen = new Set<string>();
  return reasons.filter((reason) => {
    const text = canonicalJson(reason);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}
