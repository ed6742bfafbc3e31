/**
 * Evidence of freshness: a run that says "Nothing to do" at once is right, whatever was edited; and it says so whenever
 * it can.
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { note, preamble, TestProject } from "../rig/project.ts";

const imagefile = `${preamble}import { mkdirSync, rmSync } from "node:fs";
const cat = { async run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, Object.values(inputs).flat().map((path) => readFileSync(path, "utf8")).join("")); } };
const a = target("make:a", { inputs: { one: source("src/a"), two: source("link") }, outputs: { out: output("file", "x", { path: "artifacts/a" }) }, run: cat.run });
const b = target("make:b", { inputs: { all: source.glob("overlay/**", "!overlay/not/**") }, outputs: { out: output("file", "x", { path: "artifacts/b" }) }, run: cat.run });
const c = target("make:c", { inputs: { a }, outputs: { out: "file" }, keeps: ["kept/c"], run({ target, inputs, outputs }) { ${note} rmSync("kept/c", { recursive: true, force: true }); mkdirSync("kept", { recursive: true }); writeFileSync("kept/c", "kept"); writeFileSync(outputs.out, readFileSync(inputs.a, "utf8")); } });
const d = target("make:d", { inputs: { b, c }, env: ["COLOUR"], outputs: { out: output("tree", "x", { path: "artifacts/d" }) }, async run({ target, outputs, exec }) { ${note} await exec(["mkdir", "-p", outputs.out + "/deep"]); writeFileSync(outputs.out + "/deep/f", "f"); } });
const e = target("make:e", { inputs: { tree: source("tree") }, outputs: { out: output("file", "x", { path: "artifacts/e" }) }, async run({ target, outputs }) { ${note} writeFileSync(outputs.out, "e"); } });
export default group("all", [a, b, c, d, e]);
`;

function project(t: TestContext): TestProject {
  const made = new TestProject({ "imagefile.ts": imagefile, "src/a": "a", "src/other": "other", "overlay/x/1": "1", "overlay/2": "2", "overlay/not/3": "3", "tree/s/f": "f" });
  symlinkSync("src/other", made.path("link"));
  t.after(() => made.eject());
  return made;
}

/** What people do to files. Each is told the number of its turn. */
const edits: readonly (readonly [name: string, edit: (at: (path: string) => string, turn: number) => void])[] = [
  ["a source", (at, turn) => writeFileSync(at("src/a"), `a${turn}`)],
  ["a source, its time put back", (at, turn) => { writeFileSync(at("src/a"), String(turn % 10)); utimesSync(at("src/a"), 1, 1); }],
  ["a source's mode", (at, turn) => chmodSync(at("src/a"), turn % 2 === 0 ? 0o600 : 0o755)],
  ["a source replaced by rename", (at, turn) => { writeFileSync(at("src/new"), `r${turn}`); renameSync(at("src/new"), at("src/a")); }],
  ["a source touched", (at) => utimesSync(at("src/a"), 5, 5)],
  ["where a link leads", (at, turn) => { rmSync(at("link")); symlinkSync(turn % 2 === 0 ? "src/other" : "overlay/2", at("link")); }],
  ["the end of a link", (at, turn) => writeFileSync(at("src/other"), `other${turn}`)],
  ["a file that matches a pattern", (at, turn) => writeFileSync(at("overlay/x/1"), `1${turn}`)],
  ["one more file that matches", (at, turn) => writeFileSync(at(`overlay/x/more${turn}`), "")],
  ["one less", (at) => { for (const name of readdirSync(at("overlay/x")).slice(1)) rmSync(at(`overlay/x/${name}`)); }],
  ["a directory that matches nothing yet", (at, turn) => mkdirSync(at(`overlay/dir${turn}`))],
  ["a file that is excluded", (at, turn) => writeFileSync(at("overlay/not/3"), `3${turn}`)],
  ["a file in a tree", (at, turn) => writeFileSync(at(`tree/s/f${turn}`), "new")],
  ["an artifact edited", (at, turn) => { chmodSync(at("artifacts/a"), 0o644); writeFileSync(at("artifacts/a"), `mine${turn}`); }],
  ["an artifact removed", (at) => rmSync(at("artifacts/b"))],
  ["a file in an artifact", (at, turn) => writeFileSync(at(`artifacts/d/deep/mine${turn}`), "")],
  ["a stored object cut", (at) => { const object = anObject(at(".imgtask/store")); chmodSync(object, 0o644); writeFileSync(object, readFileSync(object).subarray(1)); }],
  ["a stored object removed", (at) => rmSync(anObject(at(".imgtask/store")))],
  ["a kept file removed", (at) => rmSync(at("kept/c"))],
  ["a directory in place of a kept file", (at) => { rmSync(at("kept/c")); mkdirSync(at("kept/c")); }],
  ["a kept file edited", (at, turn) => writeFileSync(at("kept/c"), `mine ${turn}`)],
  ["the records removed", (at) => rmSync(at(".imgtask/records"))],
  ["the evidence cut", (at) => writeFileSync(at(".imgtask/evidence"), readFileSync(at(".imgtask/evidence")).subarray(0, -1))],
  ["the imagefile, a comment", (at, turn) => writeFileSync(at("imagefile.ts"), `${readFileSync(at("imagefile.ts"), "utf8")}// ${turn}\n`)],
  ["a file that nobody reads", (at, turn) => writeFileSync(at("README"), String(turn))],
];

function anObject(store: string): string {
  const prefix = readdirSync(store).sort()[0]!;
  return join(store, prefix, readdirSync(join(store, prefix)).sort()[0]!);
}

test(`after each of ${edits.length} kinds of edits, what is said to be fresh is`, { timeout: 300_000 }, async (t) => {
  const made = project(t);
  let said = 0, silent = 0;
  const run = async (env: Record<string, string> = {}): Promise<string> => {
    const { code, stderr } = await made.start(["run"], { env }).finished;
    assert.equal(code, 0, stderr);
    return stderr;
  };
  await run();
  for (const [turn, [name, edit]] of edits.entries()) {
    // What changes within the same tick as it is looked at proves nothing.
    await sleep(60);
    await run();
    assert.match(await run(), /Nothing to do: 5 targets fresh/, `before ${name}`);
    edit((path) => made.path(path), turn);
    const { stdout } = await made.start(["plan", "--json"]).finished;
    const stale = (JSON.parse(stdout) as { targets: { target: string; verdict: string }[] }).targets.filter(({ verdict }) => verdict !== "fresh");
    const answer = await run();
    if (/Nothing to do/.test(answer)) {
      said++;
      assert.deepEqual(stale, [], `${name}: ${answer}`);
    } else {
      silent++;
      assert.notDeepEqual(stale, [], `${name}: ${answer}`);
    }
  }
  t.diagnostic(`${edits.length} kinds of edits: ${silent} times something was to be done, ${said} times nothing; 0 wrong`);
});

test("another value of a variable, another epoch, another upstream result: nothing is taken for what it was", { timeout: 60_000 }, async (t) => {
  const made = project(t);
  const run = async (targets: readonly string[], env: Record<string, string> = {}): Promise<readonly string[]> => {
    made.ran();
    const { code, stderr } = await made.start(["run", ...targets], { env }).finished;
    assert.equal(code, 0, stderr);
    return [...made.ran()].sort();
  };
  await run([], { COLOUR: "red" });
  assert.deepEqual(await run([], { COLOUR: "red" }), []);
  // Others are judged under another value meanwhile: what is kept of d was judged with red.
  made.write("tree/s/f", "g");
  assert.deepEqual(await run(["make:e"], { COLOUR: "blue" }), ["make:e"]);
  assert.deepEqual(await run([], { COLOUR: "red" }), []);
  assert.deepEqual(await run([], { COLOUR: "blue" }), ["make:d"]);
  // c is made anew alone; d, which was fresh, is not any more.
  made.write("src/a", "other content");
  assert.deepEqual(await run(["make:c"], { COLOUR: "blue" }), ["make:a", "make:c"]);
  assert.deepEqual(await run([], { COLOUR: "blue" }), ["make:d"]);
  assert.equal((await run([], { COLOUR: "blue", SOURCE_DATE_EPOCH: "1" })).length, 5);
});
