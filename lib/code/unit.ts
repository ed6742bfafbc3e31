/**
 * Units of code: a recipe, or a declaration that one reaches, with its normal form and what it reaches in turn.
 * Knows nothing of targets, and not whether the values that units hold follow from their code.
 * @module
 */
import { ts } from "ts-morph";
import { assetSpecifier, calledSpecifier, type Modules, type Resolved } from "./module.ts";
import { isReference, type Meaning, type Names } from "./name.ts";
import type { Problem } from "./problem.ts";
import { normalForm, strip } from "./text.ts";

/** What a unit reaches. */
export type Reached =
  | { readonly type: "unit"; readonly node: ts.Node }
  | { readonly type: "package"; readonly name: string; readonly directory: string }
  | { readonly type: "file"; readonly path: string };

/** A piece of code that counts as a whole. */
export interface Unit {
  readonly node: ts.Node;
  readonly name: string;
  /** The normal form; `#0`, `#1` … stand for what is reached. */
  readonly text: string;
  readonly reached: readonly Reached[];
  readonly problems: readonly Problem[];
}

/** Whether a node is another, or inside it. */
export function isInside(node: ts.Node, outer: ts.Node): boolean {
  return node.getSourceFile() === outer.getSourceFile() && node.pos >= outer.pos && node.end <= outer.end;
}

/** The node that counts as a whole where a name is declared: the variable with its value, the function, the class. */
export function unitNode(declaration: ts.Declaration): ts.Node {
  let node: ts.Node = declaration;
  while (ts.isBindingElement(node) || ts.isObjectBindingPattern(node) || ts.isArrayBindingPattern(node)) node = node.parent;
  return ts.isEnumMember(node) ? node.parent : node;
}

/** The function, class or loop around a node that gives it a life of its own, or `undefined` at the top of a module. */
export function scopeAround(node: ts.Node): ts.Node | undefined {
  for (let at = node.parent; !ts.isSourceFile(at); at = at.parent) {
    if (ts.isFunctionLike(at) || ts.isClassLike(at) || ts.isIterationStatement(at, false) || ts.isCatchClause(at)) return at;
  }
  return undefined;
}

/** What a function is called in a sentence. */
export function functionName(node: ts.Node | undefined): string {
  if (node === undefined) return "the code around it";
  const name = (node as ts.NamedDeclaration).name ?? (ts.isVariableDeclaration(node.parent) || ts.isPropertyAssignment(node.parent) ? node.parent.name : undefined);
  return name === undefined ? "the function around it" : `"${name.getText()}"`;
}

const nodeGlobals = new Set(["undefined", "arguments", "NaN", "Infinity", ...Object.getOwnPropertyNames(globalThis)]);
const loaderNames = new Set(["require", "module", "exports", "__dirname", "__filename", "eval", "Function"]);

/** The property that is taken of a node: `x.env`, `x["env"]`. */
export function memberOf(node: ts.Node): { readonly name: string; readonly node: ts.Expression } | undefined {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.expression === node) return { name: parent.name.text, node: parent };
  if (ts.isElementAccessExpression(parent) && parent.expression === node && ts.isStringLiteralLike(parent.argumentExpression)) return { name: parent.argumentExpression.text, node: parent };
  if (ts.isNonNullExpression(parent) || ts.isParenthesizedExpression(parent) || ts.isAsExpression(parent)) return memberOf(parent);
  return undefined;
}

/** The names that `const { a, b } = node` takes of a node. */
function namesTaken(node: ts.Node): readonly string[] {
  const { parent } = node;
  if (!ts.isVariableDeclaration(parent) || parent.initializer !== node || !ts.isObjectBindingPattern(parent.name)) return [];
  return parent.name.elements.map((one) => (one.dotDotDotToken === undefined ? (one.propertyName ?? one.name).getText() : "*"));
}

/** Whether a meaning is Node's `process`, or a place where it can be had. */
function isProcess(meaning: Meaning, name: string): boolean {
  if (meaning.type === "builtin") return meaning.module === "process" && (meaning.export === "default" || meaning.export === "*");
  return meaning.type === "global" && (name === "process" || name === "Deno" || name === "Bun");
}

/** Reads units, each once. */
export class Units {
  readonly #modules: Modules;
  readonly #names: Names;
  readonly #known = new Map<ts.Node, Unit>();

  constructor(modules: Modules, names: Names) {
    this.#modules = modules;
    this.#names = names;
  }

  /** The unit of a node. */
  of(node: ts.Node): Unit {
    let unit = this.#known.get(node);
    if (unit === undefined) this.#known.set(node, (unit = this.#read(node)));
    return unit;
  }

  #read(root: ts.Node): Unit {
    const reached: Reached[] = [];
    const problems: Problem[] = [];
    const locals = new Map<ts.Symbol, number>();
    const names = this.#names;
    const coarse = (node: ts.Node, name: string, what: string): void => void problems.push({ type: "coarse", name, what, node });
    const reach = (one: Reached): string => {
      const same = (other: Reached): boolean =>
        one.type === "unit" ? other.type === "unit" && other.node === one.node : one.type === "file" ? other.type === "file" && other.path === one.path : other.type === "package" && other.directory === one.directory;
      const index = reached.findIndex(same);
      return `#${index >= 0 ? index : reached.push(one) - 1}`;
    };
    const local = (symbol: ts.Symbol): string => {
      if (!locals.has(symbol)) locals.set(symbol, locals.size);
      return `local ${locals.get(symbol)!}`;
    };

    const declared = (node: ts.Node, name: string, { symbol, declarations }: Extract<Meaning, { type: "declared" }>): string => {
      if (declarations.every((one) => isInside(one, root) && unitNode(one) !== root)) return ts.isEnumMember(declarations[0]!) ? `member ${symbol.name}` : local(symbol);
      const text = declarations.map((one) => {
        const unit = unitNode(one);
        if (unit === root) return ts.isBindingElement(one) ? local(symbol) : "self";
        this.#capture(node, name, one, unit, problems);
        if (ts.isModuleDeclaration(unit)) coarse(node, name, "a namespace");
        const part = ts.isBindingElement(one) && ts.isVariableDeclaration(unit) ? `:${indexIn(unit.name, one)}` : "";
        return reach({ type: "unit", node: unit }) + part;
      });
      // A function's or class's name can be seen by this only.
      const member = memberOf(node);
      return member?.name === "name" && declarations.some((one) => ts.isFunctionLike(one) || ts.isClassLike(one) || ts.isVariableDeclaration(one)) ? `${text.join("+")}=${name}` : text.join("+");
    };

    const meaningText = (node: ts.Node, name: string, meaning: Meaning): string => {
      switch (meaning.type) {
        case "declared":
          return declared(node, name, meaning);
        case "package":
          return `package ${reach({ type: "package", name: meaning.name, directory: meaning.directory })} ${meaning.specifier} ${meaning.export}`;
        case "builtin":
          if (meaning.module === "process" && meaning.export === "env") problems.push(this.#environment(node, name));
          else if (isProcess(meaning, name)) this.#process(node, name, problems);
          return `builtin ${meaning.module} ${meaning.export}`;
        case "file":
          return `file ${reach({ type: "file", path: meaning.path })} ${meaning.export}`;
        case "global":
          this.#global(node, meaning.name, problems);
          return `global ${meaning.name}`;
        case "namespace":
          return namespace(node, meaning.path);
        case "unknown":
          coarse(node, name, "what cannot be followed to its declaration");
          return `unknown ${meaning.what}`;
      }
    };

    const namespace = (node: ts.Node, path: string): string => {
      const exported = names.namesOf(path);
      if (exported === undefined) coarse(node, node.getText(), "all that a module passes on");
      return `namespace {${(exported ?? []).map((one) => `${one}=${meaningText(node, one, names.exported({ type: "module", path }, one))}`).join(",")}}`;
    };

    const called = (node: ts.Node, found: Resolved): string => {
      const meaning = names.exported(found, "*");
      return `(import ${meaningText(node, node.getText(), meaning)})`;
    };

    const text = normalForm(root, {
      reference: (node) => meaningText(node, node.text, names.of(node)),
      declaration: (node) => {
        const symbol = names.declared(node);
        return symbol === undefined ? node.text : unitNode(symbol.declarations![0]!) === root && !ts.isBindingElement(symbol.declarations![0]!) ? "self" : local(symbol);
      },
      special: (node) => {
        if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression) && isReference(node.expression)) {
          const meaning = names.of(node.expression);
          // Of `import * as x`, only what is used counts.
          if (meaning.type === "namespace") {
            const of = names.exported({ type: "module", path: meaning.path }, node.name.text);
            return `(${meaningText(node, node.getText(), of)})`;
          }
        }
        const asset = assetSpecifier(node);
        if (asset !== undefined) {
          const found = this.#modules.resolve(asset, node.getSourceFile().fileName);
          if (found.type === "file" || found.type === "module") return `(asset ${reach({ type: "file", path: found.path })})`;
        }
        const specifier = calledSpecifier(node);
        if (specifier !== undefined && (node as ts.CallExpression).expression.kind === ts.SyntaxKind.ImportKeyword) return called(node, this.#modules.resolve(specifier, node.getSourceFile().fileName));
        if (node.kind === ts.SyntaxKind.ImportKeyword) coarse(node, "import()", "a module whose name is computed");
        if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) coarse(node, "import.meta", "the place of a module");
        if (ts.isWithStatement(node)) coarse(node, "with", "a scope that is computed");
        if (ts.isJsxElement(node) || ts.isJsxSelfClosingElement(node) || ts.isJsxFragment(node)) coarse(node, "JSX", "JSX");
        if (node.kind === ts.SyntaxKind.ThisKeyword && isCapturedThis(node, root)) problems.push({ type: "captured", name: "this", what: "the object of the code around it", node });
        return undefined;
      },
    });
    return { node: root, name: nameOf(root), text, reached, problems };
  }

  /** A name of another function's, a loop's or a block's: only a value that follows from its code can be seen. */
  #capture(node: ts.Node, name: string, declaration: ts.Declaration, unit: ts.Node, problems: Problem[]): void {
    if (ts.isParameter(unit)) {
      problems.push({ type: "captured", name, what: `a parameter of ${functionName(unit.parent)}`, node });
    } else if (ts.isVariableDeclaration(unit) && ts.isVariableDeclarationList(unit.parent)) {
      const holder = unit.parent.parent;
      if (ts.isForStatement(holder) || ts.isForOfStatement(holder) || ts.isForInStatement(holder)) problems.push({ type: "captured", name, what: "a loop variable", node });
    } else if (ts.isVariableDeclaration(unit) || (!ts.isFunctionLike(unit) && !ts.isClassLike(unit) && !ts.isEnumDeclaration(unit) && !ts.isExportAssignment(unit) && !ts.isModuleDeclaration(unit))) {
      problems.push({ type: "captured", name, what: `a value of ${functionName(scopeAround(declaration))}`, node });
    }
  }

  #environment(node: ts.Node, name: string): Problem {
    const taken = namesTaken(node);
    const variable = memberOf(node)?.name ?? (taken.length > 0 ? taken[0] : undefined);
    return { type: "environment", name: variable === undefined || variable === "*" ? name : `${name}.${variable}`, what: variable ?? "*", node };
  }

  #process(node: ts.Node, name: string, problems: Problem[]): void {
    const member = memberOf(node);
    const taken = namesTaken(node);
    if (member?.name === "env") problems.push(this.#environment(member.node, `${name}.env`));
    else if (taken.includes("env")) problems.push({ type: "environment", name: `${name}.env`, what: "*", node });
    else if (member === undefined && (taken.length === 0 || taken.includes("*")) && !ts.isTypeOfExpression(node.parent)) problems.push({ type: "environment", name, what: "*", node });
  }

  #global(node: ts.Node, name: string, problems: Problem[]): void {
    if (isProcess({ type: "global", name }, name)) this.#process(node, name, problems);
    else if (name === "globalThis" || name === "global") {
      const member = memberOf(node);
      if (member?.name === "process") this.#process(member.node, `${name}.process`, problems);
      else if (member === undefined || !nodeGlobals.has(member.name)) problems.push({ type: "coarse", name, what: "whatever is global", node });
    } else if (loaderNames.has(name)) problems.push({ type: "coarse", name, what: "what may run any code", node });
    else if (!nodeGlobals.has(name)) problems.push({ type: "coarse", name, what: "a global that is declared nowhere", node });
  }
}

/** Which of the names in a pattern an element is. */
function indexIn(pattern: ts.BindingName, element: ts.BindingElement): number {
  let count = 0, found = -1;
  const visit = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) return;
    for (const one of name.elements) {
      if (!ts.isBindingElement(one)) continue;
      if (one === element) found = count;
      count++;
      visit(one.name);
    }
  };
  visit(pattern);
  return found;
}

/** Whether a `this` is that of the code around a unit. */
function isCapturedThis(node: ts.Node, root: ts.Node): boolean {
  for (let at: ts.Node = node; ; at = at.parent) {
    if (at !== node && ((ts.isFunctionLike(at) && !ts.isArrowFunction(at)) || ts.isClassLike(at))) return false;
    if (at === root) return scopeAround(root) !== undefined;
  }
}

function nameOf(node: ts.Node): string {
  const name = (node as ts.NamedDeclaration).name;
  if (name !== undefined) return name.getText();
  if (ts.isExportAssignment(node)) return "default";
  return "run";
}

/** The expression that gives a unit its value when it is declared, if it has one. */
export function valueOf(node: ts.Node): ts.Expression | undefined {
  if (ts.isVariableDeclaration(node)) return node.initializer === undefined ? undefined : strip(node.initializer);
  if (ts.isExportAssignment(node)) return strip(node.expression);
  return ts.isExpression(node) ? strip(node) : undefined;
}
