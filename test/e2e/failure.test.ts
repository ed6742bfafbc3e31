/**
 * What a failing recipe leaves: no record, no output, one clear error; and the next run goes on where it can.
 * @module
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { note, preamble, processesWith, TestProject } from "../rig/project.ts";

function project(t: TestContext, recipe: string, more = ""): TestProject {
  const made = new TestProject({
    "imagefile.ts": `${preamble}const bad = target("make:bad", { outputs: { out: output("file", "text", { path: "artifacts/bad" }) },
  async run({ target, outputs, exec, $, tmp, signal }) { ${note} ${recipe} } });
const after = target("make:after", { inputs: { bad }, outputs: { out: "file" }, run({ target, outputs }) { ${note} writeFileSync(outputs.out, ""); } });
const free = target("make:free", { outputs: { out: "file" }, run({ target, outputs }) { ${note} writeFileSync(outputs.out, ""); } });
${more}export default group("all", [bad, after, free]);\n`,
  });
  t.after(() => made.eject());
  return made;
}

const cases: readonly (readonly [string, string, RegExp])[] = [
  ["a thrown error", `throw new Error("broken by design");`, /IMG3020.*broken by design/],
  ["a thrown string", `throw "just text";`, /IMG3020.*just text/],
  ["undefined thrown", `throw undefined;`, /IMG3020.*undefined/],
  ["null thrown", `throw null;`, /IMG3020.*null/],
  ["an object thrown", `throw { message: 5 };`, /IMG3020/],
  ["a promise nobody waits for", `void Promise.reject(new Error("astray")); await new Promise((r) => setTimeout(r, 300)); writeFileSync(outputs.out, "");`, /IMG3022.*astray/],
  ["a throw in a timer", `setTimeout(() => { throw new Error("astray"); }, 10); await new Promise((r) => setTimeout(r, 300)); writeFileSync(outputs.out, "");`, /IMG3022.*astray/],
  ["a command that nothing waits for", `writeFileSync(outputs.out, "half"); void exec(["sh", "-c", \`sleep 1; echo whole > "$0"\`, outputs.out]);`, /IMG3022.*"sh" still ran[^]*await exec/],
  ["a command that nothing waits for, and that fails", `void exec(["cp", "/nonexistent", outputs.out]).then(() => undefined);`, /IMG3022.*"cp" still ran/],
  ["a command as a line of shell", `await exec("touch " + outputs.out);`, /IMG3001[^]*each of its arguments apart/],
  ["no output made", ``, /IMG3010[^]*expected a file[^]*found    nothing/],
  ["a directory instead of a file", `await exec(["mkdir", outputs.out]);`, /IMG3010[^]*a directory/],
  ["a failing command", `await exec(["sh", "-c", "exit 9"]);`, /IMG3002[^]*exit code 9[^]*by hand: cd /],
  ["a failing shell command", "await $`echo 'why it failed' >&2; false`;", /IMG3002[^]*why it failed[^]*exit code 1/],
  ["a shell command that a signal ends", "await $`kill -9 $$`;", /IMG3002[^]*an end by SIGKILL/],
  ["a failure in the middle of a pipe", "await $`false | cat`; writeFileSync(outputs.out, '');", /IMG3002[^]*exit code 1/],
  ["a missing program", `await exec(["no-such-program"]);`, /IMG3001.*no-such-program/],
];

for (const [what, recipe, expected] of cases) {
  test(what, async (t) => {
    const made = project(t, recipe);
    const { code, stdout, stderr } = await made.imgtask("run", "make:bad", "make:after");
    assert.equal(code, 1, stderr);
    assert.match(stdout + stderr, expected);
    assert.doesNotMatch(stderr, /^ {4}at |\bat (?:async )?(?:\S+ \()?file:|\/dist\/lib\//m, "no stack trace");
    assert.doesNotMatch(stdout + stderr, /Interrupted/, "nobody sent a signal");
    assert.equal(made.exists("artifacts/bad"), false);
    assert.deepEqual(made.ran(), ["make:bad"]);
    await made.imgtask("run", "make:bad");
    assert.deepEqual(made.ran(), ["make:bad"], "a failure is not recorded");
  });
}

test("a command's failure points at its line, not at the target's: as an argument vector, in a helper, beside others, of the shell", async (t) => {
  const lines = {
    plain: `await exec(["false"]);`, later: `await exec(["true"]); await exec(["false"]);`, helper: `await helped(exec);`,
    beside: `await Promise.all([exec(["true"]), exec(["no-such-program"])]);`, piped: `await exec(["sh", "-c", "cat; false"], { input: "x" });`, shell: "await $`false`;",
  };
  const helper = `async function helped(exec) { return await exec(["false"]); }`;
  const made = new TestProject({
    "imagefile.ts": `${preamble}\n${Object.entries(lines).map(([name, line]) => `target("make:${name}", { outputs: { out: "file" }, async run({ exec, $ }) {\n  ${line}\n} });\n`).join("")}\n${helper}\n`,
  });
  t.after(() => made.eject());
  const text = made.read("imagefile.ts").split("\n");
  const { stderr } = await made.imgtask("run", "-k", "make:*");
  for (const [name, line] of Object.entries(lines)) {
    const [, report] = stderr.split(`[make:${name}] failed\n`);
    const where = text.indexOf(name === "helper" ? helper : `  ${line}`) + 1;
    assert.equal(/^ {2}at {7}imagefile\.ts:(\d+):/m.exec(report ?? "")?.[1], String(where), `${name}:\n${report}`);
  }
});

test("with --keep-going what does not depend on the failure is finished, and stays finished", async (t) => {
  const made = project(t, `throw new Error("no");`);
  assert.equal((await made.imgtask("run", "-k")).code, 1);
  assert.deepEqual(made.ran(), ["make:bad", "make:free"]);
  assert.equal((await made.imgtask("run", "-k")).code, 1);
  assert.deepEqual(made.ran(), ["make:bad"]);
});

test("what a recipe leaves running in the background is ended", async (t) => {
  const mark = `mark-${Math.random()}`;
  const made = project(t, `await exec(["sh", "-c", "sleep 300 & exit 0"], { env: { MARK: "${mark}" } }); await $\`env MARK=${mark} sleep 300 & true\`; writeFileSync(outputs.out, "");`);
  assert.equal((await made.imgtask("run", "make:bad")).code, 0);
  assert.deepEqual(processesWith(mark), []);
});

test("an output that cannot be put in its place is an error, and nothing in the way is removed", async (t) => {
  const made = project(t, `writeFileSync(outputs.out, "new");`);
  made.write("artifacts/bad/mine", "mine");
  const { code, stderr } = await made.imgtask("run", "make:bad");
  assert.equal(code, 1);
  assert.match(stderr, /IMG3013[^]*found    a directory/);
  assert.equal(made.read("artifacts/bad/mine"), "mine");
  made.rm("artifacts/bad");
  assert.equal((await made.imgtask("run", "make:bad")).code, 0);
  assert.equal(made.read("artifacts/bad"), "new");
});

test("a group without members is nothing to do", async (t) => {
  const made = project(t, "", `group("none", []);\n`);
  assert.equal((await made.imgtask("run", "none")).code, 0);
});

test("an output never replaces what was there before imgtask, and always what imgtask put there", async (t) => {
  const made = new TestProject({
    "imagefile.ts": `${preamble}export default target("make:notes", { inputs: { a: source("a") }, outputs: { out: output("file", "text", { path: "notes.txt" }) },
  run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, readFileSync(inputs.a)); } });\n`,
    a: "one\n",
    "notes.txt": "written by a person\n",
  });
  t.after(() => made.eject());
  const refused = await made.imgtask("run");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /IMG3013.*"notes\.txt"/);
  assert.match(refused.stderr, /hint +Move it away/);
  assert.equal(made.read("notes.txt"), "written by a person\n");
  made.rm("notes.txt");
  assert.equal((await made.imgtask("run")).code, 0);
  made.write("a", "two\n");
  assert.equal((await made.imgtask("run")).code, 0);
  assert.equal(made.read("notes.txt"), "two\n");
});
