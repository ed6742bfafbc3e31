/**
 * `why` before a run and after it, over every kind of reason, as text and as data; and that commands which only look
 * write nothing.
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, lstatSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Reason } from "../../lib/event.ts";
import { TestProject } from "../rig/project.ts";

const imagefile = `import { group, output, source, target, tool } from "imgtask";
import { readFileSync, writeFileSync } from "node:fs";
const probe = tool("imgtask-probe", { packages: {} });
const one = target("make:one", {
  inputs: { dir: source("dir"), conf: source.glob("conf/*") },
  params: { size: 1, packages: ["a", "c"] },
  env: ["TOKEN"],
  tools: [probe],
  outputs: { out: output("file", "text", { path: "artifacts/one.txt" }), log: output("file", "text") },
  run({ inputs, outputs, params }) {
    writeFileSync(outputs.out, readFileSync(inputs.dir + "/f", "utf8").toUpperCase() + params.size);
    writeFileSync(outputs.log, "log");
    if (params.size === 13) throw new Error("unlucky");
  },
});
const two = target("make:two", {
  inputs: { one },
  outputs: { out: output("file", "text", { path: "artifacts/two.txt" }) },
  run({ inputs, outputs }) { writeFileSync(outputs.out, readFileSync(inputs.one, "utf8") + "!"); },
});
const three = target("make:three", {
  inputs: { two },
  outputs: { out: output("file", "text", { path: "artifacts/three.txt" }) },
  run({ inputs, outputs }) { writeFileSync(outputs.out, readFileSync(inputs.two, "utf8") + "!"); },
});
export default group("all", [three]);
`;

interface Cause {
  readonly target: string;
  readonly verdict: string;
  readonly on: string | null;
  readonly reasons: readonly Reason[];
  readonly time: string | null;
}

/** What \`why --json\` says, as README.md has it. */
interface Why extends Omit<Cause, "time"> {
  readonly restore: readonly { readonly output: string; readonly path: string; readonly problem: string }[];
  readonly earlier: string | null;
  readonly causes: readonly Cause[];
  readonly last: null | { readonly time: string; readonly duration: number; readonly reasons: readonly Reason[]; readonly causes: readonly Cause[] };
  readonly unfinished: null | { readonly time: string; readonly log: string };
}

class Subject {
  readonly made: TestProject;
  readonly #env: { [name: string]: string | undefined } = { TOKEN: "canary-one" };

  constructor(t: TestContext) {
    this.made = new TestProject({ "imagefile.ts": imagefile, "dir/f": "f", "conf/a": "a", "conf/b": "b" });
    symlinkSync("f", this.made.path("dir/l"));
    this.tool("1.0");
    t.after(() => this.made.eject());
  }

  tool(version: string): void {
    this.made.write("bin/imgtask-probe", `#!/bin/sh\necho probe ${version}\n`);
    chmodSync(this.made.path("bin/imgtask-probe"), 0o755);
  }

  setToken(value: string | undefined): void {
    this.#env["TOKEN"] = value;
  }

  async imgtask(...argv: readonly string[]): Promise<string> {
    const env = { ...this.#env, PATH: `${this.made.path("bin")}:${process.env["PATH"]!}` };
    const { code, stdout, stderr } = await this.made.start(argv, { env }).finished;
    assert.equal(code, 0, stderr);
    assert.equal(/canary/.test(stdout + stderr), false, "values of environment variables are never told");
    return stdout + stderr;
  }

  async why(target: string): Promise<Why> {
    return JSON.parse(await this.imgtask("why", target, "--json")) as Why;
  }

  edit(from: string, to: string): void {
    const before = this.made.read("imagefile.ts");
    assert.ok(before.includes(from), from);
    this.made.write("imagefile.ts", before.replace(from, to));
  }
}

/** Reasons that an edit of the imagefile may or may not give beside its own, as digests of recipes go. */
const withoutRecipe = (reasons: readonly Reason[]): readonly Reason[] => reasons.filter(({ type }) => type !== "recipe");
const digest = /^[0-9a-f]{64}$/;

interface Step {
  readonly what: string;
  readonly change: (subject: Subject) => void;
  readonly reasons: readonly Reason[];
  /** As it stands in the text. */
  readonly text: readonly string[];
}

const source = (path: string, change: "added" | "removed" | "changed", ...details: Extract<Reason, { type: "source" }>["details"]): Reason => ({ type: "source", path, change, details });

const steps: readonly Step[] = [
  { what: "content", change: ({ made }) => made.write("dir/f", "g"), reasons: [source("dir/f", "changed", { what: "content" })], text: ["source dir/f changed"] },
  { what: "mode", change: ({ made }) => chmodSync(made.path("dir/f"), 0o755), reasons: [source("dir/f", "changed", { what: "mode", from: "0644", to: "0755" })], text: ["source dir/f mode 0644 → 0755"] },
  {
    what: "symbolic link", change: ({ made }) => { made.rm("dir/l"); symlinkSync("g", made.path("dir/l")); },
    reasons: [source("dir/l", "changed", { what: "link", from: "f", to: "g" })], text: ["source dir/l link f → g"],
  },
  { what: "kind", change: ({ made }) => { made.rm("dir/l"); made.write("dir/l", "f"); }, reasons: [source("dir/l", "changed", { what: "kind", from: "link", to: "file" })], text: ["source dir/l link → file"] },
  { what: "added", change: ({ made }) => made.write("conf/c", "c"), reasons: [source("conf/c", "added")], text: ["source conf/c added"] },
  { what: "removed", change: ({ made }) => made.rm("conf/a"), reasons: [source("conf/a", "removed")], text: ["source conf/a removed"] },
  { what: "option", change: (s) => s.edit("size: 1,", "size: 2,"), reasons: [{ type: "option", name: "size", from: "1", to: "2" }], text: ["option size 1 → 2"] },
  { what: "list", change: (s) => s.edit('["a", "c"]', '["a", "b", "c"]'), reasons: [{ type: "option", name: "packages", from: '["a","c"]', to: '["a","b","c"]' }], text: ['option packages + "b"'] },
  { what: "new option", change: (s) => s.edit("size: 2,", "size: 2, more: true,"), reasons: [{ type: "option", name: "more", from: null as unknown as undefined, to: "true" }], text: ["option more unset → true"] },
  { what: "environment changed", change: (s) => s.setToken("canary-two"), reasons: [{ type: "environment", name: "TOKEN", change: "changed" }], text: ["environment variable TOKEN changed"] },
  { what: "environment unset", change: (s) => s.setToken(undefined), reasons: [{ type: "environment", name: "TOKEN", change: "unset" }], text: ["environment variable TOKEN unset"] },
  { what: "environment set", change: (s) => s.setToken("canary-three"), reasons: [{ type: "environment", name: "TOKEN", change: "set" }], text: ["environment variable TOKEN set"] },
  { what: "tool", change: (s) => s.tool("1.1"), reasons: [{ type: "tool", name: "imgtask-probe", from: "1.0", to: "1.1" }], text: ["tool imgtask-probe 1.0 → 1.1"] },
  {
    what: "output", change: (s) => s.edit("artifacts/one.txt", "artifacts/uno.txt"),
    reasons: [{ type: "outputs", name: "out", from: '{"form":"file","path":"artifacts/one.txt","type":"text"}', to: '{"form":"file","path":"artifacts/uno.txt","type":"text"}' }],
    text: ['output out path "artifacts/one.txt" → "artifacts/uno.txt"'],
  },
  {
    what: "patterns", change: (s) => s.edit('"conf/*"', '"conf/[bc]"'),
    reasons: [{ type: "input", name: "inputs.conf", from: '["conf/*"]', to: '["conf/[bc]"]' }], text: ['inputs.conf ["conf/*"] → ["conf/[bc]"]'],
  },
];

test("each kind of reason, before a run and after it, as text, as data, in the plan and in the run's own output", { timeout: 300_000 }, async (t) => {
  const subject = new Subject(t);
  assert.match(await subject.imgtask("why", "make:one"), /^make:one is stale: it would run, because:\n {2}never run before\n$/);
  assert.deepEqual((await subject.why("make:one")).last, null);
  await subject.imgtask("run");
  assert.match(await subject.imgtask("why", "make:one"), /^make:one is fresh: .*\n\nLast run .* because:\n {2}never run before\n$/);
  for (const { what, change, reasons, text } of steps) {
    change(subject);
    const before = await subject.why("make:one");
    assert.equal(before.verdict, "stale", what);
    assert.deepEqual(withoutRecipe(before.reasons), reasons, what);
    const words = await subject.imgtask("why", "make:one");
    for (const line of text) assert.ok(words.includes(`\n  ${line}\n`), `${what}: ${words}`);
    assert.ok(words.split("\n").length <= 24);
    assert.match(await subject.imgtask("plan", "make:one"), new RegExp(`^make:one  stale: ${text[0]!.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`));
    const ran = await subject.imgtask("run", "make:one");
    assert.ok(ran.includes(`[make:one] started: ${text[0]}`), ran);
    const after = await subject.why("make:one");
    assert.equal(after.verdict, "fresh");
    assert.deepEqual(after.reasons, []);
    assert.deepEqual(after.last?.reasons, before.reasons, `${what}: what was said before the run is said after it`);
    assert.ok((await subject.imgtask("why", "make:one")).includes(`because:\n  ${text[0]}\n`));
  }
  t.diagnostic(`${steps.length} kinds of change, each looked at before and after`);
});

test("what is behind it: upstream targets that would run, that have run since, down to where it began", { timeout: 120_000 }, async (t) => {
  const subject = new Subject(t);
  await subject.imgtask("run");
  subject.made.write("dir/f", "g");
  const before = await subject.why("make:three");
  assert.equal(before.verdict, "depends");
  assert.equal(before.on, "make:two");
  assert.deepEqual(before.causes.map(({ target, verdict, on }) => [target, verdict, on]), [["make:two", "depends", "make:one"], ["make:one", "stale", null]]);
  assert.deepEqual(before.causes[1]!.reasons, [source("dir/f", "changed", { what: "content" })]);
  assert.match(await subject.imgtask("why", "make:three"), /^make:three depends on make:two: .*\n\nWhat it depends on:\n {2}make:two {2}depends on make:one\n {2}make:one {2}stale: source dir\/f changed\n\nLast run/);
  // Only the first one is run: the second is stale for sure now, and why the first ran is told.
  await subject.imgtask("run", "make:one");
  const between = await subject.why("make:two");
  assert.equal(between.verdict, "stale");
  const [reason] = between.reasons;
  assert.ok(reason?.type === "upstream" && reason.target === "make:one" && reason.output === "out");
  assert.match(reason.from!, digest);
  assert.match(reason.to!, digest);
  assert.deepEqual(between.causes.map(({ target, verdict }) => [target, verdict]), [["make:one", "ran"]]);
  assert.match(await subject.imgtask("why", "make:two"), /because:\n {2}make:one has new content\n {4}it ran .* ago, because:\n {6}source dir\/f changed\n/);
  assert.match(await subject.imgtask("run"), /\[make:two\] started: make:one has new content\n/);
  const after = await subject.why("make:three");
  assert.equal(after.verdict, "fresh");
  assert.deepEqual(after.last!.causes.map(({ target, verdict }) => [target, verdict]), [["make:two", "ran"], ["make:one", "ran"]]);
  assert.match(await subject.imgtask("why", "make:three"), /make:two has new content\n.*because:\n {6}make:one has new content\n.*because:\n {10}source dir\/f changed\n/);
});

test("what would run for a reason of its own is stale, whatever comes from upstream", async (t) => {
  const subject = new Subject(t);
  await subject.imgtask("run");
  subject.made.write("dir/f", "g");
  subject.edit('path: "artifacts/two.txt"', 'path: "artifacts/due.txt"');
  const two = await subject.why("make:two");
  assert.deepEqual([two.verdict, two.on, withoutRecipe(two.reasons).map(({ type }) => type)], ["stale", "make:one", ["outputs"]]);
  const plan = await subject.imgtask("plan");
  assert.match(plan, /make:two\s+stale: output out path/);
});

test("the recipe, with the lines that changed and where they stand, before the run and after it", async (t) => {
  const subject = new Subject(t);
  subject.made.write("helper.ts", `/** A comment. */\n\nexport function shout(text: string): string {\n  // Aloud.\n  const loud = text + "!";\n  return loud;\n}\n`);
  subject.edit("const probe", `import { shout } from "./helper.ts";\nconst probe`);
  subject.edit("toUpperCase()", "toUpperCase() + shout('a')");
  await subject.imgtask("run");
  subject.made.write("helper.ts", subject.made.read("helper.ts").replace('"!"', '"?"'));
  const expected = [{ file: "helper.ts", name: "shout", line: 5, removed: ['const loud = text + "!";'], added: ['const loud = text + "?";'] }];
  const trimmed = (reason: Reason | undefined): unknown => {
    const { changes } = reason as unknown as { changes: readonly { removed: readonly string[]; added: readonly string[] }[] };
    return changes.map((change) => ({ ...change, removed: change.removed.map((line) => line.trim()), added: change.added.map((line) => line.trim()) }));
  };
  const lines = '  recipe changed (imagefile)\n    helper.ts:5 in shout\n    - const loud = text + "!";\n    + const loud = text + "?";\n';
  const [reason, ...others] = (await subject.why("make:one")).reasons;
  assert.deepEqual(others, []);
  assert.ok(reason?.type === "recipe");
  assert.match(reason.from!, digest);
  assert.match(reason.to!, digest);
  assert.notEqual(reason.from, reason.to);
  assert.deepEqual(trimmed(reason), expected);
  const text = await subject.imgtask("why", "make:one");
  assert.ok(text.includes(lines), text);
  assert.match(await subject.imgtask("run"), /\[make:one\] started: recipe changed/);
  assert.deepEqual(trimmed((await subject.why("make:one")).last?.reasons[0]), expected);
  assert.ok((await subject.imgtask("why", "make:one")).includes(lines));
});

test("forced, damaged in the store, restored, and an earlier result that fits", { timeout: 120_000 }, async (t) => {
  const subject = new Subject(t);
  await subject.imgtask("run");
  await subject.imgtask("run", "-f", "make:one");
  assert.deepEqual((await subject.why("make:one")).last?.reasons, [{ type: "forced" }]);
  // Edited, and gone.
  subject.made.write("artifacts/one.txt", "mine");
  assert.match(await subject.imgtask("why", "make:one"), /^make:one would be restored from the store, and nothing would run:\n {2}artifacts\/one.txt was edited\n/);
  subject.made.rm("artifacts/one.txt");
  assert.deepEqual((await subject.why("make:one")).restore, [{ output: "out", path: "artifacts/one.txt", problem: "missing" }]);
  assert.match(await subject.imgtask("plan", "make:one"), /restore: artifacts\/one.txt is missing/);
  await subject.imgtask("run");
  // Back to what was there before.
  subject.made.write("dir/f", "g");
  await subject.imgtask("run");
  const { last } = await subject.why("make:one");
  subject.made.write("dir/f", "f");
  const earlier = await subject.why("make:one");
  assert.equal(earlier.verdict, "restore");
  assert.ok(Date.parse(earlier.earlier!) < Date.parse(last!.time));
  assert.equal(earlier.last!.time, last!.time);
  assert.match(await subject.imgtask("why", "make:one"), /^make:one would be restored from the store: the result of .* fits, and nothing would run\n {2}artifacts\/one.txt is of another result\n/);
  assert.equal(await subject.imgtask("run").then((text) => /started/.test(text)), false);
  // A damaged object: told, not mended, until a run does.
  const digests = (name: string): string => (JSON.parse(subject.made.read(".imgtask/records").trim().split("\n").findLast((line) => line.includes(`"target":"${name}"`))!.slice(17)) as { outputs: { out: { digest: string } } }).outputs.out.digest;
  const object = digests("make:three");
  const path = subject.made.path(".imgtask/store", object.slice(0, 2), object.slice(2));
  chmodSync(path, 0o644);
  writeFileSync(path, "damaged");
  for (let round = 0; round < 2; round++) assert.deepEqual((await subject.why("make:three")).reasons, [{ type: "store", output: "out", problem: "damaged" }]);
  subject.made.rm(`.imgtask/store/${object.slice(0, 2)}/${object.slice(2)}`);
  assert.match(await subject.imgtask("why", "make:three"), /stored output out missing\n/);
});

test("a run that failed is told, with its log", async (t) => {
  const subject = new Subject(t);
  await subject.imgtask("run");
  subject.edit("size: 1,", "size: 13,");
  await assert.rejects(subject.imgtask("run"), /unlucky/);
  const { unfinished, last, verdict } = await subject.why("make:one");
  assert.equal(verdict, "stale");
  assert.match(unfinished!.log, /^\.imgtask\/logs\/make:one\/[0-9.-]+\.log$/);
  assert.ok(Date.parse(unfinished!.time) > Date.parse(last!.time));
  assert.match(await subject.imgtask("why", "make:one"), /\n\nBegun .* without a result: .*\n {2}log \.imgtask\/logs\/make:one\/[0-9.-]+\.log\n\nLast run/);
});

test("a group, a name that does not exist, a pattern of several", async (t) => {
  const subject = new Subject(t);
  await subject.imgtask("run");
  assert.equal(await subject.imgtask("why", "all"), "all is a group: with what it needs, 3 targets, 3 fresh\n");
  subject.made.write("dir/f", "g");
  assert.match(await subject.imgtask("why", "all"), /^all is a group: with what it needs, 3 targets, 1 would run, 2 may run\n {2}make:one {4}stale: source dir\/f changed\n {2}make:two {4}depends on make:one\n/);
  const data = JSON.parse(await subject.imgtask("why", "all", "--json")) as { target: string; group: boolean; targets: readonly { target: string; verdict: string }[] };
  assert.deepEqual([data.target, data.group, data.targets.map(({ verdict }) => verdict)], ["all", true, ["stale", "depends", "depends"]]);
  const unknown = await subject.made.imgtask("why", "make:tow");
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /IMG2004[^]*Did you mean "make:two"/);
  const several = await subject.made.imgtask("why", "make:*");
  assert.equal(several.code, 2);
  assert.match(several.stderr, /IMG2020: "make:\*" matches 3 targets[^]*make:one, make:two, make:three/);
  assert.match(await subject.imgtask("why", "make:on*"), /^make:one is stale/);
});

test("long lists fit one screen: some of each kind, and how many more there are", async (t) => {
  const subject = new Subject(t);
  await subject.imgtask("run");
  for (let index = 0; index < 300; index++) subject.made.write(`dir/${index}`, "x");
  subject.setToken("canary-two");
  subject.tool("2.0");
  const text = await subject.imgtask("why", "make:one");
  assert.ok(text.split("\n").length <= 24, text);
  assert.match(text, /source dir\/0 added/);
  assert.match(text, /environment variable TOKEN changed/);
  assert.match(text, /tool imgtask-probe 1\.0 → 2\.0/);
  const told = text.match(/source dir\/\d+ added/g)!.length;
  assert.match(text, new RegExp(`and ${300 - told} more sources \\(-v tells all\\)`));
  assert.equal((await subject.imgtask("why", "make:one", "-v")).match(/source dir\/\d+ added/g)!.length, 300);
  assert.equal((await subject.why("make:one")).reasons.length, 302);
});

/** Everything of a tree that a write could change: names, kinds, inodes, modes, times, bytes. */
function picture(directory: string): readonly string[] {
  const lines: string[] = [];
  const visit = (path: string): void => {
    const stat = lstatSync(path, { bigint: true });
    const content = stat.isSymbolicLink() ? readlinkSync(path) : stat.isFile() ? readFileSync(path, "base64") : "";
    lines.push(`${path} ${stat.dev} ${stat.ino} ${stat.mode} ${stat.uid} ${stat.nlink} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${content}`);
    if (stat.isDirectory()) for (const name of readdirSync(path).sort()) visit(join(path, name));
  };
  visit(directory);
  return lines;
}

const looks: readonly (readonly string[])[] = [
  ["plan"], ["run", "-n"], ["plan", "--json"], ["plan", "-f"], ["why", "make:three"], ["why", "make:three", "--json"], ["why", "make:one", "-v"], ["why", "all"], ["list"], ["show", "make:one"], ["graph"],
];

test("commands that only look change no byte, name, inode or time of the project", { timeout: 300_000 }, async (t) => {
  const subject = new Subject(t);
  const { made } = subject;
  let compared = 0;
  const check = async (what: string, env: Readonly<Record<string, string>> = {}, prefix: readonly string[] = []): Promise<void> => {
    const before = picture(made.directory);
    for (const argv of looks) {
      const { code, stderr } = await made.start(argv, { env: { PATH: `${made.path("bin")}:${process.env["PATH"]!}`, ...env }, prefix }).finished;
      assert.equal(code, 0, `${what}: ${argv.join(" ")}: ${stderr}`);
      assert.deepEqual(picture(made.directory), before, `${what}: ${argv.join(" ")}`);
      compared += before.length;
    }
  };
  await check("never run");
  assert.equal(made.exists(".imgtask"), false);
  await subject.imgtask("run");
  await check("fresh", { TOKEN: "canary-one" });
  await check("another environment");
  made.write("dir/f", "g");
  made.rm("artifacts/two.txt");
  await check("a changed source, a missing output");
  made.write("imagefile.ts", imagefile.replace("size: 1,", "size: 2,"));
  await check("a changed imagefile, a snapshot that no longer holds");
  made.write(".imgtask/records", `${made.read(".imgtask/records").replace("make:two", "make:2wo")}{"half":`);
  await check("a damaged and half-written log of results");
  for (const name of ["snapshot", "stat-cache", "tools"]) if (made.exists(`.imgtask/${name}`)) made.write(`.imgtask/${name}`, "damaged");
  await check("damaged caches");
  const [half] = readdirSync(made.path(".imgtask/store"));
  for (const name of readdirSync(made.path(".imgtask/store", half!))) {
    chmodSync(made.path(".imgtask/store", half!, name), 0o644);
    made.write(`.imgtask/store/${half!}/${name}`, "damaged");
  }
  await check("a damaged object in the store");
  if (process.getuid?.() === 0) {
    const user = 65_534;
    const own = (path: string): void => {
      if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) own(join(path, name));
      if (!lstatSync(path).isSymbolicLink()) {
        chownSync(path, user, user);
        if (path.includes("/.imgtask")) chmodSync(path, lstatSync(path).isDirectory() ? 0o500 : 0o400);
      }
    };
    chmodSync(join(made.directory, ".."), 0o755);
    own(made.directory);
    await check("read-only state, as an ordinary user", { HOME: "/nonexistent" }, ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--no-new-privs"]);
  }
  t.diagnostic(`${compared} entries compared, 0 changed`);
});
