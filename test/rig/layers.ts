/**
 * The project that tests break and interrupt: layers of targets with real children, files and trees, results that are known.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { Records } from "../../lib/record.ts";
import { type Finished, note, preamble, noneWith, type RunOptions, TestProject } from "./project.ts";

const layers = 3, width = 2;

/** Each result holds the seed and all that it was made from, so that wrong bytes anywhere show at the end. */
const imagefile = `${preamble}let before = [];
const all = [];
for (let layer = 0; layer < ${layers}; layer++) {
  const now = [];
  for (let i = 0; i < ${width}; i++) {
    const made = target(\`make:\${layer}-\${i}\`, {
      inputs: { before, seed: source("seed") }, params: { layer, i }, outputs: { out: output(i === 1 ? "tree" : "file", "x", { path: \`artifacts/\${layer}-\${i}\` }) },
      async run({ target, params, inputs, outputs, exec }) {
        ${note}
        const MARK = fromOutside("MARK"), SLOW = fromOutside("SLOW");
        if (params.i === 1) await exec(["mkdir", "-p", outputs.out + "/d/empty"]);
        const file = params.i === 1 ? outputs.out + "/f" : outputs.out;
        await exec(["sh", "-c", 'sleep 30 & part=$!; setsid sleep 40 & sleep "$5"; printf "%s-%s-" "$2" "$3" >"$1"; cat "$4" >>"$1"; kill $part', "sh", file, String(params.layer), String(params.i), inputs.seed, SLOW ?? "0"], { env: { MARK } });
        const parts = inputs.before.map((path, at) => readFileSync(at === 1 ? path + "/f" : path, "utf8"));
        writeFileSync(file, readFileSync(file, "utf8") + "[" + parts.join() + "]");
        if (params.i === 1) await exec(["sh", "-c", 'printf "#!/bin/sh\\n" >d/x; chmod 755 d/x; ln -s f l'], { cwd: outputs.out });
      },
    });
    now.push(made);
  }
  before = now;
  all.push(...now);
}
export default group("all", all);
`;

function expected(layer: number, i: number, seed: string): string {
  const parts = layer === 0 ? [] : Array.from({ length: width }, (_, at) => expected(layer - 1, at, seed));
  return `${layer}-${i}-${seed}[${parts.join()}]`;
}

/** Names of the targets. */
export const targets: readonly string[] = Array.from({ length: layers * width }, (_, n) => `make:${Math.floor(n / width)}-${n % width}`);

let serial = 0;

/** A project of layers, run with the real command line. */
export class Layers {
  readonly project: TestProject;
  /** In the environment of every command of a recipe. */
  readonly mark = `mark-${process.pid}-${serial++}-${Math.random()}`;
  seed = "";

  /** @param directory of the project. @default a temporary one */
  constructor(directory?: string) {
    this.project = new TestProject({ "imagefile.ts": imagefile, seed: "" }, directory);
  }

  /** Gives the source new content: every target is stale. */
  reseed(): void {
    this.seed = `seed-${serial++}-`;
    this.project.write("seed", this.seed);
  }

  /** Runs everything. */
  run(env: Readonly<Record<string, string>> = {}, options: RunOptions = {}): Promise<Finished> {
    return this.project.start(["run", "-j2"], { ...options, env: { MARK: this.mark, ...env } }).finished;
  }

  /** Targets that have a result of the present seed on record. */
  recorded(): readonly string[] {
    const file = this.project.path(".imgtask/records");
    const records = existsSync(file) ? [...new Records(file).all()] : [];
    const finished = records.filter(({ time }) => time >= this.#since).map(({ target }) => target);
    return [...new Set(finished)];
  }

  #since = 0;
  /** From now on, what is recorded counts as finished. */
  begin(): void {
    this.reseed();
    this.#since = Date.now();
  }

  /** Waits until no process of a recipe is left, but not for long. */
  async noneLeft(): Promise<void> {
    assert.deepEqual(await noneWith(this.mark, 4000), [], "processes left behind");
  }

  /** Fails unless every artifact has the bytes that the present seed gives. */
  right(context: string): void {
    for (let layer = 0; layer < layers; layer++) {
      assert.equal(this.project.read(`artifacts/${layer}-0`), expected(layer, 0, this.seed), `${context}: artifacts/${layer}-0`);
      const tree = this.project.path(`artifacts/${layer}-1`);
      assert.equal(this.project.read(`artifacts/${layer}-1/f`), expected(layer, 1, this.seed), `${context}: artifacts/${layer}-1/f`);
      assert.deepEqual(readdirSync(tree), ["d", "f", "l"], context);
      assert.deepEqual(readdirSync(`${tree}/d`), ["empty", "x"], context);
      assert.equal(readlinkSync(`${tree}/l`), "f", context);
      assert.equal(this.project.read(`artifacts/${layer}-1/d/x`), "#!/bin/sh\n", context);
      assert.notEqual(lstatSync(`${tree}/d/x`).mode & 0o111, 0, `${context}: executable`);
    }
  }

  /**
   * The next run: it must end well without repairing anything, give the right bytes, and leave nothing behind.
   *
   * @returns the targets that ran
   */
  async recovers(context: string): Promise<readonly string[]> {
    this.project.ran();
    const { code, stderr } = await this.run();
    assert.equal(code, 0, `${context}: ${stderr}`);
    assert.doesNotMatch(stderr, manual, context);
    assert.doesNotMatch(stderr, stack, context);
    this.right(context);
    assert.deepEqual(readdirSync(this.project.path(".imgtask/tmp")), [], `${context}: leftovers`);
    assert.deepEqual(readdirSync(this.project.path("artifacts")).filter((name) => name.startsWith(".imgtask")), [], `${context}: leftovers`);
    return this.project.ran();
  }

  dispose(): void {
    this.project.eject();
  }
}

/** A stack trace, which nobody is to see. */
export const stack = /^ {4}at |node:internal|[Ii]nternal error/m;
/** Words that ask somebody to repair something. */
const manual = /repair|by hand|damaged|corrupt|remove (?:the|your)|imgtask clean/i;
