/**
 * What the user's modules change after it was declared: variables assigned anew, objects changed in place, and state
 * that all code shares. Such values do not follow from their declarations. Knows no targets.
 * @module
 */
import { ts } from "ts-morph";
import type { Modules } from "./module.ts";
import { isReference, type Meaning, type Names } from "./name.ts";
import type { Problem, Report } from "./problem.ts";
import { strip } from "./text.ts";
import { functionOf } from "./value.ts";
import { unitNode, valueOf } from "./unit.ts";

/** Methods that leave what they are called on as it is. */
const harmless = new Set(
  "at charAt charCodeAt codePointAt concat endsWith entries every filter find findIndex findLast findLastIndex flat flatMap forEach get has includes indexOf join keys lastIndexOf localeCompare map match matchAll normalize padEnd padStart reduce reduceRight repeat replace replaceAll slice some split startsWith substring test exec toFixed toISOString toJSON toLowerCase toLocaleString toReversed toSorted toSpliced toString toUpperCase trim trimEnd trimStart values valueOf with".split(" "),
);
/** Those of them that give a function the elements. */
const visiting = new Set("every filter find findIndex findLast findLastIndex flatMap forEach map reduce reduceRight some toSorted".split(" "));
/** Methods and operators whose result is no object. */
const primitive = new Set("charAt charCodeAt endsWith every has hex includes indexOf join lastIndexOf localeCompare normalize padEnd padStart repeat replace replaceAll some startsWith substring test toFixed toISOString toLowerCase toString toUpperCase trim trimEnd trimStart".split(" "));
/** Functions of the recipe's context: they change nothing that they are given. */
const contextFunctions = new Set(["exec", "$", "log", "progress"]);
const mutators = /^(?:assign|define\w*|set\w*|delete\w*|push|unshift|splice|fill|sort|reverse|copyWithin|call|apply|preventExtensions)$/;
const sharedProcess = /^(?:chdir|umask|set\w+|loadEnvFile|binding|dlopen)$/;

/** Whether the node of a function, or of code that only runs later, is around another. */
function isLater(node: ts.Node): boolean {
  for (let at = node.parent; !ts.isSourceFile(at); at = at.parent) if (ts.isFunctionLike(at)) return true;
  return false;
}

function functionAround(node: ts.Node): ts.Node {
  let at = node.parent;
  while (!ts.isFunctionLike(at) && !ts.isSourceFile(at)) at = at.parent;
  return at;
}

/** Whether a value can be told to be no object, or one that cannot change. */
function isFixed(node: ts.Expression | undefined): boolean {
  if (node === undefined) return true;
  const value = strip(node);
  if (ts.isLiteralExpression(value) || ts.isTemplateExpression(value) || ts.isFunctionLike(value) || ts.isPrefixUnaryExpression(value) || ts.isTypeOfExpression(value) || ts.isVoidExpression(value)) return true;
  if (value.kind === ts.SyntaxKind.TrueKeyword || value.kind === ts.SyntaxKind.FalseKeyword || value.kind === ts.SyntaxKind.NullKeyword) return true;
  if (ts.isIdentifier(value)) return value.text === "undefined";
  if (ts.isConditionalExpression(value)) return isFixed(value.whenTrue) && isFixed(value.whenFalse);
  if (ts.isBinaryExpression(value)) {
    const logical = /^(?:&&|\|\||\?\?|,)$/.test(value.operatorToken.getText());
    return !logical || (isFixed(value.left) && isFixed(value.right));
  }
  if (ts.isCallExpression(value) && ts.isPropertyAccessExpression(value.expression)) {
    const { name, expression } = value.expression;
    if (name.text === "freeze" && expression.getText() === "Object") return hasFixedElements(value.arguments[0]);
    return primitive.has(name.text) || (name.text === "raw" && expression.getText() === "String") || (name.text === "stringify" && expression.getText() === "JSON");
  }
  return ts.isCallExpression(value) && /^(?:String|Number|Boolean|BigInt|Symbol)$/.test(value.expression.getText());
}

/** Whether the elements of an object or list are fixed. */
function hasFixedElements(node: ts.Expression | undefined): boolean {
  if (node === undefined) return true;
  const value = strip(node);
  if (ts.isArrayLiteralExpression(value)) return value.elements.every((one) => !ts.isSpreadElement(one) && isFixed(one));
  if (ts.isNewExpression(value) && value.expression.getText() === "Set") return hasFixedElements(value.arguments?.[0]);
  if (!ts.isObjectLiteralExpression(value)) return isFixed(value);
  return value.properties.every((one) => ts.isMethodDeclaration(one) || (ts.isPropertyAssignment(one) && isFixed(one.initializer)));
}

/** The expression that a name's value is passed on in: `a` in `a.b.c`, `a!.b`. */
function chainOf(node: ts.Expression): ts.Expression {
  for (let at = node; ; at = at.parent as ts.Expression) {
    const { parent } = at;
    const inner = (ts.isPropertyAccessExpression(parent) || ts.isElementAccessExpression(parent)) && parent.expression === at;
    if (!inner && !ts.isNonNullExpression(parent) && !ts.isParenthesizedExpression(parent) && !ts.isAsExpression(parent) && !ts.isSatisfiesExpression(parent)) return at;
  }
}

/** Whether something is assigned to an expression. */
function isAssigned(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isBinaryExpression(parent)) return parent.left === node && parent.operatorToken.kind >= ts.SyntaxKind.FirstAssignment && parent.operatorToken.kind <= ts.SyntaxKind.LastAssignment;
  if (ts.isPrefixUnaryExpression(parent) || ts.isPostfixUnaryExpression(parent)) return parent.operator === ts.SyntaxKind.PlusPlusToken || parent.operator === ts.SyntaxKind.MinusMinusToken;
  if (ts.isDeleteExpression(parent)) return true;
  if (ts.isForOfStatement(parent) || ts.isForInStatement(parent)) return parent.initializer === node;
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node && isAssigned(parent.parent);
  if (ts.isShorthandPropertyAssignment(parent) || ts.isSpreadAssignment(parent)) return isAssigned(parent.parent);
  return (ts.isArrayLiteralExpression(parent) || ts.isSpreadElement(parent)) && isAssigned(parent);
}

/** Looks at everything that the modules change. */
export class Changes {
  readonly #names: Names;
  readonly #uses = new Map<ts.Symbol, ts.Identifier[]>();
  /** What changes state that all code shares; then no recipe can be told from another. */
  shared: Problem | undefined;

  constructor(modules: Modules, names: Names) {
    this.#names = names;
    for (const file of modules.files.values()) {
      const visit = (node: ts.Node): void => {
        if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
        if (ts.isImportDeclaration(node)) return;
        if (ts.isIdentifier(node) && isReference(node)) {
          const meaning = names.of(node);
          if (meaning.type === "declared") {
            const uses = this.#uses.get(meaning.symbol);
            if (uses === undefined) this.#uses.set(meaning.symbol, [node]);
            else uses.push(node);
          } else this.shared ??= this.#sharedBy(node, meaning);
        }
        ts.forEachChild(node, visit);
      };
      visit(file);
      const seen = new Set<ts.Node>();
      const dropped = (node: ts.Node): void => {
        if (ts.isFunctionLike(node) || ts.isClassLike(node) || ts.isImportDeclaration(node)) return;
        if (ts.isExpressionStatement(node)) {
          const call = ts.isAwaitExpression(node.expression) ? node.expression.expression : node.expression;
          if (ts.isCallExpression(call)) this.shared ??= this.#droppedCall(call, dropped, seen);
        }
        ts.forEachChild(node, dropped);
      };
      dropped(file);
    }
  }

  #sharedBy(node: ts.Identifier, meaning: Meaning): Problem | undefined {
    const top = chainOf(node);
    const problem: Problem = { type: "coarse", name: top.getText(), what: "changed for all code", node };
    if (isAssigned(top)) return top.getText() === "process.exitCode" ? undefined : problem;
    if (!ts.isCallExpression(top.parent)) return undefined;
    const last = ts.isPropertyAccessExpression(top) ? top.name.text : undefined;
    if (top.parent.expression === top) return meaning.type === "global" && meaning.name === "process" && last !== undefined && sharedProcess.test(last) ? problem : undefined;
    // `Object.assign(globalThis, …)`
    const callee = top.parent.expression;
    return top.parent.arguments[0] === top && ts.isPropertyAccessExpression(callee) && /^(?:Object|Reflect)$/.test(callee.expression.getText()) && mutators.test(callee.name.text) ? problem : undefined;
  }

  /** A call for its effect, while the imagefile is evaluated. */
  #droppedCall(call: ts.CallExpression, visit: (node: ts.Node) => void, seen: Set<ts.Node>): Problem | undefined {
    const callee = strip(call.expression);
    const local = functionOf(this.#names, callee);
    if (local !== undefined) {
      if (!seen.has(local) && local.body !== undefined) {
        seen.add(local);
        ts.forEachChild(local.body, visit);
      }
      return undefined;
    }
    let root: ts.Expression = callee;
    while (ts.isPropertyAccessExpression(root) || ts.isElementAccessExpression(root)) root = strip(root.expression);
    const problem: Problem = { type: "coarse", name: callee.getText(), what: "called for its effect while the imagefile is evaluated", node: call };
    if (ts.isIdentifier(root)) {
      const meaning = this.#names.of(root);
      if (meaning.type === "package") return meaning.name === "imgtask" ? undefined : problem;
      if (meaning.type === "builtin") return /^(?:fs|fs\/promises|child_process|assert|assert\/strict|timers\/promises)$/.test(meaning.module) ? undefined : problem;
      if (meaning.type === "global" && !/^(?:console|setTimeout|process|Object|clearTimeout)$/.test(meaning.name)) return problem;
      if (meaning.type === "unknown" || meaning.type === "namespace") return problem;
    }
    for (const one of call.arguments) {
      const found = functionOf(this.#names, one);
      if (found?.body !== undefined && !seen.has(found)) {
        seen.add(found);
        ts.forEachChild(found.body, visit);
      }
    }
    return undefined;
  }

  /** Reports what keeps the value of a declaration from being the one that it was declared with. */
  check(node: ts.Node, report: Report): void {
    if (ts.isVariableDeclaration(node)) {
      for (const name of namesIn(node.name)) this.#checkName(name, ts.isIdentifier(node.name) ? node.initializer : undefined, node, report);
    } else if ((ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node) || ts.isEnumDeclaration(node)) && node.name !== undefined) this.#checkName(node.name, undefined, node, report);
  }

  #checkName(name: ts.Identifier, initializer: ts.Expression | undefined, unit: ts.Node, report: Report): void {
    const symbol = this.#names.declared(name);
    const uses = symbol === undefined ? [] : (this.#uses.get(symbol) ?? []);
    const say = (use: ts.Node, what: string): void => report({ type: isLater(use) ? "coarse" : "changed", name: name.text, what, node: use });
    const destructured = ts.isVariableDeclaration(unit) && !ts.isIdentifier(unit.name);
    for (const use of uses) {
      const top = chainOf(use);
      if (isAssigned(top)) say(use, top === use || strip(top) === use ? "assigned anew" : "changed in place");
    }
    if (!ts.isVariableDeclaration(unit) || (!destructured && isFixed(initializer))) return;
    const problem = this.#unsafeUse(symbol, destructured ? undefined : initializer, 0);
    if (problem !== undefined) report({ ...problem, name: name.text });
  }

  /** The first use of a name that may change the object that it holds. */
  #unsafeUse(symbol: ts.Symbol | undefined, initializer: ts.Expression | undefined, depth: number): Problem | undefined {
    if (symbol === undefined || depth > 6) return undefined;
    const fixed = initializer !== undefined && hasFixedElements(initializer);
    for (const use of this.#uses.get(symbol) ?? []) {
      const found = this.#unsafe(use, initializer, fixed, depth);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #unsafe(use: ts.Identifier, initializer: ts.Expression | undefined, fixed: boolean, depth: number): Problem | undefined {
    const top = chainOf(use);
    const { parent } = top;
    const name = use.text;
    const coarse = (what: string): Problem => ({ type: "coarse", name, what, node: use });
    if (isAssigned(top)) return { type: isLater(use) ? "coarse" : "changed", name, what: "changed in place", node: use };
    if (ts.isCallExpression(parent) && parent.expression === top) {
      if (top === use) return initializer !== undefined && this.#hasState(initializer) ? coarse("a function that keeps something from call to call") : undefined;
      const method = ts.isPropertyAccessExpression(top) ? top.name.text : "";
      if (!harmless.has(method)) {
        // A function that the object itself holds changes it by `this` alone.
        const own = initializer === undefined ? undefined : propertyOf(initializer, method);
        if (own !== undefined && !/\bthis\b/.test(own.getText())) return undefined;
        return { type: isLater(use) || own !== undefined ? "coarse" : "changed", name, what: "changed in place", node: use };
      }
      if (fixed || !visiting.has(method)) return undefined;
      for (const one of parent.arguments) {
        const visitor = functionOf(this.#names, one);
        for (const parameter of visitor?.parameters ?? []) {
          const problem = this.#alias(parameter.name, depth);
          if (problem !== undefined) return problem;
        }
        if (visitor === undefined) return coarse("passed to code that cannot be followed");
      }
      return undefined;
    }
    if (top !== use && (fixed || isFixedProperty(top, use, initializer))) return undefined;
    return this.#flow(top, fixed, depth, coarse);
  }

  /** Whether a function that another one made may keep something between calls: it changes what is outside of it. */
  #hasState(initializer: ts.Expression): boolean {
    const value = strip(initializer);
    const maker = ts.isCallExpression(value) ? functionOf(this.#names, value.expression) : undefined;
    let found = false;
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node) && isReference(node)) {
        const top = chainOf(node);
        const changes = isAssigned(top) || (ts.isCallExpression(top.parent) && top.parent.expression === top && ts.isPropertyAccessExpression(top) && !harmless.has(top.name.text));
        const meaning = changes ? this.#names.of(node) : undefined;
        if (meaning?.type === "declared" && functionAround(meaning.declarations[0]!) !== functionAround(node)) found = true;
      }
      ts.forEachChild(node, visit);
    };
    if (maker?.body !== undefined) visit(maker.body);
    return found;
  }

  /** Follows where an object goes. */
  #flow(node: ts.Node, fixed: boolean, depth: number, coarse: (what: string) => Problem): Problem | undefined {
    const { parent } = node;
    if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) return this.#argument(parent, parent.arguments?.indexOf(node as ts.Expression) ?? -1, depth, coarse);
    // What is spread is copied, as far as it is no object itself.
    if (ts.isSpreadElement(parent) || ts.isSpreadAssignment(parent)) return fixed ? undefined : this.#flow(parent as ts.Node, true, depth, coarse);
    if (ts.isForOfStatement(parent) && parent.expression === node) {
      if (fixed) return undefined;
      const list = parent.initializer;
      return ts.isVariableDeclarationList(list) ? this.#alias(list.declarations[0]!.name, depth) : coarse("passed on");
    }
    if (ts.isVariableDeclaration(parent) && parent.initializer === node) return ts.isIdentifier(parent.name) ? this.#alias(parent.name, depth) : fixed ? undefined : this.#alias(parent.name, depth);
    if (ts.isPropertyAssignment(parent) || ts.isShorthandPropertyAssignment(parent) || ts.isObjectLiteralExpression(parent)) return this.#flow(parent, fixed, depth, coarse);
    if (ts.isArrayLiteralExpression(parent) || ts.isConditionalExpression(parent)) {
      if (ts.isConditionalExpression(parent) && parent.condition === node) return undefined;
      return this.#flow(parent, fixed, depth, coarse);
    }
    if (ts.isBinaryExpression(parent)) return /^(?:&&|\|\||\?\?|,|=)$/.test(parent.operatorToken.getText()) ? (ts.isExpressionStatement(parent.parent) ? coarse("passed on") : this.#flow(parent, fixed, depth, coarse)) : undefined;
    const looks = ts.isTemplateSpan(parent) || ts.isExpressionStatement(parent) || ts.isIfStatement(parent) || ts.isWhileStatement(parent) || ts.isPrefixUnaryExpression(parent) || ts.isTypeOfExpression(parent) || ts.isSwitchStatement(parent) || ts.isForInStatement(parent) || ts.isElementAccessExpression(parent);
    return looks ? undefined : coarse("passed on");
  }

  #argument(call: ts.CallExpression | ts.NewExpression, index: number, depth: number, coarse: (what: string) => Problem): Problem | undefined {
    const callee = strip(call.expression);
    const local = functionOf(this.#names, callee);
    if (local !== undefined) {
      const parameter = local.parameters[Math.min(index, local.parameters.length - 1)];
      return parameter === undefined || index < 0 ? undefined : this.#alias(parameter.name, depth);
    }
    let root: ts.Expression = callee;
    while (ts.isPropertyAccessExpression(root) || ts.isElementAccessExpression(root)) root = strip(root.expression);
    if (!ts.isIdentifier(root)) return ts.isPropertyAccessExpression(callee) && harmless.has(callee.name.text) ? undefined : coarse("passed to code that cannot be followed");
    const meaning = this.#names.of(root);
    if (meaning.type === "builtin") return undefined;
    if (meaning.type === "package") return meaning.name === "imgtask" ? undefined : coarse("passed to a package");
    if (meaning.type === "global") return ts.isPropertyAccessExpression(callee) && mutators.test(callee.name.text) ? { ...coarse("changed in place"), type: isLater(call) ? "coarse" : "changed" } : undefined;
    if (meaning.type === "declared") {
      const declaration = meaning.declarations[0]!;
      const last = ts.isPropertyAccessExpression(callee) ? callee.name.text : root.text;
      if (ts.isParameter(unitNode(declaration)) && contextFunctions.has(last)) return undefined;
      if (ts.isPropertyAccessExpression(callee) && harmless.has(last)) return undefined;
    }
    return coarse("passed to code that cannot be followed");
  }

  /** Whether what a name is bound to is changed through that name. */
  #alias(name: ts.BindingName, depth: number): Problem | undefined {
    for (const one of namesIn(name)) {
      const found = this.#unsafeUse(this.#names.declared(one), undefined, depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function namesIn(name: ts.BindingName): readonly ts.Identifier[] {
  if (ts.isIdentifier(name)) return [name];
  return name.elements.flatMap((one) => (ts.isBindingElement(one) ? namesIn(one.name) : []));
}

/** The value that an object literal gives a property. */
function propertyOf(node: ts.Expression, name: string): ts.Node | undefined {
  const value = valueOf(node);
  if (value === undefined || !ts.isObjectLiteralExpression(value)) return undefined;
  return value.properties.find((one) => one.name !== undefined && one.name.getText() === name);
}

/** Whether the property that a chain names is, by the object literal, no object. */
function isFixedProperty(top: ts.Expression, use: ts.Identifier, initializer: ts.Expression | undefined): boolean {
  const keys: string[] = [];
  for (let at = strip(top); at !== use; at = strip((at as ts.PropertyAccessExpression | ts.ElementAccessExpression).expression)) {
    if (ts.isPropertyAccessExpression(at)) keys.unshift(at.name.text);
    else if (ts.isElementAccessExpression(at) && ts.isStringLiteralLike(at.argumentExpression)) keys.unshift(at.argumentExpression.text);
    else return false;
  }
  if (keys.length === 1 && keys[0] === "length") return true;
  let value: ts.Expression | undefined = initializer;
  for (const key of keys) {
    if (value === undefined) return false;
    const found = propertyOf(value, key);
    if (found === undefined) return false;
    if (ts.isMethodDeclaration(found)) return true;
    if (!ts.isPropertyAssignment(found)) return false;
    value = found.initializer;
  }
  return isFixed(value);
}
