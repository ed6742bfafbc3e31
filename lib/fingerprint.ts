/**
 * Fingerprints: what a target's result depends on, as a readable manifest, and the SHA-256 of it.
 * One walk, two writers, so that an explanation can never contradict the hash. Pure: reads no file.
 * @module
 */
import { createHash } from "node:crypto";
import { canonicalJson, type Digest } from "./digest.ts";
import type { Pin } from "./lock-file.ts";
import type { Declaration, Json } from "./target.ts";
import { withoutPasswords } from "./url-password.ts";

/** Changes when the meaning of a manifest changes: then every result is stale once. */
const schema = "3";

/** Stands for the digest of an output that is still to be made. */
export const unknown = "unknown";

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
  /** By key of the declaration's inputs: the name of the content of an upstream output, or the entries of a source. An output that is still to be made has none. */
  readonly inputs: ReadonlyMap<string, string | readonly SourceEntry[] | undefined>;
  /** Values of the declared environment variables; passwords in URLs do not count. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Seconds since 1970 for time stamps in outputs. */
  readonly epoch: number;
  /** Versions of the declared tools. */
  readonly tools: Readonly<Record<string, string>>;
  /** What is pinned; of targets that declare a pin, how often something was when nothing is. @default the target declares none */
  readonly pin?: Pin | number;
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
    if (input.type === "artifact") write(`upstream ${word(key)} ${input.target}#${input.output}`, typeof resolved === "string" ? resolved : unknown);
    else {
      write(`input ${word(key)}`, input.type === "source" ? input.path : JSON.stringify(input.patterns));
      for (const entry of (resolved ?? []) as readonly SourceEntry[]) write(`source ${word(key)} ${entry.path}`, entry.content);
    }
  }
  // A value may tell more than it should: only its digest stands in manifests, which are kept and shown, and of passwords nothing.
  for (const name of [...new Set(declaration.env)].sort()) {
    const value = resolution.env[name];
    write(`environment ${name}`, value === undefined ? "unset" : createHash("sha256").update(`${name}=${withoutPasswords(name, value)}`).digest("hex"));
  }
  // Where it is, and the version that somebody gave it: not even a digest of the value.
  for (const [name, ref] of Object.entries(declaration.secrets ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) write(`secret ${name}`, canonicalJson(ref));
  for (const name of Object.keys(resolution.tools).sort()) write(`tool ${name}`, resolution.tools[name]!);
  const { pin } = resolution;
  if (typeof pin === "number") write("pin", `none since pin ${pin}`);
  else if (pin !== undefined) for (const field of declaration.pin?.fields ?? []) write(`pin ${field}`, canonicalJson(pin[field] ?? null));
  for (const name of Object.keys(declaration.outputs).sort()) write(`output ${name}`, canonicalJson(declaration.outputs[name]));
}

/** The part of a module's URL that is the same wherever it is installed. */
function moduleName(url: string): string {
  return url.replace(/^.*\/(?=(?:plugins|distros|lib)\/)/, "").replace(/^.*\/node_modules\//, "").replace(/\.(?:js|ts)$/, "");
}

/** A text as one word of a key: without it, `{"a b": source("c")}` and `{a: source("b c")}` would have one key for two things. */
function word(text: string): string {
  return text.replace(/[\\ ]/g, "\\$&");
}

/** A key as one part of an option's name, so that `{"a.b": 1}` and `{a: {b: 1}}`, `["x"]` and `{"0": "x"}` have different names. */
function part(key: string): string {
  if (key === "") return "\\e";
  // Half of a surrogate pair would be hashed as any other half.
  return /^\d+$/.test(key) ? `\\${key}` : key.replace(/[\\.]/g, "\\$&").replace(/\p{Surrogate}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
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
