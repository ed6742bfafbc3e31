/**
 * The command `check`: the types of the imagefile, by the project's own TypeScript or the one that comes along.
 * Evaluates nothing.
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { ExitCode, ImgtaskError } from "../error.ts";
import { findProject } from "../project.ts";
import { shownPath } from "../report/error.ts";
import { count } from "../report/words.ts";
import type { CommandContext } from "./context.ts";

/** A mistake that the type checker found. */
export interface Diagnostic {
  /** Absolute path, or `null` when it concerns no file. */
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  /** `"TS2322"`. */
  readonly code: string;
  /** Of several lines when the checker explains. */
  readonly message: string;
}

/** Options used when the project has no tsconfig.json. */
const defaults: Readonly<Record<string, string | boolean>> = {
  target: "es2023", module: "nodenext", moduleResolution: "nodenext", strict: true, noEmit: true, skipLibCheck: true,
  allowImportingTsExtensions: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true,
};

/** Path of the `tsc` that the project itself has, or `undefined`. */
function ownCompiler(directory: string): string | undefined {
  try {
    const manifest = createRequire(join(directory, "package.json")).resolve("typescript/package.json");
    const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin?: { tsc?: string } };
    const tsc = bin?.tsc === undefined ? undefined : resolve(dirname(manifest), bin.tsc);
    return tsc !== undefined && existsSync(tsc) ? tsc : undefined;
  } catch {
    return undefined;
  }
}

/** Reads what `tsc --pretty false` prints. Paths in it are relative to `directory`. */
export function parseDiagnostics(text: string, directory: string): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^(?:(.+)\((\d+),(\d+)\): )?error (TS\d+): (.*)$/.exec(line);
    if (match !== null) {
      const [, file, row, column, code, message] = match;
      found.push({ file: file === undefined ? null : resolve(directory, file), line: row === undefined ? null : Number(row), column: column === undefined ? null : Number(column), code: code!, message: message! });
    } else if (/^\s+\S/.test(line) && found.length > 0) {
      const last = found.pop()!;
      found.push({ ...last, message: `${last.message}\n${line}` });
    }
  }
  return found;
}

interface Output {
  readonly code: number | null;
  readonly text: string;
}

function spawnCompiler(tsc: string, args: readonly string[], directory: string, signal: AbortSignal): Promise<Output> {
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, [tsc, ...args], { cwd: directory, stdio: ["ignore", "pipe", "pipe"], signal });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => done({ code, text: Buffer.concat(chunks).toString("utf8") }));
  });
}

async function checkWithOwn(tsc: string, imagefile: string, directory: string, signal: AbortSignal): Promise<readonly Diagnostic[]> {
  const common = ["--noEmit", "--pretty", "false"];
  if (existsSync(join(directory, "tsconfig.json"))) {
    const output = await spawnCompiler(tsc, [...common, "--listFiles", "-p", "tsconfig.json"], directory, signal);
    const diagnostics = parseDiagnostics(output.text, directory);
    // A tsconfig.json that does not include the imagefile says nothing about it.
    if (diagnostics.length > 0 || output.text.split("\n").some((line) => line.trim() === imagefile)) return trusted(output, diagnostics);
  }
  const args = Object.entries(defaults).flatMap(([name, value]) => (name === "noEmit" ? [] : [`--${name}`, String(value)]));
  const output = await spawnCompiler(tsc, [...common, ...args, relative(directory, imagefile)], directory, signal);
  return trusted(output, parseDiagnostics(output.text, directory));
}

/** A compiler that fails without saying why must not pass for one that found nothing. */
function trusted(output: Output, diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  if (output.code === 0 || diagnostics.length > 0) return diagnostics;
  throw new ImgtaskError("IMG2024", "The TypeScript compiler failed", {
    found: output.text.trim().slice(-2000) || `exit code ${output.code}`,
    hint: "Run `npx tsc --noEmit` in the project to see more",
    exitCode: ExitCode.usage,
  });
}

async function checkWithBundled(imagefile: string, directory: string): Promise<readonly Diagnostic[]> {
  const { Project, ts } = await import("ts-morph");
  const config = join(directory, "tsconfig.json");
  const nodeTypes = existsSync(join(directory, "node_modules/@types/node"));
  const options = ts.convertCompilerOptionsFromJson({ ...defaults, ...(nodeTypes ? { types: ["node"] } : {}) }, directory).options;
  const project = existsSync(config)
    ? new Project({ tsConfigFilePath: config, compilerOptions: { noEmit: true } })
    : new Project({ compilerOptions: options });
  project.addSourceFileAtPath(imagefile);
  return project.getPreEmitDiagnostics()
    .filter((diagnostic) => diagnostic.getCategory() === ts.DiagnosticCategory.Error)
    .map((diagnostic) => {
      const file = diagnostic.getSourceFile();
      const start = diagnostic.getStart();
      const place = file === undefined || start === undefined ? undefined : file.getLineAndColumnAtPos(start);
      return {
        file: file?.getFilePath() ?? null,
        line: place?.line ?? null,
        column: place?.column ?? null,
        code: `TS${diagnostic.getCode()}`,
        message: ts.flattenDiagnosticMessageText(diagnostic.compilerObject.messageText, "\n"),
      };
    });
}

/** Checks the types; mistakes go to standard output, one a line with its explanation below. */
export async function check(context: CommandContext): Promise<ExitCode> {
  const { imagefile, directory } = findProject(context.cwd, context.options.imagefile);
  const tsc = ownCompiler(directory);
  const diagnostics = tsc === undefined ? await checkWithBundled(imagefile, directory) : await checkWithOwn(tsc, imagefile, directory, context.signal);
  const shown = diagnostics.map((one) => ({ ...one, file: one.file === null ? null : shownPath(one.file, context.cwd) }));
  if (context.options.json) context.stdout(`${JSON.stringify({ ok: shown.length === 0, compiler: tsc === undefined ? "bundled" : "project", diagnostics: shown }, undefined, 2)}\n`);
  else {
    for (const { file, line, column, code, message } of shown) context.stdout(`${file === null ? "" : `${file}:${line}:${column} `}error ${code}: ${message}\n`);
    context.stderr(shown.length === 0 ? `${shownPath(imagefile, context.cwd)}: no mistakes in types\n` : `${count(shown.length, "mistake")} in types\n`);
  }
  return shown.length === 0 ? ExitCode.ok : ExitCode.usage;
}
