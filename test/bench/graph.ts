/**
 * The generated graph, written once for each runner: N targets in layers of 100, target i reads a file of its own and
 * the output of target i - 100. Knows no case.
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Options, use, type Use } from "./measure.ts";
import { imagefile, type Peers, type Runner, type Task } from "./peers.ts";

/** What all benchmarks of the engine are given. */
export interface Bench {
  readonly runs: number;
  /** Seconds that one run of a peer may take. */
  readonly patience: number;
  /** An empty directory but for what is installed. */
  readonly place: string;
  readonly say: (line: string) => void;
  /** The command of imgtask, as installed. */
  readonly imgtask: string;
  readonly peers: Peers;
}

const layer = 100;

/** Bytes that look random and are the same each time. */
export function bytes(seed: number, size = 1024): Buffer {
  let state = (seed + 1) * 2654435761;
  return Buffer.from(Array.from({ length: size }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24));
}

function tasksOf(targets: number): readonly Task[] {
  const tasks: Task[] = [];
  for (let i = 0; i < targets; i++) {
    const needs = i < layer ? [] : [tasks[i - layer]!];
    const command = i < layer ? `cat src/${i} > out/${i}` : `(cat src/${i}; head -c 64 out/${i - layer}) > out/${i}`;
    tasks.push({ name: `t${i}`, command, inputs: [`src/${i}`], needs, outputs: [`out/${i}`] });
  }
  return tasks;
}

/** An imagefile whose recipes are JavaScript. */
function inJavaScript(directory: string, tasks: readonly Task[]): void {
  writeFileSync(join(directory, "package.json"), `{ "type": "module", "private": true }`);
  writeFileSync(join(directory, "imagefile.ts"), `import { readFileSync, writeFileSync } from "node:fs";
import { output, source, target, type Artifact } from "imgtask";

const made: { readonly outputs: { readonly out: Artifact<"part"> } }[] = [];
for (let i = 0; i < ${tasks.length}; i++) {
  made.push(target(\`part:\${i}\`, {
    inputs: { own: source(\`src/\${i}\`), below: i < ${layer} ? [] : [made[i - ${layer}]!] },
    outputs: { out: output("file", "part", { path: \`out/\${i}\` }) },
    run: ({ inputs, outputs }) => writeFileSync(outputs.out, Buffer.concat([readFileSync(inputs.own), ...inputs.below.map((path) => readFileSync(path).subarray(0, 64))])),
  }));
}
`);
}

/** imgtask with two spellings of the same recipes. */
export function imgtaskRunners(command: string): { readonly javascript: Runner; readonly exec: Runner } {
  const argv = [command, "run", "part:*", "-j", "2"] as const;
  return { javascript: { name: "imgtask", write: inJavaScript, argv }, exec: { name: "imgtask, recipes by exec", write: imagefile, argv } };
}

/** A runner with the graph before it. */
export class Project {
  readonly runner: Runner;
  readonly directory: string;
  readonly #limit: number | undefined;
  readonly #pristine: ReadonlySet<string>;

  constructor(bench: Bench, runner: Runner, targets: number) {
    this.runner = runner;
    this.directory = join(bench.place, String(targets), runner.name.replaceAll(/\W+/g, "-"));
    this.#limit = runner.name.startsWith("imgtask") ? undefined : bench.patience;
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(join(this.directory, "src"), { recursive: true });
    mkdirSync(join(this.directory, "out"));
    for (let i = 0; i < targets; i++) writeFileSync(join(this.directory, "src", String(i)), bytes(i));
    const tasks = tasksOf(targets);
    runner.write(this.directory, tasks, tasks.slice(-layer));
    this.#pristine = new Set(readdirSync(this.directory));
  }

  /** Changes the file that one target reads. */
  edit(target: number, round: number): void {
    writeFileSync(join(this.directory, "src", String(target)), bytes(1_000_000 + round));
  }

  /**
   * Takes away all that runs have left. It is put aside: ext4 passes over inodes that were freed within the last seconds,
   * one by one, so that what is measured would pay for the removal by each file that it makes.
   */
  forget(): void {
    const aside = mkdtempSync(`${this.directory}.forgotten-`);
    for (const name of readdirSync(this.directory)) if (name === "out" || !this.#pristine.has(name)) renameSync(join(this.directory, name), join(aside, name));
    mkdirSync(join(this.directory, "out"));
  }

  /** @param patience how many times as long as usual a peer may take */
  run(patience = 1): Use {
    const options: Options = { cwd: this.directory, log: `${this.directory}.log`, ...(this.runner.env === undefined ? {} : { env: this.runner.env }), ...(this.#limit === undefined ? {} : { limit: this.#limit * patience }) };
    return use(this.runner.argv, options);
  }

  /** Refuses to go on when two runners made different files. */
  compare(other: Project): void {
    const { status, stdout } = spawnSync("diff", ["-rq", join(this.directory, "out"), join(other.directory, "out")], { encoding: "utf8" });
    if (status !== 0) throw new Error(`${this.runner.name} and ${other.runner.name} made different files:\n${stdout.slice(0, 1000)}`);
  }
}
