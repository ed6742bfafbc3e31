/**
 * From a registered target to the code of its recipe: by the place of the `target()` call, and by the calls that led
 * there where the recipe was handed to a function. Gives nothing rather than something that may be wrong.
 * @module
 */
import { realpathSync } from "node:fs";
import { ts } from "ts-morph";
import type { Location } from "../error.ts";
import type { RecipePlace } from "./place.ts";
import type { Modules } from "./module.ts";
import type { Names } from "./name.ts";
import { strip } from "./text.ts";
import { unitNode, valueOf } from "./unit.ts";
import { functionOf } from "./value.ts";

/** Finds the code of recipes. */
export class Calls {
  readonly #modules: Modules;
  readonly #names: Names;
  readonly #calls = new Map<string, ts.CallExpression | undefined>();
  readonly #paths = new Map<string, string>();

  constructor(modules: Modules, names: Names) {
    this.#modules = modules;
    this.#names = names;
  }

  /** The expression or method that is a target's recipe, or `undefined` where that is not certain. */
  recipeOf({ frames, parameters, async }: Pick<RecipePlace, "frames" | "parameters" | "async">): ts.Node | undefined {
    const call = this.#at(frames[0]);
    if (call === undefined) return undefined;
    const callee = strip(call.expression);
    const meaning = ts.isIdentifier(callee) ? this.#names.of(callee) : this.#ofNamespace(callee);
    if (meaning?.type !== "package" || meaning.export !== "target" || meaning.specifier !== "imgtask") return undefined;
    const spec = call.arguments[1];
    if (spec === undefined || call.arguments.some((one) => ts.isSpreadElement(one))) return undefined;
    const found = this.#property(spec, "run", frames, 0);
    return found !== undefined && fits(found, { parameters, async }, this.#names) ? found : undefined;
  }

  #ofNamespace(callee: ts.Expression): ReturnType<Names["of"]> | undefined {
    if (!ts.isPropertyAccessExpression(callee) || !ts.isIdentifier(callee.expression)) return undefined;
    const holder = this.#names.of(callee.expression);
    return holder.type === "package" && holder.export === "*" ? { ...holder, export: callee.name.text } : undefined;
  }

  /** The call at a place. */
  #at(location: Location | undefined): ts.CallExpression | undefined {
    if (location === undefined) return undefined;
    const key = `${location.file}:${location.line}:${location.column}`;
    if (!this.#calls.has(key)) this.#calls.set(key, this.#find(location));
    return this.#calls.get(key);
  }

  #find(location: Location): ts.CallExpression | undefined {
    const file = this.#modules.files.get(this.#realPath(location.file));
    const starts = file?.getLineStarts();
    if (file === undefined || starts === undefined || location.line < 1 || location.line > starts.length) return undefined;
    const position = starts[location.line - 1]! + (location.column ?? 1) - 1;
    let found: ts.CallExpression | undefined;
    const visit = (node: ts.Node): void => {
      if (position < node.pos || position >= node.end) return;
      if (ts.isCallExpression(node)) {
        const callee = strip(node.expression);
        const name = ts.isPropertyAccessExpression(callee) ? callee.name : callee;
        if (ts.isIdentifier(name) && (name.getStart() === position || callee.getStart() === position)) found = node;
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
    return found;
  }

  #realPath(path: string): string {
    let real = this.#paths.get(path);
    if (real === undefined) {
      try {
        real = realpathSync(path);
      } catch {
        real = path;
      }
      this.#paths.set(path, real);
    }
    return real;
  }

  /** The value of a property in what an expression is, as far as the code says. */
  #property(node: ts.Expression, name: string, frames: readonly Location[], depth: number): ts.Node | undefined {
    const value = strip(node);
    if (ts.isIdentifier(value)) {
      const meaning = this.#names.of(value);
      if (meaning.type !== "declared" || meaning.declarations.length !== 1) return undefined;
      const unit = unitNode(meaning.declarations[0]!);
      if (ts.isParameter(unit) && ts.isIdentifier(unit.name)) {
        const argument = this.#argument(unit, frames, depth);
        return argument === undefined ? undefined : this.#property(argument, name, frames, depth + 1);
      }
      // `const spec = { … }`: that it is not changed is seen to by whoever judges declarations.
      return undefined;
    }
    if (!ts.isObjectLiteralExpression(value)) return undefined;
    for (const one of value.properties.toReversed()) {
      if (ts.isSpreadAssignment(one) || one.name === undefined || ts.isComputedPropertyName(one.name)) return undefined;
      if (one.name.getText().replace(/^["']|["']$/g, "") !== name) continue;
      if (ts.isMethodDeclaration(one)) return one;
      if (ts.isShorthandPropertyAssignment(one)) return this.#value(one.name, frames, depth);
      return ts.isPropertyAssignment(one) ? this.#value(strip(one.initializer), frames, depth) : undefined;
    }
    return undefined;
  }

  /** What an expression is: itself, or the argument where it names a parameter of the function around. */
  #value(node: ts.Expression, frames: readonly Location[], depth: number): ts.Node | undefined {
    if (!ts.isIdentifier(node)) return node;
    const meaning = this.#names.of(node);
    if (meaning.type !== "declared" || meaning.declarations.length !== 1) return node;
    const declaration = meaning.declarations[0]!;
    const unit = unitNode(declaration);
    if (!ts.isParameter(unit)) return node;
    const argument = this.#argument(unit, frames, depth);
    if (argument === undefined) return undefined;
    if (ts.isIdentifier(unit.name)) return this.#value(strip(argument), frames, depth + 1);
    if (!ts.isBindingElement(declaration) || declaration.parent !== unit.name || !ts.isObjectBindingPattern(unit.name) || declaration.dotDotDotToken !== undefined || declaration.initializer !== undefined) return undefined;
    return this.#property(argument, (declaration.propertyName ?? declaration.name).getText(), frames, depth + 1);
  }

  /** What the function around was called with. */
  #argument(parameter: ts.ParameterDeclaration, frames: readonly Location[], depth: number): ts.Expression | undefined {
    const call = this.#at(frames[depth + 1]);
    const around = parameter.parent;
    if (call === undefined || parameter.dotDotDotToken !== undefined || parameter.initializer !== undefined || functionOf(this.#names, call.expression) !== around) return undefined;
    // The frame before must be directly in that function, not in one inside it.
    const inner = this.#at(frames[depth]);
    for (let at: ts.Node | undefined = inner; at !== around; at = at.parent) if (at === undefined || (ts.isFunctionLike(at) && at !== around)) return undefined;
    if (call.arguments.some((one) => ts.isSpreadElement(one))) return undefined;
    return call.arguments[around.parameters.indexOf(parameter)];
  }
}

/** Whether a function may be what the code at a node makes: a look at what can be seen of it. */
function fits(node: ts.Node, recipe: Pick<RecipePlace, "parameters" | "async">, names: Names): boolean {
  const found = ts.isMethodDeclaration(node) ? node : ts.isExpression(node) ? functionOf(names, node) : undefined;
  if (found === undefined) return ts.isExpression(node) && valueOf(node) !== undefined;
  const required = found.parameters.filter((one) => !(ts.isIdentifier(one.name) && one.name.text === "this"));
  const optional = required.findIndex((one) => one.initializer !== undefined || one.dotDotDotToken !== undefined);
  const isAsync = (ts.getCombinedModifierFlags(found as ts.Declaration) & ts.ModifierFlags.Async) !== 0;
  return recipe.parameters === (optional < 0 ? required.length : optional) && isAsync === recipe.async;
}
