/**
 * Makes a target once more in a private place, from the inputs that its stored result was made of, and compares. The
 * result, its record and its artifacts stay as they are. Knows nothing of the graph and of words.
 * @module
 */
import { lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { compareFiles, type FileComparison } from "./compare.ts";
import { guardStrays } from "./guard.ts";
import { Places } from "./inside/locate.ts";
import { pinningOf } from "./pin.ts";
import { commandsDirectory } from "./project.ts";
import type { Record, StoredOutput } from "./record.ts";
import { callRecipe, environmentOf, hushOf, makeContext, pinIn, type RunOptions } from "./run.ts";
import type { State } from "./state.ts";
import type { TreeEntry } from "./store.ts";

/** A stretch of bytes that came out another way, with where in the file it is. */
export interface Difference {
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly length: number;
  /** Hexadecimal, sixteen bytes at most. */
  readonly stored: string;
  readonly rebuilt: string;
  /** Parts of the file, the outermost first; empty where the format is not known. */
  readonly inside: readonly string[];
  /** Offset in the innermost of these parts. */
  readonly insideOffset: number | null;
}

/** What came out another way. */
export type EntryDifference =
  | { readonly type: "content"; readonly path: string; readonly sizes: FileComparison["sizes"]; readonly bytes: number; readonly stretches: number; /** Ten at most. */ readonly first: readonly Difference[] }
  | { readonly type: "added" | "missing"; readonly path: string }
  | { readonly type: "kind" | "mode" | "link"; readonly path: string; readonly stored: string; readonly rebuilt: string };

/** One output, compared. */
export interface OutputComparison {
  readonly output: string;
  readonly form: "file" | "tree";
  /** All entries that differ, in order of paths; of a file there is one, with the path `""`. */
  readonly differences: readonly EntryDifference[];
}

/** What making a target again needs. */
export type RebuildOptions = Pick<RunOptions, "registered" | "resolution" | "state" | "upstream" | "formOf" | "signal" | "progress">;

/** Makes the target again and compares every output with the recorded one, but for those that tell of their run. */
export async function rebuild(options: RebuildOptions, record: Record, log: { readonly fd: number }): Promise<readonly OutputComparison[]> {
  const { state, registered, resolution } = options;
  const { declaration } = registered;
  const hush = await hushOf(options, log.fd);
  const directory = state.workplaces.take();
  guardStrays(commandsDirectory(state.project));
  let done = false;
  try {
    const outputs = Object.fromEntries(Object.keys(declaration.outputs).map((name) => [name, join(directory, "out", name)]));
    const made = await makeContext(options, directory, outputs, log.fd, { env: environmentOf(declaration, resolution), hush, pin: pinningOf(declaration, pinIn(resolution), false).access });
    await callRecipe(registered.recipe!, made, declaration);
    for (const [name, path] of Object.entries(hush === undefined ? {} : outputs)) await hush!.output(name, path);
    const compared: OutputComparison[] = [];
    for (const [name, { form, tellsOfRun }] of Object.entries(declaration.outputs)) {
      if (tellsOfRun === true) continue;
      const stored = record.outputs[name];
      const differences = stored === undefined ? [] : form === "tree" ? await compareTrees(state, stored, outputs[name]!) : compareFile(state.store.objectPath(stored.digest, stored.executable), outputs[name]!, "");
      compared.push({ output: name, form, differences });
    }
    done = true;
    return compared;
  } catch (error) {
    throw hush === undefined ? error : hush.error(error);
  } finally {
    state.store.conceal(join(directory, "in"));
    await state.workplaces.giveBack(directory, done);
  }
}

/** Stretches whose place is looked up, and those that are told. */
const looked = 1000, told = 10;

/** The first stretch of each place, so that ten of one table do not hide the file; then others, in order of offsets. */
function oneAPlace(all: readonly Difference[]): readonly Difference[] {
  const seen = new Set<string>();
  const firsts: Difference[] = [], others: Difference[] = [];
  for (const one of all) {
    const place = one.inside.join("\0");
    (seen.has(place) ? others : firsts).push(one);
    seen.add(place);
  }
  return [...firsts, ...others].slice(0, told).sort((a, b) => a.offset - b.offset);
}

/** The difference of one file, or none. */
function compareFile(stored: string, rebuilt: string, path: string): readonly EntryDifference[] {
  const found = kindOf(rebuilt);
  if (found === undefined) return [{ type: "missing", path }];
  if (found !== "file") return [{ type: "kind", path, stored: "file", rebuilt: found }];
  const { equal, sizes, bytes, stretches, first } = compareFiles(stored, rebuilt, looked);
  const executable = (file: string): string => ((statSync(file).mode & 0o111) !== 0 ? "executable" : "not executable");
  // Of a tree's files the list knows better.
  const mode: readonly EntryDifference[] = path === "" && executable(stored) !== executable(rebuilt) ? [{ type: "mode", path, stored: executable(stored), rebuilt: executable(rebuilt) }] : [];
  if (equal) return mode;
  const places = new Places(stored), others = new Places(rebuilt);
  try {
    return [...mode, {
      type: "content", path, sizes, bytes, stretches,
      first: oneAPlace(first.map((one) => {
        const place = places.at(one.offset);
        const { parts, offset } = place.parts.length > 0 ? place : others.at(one.offset);
        return { ...one, inside: parts, insideOffset: offset ?? null };
      })),
    }];
  } finally {
    places.close();
    others.close();
  }
}

function kindOf(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return stat.isFile() ? "file" : stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "link" : "something else";
}

function pathsBelow(directory: string, relative = ""): readonly string[] {
  return readdirSync(join(directory, relative), { withFileTypes: true }).flatMap((entry) => {
    const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
    return entry.isDirectory() ? [path, ...pathsBelow(directory, path)] : [path];
  });
}

async function compareTrees(state: State, stored: StoredOutput, rebuilt: string): Promise<readonly EntryDifference[]> {
  const found = kindOf(rebuilt);
  if (found === undefined) return [{ type: "missing", path: "" }];
  if (found !== "directory") return [{ type: "kind", path: "", stored: "directory", rebuilt: found }];
  const entries = new Map(((await state.store.tree(stored.digest)) ?? []).map((entry) => [entry.path, entry]));
  const paths = [...new Set([...entries.keys(), ...pathsBelow(rebuilt)])].sort();
  return paths.flatMap((path): readonly EntryDifference[] => {
    const entry = entries.get(path);
    return entry === undefined ? [{ type: "added", path }] : compareEntry(state, entry, join(rebuilt, path));
  });
}

function compareEntry(state: State, entry: TreeEntry, made: string): readonly EntryDifference[] {
  const { path } = entry;
  const kind = kindOf(made);
  if (kind === undefined) return [{ type: "missing", path }];
  if (kind !== entry.type) return [{ type: "kind", path, stored: entry.type, rebuilt: kind }];
  if (entry.type === "link") {
    const to = readlinkSync(made);
    return to === entry.to ? [] : [{ type: "link", path, stored: entry.to!, rebuilt: to }];
  }
  const { mode } = lstatSync(made);
  // The store keeps of a file's mode whether it can be executed.
  const now = entry.type === "file" ? ((mode & 0o111) !== 0 ? 0o755 : 0o644) : mode & 0o7777;
  const modes: readonly EntryDifference[] = now === entry.mode ? [] : [{ type: "mode", path, stored: entry.mode.toString(8).padStart(4, "0"), rebuilt: now.toString(8).padStart(4, "0") }];
  if (entry.type === "directory") return modes;
  return [...modes, ...compareFile(state.store.objectPath(entry.digest!, (entry.mode & 0o111) !== 0), made, path)];
}
