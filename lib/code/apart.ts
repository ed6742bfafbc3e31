/**
 * Compiles the imagefile and reads the code of recipes in a process of its own: the TypeScript compiler takes a hundred
 * megabytes, and every command that a process starts costs it the more the more memory it has. Knows no syntax.
 * @module
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Digest } from "../digest.ts";
import { type ExitCode, ImgtaskError, type Location } from "../error.ts";
import type { RecipeSheet } from "../recipe-sheet.ts";
import type { RecipePlace } from "./place.ts";
import type { Code, Outside, RecipeCode } from "./recipes.ts";

/** What the other process is asked first: to compile the imagefile, and where to. */
export interface Order extends Pick<Outside, "imagefile" | "directory"> {
  /** Working directory of the command line. */
  readonly cwd: string;
  /** Directory for compiled modules, relative to the project's; `null`: they are not wanted. */
  readonly modules: string | null;
}

/** What it is asked then, if at all. */
export interface Question {
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

/** The other process. It ends when it has answered, or is closed. */
export class Apart {
  readonly #outside: Pick<Outside, "imagefile" | "directory">;
  readonly #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  readonly #lines: ((line: string | undefined) => void)[] = [];
  readonly #come: string[] = [];
  #ended = false;
  #asked = false;

  /**
   * Starts it, unless there can be none.
   *
   * @param modules as in {@linkcode Order}; they are written before anything else
   */
  constructor(outside: Pick<Outside, "imagefile" | "directory">, modules: string | null) {
    this.#outside = outside;
    if ("Deno" in globalThis) {
      this.#ended = true;
      return;
    }
    const script = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./reader.ts" : "./reader.js", import.meta.url));
    // Of this process's own options only those that let it load the script: a profile or a debugger is for this one alone.
    const options = process.execArgv.flatMap((word, at, all) => (word === "--import" ? [word, all[at + 1]!] : word.startsWith("--import=") ? [word] : []));
    this.#child = spawn(process.execPath, [...options, script], { stdio: ["pipe", "pipe", "ignore"], env: {} });
    this.#child.once("error", () => this.#end());
    this.#child.once("close", () => this.#end());
    this.#child.stdin.on("error", () => {});
    let chunks: Buffer[] = [];
    this.#child.stdout.on("data", (chunk: Buffer) => {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10)) {
        this.#line(Buffer.concat([...chunks, chunk.subarray(0, at)]).toString("utf8"));
        chunks = [];
        chunk = chunk.subarray(at + 1);
      }
      if (chunk.length > 0) chunks.push(chunk);
    });
    this.#tell({ ...outside, cwd: process.cwd(), modules } satisfies Order);
  }

  /** Waits until compiled modules are there, or it is known that there will be none. */
  async compiled(): Promise<void> {
    if (!this.#asked) await this.#next();
    this.#asked = true;
  }

  /** As `readRecipes`. Where no other process can be had, this one does the work. */
  async recipes(targets: readonly RecipePlace[], outside: Pick<Outside, "identify" | "digest">): Promise<Code> {
    await this.compiled();
    this.#tell({ targets } satisfies Question);
    const answer = JSON.parse((await this.#next()) ?? "null") as Answer | null;
    if (answer === null) return (await import("./recipes.ts")).readRecipes(targets, { ...this.#outside, ...outside });
    if ("error" in answer) {
      const { code, message, ...details } = answer.error;
      throw new ImgtaskError(code, message, details);
    }
    const codes = answer.codes.map((one): RecipeCode => ({ ...one, digest: one.digest }));
    return { files: answer.files, packages: new Set(answer.packages), recipes: new Map(answer.recipes.map(([name, code]) => [name, codes[code]!])), whole: answer.whole };
  }

  /** Lets it go, when nothing more is asked. */
  close(): void {
    this.#child?.stdin.end();
  }

  #tell(what: unknown): void {
    this.#child?.stdin.write(`${JSON.stringify(what)}\n`);
  }

  #line(line: string | undefined): void {
    const waiting = this.#lines.shift();
    if (waiting !== undefined) waiting(line);
    else if (line !== undefined) this.#come.push(line);
  }

  #end(): void {
    this.#ended = true;
    while (this.#lines.length > 0) this.#line(undefined);
  }

  /** The next line that comes; `undefined` when none will. */
  #next(): Promise<string | undefined> {
    const line = this.#come.shift();
    return line !== undefined || this.#ended ? Promise.resolve(line) : new Promise((resolve) => this.#lines.push(resolve));
  }
}
