/**
 * Bad input: each gives one clear error with code, what was expected and found, a hint, the place in the imagefile,
 * and the documented exit code; and loses nothing.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test, type TestContext } from "node:test";
import { type Finished, preamble, TestProject } from "../rig/project.ts";

const good = `target("make:good", { outputs: { out: output("file", "x", { path: "artifacts/good" }) }, run({ outputs }) { writeFileSync(outputs.out, "good"); } });\n`;
const plain = (name: string, more = ""): string => `target("${name}", { ${more} outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, ""); } })`;

interface Case {
  readonly what: string;
  readonly imagefile?: string;
  readonly argv: readonly string[];
  readonly exit: number;
  readonly code: string;
  /** What must stand in the message, in this order. */
  readonly says: readonly RegExp[];
  /** Line of the imagefile that is shown. */
  readonly line?: number;
}

const lines = preamble.split("\n").length;
const cases: readonly Case[] = [
  { what: "no imagefile", argv: ["run"], exit: 2, code: "IMG2008", says: [/expected .*imagefile\.ts/, /hint .*imgtask init/] },
  { what: "a syntax error", imagefile: `${preamble}const x = = 1;\n`, argv: ["run"], exit: 2, code: "IMG2009", says: [/not valid TypeScript/], line: lines },
  { what: "a runtime error", imagefile: `${preamble}const x: any = null;\nx.y();\n`, argv: ["run"], exit: 2, code: "IMG2009", says: [/cannot be evaluated.*null/, /hint /], line: lines + 1 },
  { what: "a thrown string", imagefile: `${preamble}throw "text";\n`, argv: ["run"], exit: 2, code: "IMG2009", says: [/text/] },
  { what: "a missing module", imagefile: `${preamble}import "./nothing.ts";\n`, argv: ["run"], exit: 2, code: "IMG2009", says: [/nothing\.ts/, /hint .*Is the file there/], line: lines },
  { what: "a missing package", imagefile: `${preamble}import "no-such-package";\n`, argv: ["run"], exit: 2, code: "IMG2009", says: [/no-such-package/, /hint .*npm install/], line: lines },
  { what: "an import of what there is not", imagefile: `${preamble}import { taget } from "imgtask";\ntaget();\n`, argv: ["run"], exit: 2, code: "IMG2009", says: [/'taget'/, /hint .*imgtask check/], line: lines },
  { what: "a mistake in a recipe", imagefile: `${preamble}target("make:a", { outputs: { out: "file" }, run() {\n  const all: any = {};\n  all.missing.name();\n} });\n`, argv: ["run", "make:a"], exit: 1, code: "IMG3020", says: [/undefined/], line: lines + 2 },
  { what: "a file that is not there, to be verified by no key", argv: ["verify", "nofile"], exit: 2, code: "IMG2703", says: [/No file "nofile"/] },
  { what: "a type error, by check", imagefile: `import { source } from "imgtask";\nconst n: number = "text";\nexport default source;\n`, argv: ["check"], exit: 2, code: "TS2322", says: [/imagefile\.ts:2:7/, /'string' is not assignable to type 'number'/, /1 mistake/], line: 2 },
  { what: "two targets of one name", imagefile: `${preamble}${plain("make:a")};\n${plain("make:a")};\n`, argv: ["run", "make:a"], exit: 2, code: "IMG2010", says: [/"make:a"/, /expected .*unique/, /found .*first at .*second at/, /hint /], line: lines + 1 },
  { what: "a cycle through a source below an own output path", imagefile: `${preamble}target("make:a", { inputs: { x: source("out/a/x") }, outputs: { out: output("tree", "x", { path: "out/a" }) }, run() {} });\n`, argv: ["run", "make:a"], exit: 2, code: "IMG2012", says: [/cycle: make:a → make:a/, /expected .*without cycles/, /hint /], line: lines },
  { what: "an unknown target", imagefile: preamble + good, argv: ["run", "make:goud"], exit: 2, code: "IMG2004", says: [/"make:goud"/, /expected /, /hint .*"make:good"/] },
  { what: "an unknown command", imagefile: preamble + good, argv: ["biuld"], exit: 2, code: "IMG2020", says: [/"biuld"/, /expected /] },
  { what: "an unknown option", imagefile: preamble + good, argv: ["run", "--keep-gong"], exit: 2, code: "IMG2020", says: [/--keep-gong/, /hint .*--keep-going/] },
  { what: "a bad value", imagefile: preamble + good, argv: ["run", "-j", "0"], exit: 2, code: "IMG2020", says: [/"0"/, /expected .*1 to/, /hint /] },
  { what: "no default", imagefile: preamble + good, argv: ["run"], exit: 2, code: "IMG2022", says: [/expected .*default export/, /hint .*imgtask list/] },
  { what: "a bad name", imagefile: `${preamble}${plain("../x")};\n`, argv: ["run"], exit: 2, code: "IMG2001", says: [/"\.\.\/x"/, /expected .*iso:kali/], line: lines },
  { what: "a parameter that cannot be hashed", imagefile: `${preamble}${plain("make:a", "params: { f: (() => 1) as any },")};\n`, argv: ["run"], exit: 2, code: "IMG2002", says: [/params\.f/, /expected /, /found .*function/], line: lines },
  { what: "an output outside the project", imagefile: `${preamble}target("make:a", { outputs: { out: output("file", "x", { path: "../x" }) }, run() {} });\n`, argv: ["run"], exit: 2, code: "IMG2003", says: [/"\.\.\/x"/, /expected /], line: lines },
  { what: "the project as an output", imagefile: `${preamble}target("make:a", { outputs: { out: output("tree", "x", { path: "." }) }, run() {} });\n`, argv: ["run"], exit: 2, code: "IMG2003", says: [/expected /], line: lines },
  { what: "a missing source", imagefile: `${preamble}${plain("make:a", 'inputs: { x: source("missing.txt") },')};\n`, argv: ["run", "make:a"], exit: 2, code: "IMG2005", says: [/"missing\.txt"/, /expected .*missing\.txt/, /found +nothing/, /hint /], line: lines },
  { what: "a missing tool", imagefile: `${preamble}import { tool } from "imgtask";\n${plain("make:a", 'tools: [tool("no-such-tool", { packages: { apt: "no-such-package" } })],')};\n`, argv: ["run", "make:a"], exit: 4, code: "IMG1001", says: [/no-such-tool/, /found .*no-such-tool/, /hint .*apt(-get)? install .*no-such-package/] },
  { what: "a bad SOURCE_DATE_EPOCH", imagefile: preamble + good, argv: ["run", "make:good"], exit: 2, code: "IMG2021", says: [/"yesterday"/, /expected /] },
];

function check(one: Case, { code, stdout, stderr }: Finished): void {
  const text = stdout + stderr;
  assert.equal(code, one.exit, text);
  assert.match(text, new RegExp(one.code));
  let at = 0;
  for (const expected of one.says) {
    const found = expected.exec(text.slice(at));
    assert.ok(found !== null, `${expected} in order in:\n${text}`);
    at += found.index;
  }
  if (one.line !== undefined) assert.match(text, new RegExp(`imagefile\\.ts:${one.line}\\b`), text);
  assert.doesNotMatch(text, /^ {4}at |node:internal|\[object Object\]/m, "no stack trace");
}

for (const one of cases) {
  test(one.what, async (t) => {
    const made = new TestProject(one.imagefile === undefined ? {} : { "imagefile.ts": one.imagefile });
    t.after(() => made.eject());
    const env = one.code === "IMG2021" ? { SOURCE_DATE_EPOCH: "yesterday" } : {};
    check(one, await made.start(one.argv, { env }).finished);
    // The same again, now that there may be a state directory and a snapshot.
    check(one, await made.start(one.argv, { env }).finished);
  });
}

test("an error in an edited imagefile loses nothing of what was made", async (t) => {
  const made = new TestProject({ "imagefile.ts": preamble + good });
  t.after(() => made.eject());
  assert.equal((await made.imgtask("run", "make:good")).code, 0);
  made.write("imagefile.ts", `${preamble}const = ;\n`);
  assert.equal((await made.imgtask("run", "make:good")).code, 2);
  made.write("imagefile.ts", preamble + good);
  const { code, stderr } = await made.imgtask("run", "make:good");
  assert.equal(code, 0);
  assert.match(stderr, /1 target fresh|fresh/);
});

const mayMount = ((): boolean => {
  try {
    execFileSync("unshare", ["-m", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

function bigProject(t: TestContext): TestProject {
  // The whole project stands on the small disk: its directory is filled by the script.
  const made = new TestProject({
    "source/imagefile.ts": `${preamble}const small = target("make:small", { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, "small"); } });
const big = target("make:big", { inputs: { small }, params: { how: process.env.HOW ?? "" }, outputs: { out: output("file", "x", { path: "artifacts/big" }) },
  async run({ params, outputs, exec, $, log }) {
    if (params.how === "log") for (;;) log("x".repeat(100000));
    if (params.how === "exec") await exec(["head", "-c", "20M", "/dev/zero"], { stdout: { file: outputs.out } });
    else if (params.how === "shell") await $\`head -c 20M /dev/zero > \${outputs.out}\`;
    else if (params.how === "shell log") await $\`head -c 20M /dev/zero\`;
    else writeFileSync(outputs.out, Buffer.alloc(Number(params.how)));
  } });
export default big;\n`,
    "state/x": "", "package.json": `{ "type": "module" }\n`,
  });
  t.after(() => made.eject());
  return made;
}

for (const how of ["exec", "shell", "shell log", "log", "20000000", "5000000"]) {
  test(`a full disk, by ${/^\d+$/.test(how) ? `writing ${how} bytes` : how}: said with its file system, nothing recorded, and the next run is fine`, { skip: !mayMount && "needs a mount namespace" }, async (t) => {
    const made = bigProject(t);
    const script = `cp -r ${made.path("source")}/. ${made.path("state")} && cd ${made.path("state")} && { HOW='${how}' "$@"; first=$?; mount -o remount,size=100M ${made.path("state")}; echo "first $first"; test ! -e artifacts/big && echo "nothing appeared"; HOW=1000 "$@"; echo "second $?"; HOW=1000 "$@"; ls -A .imgtask/tmp; }`;
    const full = await made.start(["run"], { prefix: ["unshare", "-m", "sh", "-c", `mount -t tmpfs -o size=8M tmpfs "$0" && ${script}`, made.path("state")], env: { HOW: how } }).finished;
    const text = full.stdout + full.stderr;
    assert.match(full.stdout, /^first 1\nnothing appeared\nsecond 0\n$/, text);
    assert.match(full.stderr, /IMG3030: No space left on the file system at "[^"]*\/state"/, text);
    assert.match(full.stderr, /found .*of 8388608 bytes free/);
    assert.match(full.stderr, /hint .*imgtask clean/);
    assert.match(full.stderr, /fresh/);
    assert.doesNotMatch(full.stderr, /^ {4}at |warning|damaged/m);
  });
}

test("a tool that two targets lack is named once", async (t) => {
  const made = new TestProject({
    "imagefile.ts": `import { target, tool } from "imgtask";
const tools = [tool("nonesuch-tool", { packages: { apt: "nonesuch" } })];
const a = target("x:a", { tools, outputs: { out: "file" }, run() {} });
export default target("x:b", { inputs: { a }, tools, outputs: { out: "file" }, run() {} });\n`,
  });
  t.after(() => made.eject());
  const { code, stderr } = await made.imgtask("run");
  assert.equal(code, 4, stderr);
  assert.match(stderr, /IMG1001: A prerequisite is missing: nonesuch-tool\n/);
  assert.match(stderr, /\n {11}or let imgtask do it: add --install-tools/);
});
