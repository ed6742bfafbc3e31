/**
 * Whether a value that is made while the imagefile is evaluated follows from the code alone: then the code stands for
 * it. Knows no targets and runs nothing.
 * @module
 */
import { ts } from "ts-morph";
import { isReference, type Meaning, type Names } from "./name.ts";
import type { Report } from "./problem.ts";
import { strip } from "./text.ts";
import { memberOf, valueOf } from "./unit.ts";

/** Globals whose calls give the same for the same arguments. */
const pure = new Set([
  ..."Object Array String Number Boolean BigInt Symbol Map Set WeakMap WeakSet WeakRef RegExp JSON Error TypeError RangeError SyntaxError AggregateError Promise Proxy Reflect Uint8Array Uint16Array".split(" "),
  ..."Uint32Array Int8Array Int16Array Int32Array Float32Array Float64Array ArrayBuffer DataView Buffer URL URLSearchParams TextEncoder TextDecoder AbortController".split(" "),
  ..."parseInt parseFloat isNaN isFinite encodeURIComponent decodeURIComponent encodeURI decodeURI atob btoa structuredClone console".split(" "),
]);
/** Functions of Node's own modules of which the same is true; what is not called but passed on is no matter. */
const pureBuiltins: Readonly<Record<string, RegExp>> = {
  path: /^(?:join|basename|dirname|extname|normalize|isAbsolute|parse|format|posix)$/,
  util: /^(?:promisify|callbackify|deprecate|format|inspect|stripVTControlCharacters|styleText|toUSVString|types|isDeepStrictEqual)$/,
  crypto: /^createHash$/,
  url: /^(?:pathToFileURL|fileURLToPath|URL|URLSearchParams)$/,
  buffer: /^(?:Buffer|Blob)$/,
  events: /^EventEmitter$/,
};
/** What of `process` is the same wherever the same results are wanted. */
const steadyProcess = /^(?:platform|arch|version|versions|release|stdout|stderr|exitCode|nextTick|on|once|emitWarning)$/;
/** Methods of values that give the same for the same arguments; unknown ones may be anything. */
const methods = new Set(
  "at charAt charCodeAt codePointAt concat copyWithin digest endsWith entries every exec fill filter find findIndex findLast findLastIndex flat flatMap forEach get getOrInsert has hex includes indexOf join keys lastIndexOf localeCompare map match matchAll normalize padEnd padStart pop push reduce reduceRight repeat replace replaceAll reverse set add delete shift slice some sort splice split startsWith substring test toFixed toISOString toLowerCase toPrecision toReversed toSorted toSpliced toString toUpperCase trim trimEnd trimStart unshift update values with isWellFormed valueOf then freeze getTime".split(" "),
);
/** What imgtask exports that makes no handle. */
const noHandles = new Set("output tool hostFile group machine defineArch defineDistro ImgtaskError isImgtaskError".split(" "));

type FunctionNode = ts.FunctionLikeDeclaration;

/** Looks at values that are made while the imagefile is evaluated. */
export class Values {
  readonly #names: Names;

  constructor(names: Names) {
    this.#names = names;
  }

  /** Reports what keeps the value of a unit from following from its code. */
  check(node: ts.Node, report: Report): void {
    // A person knows the value by the name that it was given.
    const named = ts.isVariableDeclaration(node) ? node.name.getText() : undefined;
    const walk = new Walk(this.#names, (problem) =>
      report(named === undefined || problem.type === "coarse" ? problem : { ...problem, name: named, what: problem.type === "handle" ? `what ${problem.name}() returned` : `computed by ${problem.name} while the imagefile is evaluated` }));
    if (ts.isClassLike(node)) walk.class(node, true);
    else if (ts.isEnumDeclaration(node)) ts.forEachChild(node, (one) => walk.visit(one, true));
    else {
      const value = valueOf(node);
      if (value !== undefined) walk.visit(value, true);
      if (ts.isVariableDeclaration(node) && !ts.isIdentifier(node.name)) walk.visit(node.name, true);
    }
  }

  /** The function that a name stands for, when it is one and never another. */
  functionOf(node: ts.Node): FunctionNode | undefined {
    return functionOf(this.#names, node);
  }
}

/** The function that an expression stands for, as far as names tell. */
export function functionOf(names: Names, node: ts.Node): FunctionNode | undefined {
  const inner = ts.isExpression(node) ? strip(node) : node;
  if (ts.isArrowFunction(inner) || ts.isFunctionExpression(inner)) return inner;
  let meaning: Meaning | undefined;
  if (ts.isIdentifier(inner)) meaning = names.of(inner);
  else if (ts.isPropertyAccessExpression(inner) && ts.isIdentifier(inner.expression)) {
    const holder = names.of(inner.expression);
    if (holder.type === "namespace") meaning = names.exported({ type: "module", path: holder.path }, inner.name.text);
  }
  if (meaning?.type !== "declared" || meaning.declarations.length !== 1) return undefined;
  const declaration = meaning.declarations[0]!;
  if (ts.isFunctionDeclaration(declaration)) return declaration;
  const value = ts.isVariableDeclaration(declaration) || ts.isExportAssignment(declaration) ? valueOf(declaration) : undefined;
  return value !== undefined && (ts.isArrowFunction(value) || ts.isFunctionExpression(value)) ? value : undefined;
}

/** What a chain of properties begins with: of `a.b[c].d` it is `a`. */
export function rootOf(node: ts.Expression): ts.Expression {
  let at = strip(node);
  while (ts.isPropertyAccessExpression(at) || ts.isElementAccessExpression(at)) at = strip(at.expression);
  return at;
}

class Walk {
  readonly #names: Names;
  readonly #report: Report;
  /** Functions that were looked at, and whether as surely run. */
  readonly #seen = new Map<ts.Node, boolean>();

  constructor(names: Names, report: Report) {
    this.#names = names;
    this.#report = report;
  }

  /** @param sure whether it runs for certain; what only may run makes no refusal */
  visit(node: ts.Node, sure: boolean): void {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isFunctionLike(node)) return;
    if (ts.isClassLike(node)) return this.class(node, sure);
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) this.#call(node, node.expression, node.arguments ?? [], sure);
    else if (ts.isTaggedTemplateExpression(node)) this.#call(node, node.tag, [], sure);
    else if (ts.isIdentifier(node)) this.#identifier(node, sure);
    ts.forEachChild(node, (child) => this.visit(child, sure));
  }

  class(node: ts.ClassLikeDeclaration, sure: boolean): void {
    for (const clause of node.heritageClauses ?? []) if (clause.token === ts.SyntaxKind.ExtendsKeyword) this.visit(clause.types[0]!.expression, sure);
    for (const member of node.members) {
      if (member.name !== undefined && ts.isComputedPropertyName(member.name)) this.visit(member.name.expression, sure);
      if (ts.isClassStaticBlockDeclaration(member)) this.visit(member.body, sure);
      else if (ts.isPropertyDeclaration(member) && member.initializer !== undefined && (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) !== 0) {
        this.visit(member.initializer, sure);
        const value = strip(member.initializer);
        if (!ts.isLiteralExpression(value) && !ts.isFunctionLike(value)) this.#report({ type: "coarse", name: member.name.getText(), what: "a static property that may change", node: member });
      }
    }
    if (ts.canHaveDecorators(node)) for (const decorator of ts.getDecorators(node) ?? []) this.visit(decorator.expression, sure);
  }

  #identifier(node: ts.Identifier, sure: boolean): void {
    if (!isReference(node)) return;
    const meaning = this.#names.of(node);
    if (meaning.type === "builtin" && meaning.module === "process" && meaning.export !== "default" && meaning.export !== "*") {
      if (meaning.export !== "env" && !steadyProcess.test(meaning.export)) this.#computed(node, node.text, sure);
      return;
    }
    const unsteady = meaning.type === "builtin" ? meaning.module === "process" : meaning.type === "global" && /^(?:process|performance|navigator|crypto)$/.test(meaning.name);
    if (!unsteady) return;
    const member = memberOf(node)?.name;
    // The environment has a refusal of its own.
    if (node.text === "process" && member !== undefined && (member === "env" || steadyProcess.test(member))) return;
    this.#computed(node, member === undefined ? node.text : `${node.text}.${member}`, sure);
  }

  #computed(node: ts.Node, name: string, sure: boolean): void {
    this.#report({ type: sure ? "computed" : "coarse", name, what: "which is called while the imagefile is evaluated", node });
  }

  /** Runs what a call runs. */
  #call(node: ts.Node, callee: ts.Expression, args: readonly ts.Expression[], sure: boolean): void {
    const target = strip(callee);
    const local = functionOf(this.#names, target);
    if (local !== undefined) {
      this.#run(local, sure);
      for (const one of args) this.#runIfFunction(one, false);
      return;
    }
    if (callee.kind === ts.SyntaxKind.SuperKeyword) return;
    const root = rootOf(target);
    const name = target.getText();
    const last = ts.isPropertyAccessExpression(target) ? target.name.text : undefined;
    if (!ts.isIdentifier(root)) {
      if (last === undefined || !methods.has(last)) this.#report({ type: "coarse", name, what: "a call that cannot be followed", node });
      for (const one of args) this.#runIfFunction(one, sure);
      return;
    }
    const meaning = this.#names.of(root);
    switch (meaning.type) {
      case "global":
        this.#global(node, root, name, last, args, sure);
        break;
      case "builtin": {
        const member = target === root ? meaning.export : ts.isPropertyAccessExpression(target) && strip(target.expression) === root ? target.name.text : (last ?? "");
        if (!(pureBuiltins[meaning.module.replace(/\/posix$/, "")]?.test(member) ?? false)) this.#computed(node, name, sure);
        break;
      }
      case "package":
        if (meaning.name === "imgtask") this.#imgtask(node, name, meaning.specifier.startsWith("imgtask/distros") ? "output" : meaning.export === "*" ? (last ?? "") : meaning.export, sure);
        else if (sure) this.#report({ type: "coarse", name, what: "computed by a package while the imagefile is evaluated", node });
        return;
      case "declared": {
        const declaration = meaning.declarations[0]!;
        if (ts.isClassLike(declaration)) {
          this.#once(declaration, sure, () => ts.forEachChild(declaration, (member) => this.#member(member, sure)));
          break;
        }
        // A callback of the function that runs: what it is given was looked at where it was called.
        if (ts.isParameter(declaration) && target === root) break;
        if (last === undefined || !methods.has(last)) this.#report({ type: "coarse", name, what: "a call that cannot be followed", node });
        break;
      }
      default:
        this.#report({ type: "coarse", name, what: "a call that cannot be followed", node });
    }
    for (const one of args) this.#runIfFunction(one, sure);
  }

  #global(node: ts.Node, root: ts.Identifier, name: string, last: string | undefined, args: readonly ts.Expression[], sure: boolean): void {
    if (root.text === "Date" && ((ts.isNewExpression(node) && args.length > 0 && last === undefined) || last === "UTC")) return;
    if (root.text === "Math" && last !== "random") return;
    if (root.text === "process" || root.text === "performance" || root.text === "crypto") return;
    if (pure.has(root.text)) return;
    this.#computed(node, name, sure);
  }

  #imgtask(node: ts.Node, name: string, exported: string, sure: boolean): void {
    if (!sure || noHandles.has(exported)) this.#report({ type: "coarse", name, what: "made by imgtask while the imagefile is evaluated", node });
    else this.#report({ type: "handle", name, what: `what ${name}() returned`, node });
  }

  #member(member: ts.Node, sure: boolean): void {
    if (ts.isConstructorDeclaration(member) || ts.isMethodDeclaration(member)) this.#run(member, sure && ts.isConstructorDeclaration(member));
    else if (ts.isPropertyDeclaration(member) && member.initializer !== undefined) this.visit(member.initializer, sure);
  }

  #runIfFunction(node: ts.Expression, sure: boolean): void {
    const found = functionOf(this.#names, ts.isSpreadElement(node) ? node.expression : node);
    if (found !== undefined) this.#run(found, sure);
  }

  #run(node: FunctionNode, sure: boolean): void {
    this.#once(node, sure, () => {
      for (const one of node.parameters) if (one.initializer !== undefined) this.visit(one.initializer, sure);
      if (node.body !== undefined) this.visit(node.body, sure);
    });
  }

  #once(node: ts.Node, sure: boolean, then: () => void): void {
    const before = this.#seen.get(node);
    if (before === true || before === sure) return;
    this.#seen.set(node, sure);
    then();
  }
}
