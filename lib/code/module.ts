/**
 * The user's own modules as syntax trees: the imagefile and every local module that it reaches by imports, and what
 * their specifiers mean. Runs no code and knows nothing of recipes.
 * @module
 */
import { existsSync, realpathSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, sep } from "node:path";
import { Project, ts } from "ts-morph";
import { resolvePackage, resolveRelative } from "../recipe.ts";

/** What a module specifier means. */
export type Resolved =
  | { readonly type: "module"; readonly path: string }
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "builtin"; readonly name: string }
  | { readonly type: "package"; readonly name: string; readonly directory: string; readonly specifier: string }
  | { readonly type: "unknown"; readonly specifier: string };

/** The local modules of one evaluation. */
export interface Modules {
  readonly files: ReadonlyMap<string, ts.SourceFile>;
  /** Absolute paths of what is imported or named by `new URL(…, import.meta.url)` and is no module. */
  readonly others: ReadonlySet<string>;
  /** Specifiers imported for their effect alone, by what they mean. */
  readonly effects: readonly Resolved[];
  readonly checker: ts.TypeChecker;
  resolve(specifier: string, from: string): Resolved;
}

const code = /\.(?:[cm]?[jt]s|[jt]sx)$/;
const builtins = new Set(builtinModules);

/** Compiler options of the nearest tsconfig.json that have a say in what specifiers mean. */
function pathOptions(directory: string): ts.CompilerOptions {
  const found = ts.findConfigFile(directory, ts.sys.fileExists);
  if (found === undefined) return {};
  const { config } = ts.readConfigFile(found, ts.sys.readFile) as { config?: unknown };
  const { baseUrl, paths, pathsBasePath } = ts.parseJsonConfigFileContent(config ?? {}, { ...ts.sys, readDirectory: () => [] }, dirname(found)).options;
  return { ...(baseUrl === undefined ? {} : { baseUrl }), ...(paths === undefined ? {} : { paths, pathsBasePath: pathsBasePath ?? dirname(found) }) };
}

/** Gives a function that tells what a specifier in a file means. */
function resolver(directory: string): (specifier: string, from: string) => Resolved {
  const known = new Map<string, Resolved>();
  const own = pathOptions(directory);
  const options: ts.CompilerOptions = { ...own, moduleResolution: ts.ModuleResolutionKind.Bundler, module: ts.ModuleKind.ESNext, allowJs: true, resolveJsonModule: true, allowImportingTsExtensions: true };
  const local = (path: string): Resolved => (code.test(path) ? { type: "module", path: realpathSync(path) } : { type: "file", path: realpathSync(path) });
  const find = (specifier: string, from: string): Resolved => {
    const bare = specifier.replace(/^node:/, "");
    if (specifier.startsWith("node:") || builtins.has(bare)) return { type: "builtin", name: bare };
    if (/^(?:\.{1,2}(?:\/|$)|\/|file:)/.test(specifier)) {
      const path = resolveRelative(from, specifier.startsWith("file:") ? new URL(specifier).pathname : specifier);
      return path === undefined ? { type: "unknown", specifier } : local(path);
    }
    if (own.paths !== undefined || own.baseUrl !== undefined || specifier.startsWith("#")) {
      const found = ts.resolveModuleName(specifier, from, options, ts.sys).resolvedModule;
      if (found !== undefined && !found.resolvedFileName.includes(`${sep}node_modules${sep}`) && !/\.d\.[cm]?ts$/.test(found.resolvedFileName) && found.isExternalLibraryImport !== true) {
        return local(found.resolvedFileName);
      }
    }
    const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0];
    const place = name === undefined || /^[#~@]$|^#/.test(name) ? undefined : resolvePackage(from, name);
    return place === undefined ? { type: "unknown", specifier } : { type: "package", name: name!, directory: place, specifier };
  };
  return (specifier, from) => {
    const key = `${dirname(from)}\0${specifier}`;
    let found = known.get(key);
    if (found === undefined) known.set(key, (found = find(specifier, from)));
    return found;
  };
}

/** `new URL("…", import.meta.url)`: the text, or `undefined`. */
export function assetSpecifier(node: ts.Node): string | undefined {
  if (!ts.isNewExpression(node) || !ts.isIdentifier(node.expression) || node.expression.text !== "URL" || node.arguments?.length !== 2) return undefined;
  const [first, second] = node.arguments;
  const meta = ts.isPropertyAccessExpression(second!) && ts.isMetaProperty(second.expression) && second.name.text === "url";
  return meta && ts.isStringLiteralLike(first!) ? first.text : undefined;
}

/** The text of a literal `import("…")` or `require("…")`, or `undefined`. */
export function calledSpecifier(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const imports = node.expression.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(node.expression) && node.expression.text === "require");
  const [first] = node.arguments;
  return imports && first !== undefined && ts.isStringLiteralLike(first) ? first.text : undefined;
}

/** Reads the imagefile and all that it reaches. */
export function readModules(imagefile: string, directory: string): Modules {
  const resolve = resolver(directory);
  const project = new Project({
    skipAddingFilesFromTsConfig: true,
    skipFileDependencyResolution: true,
    skipLoadingLibFiles: true,
    compilerOptions: { noLib: true, noResolve: true, types: [], allowJs: true, target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, moduleDetection: ts.ModuleDetectionKind.Force },
  });
  const others = new Set<string>();
  const effects: Resolved[] = [];
  const paths = new Set<string>();
  const queue = [realpathSync(imagefile)];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (paths.has(path)) continue;
    paths.add(path);
    const follow = (specifier: string): Resolved => {
      const found = resolve(specifier, path!);
      if (found.type === "module") queue.push(found.path);
      if (found.type === "file") others.add(found.path);
      return found;
    };
    const visit = (node: ts.Node): void => {
      if (ts.isImportDeclaration(node) && node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword) {
        const found = follow((node.moduleSpecifier as ts.StringLiteral).text);
        if (node.importClause === undefined) effects.push(found);
      } else if (ts.isExportDeclaration(node) && !node.isTypeOnly && node.moduleSpecifier !== undefined) follow((node.moduleSpecifier as ts.StringLiteral).text);
      const specifier = calledSpecifier(node);
      if (specifier !== undefined) follow(specifier);
      const asset = assetSpecifier(node);
      if (asset !== undefined && existsSync(join(dirname(path!), asset))) others.add(realpathSync(join(dirname(path!), asset)));
      ts.forEachChild(node, visit);
    };
    visit(project.addSourceFileAtPath(path).compilerNode);
  }
  const program = project.getProgram().compilerObject;
  const files = new Map([...paths].map((path) => [path, program.getSourceFile(path)!] as const));
  return { files, others, effects, checker: program.getTypeChecker(), resolve };
}
