/**
 * Recipe sheets: the code behind a recipe's digest as readable text, kept so that `why` can show the lines that
 * changed. Knows neither how digests come about nor who shows them.
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "./digest.ts";

/** One entry for each declaration that a recipe reaches, the recipe itself first. */
export type RecipeSheet = readonly {
  /** Relative to the project; of a package its name. */
  readonly file: string;
  /** Name of the declaration: `run`, a function, a constant; empty where a whole file counts. */
  readonly name: string;
  /** Its first line in the file, from 1. */
  readonly line: number;
  /** Its source without comments, one statement a line. */
  readonly text: string;
}[];

const directoryOf = (state: string): string => join(state, "recipes");
const fileOf = (state: string, digest: Digest): string => join(directoryOf(state), `${digest}.json`);

/**
 * Keeps the sheet of a recipe. Failing to is no error: `why` then says less.
 *
 * @param state the project's `.imgtask`
 */
export function writeSheet(state: string, digest: Digest, sheet: RecipeSheet): void {
  const file = fileOf(state, digest);
  try {
    if (statSync(file, { throwIfNoEntry: false }) !== undefined) return;
    mkdirSync(directoryOf(state), { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(sheet), { mode: 0o600 });
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    try {
      rmSync(`${file}.${process.pid}`, { force: true });
    } catch {
      // Nothing was written.
    }
  }
}

/** The sheet of a recipe by its digest, or `undefined` when it is not kept or damaged. */
export function readSheet(state: string, digest: Digest): RecipeSheet | undefined {
  try {
    const sheet = JSON.parse(readFileSync(fileOf(state, digest), "utf8")) as unknown;
    if (!Array.isArray(sheet)) return undefined;
    const whole = sheet.every((one: { file?: unknown; name?: unknown; line?: unknown; text?: unknown } | null) =>
      typeof one?.file === "string" && typeof one.name === "string" && typeof one.line === "number" && typeof one.text === "string");
    return whole ? (sheet as RecipeSheet) : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the sheets whose digests are not among those to keep. */
export function collectSheets(state: string, keep: ReadonlySet<string>): void {
  try {
    for (const name of readdirSync(directoryOf(state))) {
      if (!keep.has(name.replace(/\.json$/, ""))) rmSync(join(directoryOf(state), name), { force: true });
    }
  } catch {
    // No sheets, or nothing that could be removed now.
  }
}
