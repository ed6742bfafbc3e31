/**
 * Digests of the code behind recipes: a module and every module it reaches by relative imports, and the versions
 * of the packages it names. Coarse but safe: an edit anywhere in these files counts. Loads no code.
 * @module
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { type Digest, digestOf } from "./digest.ts";

/** What a module reaches. */
export interface Closure {
  /** Absolute paths, sorted; the module itself among them. */
  readonly files: readonly string[];
  /** Whether a module is imported by a name that only a tsconfig.json or package.json explains. */
  readonly unresolved: boolean;
}

// Also matches in comments and strings: then a file too many counts, which is safe.
const before = String.raw`(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\(|\bnew\s+URL\s*\()(?:\s|/\*[^]*?\*/)*`;
const relativeSpecifier = new RegExp(`${before}["'\`](\\.{1,2}/[^"'\`\n]+|\\.{1,2})["'\`]`, "g");
const bareSpecifier = new RegExp(`${before}["'\`]((?:@[a-z0-9-~][a-z0-9-._~]*/)?[a-z0-9-~][a-z0-9-._~]*)(?:/[^"'\`\n]*)?["'\`]`, "g");
const mappedSpecifier = new RegExp(`${before}["'\`](?:[#~]|@/)`);
const endings = ["", ".ts", ".mts", ".js", ".mjs", ".cjs", ".json", "/index.ts", "/index.js"];

const builtins = new Set(builtinModules);

/** The file a relative specifier means, or `undefined`. A `.js` that was never built stands for its `.ts`. */
export function resolveRelative(from: string, specifier: string): string | undefined {
  const base = resolve(dirname(from), specifier.replace(/[?#].*$/, ""));
  const candidates = [...endings.map((ending) => base + ending), base.replace(/\.(m?)js$/, ".$1ts")];
  return candidates.find((path) => existsSync(path) && statSync(path).isFile());
}

/** Directory of the package a bare specifier means, seen from a file: in node_modules, or the file's own package. */
export function resolvePackage(from: string, name: string): string | undefined {
  for (let directory = dirname(from); ; directory = dirname(directory)) {
    const installed = join(directory, "node_modules", name);
    if (existsSync(join(installed, "package.json"))) return realpathSync(installed);
    const own = join(directory, "package.json");
    if (existsSync(own) && (JSON.parse(readFileSync(own, "utf8")) as { name?: string }).name === name) return directory;
    if (directory === dirname(directory)) return undefined;
  }
}

function codeBelow(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" || entry.name.startsWith(".") ? [] : codeBelow(path);
    return /\.(?:m?js|cjs|m?ts|json)$/.test(entry.name) && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

/** Everything that the code of a module depends on, as files. */
export function closureOf(entry: string): Closure {
  const files = new Set<string>();
  const packages = new Set<string>();
  const queue = [entry];
  let unresolved = false;
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    if (file.endsWith(".json")) continue;
    const text = readFileSync(file, "utf8");
    for (const [, specifier] of text.matchAll(relativeSpecifier)) {
      const found = resolveRelative(file, specifier!);
      if (found !== undefined) queue.push(found);
    }
    unresolved ||= mappedSpecifier.test(text);
    for (const [, name] of text.matchAll(bareSpecifier)) {
      const directory = resolvePackage(file, name!);
      if (directory === undefined && !builtins.has(name!)) unresolved = true;
      if (directory === undefined || packages.has(directory)) continue;
      packages.add(directory);
      files.add(join(directory, "package.json"));
      // What is installed by a package manager is told by its version; what is linked in is not.
      if (!directory.includes(`${sep}node_modules${sep}`) && !file.startsWith(`${directory}${sep}dist${sep}`)) {
        for (const path of codeBelow(join(directory, "dist"))) files.add(path);
      }
    }
  }
  return { files: [...files].sort((a, b) => (a < b ? -1 : 1)), unresolved };
}

/**
 * Digest of a closure: names relative to their common directory, and contents. `digest` gives a file's digest.
 */
export function digestClosure(entry: string, closure: Pick<Closure, "files">, digest: (path: string) => Digest): Digest {
  const base = dirname(entry);
  const lines = closure.files.map((path) => `${relativeName(base, path)} ${digest(path)}`);
  return digestOf(lines.sort().join("\n"));
}

/** A name that is the same in every checkout: relative to the entry, or to the package that holds the file. */
function relativeName(base: string, path: string): string {
  if (path.startsWith(`${base}${sep}`)) return path.slice(base.length + 1);
  const installed = path.lastIndexOf(`${sep}node_modules${sep}`);
  if (installed >= 0) return path.slice(installed + 1);
  // A package that is linked in may stand anywhere.
  const holder = packageAbove(dirname(path));
  if (holder !== undefined && holder.directory !== packageAbove(base)?.directory) return `${holder.name} ${path.slice(holder.directory.length + 1)}`;
  return relative(base, path);
}

/** What tells the code of a package from that of another version. */
export interface PackageIdentity {
  /** The same wherever it is installed. */
  readonly text: string;
  /** For people. */
  readonly version: string;
  /** Absolute paths of the files that it was made of. */
  readonly files: readonly string[];
}

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly main?: string;
  readonly exports?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Paths that package.json names as entries of a package. */
function entriesIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(entriesIn) : [];
}

/**
 * A package by its version and those of all that it depends on; what is linked in and not installed, by its code.
 *
 * @param directory of the package, without symbolic links
 */
export function identifyPackage(directory: string, digest: (path: string) => Digest): PackageIdentity {
  const files: string[] = [];
  const lines: string[] = [];
  const seen = new Set<string>();
  const queue = [directory];
  let version = "";
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const json = JSON.parse(readFileSync(join(at, "package.json"), "utf8")) as PackageJson;
    files.push(join(at, "package.json"));
    lines.push(`${json.name ?? ""}@${json.version ?? ""}`);
    if (at === directory) version = json.version ?? "";
    if (!at.includes(`${sep}node_modules${sep}`)) {
      const entries = entriesIn([json.exports, json.main]).filter((path) => path !== "./package.json");
      const built = entries.length > 0 && entries.every((path) => /^(?:\.\/)?dist\//.test(path));
      const code = codeBelow(built ? join(at, "dist") : at);
      files.push(...code);
      const content = digestOf(code.map((path) => `${relative(at!, path)} ${digest(path)}`).sort().join("\n"));
      lines.push(content);
      if (at === directory) version = `${version} ${content}`;
      // What the built files need is told by the lock file; it is imgtask's own business for imgtask.
      if (json.name === "imgtask") continue;
    }
    for (const name of Object.keys({ ...json.dependencies, ...json.optionalDependencies })) {
      const found = resolvePackage(join(at, "package.json"), name);
      if (found !== undefined) queue.push(found);
    }
  }
  return { text: lines.sort().join(" "), version, files };
}

const packagesAbove = new Map<string, { readonly directory: string; readonly name: string } | undefined>();

/** The nearest package with a name that holds a directory. */
function packageAbove(directory: string): { readonly directory: string; readonly name: string } | undefined {
  if (packagesAbove.has(directory)) return packagesAbove.get(directory);
  let found: { readonly directory: string; readonly name: string } | undefined;
  try {
    const { name } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { name?: unknown };
    if (typeof name === "string") found = { directory, name };
  } catch {
    // No package here.
  }
  if (found === undefined && dirname(directory) !== directory) found = packageAbove(dirname(directory));
  packagesAbove.set(directory, found);
  return found;
}
