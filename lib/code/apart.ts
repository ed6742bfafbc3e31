/**
 * Reads the code of recipes in a process of its own: the TypeScript compiler takes a hundred megabytes, and every command
 * that a process starts costs it the more the more memory it has. Knows no syntax.
 * @module
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Digest } from "../digest.ts";
import { type ExitCode, ImgtaskError, type Location } from "../error.ts";
import type { RecipeSheet } from "../recipe-sheet.ts";
import type { RecipePlace } from "./place.ts";
import type { Code, Outside, RecipeCode } from "./recipes.ts";

/** What the other process is asked. */
export interface Question extends Pick<Outside, "imagefile" | "directory"> {
  readonly targets: readonly RecipePlace[];
}

/** What it answers: recipes that are the same stand once. */
export type Answer =
  | {
      readonly files: readonly string[];
      readonly packages: readonly string[];
      readonly codes: readonly { readonly digest?: Digest; readonly sheet: RecipeSheet; readonly coarse?: RecipeCode["coarse"] }[];
      readonly recipes: readonly (readonly [name: string, code: number])[];
      readonly whole: RecipeSheet;
    }
  | { readonly error: Refusal };

/** An error as data. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly expected?: string;
  readonly found?: string;
  readonly hint?: string;
  readonly location?: Location;
  readonly exitCode: ExitCode;
}

/** As `readRecipes`. Where no other process can be had, this one does the work. */
export async function readRecipesApart(targets: readonly RecipePlace[], outside: Outside): Promise<Code> {
  const answer = "Deno" in globalThis ? undefined : await ask({ imagefile: outside.imagefile, directory: outside.directory, targets });
  if (answer === undefined) return (await import("./recipes.ts")).readRecipes(targets, outside);
  if ("error" in answer) {
    const { code, message, ...details } = answer.error;
    throw new ImgtaskError(code, message, details);
  }
  const codes = answer.codes.map((one): RecipeCode => ({ ...one, digest: one.digest }));
  return { files: answer.files, packages: new Set(answer.packages), recipes: new Map(answer.recipes.map(([name, code]) => [name, codes[code]!])), whole: answer.whole };
}

/** Asks the other process; `undefined` when there is no answer. */
function ask(question: Question): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const script = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./reader.ts" : "./reader.js", import.meta.url));
    // Of this process's own options only those that let it load the script: a profile or a debugger is for this one alone.
    const options = process.execArgv.flatMap((word, at, all) => (word === "--import" ? [word, all[at + 1]!] : word.startsWith("--import=") ? [word] : []));
    const child = spawn(process.execPath, [...options, script], { stdio: ["pipe", "pipe", "ignore"], env: {} });
    const chunks: Buffer[] = [];
    child.once("error", () => resolve(undefined));
    child.stdin.on("error", () => {}).end(JSON.stringify(question));
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("close", (code) => {
      try {
        resolve(code === 0 ? (JSON.parse(Buffer.concat(chunks).toString("utf8")) as Answer) : undefined);
      } catch {
        resolve(undefined);
      }
    });
  });
}
