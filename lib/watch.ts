/**
 * Notes what code reads while it runs, beside the modules it imports: environment variables and files.
 * Only for the evaluation of an imagefile, which is short and alone in its process.
 * @module
 */
import fs from "node:fs";
import { createRequire } from "node:module";
import { resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** What was read until `restore()`. */
export interface Watched {
  /** Environment variables with their values. */
  environment(): Readonly<Record<string, string | undefined>>;
  /** Absolute paths of files whose content was read, sorted. */
  files(): readonly string[];
  /** Absolute paths of directories that were listed, sorted. */
  directories(): readonly string[];
  /** Ends the watch. */
  restore(): void;
}

/** Names that node, npm and tsx read by themselves; what they read is not the imagefile's doing. */
const ambient = /^(?:NODE_|npm_|TSX_|ESBUILD_|FORCE_COLOR$|NO_COLOR$|TERM$|COLORTERM$|CI$|TS_NODE|PATH$|HOME$|TMPDIR$|IMGTASK_DEBUG$|DEBUG$|WATCH_REPORT)/;

const readers = ["readFileSync", "readFile", "openSync", "open", "createReadStream"] as const;
const listers = ["readdirSync", "readdir", "opendirSync", "opendir"] as const;

/** Files that the runtime and installed packages read for themselves. */
function isForeign(path: string): boolean {
  return path.includes(`${sep}node_modules${sep}`) || /^\/(?:proc|sys|dev)\//.test(path) || path.startsWith(`/tmp/tsx-`);
}

/** Whether the reader is Node's loader of modules, which does so in this thread where tsx is not in use. */
function byLoader(): boolean {
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = 3;
  Error.prepareStackTrace = (_error, sites) => sites.some((site) => site.getFileName()?.startsWith("node:internal/modules/esm/") === true);
  try {
    return (new Error().stack as unknown) === true;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}

type Patchable = Record<string, (...args: unknown[]) => unknown>;

/** Begins to watch. What is read by `import`, by other processes, or through file descriptors opened before is not seen. */
export function watch(): Watched {
  const original = process.env;
  const names = new Set<string>();
  const files = new Set<string>();
  const directories = new Set<string>();
  const note = (name: string | symbol): void => {
    if (typeof name === "string" && !ambient.test(name)) names.add(name);
  };
  process.env = new Proxy(original, {
    get: (env, name, receiver) => (note(name), Reflect.get(env, name, receiver) as string | undefined),
    has: (env, name) => (note(name), Reflect.has(env, name)),
    getOwnPropertyDescriptor: (env, name) => Reflect.getOwnPropertyDescriptor(env, name),
    set: (env, name, value) => Reflect.set(env, name, value),
  });
  const undo: (() => void)[] = [];
  const patch = (module: Patchable, keys: readonly string[], seen: Set<string>): void => {
    for (const key of keys) {
      const before = module[key];
      if (before === undefined) continue;
      module[key] = function (this: unknown, ...args: unknown[]): unknown {
        const path = pathOf(args[0]);
        if (path !== undefined && !isForeign(path) && !byLoader()) seen.add(path);
        return before.apply(this, args);
      };
      undo.push(() => {
        module[key] = before;
      });
    }
  };
  for (const module of [fs, fs.promises] as unknown as Patchable[]) {
    patch(module, readers, files);
    patch(module, listers, directories);
  }
  publish();
  return {
    environment: () => Object.fromEntries([...names].sort().map((name) => [name, original[name]])),
    files: () => [...files].sort(),
    directories: () => [...directories].sort(),
    restore: () => {
      process.env = original;
      for (const one of undo) one();
      publish();
    },
  };
}

function pathOf(value: unknown): string | undefined {
  try {
    if (typeof value === "string") return resolve(value);
    if (value instanceof URL) return fileURLToPath(value);
    return Buffer.isBuffer(value) ? resolve(value.toString()) : undefined;
  } catch {
    return undefined;
  }
}

/** Lets modules that imported the functions by name see the change. */
function publish(): void {
  const module = createRequire(import.meta.url)("node:module") as { syncBuiltinESMExports?: () => void };
  module.syncBuiltinESMExports?.();
}
