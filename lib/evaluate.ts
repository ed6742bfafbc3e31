/**
 * Evaluates an imagefile: imports its compiled modules, or the imagefile itself by tsx, and says what went wrong. The
 * only place that imports the user's code.
 * @module
 */
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { ExitCode, ImgtaskError, isImgtaskError } from "./error.ts";
import type { Project } from "./project.ts";
import { type Registered, registry } from "./target.ts";
import { mentionIn, thrownAt } from "./thrown.ts";
import { watch, type Watched } from "./watch.ts";

/** What an evaluation yields. */
export interface Evaluated {
  readonly registered: readonly Registered[];
  readonly default: string | undefined;
  /** What was read meanwhile. */
  readonly watched: Watched;
}

/**
 * Imports the imagefile and collects what it declares.
 *
 * @param options.compiled URL of the compiled imagefile. @default the imagefile itself, by tsx
 * @param options.only names of the targets that are wanted. @default all
 * @throws {ImgtaskError} IMG2009 when it cannot be evaluated, or what it throws itself
 */
export async function evaluate(project: Project, { compiled, only }: { readonly compiled?: string | undefined; readonly only?: ReadonlySet<string> | undefined } = {}): Promise<Evaluated> {
  if (compiled !== undefined) {
    process.setSourceMapsEnabled(true);
    try {
      return await collect(compiled, only);
    } catch (error) {
      // tsx finds some modules that Node does not find, and its words name the sources.
      if (!isOfLoading(error)) throw evaluationError(error, project);
    }
  }
  await useTypeScript();
  try {
    return await collect(pathToFileURL(project.imagefile).href, only);
  } catch (error) {
    throw evaluationError(error, project);
  }
}

async function collect(url: string, only: ReadonlySet<string> | undefined): Promise<Evaluated> {
  const declared = registry();
  const { targets } = declared;
  targets.length = 0;
  declared.only = only;
  const watched = watch();
  try {
    const module = (await import(url)) as { default?: { name?: unknown } };
    const named = module.default?.name;
    return { registered: [...targets], default: typeof named === "string" ? named : undefined, watched };
  } finally {
    declared.only = undefined;
    watched.restore();
  }
}

/** Whether modules could not be found, read or put together. */
function isOfLoading(error: unknown): boolean {
  return error instanceof SyntaxError || /^ERR_(?:[A-Z]+_)*(?:MODULE|PACKAGE|IMPORT|EXPORT|DIR|FILE|ESM)(?:_[A-Z]+)*$/.test(String((error as NodeJS.ErrnoException | null)?.code));
}

/**
 * Whether compiled modules may be imported: with a loader of the user's own, or tsx asked for, the sources are to be
 * loaded by it.
 */
export function mayCompile(project: Project): boolean {
  // In a directory elsewhere, packages would not be found; the one in the project may have been written by others then.
  if ("Deno" in globalThis || tsxInUse || project.caches !== project.state || (process.env["TSX_TSCONFIG_PATH"] ?? "") !== "") return false;
  return !options.some((one) => /^(?:-r|-C|--(?:import|require|loader|experimental-loader|conditions|preserve-symlinks(?:-main)?|experimental-specifier-resolution))(?:=|$)/.test(one));
}

/** Lets Node import TypeScript. Deno, and Node with type stripping of its own, need no help but tsx does no harm. */
async function useTypeScript(): Promise<void> {
  if ("Deno" in globalThis || tsxInUse) return;
  const { register } = await import("tsx/esm/api");
  register();
  process.setSourceMapsEnabled(true);
  tsxInUse = true;
}

const options = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(/\s+/)];

let tsxInUse = options.some((one) => /(?:^|=)tsx$|tsx\/dist\/loader\.mjs$/.test(one));

/** What a failed evaluation says to the person who wrote the imagefile. */
function evaluationError(error: unknown, project: Project): ImgtaskError {
  if (isImgtaskError(error)) return error.location === undefined ? error.at(thrownAt(error, project.directory)) : error;
  const { message = String(error), name = "Error" } = (error ?? {}) as Error;
  const syntax = /([^\s()]+\.(?:m?[jt]s)):(\d+):(\d+): ERROR: (.*)/.exec(message);
  if (syntax !== null) {
    return new ImgtaskError("IMG2009", `The imagefile is not valid TypeScript: ${syntax[4]!}`, {
      exitCode: ExitCode.usage,
      location: { file: syntax[1]!, line: Number(syntax[2]), column: Number(syntax[3]) + 1 },
    });
  }
  const first = message.split("\n")[0]!.replaceAll(/file:\/\/|\?tsx-namespace=\d+/g, "");
  const absent = /Cannot find (module|package) '([^']+)' imported from ([^\s?]+)/.exec(first);
  const unknown = /does not provide an export named '([^']+)'/.exec(first)?.[1];
  // Of what is imported, the stack says nothing.
  const location = thrownAt(error, project.directory)
    ?? (absent !== null ? mentionIn(absent[3]!, basename(absent[2]!)) : unknown !== undefined ? mentionIn(project.imagefile, unknown) : undefined);
  const missing = (error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND" || /not prefixed|Cannot find (?:module|package)/.test(message);
  const hint = absent?.[1] === "module" && !absent[2]!.includes("/node_modules/") ? "Is the file there, and is its ending written as it is (`.ts`)?"
    : missing ? `Is the package installed? Run \`npm install\` in ${project.directory}` : "Run `imgtask check` for what the type checker says";
  return new ImgtaskError("IMG2009", `The imagefile cannot be evaluated: ${name === "Error" ? "" : `${name}: `}${first}`, {
    exitCode: ExitCode.usage,
    cause: error,
    hint,
    ...(location === undefined ? {} : { location }),
  });
}
