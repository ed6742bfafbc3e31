/**
 * What makes targets run again and what does not: exactly those that can see a change.
 * @module
 */
import assert from "node:assert/strict";
import { appendFileSync, chmodSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { note, preamble, TestProject } from "../rig/project.ts";

const imagefile = `${preamble}import { shout } from "./helper.ts";
const one = target("make:one", {
  inputs: { file: source("one.txt"), link: source("linked.txt") }, env: ["LEVEL"],
  outputs: { out: output("file", "text", { path: "artifacts/one.txt" }) },
  run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, shout(readFileSync(inputs.file, "utf8").trim()) + readFileSync(inputs.link, "utf8")); },
});
const two = target("make:two", {
  inputs: { one, glob: source.glob("conf/**") }, params: { size: 1 },
  outputs: { out: output("tree", "tree", { path: "artifacts/two" }) },
  async run({ target, inputs, outputs, exec }) { ${note} await exec(["mkdir", outputs.out]); await exec(["cp", inputs.one, ...inputs.glob, outputs.out]); },
});
const three = target("make:three", {
  inputs: { dir: source("dir") }, outputs: { out: output("file", "text", { path: "artifacts/three.txt" }) },
  async run({ target, inputs, outputs, exec }) { ${note} await exec(["find", inputs.dir, "-printf", "%P %m %l\\n"], { stdout: { file: outputs.out } }); },
});
export default group("all", [two, three]);
`;

function project(t: TestContext): TestProject {
  const made = new TestProject({
    "imagefile.ts": imagefile,
    "helper.ts": `export const shout = (text: string): string => text.toUpperCase();\n`,
    "one.txt": "one", "real.txt": "real", "conf/a": "a", "conf/sub/b": "b", "dir/x": "x", "other.txt": "not read",
  });
  symlinkSync("real.txt", made.path("linked.txt"));
  symlinkSync("x", made.path("dir/l"));
  t.after(() => made.eject());
  return made;
}

async function build(made: TestProject, ...argv: readonly string[]): Promise<readonly string[]> {
  const { code, stderr } = await made.imgtask("run", ...argv);
  assert.equal(code, 0, stderr);
  return made.ran();
}

const all = ["make:one", "make:three", "make:two"];

test("what did not change does not run; what changed runs, with what depends on it, and nothing else", { timeout: 120_000 }, async (t) => {
  const made = project(t);
  assert.deepEqual(await build(made), all);
  assert.deepEqual(await build(made), []);
  assert.equal(made.read("artifacts/one.txt"), "ONEreal");
  const steps: readonly (readonly [string, () => void, readonly string[]])[] = [
    ["touch", () => utimesSync(made.path("one.txt"), 1, 1), []],
    ["file not read", () => made.write("other.txt", "new"), []],
    ["same bytes written anew", () => { rmSync(made.path("one.txt")); made.write("one.txt", "one"); }, []],
    ["edit", () => made.write("one.txt", "uno"), ["make:one", "make:two"]],
    ["edit with the old time stamp and size", () => { made.write("one.txt", "due"); utimesSync(made.path("one.txt"), 1, 1); }, ["make:one", "make:two"]],
    ["edit that makes the same output: early cutoff", () => made.write("one.txt", "DUE"), ["make:one"]],
    ["edit behind a symbolic link", () => made.write("real.txt", "REAL"), ["make:one", "make:two"]],
    ["file added under a glob", () => made.write("conf/new", "n"), ["make:two"]],
    ["file removed under a glob", () => made.rm("conf/sub/b"), ["make:two"]],
    ["odd names under a glob", () => made.write("conf/-e ü €'\"$(x)", "n"), ["make:two"]],
    ["odd names in a directory", () => made.write("dir/-new\nline ü", "n"), ["make:three"]],
    ["file added to a directory", () => made.write("dir/y", ""), ["make:three"]],
    ["mode", () => chmodSync(made.path("dir/x"), 0o700), ["make:three"]],
    ["where a link in a directory points", () => { made.rm("dir/l"); symlinkSync("y", made.path("dir/l")); }, ["make:three"]],
    ["option", () => made.write("imagefile.ts", imagefile.replace("size: 1", "size: 2")), ["make:two"]],
    ["helper module", () => made.write("helper.ts", `export const shout = (text: string): string => text.toUpperCase() + "!";\n`), ["make:one", "make:two"]],
  ];
  for (const [what, change, expected] of steps) {
    change();
    assert.deepEqual(await build(made), expected, what);
    assert.deepEqual(await build(made), [], `${what}: fresh after that`);
  }
});

test("a declared environment variable counts, another one does not", async (t) => {
  const made = project(t);
  await build(made);
  const run = async (env: Record<string, string>) => { assert.equal((await made.start(["run"], { env }).finished).code, 0); return made.ran(); };
  assert.deepEqual(await run({ OTHER: "1" }), []);
  assert.deepEqual(await run({ LEVEL: "9" }), ["make:one"]);
  assert.deepEqual(await run({ LEVEL: "9" }), []);
});

test("outputs removed, edited or replaced come back from the store without a run", async (t) => {
  const made = project(t);
  await build(made);
  const before = made.read("artifacts/one.txt");
  for (const damage of [
    () => made.rm("artifacts"),
    () => { made.rm("artifacts/one.txt"); made.write("artifacts/one.txt", "edited"); },
    () => { made.rm("artifacts/two/one.txt"); },
    () => { chmodSync(made.path("artifacts/one.txt"), 0o644); appendFileSync(made.path("artifacts/one.txt"), "x"); },
    () => { made.rm("artifacts/two"); made.write("artifacts/two", "a file where a tree was"); },
  ]) {
    damage();
    assert.deepEqual(await build(made), [], String(damage));
    assert.equal(made.read("artifacts/one.txt"), before);
    assert.equal(made.exists("artifacts/two/a"), true);
  }
});

test("whether an output may be executed belongs to it: restored as it was, seen by what reads it", async (t) => {
  const files = (mode: string): string => `${preamble}import { chmodSync, statSync } from "node:fs";
const text = "#!/bin/sh\\necho ran\\n";
const plain = target("make:plain", { outputs: { out: output("file", "x", { path: "artifacts/plain" }) }, run({ target, outputs }) { ${note} writeFileSync(outputs.out, text); } });
const program = target("make:program", { params: { mode: ${mode} }, outputs: { out: output("file", "x", { path: "artifacts/program" }) },
  run({ target, params, outputs }) { ${note} writeFileSync(outputs.out, text); chmodSync(outputs.out, params.mode); } });
const reader = target("make:reader", { inputs: { plain, program }, outputs: { out: output("file", "x", { path: "artifacts/reader" }) },
  run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, [inputs.plain, inputs.program].map((path) => (statSync(path).mode & 0o111) === 0 ? "-" : "x").join("")); } });
export default group("all", [reader]);
`;
  const made = new TestProject({ "imagefile.ts": files("0o755") });
  t.after(() => made.eject());
  const modes = (): string => ["plain", "program"].map((name) => (statSync(made.path("artifacts", name)).mode & 0o111) === 0 ? "-" : "x").join("");
  assert.deepEqual(await build(made), ["make:plain", "make:program", "make:reader"]);
  assert.deepEqual([modes(), made.read("artifacts/reader")], ["-x", "-x"]);
  for (const [what, edit] of [["removed", () => made.rm("artifacts")], ["chmod", () => { chmodSync(made.path("artifacts/plain"), 0o755); chmodSync(made.path("artifacts/program"), 0o644); }]] as const) {
    edit();
    assert.deepEqual([await build(made), modes()], [[], "-x"], what);
    assert.deepEqual([await build(made), modes()], [[], "-x"], `${what}, and once more`);
  }
  // The same bytes, another mode: what reads it can see that. And another mode that means the same is not another.
  made.write("imagefile.ts", files("0o644"));
  assert.deepEqual([await build(made), modes(), made.read("artifacts/reader")], [["make:program", "make:reader"], "--", "--"]);
  assert.deepEqual(await build(made), []);
  made.write("imagefile.ts", files("0o600"));
  assert.deepEqual([await build(made), modes()], [["make:program"], "--"]);
  made.write("imagefile.ts", files("0o755"));
  assert.deepEqual([await build(made), modes(), made.read("artifacts/reader")], [[], "-x", "-x"], "back to the first result");
});

test("a private key that was removed: another pair is made, and what holds its public key with it", async (t) => {
  const made = new TestProject({ "imagefile.ts": `${preamble}import { keypair } from "imgtask";
const key = keypair("lab");
export default target("make:image", { inputs: { key }, outputs: { out: output("file", "x", { path: "artifacts/image" }) }, run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, readFileSync(inputs.key)); } });
` });
  t.after(() => made.eject());
  await build(made);
  const first = made.read("artifacts/image");
  for (let round = 0; round < 3; round++) assert.match((await made.imgtask("run")).stderr, /Nothing to do/);
  made.rm(".imgtask/keys/lab");
  assert.match((await made.imgtask("plan")).stdout, /keypair:lab +stale: \.imgtask\/keys\/lab missing/);
  assert.match((await made.imgtask("why", "keypair:lab")).stdout, /\.imgtask\/keys\/lab missing/);
  assert.deepEqual(await build(made), ["make:image"]);
  assert.notEqual(made.read("artifacts/image"), first);
  assert.ok(made.exists(".imgtask/keys/lab"));
  assert.match((await made.imgtask("run")).stderr, /Nothing to do/);
});

test("a recipe that does not make what it keeps fails", async (t) => {
  const made = new TestProject({ "imagefile.ts": `${preamble}export default target("make:a", { outputs: { out: "file" }, keeps: ["kept"], run({ outputs }) { writeFileSync(outputs.out, ""); } });\n` });
  t.after(() => made.eject());
  const { code, stderr } = await made.imgtask("run");
  assert.equal(code, 1);
  assert.match(stderr, /IMG3010.*did not make "kept", which it keeps/);
});

test("going back to an earlier state restores its outputs", async (t) => {
  const made = project(t);
  await build(made);
  made.write("one.txt", "uno");
  await build(made);
  made.write("one.txt", "one");
  assert.deepEqual(await build(made), []);
  assert.equal(made.read("artifacts/one.txt"), "ONEreal");
});

test("damaged state is a miss: store, records, caches, snapshot", { timeout: 120_000 }, async (t) => {
  const made = project(t);
  await build(made);
  for (const file of ["records", "stat-cache", "snapshot", "tools"]) {
    for (const bytes of ["", "garbage\n", "\0\0\0"]) {
      if (!made.exists(`.imgtask/${file}`)) continue;
      writeFileSync(made.path(".imgtask", file), bytes);
      const ran = await build(made);
      assert.deepEqual(ran, file === "records" ? all : [], `${file}: ${JSON.stringify(bytes)}`);
    }
  }
  const { execFileSync } = await import("node:child_process");
  const objects = execFileSync("find", [made.path(".imgtask/store"), "-type", "f"], { encoding: "utf8" }).trim().split("\n");
  for (const object of objects) {
    const bytes = readFileSync(object);
    chmodSync(object, 0o644);
    if (bytes.length > 0) bytes[0]! ^= 1;
    writeFileSync(object, bytes.length > 0 ? bytes : "x");
  }
  made.rm("artifacts");
  assert.deepEqual(await build(made), all);
  assert.equal(made.read("artifacts/one.txt"), "ONEreal");
  assert.deepEqual(await build(made), []);
});

test("an input edited while its target runs is not recorded", async (t) => {
  const made = new TestProject({
    "a.txt": "1",
    "imagefile.ts": `${preamble}export default target("make:a", { inputs: { a: source("a.txt") }, outputs: { out: output("file", "text", { path: "artifacts/a" }) },
  async run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, readFileSync(inputs.a)); await new Promise((r) => setTimeout(r, 800)); } });\n`,
  });
  t.after(() => made.eject());
  const { finished } = made.start(["run"]);
  while (made.runs("make:a") === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  made.write("a.txt", "2");
  assert.match((await finished).stderr, /edited while it ran/);
  await build(made);
  assert.equal(made.read("artifacts/a"), "2");
  made.ran();
  assert.deepEqual(await build(made), []);
});

test("plan, why, list and a refused run write nothing", async (t) => {
  const made = project(t);
  for (const argv of [["plan"], ["list"], ["why", "make:one"], ["run", "-n"]]) await made.imgtask(...argv);
  assert.equal(made.exists(".imgtask"), false);
  assert.deepEqual(made.ran(), []);
});

test("what the imagefile reads while it is evaluated is followed, and counts for the targets that it is passed to", async (t) => {
  const made = new TestProject({
    "imagefile.ts": `${preamble}import { readdirSync } from "node:fs";
const version = readFileSync("version.txt", "utf8").trim();
const parts = process.env.LIST === "1" ? readdirSync("parts").join(" ") : "";
const stamp = target("make:stamp", { params: { version, parts }, outputs: { out: output("file", "text", { path: "artifacts/stamp" }) },
  run({ target, params, outputs }) { ${note} writeFileSync(outputs.out, params.version + params.parts); } });
const other = target("make:other", { outputs: { out: "file" }, run({ target, outputs }) { ${note} writeFileSync(outputs.out, ""); } });
export default group("all", [stamp, other]);\n`,
    "version.txt": "1\n",
    "parts/a": "",
  });
  t.after(() => made.eject());
  const run = async (env: Record<string, string> = {}): Promise<readonly string[]> => {
    const { code, stderr } = await made.start(["run"], { env }).finished;
    assert.equal(code, 0, stderr);
    return made.ran();
  };
  assert.deepEqual(await run(), ["make:other", "make:stamp"]);
  assert.deepEqual(await run(), []);
  assert.ok(made.exists(".imgtask/snapshot"), "what can be compared is kept as a snapshot");
  made.write("version.txt", "2\n");
  assert.deepEqual(await run(), ["make:stamp"]);
  assert.equal(made.read("artifacts/stamp"), "2");
  assert.deepEqual(await run({ LIST: "1" }), ["make:stamp"]);
  assert.deepEqual(await run({ LIST: "1" }), []);
  made.write("parts/b", "");
  assert.deepEqual(await run({ LIST: "1" }), ["make:stamp"]);
  assert.equal(made.read("artifacts/stamp"), "2a b");
});

test("a recipe that takes such a value from around it is refused, with name, place and cure", async (t) => {
  const made = new TestProject({
    "imagefile.ts": `${preamble}const version = readFileSync("version.txt", "utf8").trim();
export default target("make:stamp", { outputs: { out: "file" }, run({ target, outputs }) { ${note} writeFileSync(outputs.out, version); } });\n`,
    "version.txt": "1\n",
  });
  t.after(() => made.eject());
  const { code, stderr } = await made.imgtask("run");
  assert.equal(code, 2);
  assert.match(stderr, /IMG2016: The recipe of "make:stamp" uses a value that its digest cannot see: version\n/);
  assert.match(stderr, /found .*"version", computed by readFileSync while the imagefile is evaluated\n.*imagefile\.ts:4:/);
  assert.match(stderr, /hint .*params/);
  assert.deepEqual(made.ran(), []);
});
