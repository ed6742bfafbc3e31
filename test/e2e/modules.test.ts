/**
 * An imagefile from compiled modules and by tsx: the same graph, digests, places and errors either way; and a compiled
 * module that is not what it should be never runs.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { note, preamble, type RunOptions, TestProject } from "../rig/project.ts";

type Files = Readonly<Record<string, string>>;

/** Has tsx load the sources. */
const byTsx: RunOptions = { env: { NODE_OPTIONS: `--import ${import.meta.resolve("tsx")}` } };

function project(t: TestContext, files: Files): TestProject {
  const made = new TestProject(files);
  t.after(() => made.eject());
  return made;
}

/** Directories of compiled modules, the newest first, with why there are none in it. */
function kept(made: TestProject): readonly { readonly directory: string; readonly refused: string | null }[] {
  const modules = made.path(".imgtask/modules");
  if (!existsSync(modules)) return [];
  return readdirSync(modules).sort().toReversed().map((name) => {
    const directory = join(modules, name);
    return { directory, refused: (JSON.parse(readFileSync(join(directory, "index.json"), "utf8").slice(65)) as { refused: string | null }).refused };
  });
}

/** What the snapshot has of an evaluation, without what is drawn anew each time. */
function evaluated(made: TestProject): unknown {
  const [, head, ...declarations] = made.read(".imgtask/snapshot").split("\n");
  const { salt: _salt, environment, ...rest } = JSON.parse(head!) as { salt: string; environment: readonly (readonly [string, string])[] };
  return { ...rest, environment: environment.map(([name]) => name), declarations: declarations.map((line) => JSON.parse(line) as unknown) };
}

/** Runs a project from nothing by either way. */
async function either(made: TestProject, ...argv: readonly string[]): Promise<readonly [compiled: string, tsx: string]> {
  const texts: string[] = [];
  for (const options of [{}, byTsx]) {
    made.rm(".imgtask");
    made.rm("artifacts");
    const { stdout, stderr } = await made.start(argv, options).finished;
    texts.push(`${stdout}${stderr}`.replaceAll(/in \d+(?:\.\d+)? m?s|\d+\.\d+ s/g, "in 0 s").replaceAll(/\d{8}-\d{6}\.\d{3}/g, "TIME"));
    if (options !== byTsx) assert.doesNotMatch(texts[0]!, /\.imgtask\/modules|\.mjs/);
  }
  return texts as unknown as readonly [string, string];
}

const everything: Files = {
  "imagefile.ts": `import { note, type Made } from "./lib/made.ts"; import { group, output, source, target, Artifact } from "imgtask";
import type { Extra } from "./lib/types.js";
import { Shape } from "./lib/types.js";
import { writeFileSync } from "node:fs"; import plain, { six as seven } from "./lib/plain.mjs"; import { basename } from "node:path";
import * as all from "./lib/deep/down";
declare const nowhere: unique symbol;
abstract class Maker<T extends string> { abstract name: T; constructor(protected readonly prefix: string, public count = 0) {} declare lost: typeof nowhere; get full(): string { return this.prefix + this.name; } }
class Two extends Maker<"two"> { name = "two" as const; override get full() { return super.full + this.count!; } }
enum Level { low = 1, high = low << 2 }
namespace Deep { export const level = Level.high; }
function over(one: string): string; function over(one: number): number;
function over<T>(this: void, one: T): T { return one!; }
const shape = { made: [] } satisfies Shape as Shape;
const later = await Promise.resolve("later");
const list: Artifact<"x">[] = [];
const lazy = async (): Promise<string> => (await import("./lib/lazy.ts")).default;
    const one = target("make:one", { inputs: { a: source("a") }, params: { level: Deep.level, over: over("x"), later, plain, seven, url: basename(import.meta.url), file: basename(import.meta.filename), dir: import.meta.dirname === process.cwd(), shape: shape.made as never },
  outputs: { out: output("file", "x", { path: "artifacts/one" }) }, async run({ outputs, params }): Promise<void> { writeFileSync(outputs.out, JSON.stringify([params, await lazy(), note(<string>"n")])); } });
list.push(one.outputs.out as Artifact<"x">); const two = /* é ü 😀 */ all.made(\`make:\${new Two("a ", 2).full.replaceAll(" ", "-")}\`, list as readonly Artifact[]), extra: Extra | undefined = undefined;
type Never = typeof extra;
export default group("all", [one, two]); export type { Never };
export const made: Made = { when: 0 };
`,
  "lib/made.ts": "export interface Made { readonly when: number }\nexport const note = <T,>(value: T): T => value;\n",
  "lib/types.ts": "export interface Extra { a: 1 }\nexport interface Shape { made: string[] }\n",
  "lib/plain.mjs": "export default [1, 2];\nexport const six = 6; // comment\n",
  "lib/lazy.ts": "export default \"lazy\" as string;\n",
  "lib/deep/down.ts": `import { output, target, type Artifact, type Target } from "imgtask";\nimport { text } from "./text.ts";\n\nexport function made<const Name extends string>(name: Name, from: readonly Artifact[]): Target<Name, { out: "file" }> {\n  return target(name, { inputs: { from }, outputs: { out: "file" }, run: ({ outputs, $ }) => text(outputs.out as string) });\n}\nvoid output;\n`,
  "lib/deep/text.ts": `import { writeFileSync } from "node:fs";\nexport function text(path: string): void { writeFileSync(path, new URL("./data", import.meta.url).pathname.split("/").slice(-3).join("/")); }\n`,
  "lib/deep/data": "data",
  a: "a\n",
};

test("all of the language: the same graph, digests, places, results and words", async (t) => {
  const made = project(t, everything);
  const seen: unknown[] = [];
  for (const options of [{}, byTsx]) {
    made.rm(".imgtask");
    made.rm("artifacts");
    const { code, stderr } = await made.start(["run"], options).finished;
    assert.equal(code, 0, stderr);
    if (options !== byTsx) assert.deepEqual(kept(made).map(({ refused }) => refused), [null]);
    else assert.deepEqual(kept(made), []);
    seen.push({ evaluated: evaluated(made), one: made.read("artifacts/one"), stderr: stderr.replaceAll(/\d+\.\d+ s/g, "") });
  }
  assert.deepEqual(seen[0], seen[1]);
  const { declarations } = (seen[0] as { evaluated: { declarations: readonly { name: string; location?: unknown; params: unknown }[] } }).evaluated;
  assert.deepEqual(declarations.map(({ name }) => name).sort(), ["all", "make:a-two2", "make:one"]);
  const one = declarations.find(({ name }) => name === "make:one")!;
  assert.deepEqual(one.location, { file: made.path("imagefile.ts"), line: 17, column: 17 });
  assert.deepEqual(one.params, { dir: true, file: "imagefile.ts", later: "later", level: 4, over: "x", plain: [1, 2], seven: 6, shape: [], url: "imagefile.ts" });
});

test("errors: the same words and places", async (t) => {
  const made = project(t, { "helper.ts": "" });
  const cases: readonly (readonly [imagefile: string, helper: string, says: RegExp])[] = [
    [`const a: number = ;\n`, "", /imagefile\.ts:1:19/],
    [`import { a } from "./helper.ts";\n\n  export const b = a(1 as number);\n`, `export function a(x: number): number {\n  const y: string = "y"; if ((y as string) !== "x") throw new TypeError("wrong " + x);\n  return x;\n}\n`, /helper\.ts:2:59/],
    [`import { a } from "./helper.ts";\nexport const b = a;\n`, "export const b = 1;\n", /helper\.ts/],
    [`import { a } from "not-installed";\nexport const b = a;\n`, "", /not-installed/],
    [`${preamble}const x: number = 1; target("bad name!", { outputs: {}, run() {} }); void x;\n`, "", /imagefile\.ts:4:22/],
    [`${preamble}export default target("x:y", { outputs: { out: "file" }, run: async () => { const y = 1 as number; throw new RangeError("at run time " + y); } });\n`, "", /at run time 1/],
  ];
  for (const [imagefile, helper, says] of cases) {
    made.write("imagefile.ts", imagefile);
    made.write("helper.ts", helper);
    const [compiled, tsx] = await either(made, "run");
    assert.equal(compiled, tsx);
    assert.match(compiled, says);
    assert.doesNotMatch(compiled, /\.mjs|tsx/);
  }
});

const counted = (text: string): Files => ({
  "imagefile.ts": `${preamble}import { text } from "./helper.ts";
export default target("make:one", { inputs: { a: source("a") }, outputs: { out: output("file", "x", { path: "artifacts/one" }) }, run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, text + readFileSync(inputs.a, "utf8")); } });
`,
  "helper.ts": `export const text: string = "${text}";\n`,
  a: "a",
});

test("compiled modules that are damaged, another's, or of an earlier edit do not run", async (t) => {
  const made = project(t, counted("one "));
  await made.imgtask("run");
  const [first] = kept(made);
  const file = join(first!.directory, "helper.ts.mjs");
  writeFileSync(file, readFileSync(file, "utf8").replace("one ", "two "));
  made.write("a", "b");
  assert.equal((await made.imgtask("run")).code, 0);
  assert.equal(made.read("artifacts/one"), "one b");
  const [second, damaged] = kept(made);
  assert.deepEqual([kept(made).length, damaged?.directory, second!.refused], [2, first!.directory, null]);
  // Used again, and not written anew, while nothing but data changes.
  made.write("a", "c");
  await made.imgtask("run");
  assert.equal(kept(made).length, 2);
  assert.equal(made.read("artifacts/one"), "one c");
  made.write("helper.ts", `export const text: string = "three ";\n`);
  await made.imgtask("run");
  assert.equal(made.read("artifacts/one"), "three c");
  made.write("helper.ts", `export const text: string = "one ";\n`);
  made.write("a", "d");
  await made.imgtask("run");
  assert.equal(made.read("artifacts/one"), "one d");
  assert.deepEqual(made.ran(), ["make:one"]);
  for (let i = 0; i < 3; i++) {
    made.write("helper.ts", `export const text: string = "${i} ";\n`);
    await made.imgtask("run");
  }
  assert.equal(made.read("artifacts/one"), "2 d");
  assert.equal(kept(made).length, 4);
});

test("what looks only writes none, and uses those that are there", async (t) => {
  const made = project(t, counted("one "));
  assert.match((await made.imgtask("plan")).stdout, /1 would run/);
  assert.equal(made.exists(".imgtask"), false);
  await made.imgtask("run");
  made.rm(".imgtask/snapshot");
  const { stdout: list, code: listed } = await made.imgtask("list");
  assert.equal(listed, 0);
  assert.match(list, /make:one/);
  assert.equal(kept(made).length, 1);
});

test("what cannot be compiled is left to tsx, and not tried again while nothing changes", async (t) => {
  const made = project(t, { ...counted("one "), "helper.ts": `import data from "./data.json";\nexport const text: string = data.text;\n`, "data.json": `{ "text": "json " }` });
  await made.imgtask("run");
  assert.equal(made.read("artifacts/one"), "json a");
  made.write("a", "b");
  await made.imgtask("run");
  assert.equal(made.read("artifacts/one"), "json b");
  assert.equal(kept(made).length, 1);
  assert.match(kept(made)[0]!.refused!, /data\.json/);
});

test("several at once, and where modules cannot be kept", async (t) => {
  const made = project(t, counted("one "));
  const runs = await Promise.all(Array.from({ length: 3 }, () => made.imgtask("run")));
  assert.deepEqual(runs.map(({ code }) => code), [0, 0, 0]);
  assert.deepEqual(made.ran(), ["make:one"]);
  assert.equal(kept(made).length, 1);
  made.rm(".imgtask/modules");
  made.write(".imgtask/modules", "not a directory");
  made.write("a", "b");
  assert.equal((await made.imgtask("run")).code, 0);
  assert.equal(made.read("artifacts/one"), "one b");
  assert.match((await made.imgtask("clean", "--all")).stderr, /removed \.imgtask\/modules/);
});
