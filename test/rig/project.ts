/**
 * A project in a temporary directory, and the real command line run on it. Counts the runs of recipes exactly.
 * Knows nothing of what is tested.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Directory of the repository. */
export const repository: string = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
/** The built command line. */
export const binary: string = join(repository, "dist/lib/cli/main.js");

/** What a finished command line left behind. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How the command line is run. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** What comes before `node main.js`, as `["setpriv", …]`. */
  readonly prefix?: readonly string[];
  /** Milliseconds. @default 60000 */
  readonly timeout?: number;
}

/** What imagefiles of tests begin with; `noteRun(target)` notes a run of a recipe in `runs/NAME`,
 * `fromOutside(name)` reads the environment, unknown to fingerprints. */
export const preamble = `import { fromOutside, noteRun } from "run-counter";
import { group, output, source, target } from "imgtask";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
`;

/** A line of recipe code that notes one run of a target; the number of lines is the number of runs. */
export const note = "noteRun(target);";

/** A project in a directory of its own. */
export class TestProject {
  readonly directory: string;
  readonly #runs: string;
  readonly #outer: string;

  constructor(files: Readonly<Record<string, string>> = {}, directory?: string) {
    this.#outer = mkdtempSync(join(tmpdir(), "imgtask-test-"));
    this.directory = directory ?? join(this.#outer, "project");
    this.#runs = join(this.#outer, "runs");
    mkdirSync(this.#runs, { mode: 0o777 });
    mkdirSync(join(this.directory, "node_modules"), { recursive: true });
    symlinkSync(repository, join(this.directory, "node_modules/imgtask"));
    // An installed package: what it does is told by its version, so that where runs are counted is no part of a recipe.
    this.write("node_modules/run-counter/package.json", `{ "name": "run-counter", "version": "1.0.0", "type": "module", "exports": { "types": "./index.d.ts", "default": "./index.js" } }\n`);
    this.write("node_modules/run-counter/index.js", `import { appendFileSync } from "node:fs";\nimport process from "node:process";\nexport const noteRun = (target) => appendFileSync(process.env.RUNS + "/" + target, "run\\n");\nexport const fromOutside = (name) => process.env[name];\n`);
    this.write("node_modules/run-counter/index.d.ts", "export function noteRun(target: string): void;\nexport function fromOutside(name: string): string | undefined;\n");
    this.write("package.json", `{ "type": "module" }\n`);
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }

  write(path: string, text: string | Uint8Array): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), text);
  }

  read(path: string): string {
    return readFileSync(this.path(path), "utf8");
  }

  exists(path: string): boolean {
    return existsSync(this.path(path));
  }

  rm(path: string): void {
    rmSync(this.path(path), { recursive: true, force: true });
  }

  /** How often the recipe of a target has run. */
  runs(target: string): number {
    const file = join(this.#runs, target);
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").length - 1 : 0;
  }

  /** Names of the targets whose recipes ran since the last call. */
  ran(): readonly string[] {
    const names = readdirSync(this.#runs).filter((name) => this.runs(name) > 0).sort();
    for (const name of names) rmSync(join(this.#runs, name));
    return names;
  }

  /** Starts the command line. */
  start(argv: readonly string[], options: RunOptions = {}): { readonly child: ChildProcess; readonly finished: Promise<Finished> } {
    const [command, ...args] = [...(options.prefix ?? []), process.execPath, binary, ...argv] as [string, ...string[]];
    const env: NodeJS.ProcessEnv = { PATH: process.env["PATH"], HOME: process.env["HOME"], RUNS: this.#runs, NO_COLOR: "1", ...options.env };
    const child = spawn(command, args, { cwd: options.cwd ?? this.directory, env, stdio: ["ignore", "pipe", "pipe"] });
    const finished = new Promise<Finished>((resolve, reject) => {
      let stdout = "", stderr = "";
      child.stdout.on("data", (chunk: Buffer) => (stdout += String(chunk)));
      child.stderr.on("data", (chunk: Buffer) => (stderr += String(chunk)));
      const timer = setTimeout(() => child.kill("SIGKILL"), options.timeout ?? 60_000);
      child.once("error", reject);
      child.once("close", (code, signal) => {
        clearTimeout(timer);
        resolve({ code, signal, stdout, stderr });
      });
    });
    return { child, finished };
  }

  /** Runs the command line to its end. */
  imgtask(...argv: readonly string[]): Promise<Finished> {
    return this.start(argv).finished;
  }

  /** Removes the project. */
  eject(): void {
    rmSync(this.#outer, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.eject();
  }
}

/**
 * Processes whose environment or command line holds a text; to see what a run left behind. A process that is about to
 * execute another program has neither for a moment: that there are none is seen by {@linkcode noneWith}.
 */
export function processesWith(text: string): readonly number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).flatMap((name) => {
    try {
      const all = readFileSync(`/proc/${name}/environ`, "latin1") + readFileSync(`/proc/${name}/cmdline`, "latin1");
      return all.includes(text) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** Waits until processes with a text are gone, for good: some looks one after the other find none. Gives those that stay. */
export async function noneWith(text: string, milliseconds: number): Promise<readonly number[]> {
  const end = Date.now() + milliseconds;
  for (let empty = 0; ; await sleep(20)) {
    const left = processesWith(text);
    empty = left.length === 0 ? empty + 1 : 0;
    if (empty === 5 || (left.length > 0 && Date.now() > end)) return left;
  }
}
