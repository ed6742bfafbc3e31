/**
 * What an identifier in the user's code means: a declaration in one of the local modules, something from a package or
 * from Node, or a global. Imports and re-exports are followed. Knows nothing of recipes.
 * @module
 */
import { ts } from "ts-morph";
import type { Modules, Resolved } from "./module.ts";

/** What an identifier means. */
export type Meaning =
  | { readonly type: "declared"; readonly symbol: ts.Symbol; readonly declarations: readonly ts.Declaration[] }
  /** All of a local module: `import * as x`. */
  | { readonly type: "namespace"; readonly path: string }
  | { readonly type: "package"; readonly name: string; readonly directory: string; readonly specifier: string; readonly export: string }
  | { readonly type: "builtin"; readonly module: string; readonly export: string }
  | { readonly type: "file"; readonly path: string; readonly export: string }
  | { readonly type: "global"; readonly name: string }
  | { readonly type: "unknown"; readonly what: string };

/** Whether an identifier stands for a value, rather than naming a property, a label or a part of a declaration. */
export function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isBindingElement(parent)) return parent.initializer === node;
  if (ts.isVariableDeclaration(parent) || ts.isParameter(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent) || ts.isEnumMember(parent)) return parent.initializer === node;
  if (ts.isExportAssignment(parent)) return true;
  if (ts.isMetaProperty(parent) || ts.isLabeledStatement(parent) || ts.isBreakOrContinueStatement(parent)) return false;
  if (ts.isImportSpecifier(parent) || ts.isImportClause(parent) || ts.isNamespaceImport(parent) || ts.isExportSpecifier(parent) || ts.isNamespaceExport(parent)) return false;
  return !((ts.isFunctionLike(parent) || ts.isClassLike(parent) || ts.isEnumDeclaration(parent)) && parent.name === node);
}

/** Whether a declaration leaves something behind when types are taken away. */
function isEmitted(declaration: ts.Declaration): boolean {
  if (ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)) return false;
  if ((ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Ambient) !== 0) return false;
  return !(ts.isFunctionDeclaration(declaration) && declaration.body === undefined);
}

/** Looks up names in a set of modules. */
export class Names {
  readonly #modules: Modules;
  readonly #known = new Map<ts.Identifier, Meaning>();

  constructor(modules: Modules) {
    this.#modules = modules;
  }

  /** What a reference means; of a shorthand property its value. */
  of(node: ts.Identifier): Meaning {
    let meaning = this.#known.get(node);
    if (meaning === undefined) this.#known.set(node, (meaning = this.#find(node)));
    return meaning;
  }

  /** The symbol that the name in a declaration stands for. */
  declared(name: ts.Node): ts.Symbol | undefined {
    return this.#modules.checker.getSymbolAtLocation(name);
  }

  #find(node: ts.Identifier): Meaning {
    if (node.text === "undefined" || node.text === "arguments") return { type: "global", name: node.text };
    const { checker } = this.#modules;
    const symbol = ts.isShorthandPropertyAssignment(node.parent) && node.parent.name === node ? checker.getShorthandAssignmentValueSymbol(node.parent) : checker.getSymbolAtLocation(node);
    if (symbol?.declarations === undefined || symbol.declarations.length === 0) return { type: "global", name: node.text };
    // `declare const x`: what is declared elsewhere, if anywhere.
    if ((symbol.flags & ts.SymbolFlags.Alias) === 0 && !symbol.declarations.some(isEmitted)) return { type: "global", name: node.text };
    return this.#follow(symbol, new Set());
  }

  #follow(symbol: ts.Symbol, seen: Set<unknown>): Meaning {
    if (seen.has(symbol)) return { type: "unknown", what: symbol.name };
    seen.add(symbol);
    const declarations = (symbol.declarations ?? []).filter(isEmitted);
    if ((symbol.flags & ts.SymbolFlags.Alias) === 0) {
      return declarations.length === 0 ? { type: "unknown", what: symbol.name } : { type: "declared", symbol, declarations };
    }
    const declaration = declarations[0];
    if (declaration === undefined) return { type: "unknown", what: symbol.name };
    if (ts.isImportSpecifier(declaration)) return this.#from(declaration.parent.parent.parent, (declaration.propertyName ?? declaration.name).text, seen);
    if (ts.isImportClause(declaration)) return this.#from(declaration.parent, "default", seen);
    if (ts.isNamespaceImport(declaration)) return this.#from(declaration.parent.parent, "*", seen);
    if (ts.isNamespaceExport(declaration)) return this.#from(declaration.parent, "*", seen);
    if (ts.isExportSpecifier(declaration)) {
      if (declaration.parent.parent.moduleSpecifier !== undefined) return this.#from(declaration.parent.parent, (declaration.propertyName ?? declaration.name).text, seen);
      const local = this.#modules.checker.getExportSpecifierLocalTargetSymbol(declaration);
      return local === undefined ? { type: "unknown", what: symbol.name } : this.#follow(local, seen);
    }
    if (ts.isExportAssignment(declaration) && ts.isIdentifier(declaration.expression)) {
      const local = this.#modules.checker.getSymbolAtLocation(declaration.expression);
      return local === undefined ? { type: "global", name: declaration.expression.text } : this.#follow(local, seen);
    }
    return { type: "unknown", what: symbol.name };
  }

  #from(declaration: ts.ImportDeclaration | ts.JSDocImportTag | ts.ExportDeclaration, name: string, seen: Set<unknown>): Meaning {
    const specifier = (declaration.moduleSpecifier as ts.StringLiteral).text;
    return this.#export(this.#modules.resolve(specifier, declaration.getSourceFile().fileName), name, seen);
  }

  /** What a module exports under a name; `*` is all of it. */
  exported(module: Resolved, name: string): Meaning {
    return this.#export(module, name, new Set());
  }

  #export(module: Resolved, name: string, seen: Set<unknown>): Meaning {
    if (module.type === "builtin") return { type: "builtin", module: module.name, export: name };
    if (module.type === "package") return { ...module, export: name };
    if (module.type === "file") return { type: "file", path: module.path, export: name };
    if (module.type === "unknown") return { type: "unknown", what: module.specifier };
    if (name === "*") return { type: "namespace", path: module.path };
    const key = `${module.path}\0${name}`;
    if (seen.has(key)) return { type: "unknown", what: name };
    seen.add(key);
    const file = this.#modules.files.get(module.path);
    const exports = file === undefined ? undefined : this.#modules.checker.getSymbolAtLocation(file)?.exports;
    if (file === undefined || exports === undefined) return { type: "unknown", what: name };
    const own = exports.get(ts.escapeLeadingUnderscores(name));
    if (own !== undefined) return this.#follow(own, seen);
    let found: Meaning = { type: "unknown", what: name };
    for (const statement of file.statements) {
      if (!ts.isExportDeclaration(statement) || statement.exportClause !== undefined || statement.isTypeOnly || statement.moduleSpecifier === undefined) continue;
      const inner = this.#modules.resolve((statement.moduleSpecifier as ts.StringLiteral).text, file.fileName);
      // A name that a package may or may not have: only running the code would tell.
      if (inner.type !== "module" || inner.path === module.path) return { type: "unknown", what: name };
      const meaning = this.#export(inner, name, seen);
      if (meaning.type !== "unknown") found = meaning;
    }
    return found;
  }

  /** The names that a local module exports, sorted; `undefined` when it passes on all of something else. */
  namesOf(path: string): readonly string[] | undefined {
    const file = this.#modules.files.get(path);
    const exports = file === undefined ? undefined : this.#modules.checker.getSymbolAtLocation(file)?.exports;
    if (file === undefined || file.statements.some((one) => ts.isExportDeclaration(one) && one.exportClause === undefined && !one.isTypeOnly)) return undefined;
    const names: string[] = [];
    for (const symbol of exports?.values() ?? []) if ((symbol.declarations ?? []).some(isEmitted)) names.push(ts.unescapeLeadingUnderscores(symbol.escapedName));
    return names.sort();
  }
}
