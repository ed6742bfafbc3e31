/**
 * Runs a script of this package in private namespaces in which it is root, and brings its errors back.
 * Knows nothing of what the script does.
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Argv, ImgtaskError, isImgtaskError, type Json, namespaceArgv, type Requirement, type RunContext, tool } from "../../lib/mod.ts";
import { logLine } from "./log.ts";

/** What a target needs whose recipe calls {@linkcode runInside}. */
export const namespaceTools: readonly Requirement[] = [
  tool("unshare", { min: "2.38", packages: { apt: "util-linux", dnf: "util-linux" } }),
  tool("mount", { packages: { apt: "mount", dnf: "util-linux" } }),
  ...(process.getuid?.() === 0
    ? []
    : [tool("newuidmap", { versionPattern: /()/, packages: { apt: "uidmap", dnf: "shadow-utils" } })]),
];

/** The command that runs one of this package's modules in a fresh runtime of the kind that runs now. */
function moduleArgv(script: string): Argv {
  const file = fileURLToPath(script);
  if ("Deno" in globalThis) return [process.execPath, "run", "-A", "--quiet", file];
  // Only in a checkout are modules TypeScript. tsx by its full address: `--import tsx` would be looked up from the
  // working directory of the child, which is nowhere near this package.
  const loader = file.endsWith(".ts") ? ["--import", import.meta.resolve("tsx")] : [];
  return [process.execPath, ...loader, file];
}

/**
 * Runs a module of this package as a child in namespaces of its own: root there, with private mounts that end with it.
 *
 * @param script file URL of a module that calls {@linkcode insideMain}.
 * @param input what it gets on its standard input: secrets, which no file may hold. @default nothing
 * @throws {ImgtaskError} the error that the module threw, or the one of its failed command.
 */
export async function runInside(
  context: Pick<RunContext, "tmp" | "exec" | "epoch">,
  script: string,
  job: Json,
  input?: string,
): Promise<void> {
  const jobFile = join(context.tmp, "job.json");
  const errorFile = join(context.tmp, "error.json");
  writeFileSync(jobFile, JSON.stringify(job));
  try {
    await context.exec(namespaceArgv({ uid: process.geteuid?.() ?? 0 }, [...moduleArgv(script), jobFile, errorFile] as unknown as Argv), {
      env: { SOURCE_DATE_EPOCH: String(context.epoch) },
      ...(input === undefined ? {} : { input }),
    });
  } catch (error) {
    if (!existsSync(errorFile)) throw error;
    const { code, message, ...details } = JSON.parse(readFileSync(errorFile, "utf8")) as { code: string; message: string };
    throw new ImgtaskError(code, message, { ...details, cause: error });
  }
}

/**
 * The main function of a module that {@linkcode runInside} starts: does nothing when the module is merely imported.
 *
 * @param url `import.meta.url` of that module.
 */
export async function insideMain<Job>(url: string, body: (job: Job) => void | Promise<void>): Promise<void> {
  const [, main, jobFile, errorFile] = process.argv;
  if (main !== fileURLToPath(url) || jobFile === undefined || errorFile === undefined) return;
  process.umask(0o022);
  try {
    await body(JSON.parse(readFileSync(jobFile, "utf8")) as Job);
  } catch (error) {
    const { code, message, expected, found, hint, exitCode } = isImgtaskError(error)
      ? error
      : { ...new ImgtaskError("IMG3200", String((error as Error).message)), message: String((error as Error).message) };
    writeFileSync(errorFile, JSON.stringify({ code, message, expected, found, hint, exitCode }));
    logLine((error as Error).stack ?? String(error));
    process.exitCode = 1;
  }
}
