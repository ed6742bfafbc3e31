/**
 * Digests of recipes by their syntax trees and all that these reach, and what recipes may not use.
 * Loads the TypeScript compiler, so only for an evaluation of the imagefile. Knows no state on disk.
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { ts } from "ts-morph";
import { type Digest, digestOf } from "../digest.ts";
import { ExitCode, ImgtaskError, type Location } from "../error.ts";
import type { PackageIdentity } from "../recipe.ts";
import type { RecipeSheet } from "../recipe-sheet.ts";
import { Calls } from "./call.ts";
import { Changes } from "./change.ts";
import { type Modules, readModules } from "./module.ts";
import { Names } from "./name.ts";
import type { RecipePlace } from "./place.ts";
import type { Problem } from "./problem.ts";
import { type Unit, Units } from "./unit.ts";
import { Values } from "./value.ts";

/** The code of a recipe, digested. */
export interface RecipeCode {
  /** `undefined`: all modules stand for it. */
  readonly digest: Digest | undefined;
  readonly sheet: RecipeSheet;
  /** Why all modules stand for it. */
  readonly coarse?: { readonly name: string; readonly what: string; readonly location?: Location } | undefined;
}

/** What was read of the code of an imagefile. */
export interface Code {
  /** Absolute paths of local modules and of files that they name. */
  readonly files: readonly string[];
  /** Absolute paths of files that identify the packages that recipes reach. */
  readonly packages: ReadonlySet<string>;
  /** By name of the target. */
  readonly recipes: ReadonlyMap<string, RecipeCode>;
  /** Every module, for recipes that all of them stand for. */
  readonly whole: RecipeSheet;
}

/** What is outside of the code, and asked for. */
export interface Outside {
  readonly imagefile: string;
  /** Directory that paths in sheets are relative to. */
  readonly directory: string;
  /** What tells the code of a package from that of another version. */
  readonly identify: (directory: string) => PackageIdentity;
  readonly digest: (path: string) => Digest;
}

/** Changes when the meaning of a digest does. */
const schema = "recipe 1";

/**
 * Digests the recipes of targets.
 *
 * @param targets those whose recipes are in the user's own modules
 * @throws {ImgtaskError} IMG2016, IMG2017, IMG2018 for a recipe that uses what its digest cannot see
 */
export function readRecipes(targets: readonly RecipePlace[], outside: Outside): Code {
  return new Reader(outside).read(targets);
}

class Reader {
  readonly #outside: Outside;
  readonly #modules: Modules;
  readonly #units: Units;
  readonly #values: Values;
  readonly #changes: Changes;
  readonly #calls: Calls;
  readonly #packages = new Set<string>();
  readonly #identities = new Map<string, PackageIdentity>();
  readonly #done = new Map<ts.Node, RecipeCode | { readonly refused: Problem }>();
  readonly #judged = new Map<ts.Node, readonly Problem[]>();

  constructor(outside: Outside) {
    this.#outside = outside;
    this.#modules = readModules(outside.imagefile, outside.directory);
    const names = new Names(this.#modules);
    this.#units = new Units(this.#modules, names);
    this.#values = new Values(names);
    this.#changes = new Changes(this.#modules, names);
    this.#calls = new Calls(this.#modules, names);
  }

  read(targets: readonly RecipePlace[]): Code {
    const recipes = new Map<string, RecipeCode>();
    for (const target of targets) recipes.set(target.name, this.#recipe(target));
    const whole = [...this.#modules.files.values()].map((file) => ({ file: this.#nameOf(file.fileName), name: "", line: 1, text: print(file, file) }));
    return { files: [...this.#modules.files.keys(), ...this.#modules.others], packages: this.#packages, recipes, whole: whole.sort((a, b) => (a.file < b.file ? -1 : 1)) };
  }

  #recipe(target: RecipePlace): RecipeCode {
    const root = this.#calls.recipeOf(target);
    if (root === undefined) return { digest: undefined, sheet: [], coarse: { name: target.name, what: "a recipe whose code cannot be told for sure" } };
    let done = this.#done.get(root);
    if (done === undefined) this.#done.set(root, (done = this.#digest(root)));
    if ("refused" in done) throw refusal(target.name, done.refused);
    return done;
  }

  #digest(root: ts.Node): RecipeCode | { readonly refused: Problem } {
    const order: Unit[] = [this.#units.of(root)];
    const numbers = new Map<ts.Node, number>([[root, 0]]);
    const lines: string[] = [schema];
    const packages = new Map<string, string>();
    const files = new Map<string, string>();
    const problems: Problem[] = [];
    // Found in the order of the code, so that neither files nor the order of declarations count.
    for (let index = 0; index < order.length; index++) {
      const unit = order[index]!;
      const reached = unit.reached.map((one) => {
        if (one.type === "package") return (packages.set(one.directory, one.name), `package ${one.name}`);
        if (one.type === "file") return (files.set(one.path, this.#content(one.path)), files.get(one.path)!);
        let number = numbers.get(one.node);
        if (number === undefined) {
          numbers.set(one.node, (number = order.length));
          order.push(this.#units.of(one.node));
        }
        return `unit ${number}`;
      });
      lines.push(unit.text, ...reached);
      problems.push(...this.#judge(unit, index === 0));
    }
    for (const effect of this.#modules.effects) if (effect.type === "package") packages.set(effect.directory, effect.name);
    const identities = [...packages].map(([directory, name]) => {
      const identity = this.#identity(directory);
      for (const path of identity.files) this.#packages.add(path);
      return [name, identity] as const;
    });
    lines.push(...identities.flatMap(([name, { text }]) => `${name} ${text}`).sort());
    const refused = problems.find(({ type }) => type !== "coarse");
    if (refused !== undefined) return { refused };
    const coarse = problems[0] ?? this.#changes.shared ?? this.#effect();
    const sheet: RecipeSheet = [
      ...order.map((unit) => this.#entry(unit)),
      ...[...files.keys()].map((path) => ({ file: this.#nameOf(path), name: "", line: 1, text: readText(path) })),
      ...identities.map(([name, { version }]) => ({ file: name, name: "version", line: 1, text: version })).sort((a, b) => (a.file < b.file ? -1 : 1)),
    ];
    if (coarse !== undefined) return { digest: undefined, sheet, coarse: { name: coarse.name, what: coarse.what, location: locationOf(coarse.node) } };
    return { digest: digestOf(lines.join("\n")), sheet };
  }

  #identity(directory: string): PackageIdentity {
    let identity = this.#identities.get(directory);
    if (identity === undefined) this.#identities.set(directory, (identity = this.#outside.identify(directory)));
    return identity;
  }

  /** A module imported for its effect that cannot be followed. */
  #effect(): Problem | undefined {
    const unknown = this.#modules.effects.find(({ type }) => type === "unknown");
    const first = [...this.#modules.files.values()][0]!;
    return unknown === undefined ? undefined : { type: "coarse", name: (unknown as { specifier: string }).specifier, what: "imported for its effect", node: first };
  }

  #judge(unit: Unit, isRoot: boolean): readonly Problem[] {
    let problems = this.#judged.get(unit.node);
    if (problems === undefined) {
      const found = [...unit.problems];
      const isFunction = ts.isFunctionLike(unit.node);
      if (!isFunction) this.#values.check(unit.node, (one) => found.push(one));
      if (!isRoot) this.#changes.check(unit.node, (one) => found.push(one));
      this.#judged.set(unit.node, (problems = found));
    }
    return problems;
  }

  #content(path: string): string {
    if (!path.endsWith(".json")) return statSync(path).isDirectory() ? "directory" : this.#outside.digest(path);
    try {
      // Layout does not count; the order of keys can be seen.
      return JSON.stringify(JSON.parse(readText(path)));
    } catch {
      return this.#outside.digest(path);
    }
  }

  #entry({ node, name }: Unit): RecipeSheet[number] {
    const file = node.getSourceFile();
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    return { file: this.#nameOf(file.fileName), name, line: line + 1, text: print(node, file) };
  }

  #nameOf(path: string): string {
    return relative(this.#outside.directory, path).split(sep).join("/");
  }
}

const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed });

/** Source without comments, one statement a line. */
function print(node: ts.Node, file: ts.SourceFile): string {
  const text = printer.printNode(ts.EmitHint.Unspecified, ts.isVariableDeclaration(node) && ts.isVariableDeclarationList(node.parent) && node.parent.declarations.length === 1 ? node.parent : node, file);
  return text.trimEnd();
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function locationOf(node: ts.Node): Location {
  const file = node.getSourceFile();
  const { line, character } = file.getLineAndCharacterOfPosition(node.getStart());
  return { file: join(file.fileName), line: line + 1, column: character + 1 };
}

/** What a person is told who wrote a recipe whose digest would not see all that it uses. */
function refusal(target: string, { type, name, what, node }: Problem): ImgtaskError {
  const location = locationOf(node);
  const rest = { exitCode: ExitCode.usage, location };
  if (type === "environment") {
    const variable = what === "*" ? undefined : what;
    return new ImgtaskError("IMG2018", `The recipe of "${target}" reads ${name}, which no fingerprint would see`, {
      expected: "environment variables that the target declares",
      found: variable === undefined ? `"${name}", the environment of imgtask itself` : `"${name}" instead of a declared variable`,
      hint: variable === undefined
        ? `List the variables' names in env of target() and read them from the recipe's env; exec() and $ pass them on`
        : `Add env: [${JSON.stringify(variable)}] to target() and read env${/^[A-Za-z_$][\w$]*$/.test(variable) ? `.${variable}` : `[${JSON.stringify(variable)}]`} in run({ env })`,
      ...rest,
    });
  }
  if (type === "handle") {
    return new ImgtaskError("IMG2017", `The recipe of "${target}" uses a handle that is not passed to it: ${name}`, {
      expected: "targets and sources among the target's inputs",
      found: `"${name}", ${what}`,
      hint: "Pass it in inputs of target() and read its path from run({ inputs })",
      ...rest,
    });
  }
  return new ImgtaskError("IMG2016", `The recipe of "${target}" uses a value that its digest cannot see: ${name}`, {
    expected: "parameters, inputs, environment variables and what follows from the code alone",
    found: `"${name}", ${what}`,
    hint: type === "computed" ? "Pass the value in params of target() and read it from run({ params }), or compute it inside run" : `Pass it in params of target(), as params: { ${/^[A-Za-z_$][\w$]*$/.test(name) ? name : "value"} }, and read it from run({ params })`,
    ...rest,
  });
}
