/**
 * Fingerprints: what a target's result depends on, as a readable manifest, and the SHA-256 of it.
 * One walk, two writers, so that an explanation can never contradict the hash. Pure: reads no file.
 * @module
 */
import { createHash } from "node:crypto";
import { canonicalJson, type Digest } from "./digest.ts";
import type { Reason } from "./event.ts";
import type { Declaration, InputRef, Json } from "./target.ts";

/** Changes when the meaning of a manifest changes: then every result is stale once. */
const schema = "1";

/** A host file or directory entry, as a manifest names it. */
export interface SourceEntry {
  /** Relative to the project, `/` between parts. */
  readonly path: string;
  /** `file 0644 DIGEST`, `directory 0755`, or `link TARGET`. */
  readonly content: string;
}

/** What the inputs of a target are right now. */
export interface Resolution {
  /** Digest of the recipe's code. */
  readonly recipe: Digest;
  /** By key of the declaration's inputs: the digest of an upstream output, or the entries of a source. */
  readonly inputs: ReadonlyMap<string, Digest | readonly SourceEntry[]>;
  /** Values of the declared environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Seconds since 1970 for time stamps in outputs. */
  readonly epoch: number;
  /** Versions of the declared tools. */
  readonly tools: Readonly<Record<string, string>>;
}

/** A manifest: keys and values in a fixed order. Keys are unique. */
export type Manifest = readonly (readonly [key: string, value: string])[];

/** Calls `write` for everything that the result of a target depends on, in a fixed order. */
function walk(declaration: Declaration, resolution: Resolution, write: (key: string, value: string) => void): void {
  write("schema", schema);
  write("target", declaration.name);
  write("epoch", String(resolution.epoch));
  write(`recipe ${declaration.module === undefined ? "imagefile" : moduleName(declaration.module)}`, resolution.recipe);
  if (declaration.platform !== undefined) write("platform", declaration.platform);
  writeParams("", declaration.params, write);
  for (const key of Object.keys(declaration.inputs).sort()) {
    const input = declaration.inputs[key]!;
    const resolved = resolution.inputs.get(key);
    if (typeof resolved === "string") write(`input ${key} ${reference(input)}`, resolved);
    else {
      write(`input ${key}`, reference(input));
      for (const entry of resolved ?? []) write(`source ${key} ${entry.path}`, entry.content);
    }
  }
  // A value may be a secret: only its digest stands in manifests, which are kept and shown.
  for (const name of declaration.env) {
    const value = resolution.env[name];
    write(`environment ${name}`, value === undefined ? "unset" : createHash("sha256").update(`${name}=${value}`).digest("hex"));
  }
  for (const name of Object.keys(resolution.tools).sort()) write(`tool ${name}`, resolution.tools[name]!);
  for (const name of Object.keys(declaration.outputs).sort()) write(`output ${name}`, canonicalJson(declaration.outputs[name]));
}

/** The part of a module's URL that is the same wherever it is installed. */
function moduleName(url: string): string {
  return url.replace(/^.*\/(?=(?:plugins|distros|lib)\/)/, "").replace(/^.*\/node_modules\//, "").replace(/\.(?:js|ts)$/, "");
}

function reference(input: InputRef): string {
  if (input.type === "artifact") return `${input.target}#${input.output}`;
  return input.type === "source" ? input.path : input.patterns.join(" ");
}

/** A key as one part of an option's name, so that `{"a.b": 1}` and `{a: {b: 1}}`, `["x"]` and `{"0": "x"}` have different names. */
function part(key: string): string {
  if (key === "") return "\\e";
  return /^\d+$/.test(key) ? `\\${key}` : key.replace(/[\\.]/g, "\\$&");
}

function writeParams(path: string, value: Json, write: (key: string, value: string) => void): void {
  if (typeof value === "object" && value !== null) {
    const list = Array.isArray(value);
    const keys = Object.keys(value);
    if (keys.length === 0) write(`option ${path}`, list ? "[]" : "{}");
    if (!list) keys.sort();
    for (const key of keys) {
      const item = (value as Record<string, Json | undefined>)[key];
      const name = list ? key : part(key);
      if (item !== undefined) writeParams(path === "" ? name : `${path}.${name}`, item, write);
    }
  } else write(`option ${path}`, JSON.stringify(value));
}

/** The fingerprint: SHA-256 over the manifest, each key and value preceded by its length. */
export function fingerprint(declaration: Declaration, resolution: Resolution): Digest {
  const hash = createHash("sha256");
  walk(declaration, resolution, (key, value) => hash.update(`${key.length}:${key}${value.length}:${value}\n`));
  return hash.digest("hex") as Digest;
}

/** The manifest that {@linkcode fingerprint} hashes. */
export function manifest(declaration: Declaration, resolution: Resolution): Manifest {
  const lines: [string, string][] = [];
  walk(declaration, resolution, (key, value) => lines.push([key, value]));
  return lines;
}

/** Why a target is stale: what differs between the manifest of a recorded result and that of now. */
export function difference(before: Manifest, now: Manifest): readonly Reason[] {
  const old = new Map(before), current = new Map(now);
  const reasons: Reason[] = [];
  for (const key of new Set([...current.keys(), ...old.keys()])) {
    const from = old.get(key), to = current.get(key);
    if (from !== to) reasons.push(reasonFor(key, from, to));
  }
  // One changed input moves its own line and nothing else; a renamed one shows as removed and added.
  return dedupe(reasons);
}

function reasonFor(key: string, from: string | undefined, to: string | undefined): Reason {
  const [kind, rest] = split(key);
  switch (kind) {
    case "recipe":
      return { type: "recipe", module: rest };
    case "option":
      return { type: "option", name: rest, from, to };
    case "source":
      return { type: "source", path: split(rest)[1], change: from === undefined ? "added" : to === undefined ? "removed" : "changed" };
    case "input": {
      const upstream = /^\S+ (.+)#([^#]+)$/.exec(rest);
      return upstream === null ? { type: "manifest", key } : { type: "upstream", target: upstream[1]!, output: upstream[2]! };
    }
    case "environment":
      return { type: "environment", name: rest };
    case "tool":
      return { type: "tool", name: rest, from, to };
    case "output":
      return { type: "outputs", name: rest };
    default:
      return { type: "manifest", key };
  }
}

function split(text: string): readonly [string, string] {
  const space = text.indexOf(" ");
  return space < 0 ? [text, ""] : [text.slice(0, space), text.slice(space + 1)];
}

function dedupe(reasons: readonly Reason[]): readonly Reason[] {
  const seen = new Set<string>();
  return reasons.filter((reason) => {
    const text = canonicalJson(reason);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}
