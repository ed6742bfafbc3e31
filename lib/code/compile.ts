/**
 * The imagefile and its own modules as JavaScript that Node imports without a loader, each with a source map. Compiles
 * all of them or none: what would not run exactly as under tsx is refused. Knows neither targets nor where modules are kept.
 * @module
 */
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { ts } from "ts-morph";
import { ending, type Rests } from "../compiled.ts";
import { type Digest, digestOf } from "../digest.ts";
import { resolvePackage } from "../recipe.ts";
import { type Settings, settingsOf } from "./settings.ts";

/** What was compiled. Paths are absolute. */
export interface Compilation {
  /** Text of each module by the path of its source; `undefined` with the reason when not all could be compiled. */
  readonly modules: ReadonlyMap<string, string> | undefined;
  readonly refused: string | undefined;
  readonly rests: Rests;
}

/** Why the modules of an imagefile are left to tsx. */
class Refused extends Error {}

/** Names that only modules of the old kind have, or that tell of a module's place. */
const loaderNames = new Set(["require", "module", "exports", "__dirname", "__filename"]);
const metaNames = new Set(["url", "dirname", "filename"]);

/**
 * Compiles an imagefile with all modules of the project that it imports, as written or by a literal `import()`.
 *
 * @param directory of the project, without symbolic links
 * @param cwd of the command line: tsx takes the tsconfig.json that is found from there
 */
export function compile(imagefile: string, directory: string, cwd: string): Compilation {
  const compiler = new Compiler(directory, cwd);
  try {
    const modules = compiler.compile(imagefile);
    return { modules, refused: undefined, rests: compiler.rests };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { modules: undefined, refused: error.message, rests: compiler.rests };
  }
}

class Compiler {
  readonly rests = new Map<string, Digest | null>();
  readonly #directory: string;
  readonly #settings: Settings;
  readonly #edges = new Map<string, string[]>();
  readonly #scopes = new Set<string>();
  #type: unknown;
  /** Whether some module asks where it is. */
  #placed = false;

  constructor(directory: string, cwd: string) {
    this.#directory = directory;
    this.#settings = settingsOf(cwd, (path) => this.#read(path));
  }

  compile(imagefile: string): ReadonlyMap<string, string> {
    const { unknown } = this.#settings;
    if (unknown !== undefined) throw new Refused(`tsconfig.json sets ${unknown}`);
    this.#type = this.#packageType();
    const modules = new Map<string, string>();
    const queue = [this.#accept(imagefile)];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (modules.has(path)) continue;
      this.#edges.set(path, []);
      modules.set(path, this.#module(path));
      queue.push(...this.#edges.get(path)!);
    }
    // A function that is called before its module was evaluated would find the place of the compiled module.
    if (this.#placed && this.#isRound()) throw new Refused("import.meta in modules that import each other");
    return modules;
  }

  /** Text of a file, or `undefined`; notes that it was looked for. */
  #read(path: string): string | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch {
      this.rests.set(path, null);
      return undefined;
    }
    const known = this.rests.get(path), digest = digestOf(bytes);
    if (known !== undefined && known !== digest) throw new Refused(`${path} was edited`);
    this.rests.set(path, digest);
    const text = bytes.toString("utf8");
    if (!Buffer.from(text).equals(bytes)) throw new Refused(`${path} is not UTF-8`);
    return text.replace(/^\uFEFF/, "");
  }

  #isThere(path: string): boolean {
    if (existsSync(path)) return true;
    this.rests.set(path, null);
    return false;
  }

  /** `type` of the package.json that counts for the project. */
  #packageType(): unknown {
    for (let directory = this.#directory; ; directory = dirname(directory)) {
      const text = this.#read(join(directory, "package.json"));
      if (text !== undefined) return (JSON.parse(text) as { type?: unknown }).type;
      if (dirname(directory) === directory) return undefined;
    }
  }

  /** A path that may be a module of the compilation: what is around it must be what is around the compiled one. */
  #accept(path: string): string {
    const inner = relative(this.#directory, path);
    if (inner.startsWith("..") || inner.split(sep).some((name) => name === "node_modules" || name === ".imgtask")) throw new Refused(`${path} is not the project's own`);
    // Names that have another meaning in URLs.
    if (/[%?#\\\n\r\t]/.test(inner)) throw new Refused(`the name of ${path}`);
    if (!/^\.m?[jt]s$/.test(extname(path)) || /\.d\.m?ts$/.test(path)) throw new Refused(`${path} is no module in TypeScript or JavaScript`);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile() || realpathSync(path) !== path) throw new Refused(`${path} is a symbolic link`);
    if (!/\.m[jt]s$/.test(path) && this.#type !== "module") throw new Refused(`package.json does not set "type": "module"`);
    for (let directory = dirname(path); directory !== this.#directory && !this.#scopes.has(directory); directory = dirname(directory)) {
      this.#scopes.add(directory);
      for (const name of ["package.json", "node_modules"]) if (this.#isThere(join(directory, name))) throw new Refused(`${name} in ${directory}`);
    }
    return path;
  }

  #module(path: string): string {
    const text = this.#read(path);
    if (text === undefined) throw new Refused(`${path} cannot be read`);
    if (text.includes("sourceMappingURL=")) throw new Refused(`${path} was compiled from something else`);
    const isTypeScript = path.endsWith("ts");
    let asksPlace = false;
    const { outputText, sourceMapText, diagnostics } = ts.transpileModule(text, {
      fileName: path,
      reportDiagnostics: true,
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        moduleDetection: ts.ModuleDetectionKind.Force,
        isolatedModules: true,
        sourceMap: true,
        verbatimModuleSyntax: !isTypeScript || this.#settings.verbatim,
      },
      transformers: {
        before: [() => (file) => ((asksPlace = this.#check(file, isTypeScript)), file)],
        after: [(context) => (file) => this.#redirect(file, path, context)],
      },
    });
    // tsx has the words for it.
    if (diagnostics !== undefined && diagnostics.length > 0) throw new Refused(`${path}: ${ts.flattenDiagnosticMessageText(diagnostics[0]!.messageText, " ")}`);
    const code = outputText.replace(/\/\/# sourceMappingURL=.*\s*$/, "");
    const compiled = this.#compiledURL(path);
    const source = pathToFileURL(path).href;
    const map = { ...(JSON.parse(sourceMapText!) as { mappings: string }), sources: [`${"../".repeat(compiled.depth + 3)}${source.slice(compiled.root.length)}`] };
    let prelude = "";
    if (asksPlace) {
      this.#placed = true;
      prelude = `import.meta.url = new URL(${JSON.stringify(map.sources[0])}, import.meta.url).href; import.meta.filename = decodeURIComponent(new URL(import.meta.url).pathname); import.meta.dirname = import.meta.filename.replace(/\\/[^/]*$/, "") || "/";\n`;
      map.mappings = `;${map.mappings}`;
    }
    return `${prelude}${code}//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}\n`;
  }

  /** Where a compiled module is to stand, below `.imgtask/modules/…` as its source below the project. */
  #compiledURL(path: string): { readonly root: string; readonly depth: number } {
    return { root: `${pathToFileURL(this.#directory).href.replace(/\/$/, "")}/`, depth: relative(this.#directory, path).split(sep).length - 1 };
  }

  /** Refuses what a module may not have; tells whether it asks where it is. */
  #check(file: ts.SourceFile, isTypeScript: boolean): boolean {
    let asksPlace = false;
    const visit = (node: ts.Node): void => {
      const { parent } = node;
      if (ts.isIdentifier(node)) {
        const isMember = (ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent)) && parent.name === node;
        if (loaderNames.has(node.text) && !isMember) throw new Refused(`"${node.text}" in ${file.fileName}`);
      } else if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) {
        if (!ts.isPropertyAccessExpression(parent) || !metaNames.has(parent.name.text)) throw new Refused(`import.meta in ${file.fileName}`);
        asksPlace = true;
      } else if (ts.isImportEqualsDeclaration(node) || (ts.isExportAssignment(node) && node.isExportEquals === true)) throw new Refused(`a module of the old kind: ${file.fileName}`);
      else if (ts.isDecorator(node) && this.#settings.oldDecorators) throw new Refused(`decorators in ${file.fileName}`);
      else if (isTypeScript && ts.isPropertyDeclaration(node) && this.#settings.assignedFields) throw new Refused(`fields of classes in ${file.fileName}`);
      ts.forEachChild(node, visit);
    };
    ts.forEachChild(file, visit);
    return asksPlace;
  }

  /** Lets the imports that are left name compiled modules. */
  #redirect(file: ts.SourceFile, path: string, context: ts.TransformationContext): ts.SourceFile {
    const { factory } = context;
    const named = (node: ts.Expression): ts.StringLiteral => {
      if (!ts.isStringLiteralLike(node)) throw new Refused(`a computed import() in ${path}`);
      return ts.setTextRange(factory.createStringLiteral(this.#resolve(node.text, path)), node);
    };
    const visit = (node: ts.Node): ts.Node => {
      if (ts.isImportDeclaration(node)) return factory.updateImportDeclaration(node, node.modifiers, node.importClause, named(node.moduleSpecifier), node.attributes);
      if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) return factory.updateExportDeclaration(node, node.modifiers, node.isTypeOnly, node.exportClause, named(node.moduleSpecifier), node.attributes);
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const [first, ...rest] = node.arguments;
        return factory.updateCallExpression(node, node.expression, undefined, [named(first!), ...rest.map((one) => ts.visitNode(one, visit) as ts.Expression)]);
      }
      return ts.visitEachChild(node, visit, context);
    };
    return ts.visitEachChild(file, visit, context);
  }

  /** What a specifier is in the compiled module. */
  #resolve(specifier: string, from: string): string {
    if (isBuiltin(specifier)) return specifier;
    if (/^\.{1,2}\//.test(specifier)) {
      const path = this.#accept(this.#find(specifier, from));
      this.#edges.get(from)!.push(path);
      const inner = relative(dirname(from), path);
      return `${inner.startsWith("..") ? "" : "./"}${inner}${ending}`;
    }
    const name = /^(?:@[^/:]+\/)?[^@#./:~][^/:]*(?=\/|$)/.exec(specifier)?.[0];
    if (name === undefined || resolvePackage(from, name) === undefined) throw new Refused(`the specifier "${specifier}" in ${from}`);
    let found: string | undefined;
    try {
      found = createRequire(from).resolve(specifier);
    } catch {
      // For `import` alone, which Node sees to. What it does not find is left to tsx when it comes up.
    }
    if (found !== undefined && !/^\.[cm]?js$/.test(extname(found))) throw new Refused(`"${specifier}" is not JavaScript`);
    // A module of the project's own under another name would be there twice.
    if (found?.startsWith(`${this.#directory}${sep}`) === true && !found.includes(`${sep}node_modules${sep}`)) throw new Refused(`"${specifier}" is the project's own`);
    return specifier;
  }

  /** The file that a relative specifier means, when it can mean one only. */
  #find(specifier: string, from: string): string {
    const named = resolve(dirname(from), specifier);
    const ambiguous = (...others: readonly string[]): void => {
      for (const other of others) if (this.#isThere(other)) throw new Refused(`"${specifier}" in ${from} may mean ${other}`);
    };
    const ext = extname(named);
    if (/[?#%]/.test(specifier)) throw new Refused(`the specifier "${specifier}" in ${from}`);
    if (ext === ".js" || ext === ".mjs") {
      const source = named.replace(/js$/, "ts");
      if (this.#isThere(source)) return ambiguous(named), source;
      ambiguous(named.replace(/\.m?js$/, ".tsx"));
      return named;
    }
    if (ext === ".ts" || ext === ".mts") return named;
    ambiguous(named, ...[".tsx", ".js", ".jsx", ".mjs", ".json"].map((one) => named + one));
    return `${named}.ts`;
  }

  /** Whether some modules import each other. */
  #isRound(): boolean {
    const finished = new Set<string>(), open = new Set<string>();
    const visit = (path: string): boolean => {
      if (open.has(path)) return true;
      if (finished.has(path)) return false;
      open.add(path);
      const round = this.#edges.get(path)!.some(visit);
      open.delete(path);
      finished.add(path);
      return round;
    };
    return [...this.#edges.keys()].some(visit);
  }
}
