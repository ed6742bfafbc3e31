/**
 * The graph of declared targets: edges, cycles, selection by name or pattern. Pure: no files, no freshness.
 * @module
 */
import { posix } from "node:path";
import { ExitCode, ImgtaskError } from "./error.ts";
import { meant } from "./nearest.ts";
import type { Declaration } from "./target.ts";

/** A target in the graph. */
export interface Node {
  readonly declaration: Declaration;
  /** Whether it is a mere name for others. */
  readonly group: boolean;
  /** Whether it declares secrets. */
  readonly secret: boolean;
  /** Names of the targets whose outputs it reads or that are its members; sorted. */
  readonly dependencies: readonly string[];
  /** Names of the targets that need it; sorted. */
  readonly dependents: readonly string[];
}

/** Targets by name, in the order of their declaration. */
export type Graph = ReadonlyMap<string, Node>;

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Builds the graph.
 *
 * @throws {ImgtaskError} IMG2010 for two targets of one name, IMG2011 for an input that no target makes, IMG2012
 * for a cycle, IMG2013 for a source that another target makes, IMG2014 for two targets with one output path.
 */
export function buildGraph(declarations: readonly Declaration[]): Graph {
  const byName = new Map<string, Declaration>();
  for (const declaration of declarations) {
    const other = byName.get(declaration.name);
    if (other !== undefined) {
      throw new ImgtaskError("IMG2010", `Two targets are named "${declaration.name}"`, {
        expected: "names that are unique in the imagefile",
        found: `the first at ${place(other)}, the second at ${place(declaration)}`,
        hint: "Give one of them another name",
        exitCode: ExitCode.usage,
        ...(declaration.location === undefined ? {} : { location: declaration.location }),
      });
    }
    byName.set(declaration.name, declaration);
  }
  const makers = outputPaths(byName);
  const dependencies = new Map<string, Set<string>>();
  const implicit: { readonly reader: Declaration; readonly path: string; readonly maker: string }[] = [];
  for (const declaration of byName.values()) {
    const edges = new Set<string>();
    for (const [key, input] of Object.entries(declaration.inputs)) {
      if (input.type === "artifact") {
        const maker = byName.get(input.target);
        if (maker?.outputs[input.output] === undefined) {
          throw new ImgtaskError("IMG2011", `Target "${declaration.name}" reads "${input.target}#${input.output}", which no target makes`, {
            found: `the handle at ${key}`,
            hint: "Handles come from targets of the same imagefile",
            exitCode: ExitCode.usage,
            ...(declaration.location === undefined ? {} : { location: declaration.location }),
          });
        }
        edges.add(input.target);
      } else if (input.type === "source") {
        const maker = makerOf(input.path, makers);
        if (maker !== undefined) {
          implicit.push({ reader: declaration, path: input.path, maker });
          edges.add(maker);
        }
      }
    }
    for (const member of declaration.members) {
      if (!byName.has(member)) throw unknownTarget(member, [...byName.keys()], declaration);
      edges.add(member);
    }
    dependencies.set(declaration.name, edges);
  }
  refuseCycles(byName, dependencies);
  const read = implicit[0];
  if (read !== undefined) {
    throw new ImgtaskError("IMG2013", `Target "${read.reader.name}" reads "${read.path}" as a source, but target "${read.maker}" makes it`, {
      hint: `Pass the handle of "${read.maker}" instead of source("${read.path}")`,
      exitCode: ExitCode.usage,
      ...(read.reader.location === undefined ? {} : { location: read.reader.location }),
    });
  }
  const dependents = new Map<string, string[]>([...byName.keys()].map((name) => [name, []]));
  for (const [name, edges] of dependencies) for (const edge of edges) dependents.get(edge)!.push(name);
  return new Map(
    [...byName].map(([name, declaration]) => [
      name,
      {
        declaration,
        group: declaration.kind === "group",
        secret: declaration.secrets !== undefined,
        dependencies: [...dependencies.get(name)!].sort(byCodeUnit),
        dependents: dependents.get(name)!.sort(byCodeUnit),
      },
    ]),
  );
}

function place(declaration: Declaration): string {
  const { location } = declaration;
  return location === undefined ? "an unknown place" : `${location.file}:${location.line}`;
}

interface Makers {
  /** Target by output path. */
  readonly at: ReadonlyMap<string, string>;
  /** For every directory above an output, one output below it. */
  readonly below: ReadonlyMap<string, string>;
}

function outputPaths(byName: ReadonlyMap<string, Declaration>): Makers {
  const makers = new Map<string, string>();
  const below = new Map<string, string>();
  for (const declaration of byName.values()) {
    for (const output of Object.values(declaration.outputs)) {
      if (output.path === undefined) continue;
      const parents = [...parentsOf(output.path)];
      const other = makers.has(output.path) ? output.path : (below.get(output.path) ?? parents.find((parent) => makers.has(parent)));
      if (other !== undefined) {
        throw new ImgtaskError("IMG2014", `Targets "${makers.get(other)!}" and "${declaration.name}" both put an output at "${output.path}"`, {
          expected: "paths of which none is another or lies below it",
          found: `"${other}" and "${output.path}"`,
          exitCode: ExitCode.usage,
          ...(declaration.location === undefined ? {} : { location: declaration.location }),
        });
      }
      makers.set(output.path, declaration.name);
      for (const parent of parents) below.set(parent, output.path);
    }
  }
  return { at: makers, below };
}

/** The directories above a path, innermost first. */
function* parentsOf(path: string): Iterable<string> {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) yield path.slice(0, end);
}

/** The target that makes a source, what it stands in, or something in it. */
function makerOf(path: string, { at, below }: Makers): string | undefined {
  const clean = posix.normalize(path).replace(/\/+$/, "");
  for (const prefix of [clean, ...parentsOf(clean)]) {
    const maker = at.get(prefix);
    if (maker !== undefined) return maker;
  }
  const inner = clean === "." ? [...at.keys()][0] : below.get(clean);
  return inner === undefined ? undefined : at.get(inner);
}

function refuseCycles(byName: ReadonlyMap<string, Declaration>, dependencies: ReadonlyMap<string, ReadonlySet<string>>): void {
  const finished = new Set<string>();
  // A stack of its own: chains of targets may be longer than the call stack is deep.
  for (const root of byName.keys()) {
    if (finished.has(root)) continue;
    const path: string[] = [root];
    const iterators = [dependencies.get(root)!.values()];
    const onPath = new Set(path);
    while (path.length > 0) {
      const next = iterators.at(-1)!.next();
      if (next.done === true) {
        const name = path.pop()!;
        iterators.pop();
        onPath.delete(name);
        finished.add(name);
      } else if (onPath.has(next.value)) {
        const cycle = [...path.slice(path.indexOf(next.value)), next.value];
        const location = byName.get(next.value)?.location;
        throw new ImgtaskError("IMG2012", `Targets need each other in a cycle: ${cycle.join(" → ")}`, {
          expected: "a graph without cycles",
          hint: "Break the cycle at the input that is not really needed",
          exitCode: ExitCode.usage,
          ...(location === undefined ? {} : { location }),
        });
      } else if (!finished.has(next.value)) {
        path.push(next.value);
        onPath.add(next.value);
        iterators.push(dependencies.get(next.value)!.values());
      }
    }
  }
}

function unknownTarget(name: string, known: readonly string[], declaration?: Declaration): ImgtaskError {
  const near = meant(name, known);
  return new ImgtaskError("IMG2004", `Unknown target "${name}"`, {
    expected: known.length === 0 ? "a target, but the imagefile declares none" : `one of the ${known.length} declared targets, or a pattern such as "iso:*"`,
    hint: near === undefined ? "Run `imgtask list` to see the targets" : `Did you mean "${near}"?`,
    exitCode: ExitCode.usage,
    ...(declaration?.location === undefined ? {} : { location: declaration.location }),
  });
}

/**
 * Names that match: a name stands for itself, `*` in a pattern for any run of characters.
 *
 * @returns names in the order of declaration, each once
 * @throws {ImgtaskError} IMG2004 for a name or pattern that matches nothing
 */
export function select(graph: Graph, patterns: readonly string[]): readonly string[] {
  return selectNames([...graph.keys()], patterns);
}

/** As {@linkcode select}, of names alone. */
export function selectNames(names: readonly string[], patterns: readonly string[]): readonly string[] {
  const selected = new Set<string>();
  for (const pattern of patterns) {
    const expression = new RegExp(`^${pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`);
    const matches = pattern.includes("*") ? names.filter((name) => expression.test(name)) : names.includes(pattern) ? [pattern] : [];
    if (matches.length === 0) throw unknownTarget(pattern, names);
    for (const match of matches) selected.add(match);
  }
  return names.filter((name) => selected.has(name));
}

/** The last closure of each graph: several stages of one run ask for the same. */
const lastClosures = new WeakMap<Graph, { readonly names: readonly string[]; readonly order: readonly string[] }>();

/** The named targets and all that they need, dependencies first; ties in the order of declaration. */
export function closure(graph: Graph, names: readonly string[]): readonly string[] {
  const last = lastClosures.get(graph);
  if (last?.names === names) return last.order;
  const order = closureOf(graph, names);
  lastClosures.set(graph, { names, order });
  return order;
}

function closureOf(graph: Graph, names: readonly string[]): readonly string[] {
  const wanted = new Set<string>(names);
  const queue = [...names];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    for (const dependency of graph.get(name)!.dependencies) {
      if (!wanted.has(dependency)) {
        wanted.add(dependency);
        queue.push(dependency);
      }
    }
  }
  const waiting = new Map<string, number>();
  for (const name of graph.keys()) if (wanted.has(name)) waiting.set(name, graph.get(name)!.dependencies.length);
  const declared = new Map([...waiting.keys()].map((name, index) => [name, index]));
  const order: string[] = [];
  let ready = [...waiting.keys()].filter((name) => waiting.get(name) === 0);
  while (ready.length > 0) {
    const next: string[] = [];
    for (const name of ready) {
      order.push(name);
      for (const dependent of graph.get(name)!.dependents) {
        const left = waiting.get(dependent);
        if (left === undefined) continue;
        waiting.set(dependent, left - 1);
        if (left === 1) next.push(dependent);
      }
    }
    ready = next.sort((a, b) => declared.get(a)! - declared.get(b)!);
  }
  return order;
}
