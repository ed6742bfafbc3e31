/**
 * Commands: arguments reach them unchanged, groups end with all that is in them, failures say what to do.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Place, quote, replay, run, which } from "../../lib/process.ts";
import { noneWith, processesWith, repository } from "../rig/project.ts";
import { scratch } from "../rig/scratch.ts";

function place(t: TestContext, signal: AbortSignal = new AbortController().signal): Place & { readonly log: () => string; readonly mark: string } {
  const cwd = scratch(t);
  const logFd = openSync(join(cwd, "log"), "a");
  t.after(() => closeSync(logFd));
  const mark = `imgtask-mark-${process.pid}-${Math.random()}`;
  return { cwd, env: { PATH: process.env["PATH"], MARK: mark }, logFd, signal, log: () => readFileSync(join(cwd, "log"), "utf8"), mark };
}

const hostile = [
  "", " ", "  a  ", "\t", "\n", "a\nb", "\r\n", "'", '"', "''", `a'b"c`, "`id`", "$(id)", "$HOME", "${HOME}", "$((1+1))", "\\", "\\\\", "\\n", "*", "?", "[a-z]", "~", "~root",
  "-", "--", "-rf", "--help", "-e", ";", "&& id", "| cat", "> /dev/null", "< x", "!", "!!", "#x", "%s%n", "{a,b}", "a=b", "ü€😀", "\u0001\u007f", "\ufeff", "\u202e", "x".repeat(100_000),
];

test(`${hostile.length} hostile arguments arrive unchanged`, async (t) => {
  const { stdout } = await run([process.execPath, "-e", "process.stdout.write(JSON.stringify(process.argv.slice(1)))", "--", ...hostile], place(t), { stdout: "capture" });
  assert.deepEqual(JSON.parse(stdout), hostile);
});

test("what replay() prints gives a shell the very same arguments", async (t) => {
  const at = place(t);
  const line = replay(["printf", "%s\\0", ...hostile], at.cwd);
  const { stdout } = await run(["bash", "-c", line], at, { stdout: "capture" });
  assert.deepEqual(stdout.split("\0").slice(0, -1), hostile);
  assert.equal(quote("plain-1.2/x"), "plain-1.2/x");
});

test("a NUL in an argument is refused before anything starts", async (t) => {
  await assert.rejects(run(["echo", "a\0b"], place(t)), { code: "IMG3001", message: /NUL/ });
});

test("output goes to the log, to the caller or into a file; input comes from the caller", async (t) => {
  const at = place(t);
  await run(["sh", "-c", "echo out; echo err >&2"], at);
  assert.equal(at.log(), "out\nerr\n");
  assert.equal((await run(["cat"], at, { input: "in\0put", stdout: "capture" })).stdout, "in\0put");
  await run(["cat"], at, { input: Buffer.alloc(3_000_000, 7), stdout: { file: join(at.cwd, "f") } });
  assert.deepEqual(readFileSync(join(at.cwd, "f")), Buffer.alloc(3_000_000, 7));
  assert.equal((await run(["cat"], at, { stdout: "capture" })).stdout, "", "no input is /dev/null");
  await run(["true"], at, { input: Buffer.alloc(3_000_000) });
});

test("the environment is the given one, with changes", async (t) => {
  const { stdout } = await run(["env"], { ...place(t), env: { PATH: "/usr/bin:/bin", A: "1", B: "2" } }, { env: { A: undefined, C: "3 4" }, stdout: "capture" });
  assert.deepEqual(stdout.trim().split("\n").sort(), ["B=2", "C=3 4", "PATH=/usr/bin:/bin"]);
});

test("a program named by a path is looked up in the command's own directory", async (t) => {
  const at = place(t);
  mkdirSync(join(at.cwd, "sub"));
  writeFileSync(join(at.cwd, "sub/tool"), "#!/bin/sh\necho here\n");
  chmodSync(join(at.cwd, "sub/tool"), 0o755);
  assert.equal((await run(["./tool"], at, { cwd: join(at.cwd, "sub"), stdout: "capture" })).stdout, "here\n");
  assert.equal(which("sub", [at.cwd]), undefined, "a directory is no program");
});

test("failures name the exit code and the command to run again; accepted codes are none", async (t) => {
  const at = place(t);
  await assert.rejects(run(["sh", "-c", "exit 7"], at), { code: "IMG3002", found: "exit code 7", hint: `Run it again by hand: cd ${at.cwd} && sh -c 'exit 7'` });
  assert.equal((await run(["sh", "-c", "exit 7"], at, { ok: [0, 7] })).code, 7);
  await assert.rejects(run(["no-such-program"], at), { code: "IMG3001", message: /"no-such-program".*not found/ });
  await assert.rejects(run(["sh", "-c", "kill -KILL $$"], at), { code: "IMG3002", found: "exit code 137" });
  await assert.rejects(run(["true", "x".repeat(3_000_000)], at), { code: "IMG3001", message: /E2BIG/ });
  await assert.rejects(run(["true"], at, { cwd: join(at.cwd, "missing") }), { code: "IMG3001" });
});

test("a command that takes too long is ended with its children", async (t) => {
  const at = place(t);
  await assert.rejects(run(["sh", "-c", "sleep 300 & sleep 300"], at, { timeout: 200 }), { code: "IMG3003" });
  assert.deepEqual(processesWith(at.mark), []);
});

test("more output than can be captured ends the command", async (t) => {
  const at = place(t);
  await assert.rejects(run(["head", "-c", "80M", "/dev/zero"], at, { stdout: "capture" }), { code: "IMG3002", message: /67108864 bytes/ });
});

test("on abort the whole group ends, grandchildren that ignore SIGTERM included", { timeout: 20_000 }, async (t) => {
  const controller = new AbortController();
  const at = place(t, controller.signal);
  const running = run(["sh", "-c", `sh -c 'trap "" TERM; while :; do sleep 0.1; done' & sleep 300`], at);
  await sleep(300);
  assert.ok(processesWith(at.mark).length >= 2);
  const began = Date.now();
  controller.abort();
  await assert.rejects(running, { code: "IMG3004", exitCode: 130 });
  assert.deepEqual(processesWith(at.mark), []);
  assert.ok(Date.now() - began < 8000);
  await assert.rejects(run(["true"], at), { code: "IMG3004" }, "nothing is begun after the abort");
});

test("what a finished command left in the background is ended, even when it holds the captured output", { timeout: 10_000 }, async (t) => {
  const at = place(t);
  const { stdout } = await run(["sh", "-c", "sleep 300 & echo done"], at, { stdout: "capture" });
  assert.equal(stdout, "done\n");
  assert.deepEqual(processesWith(at.mark), []);
});

test("what is still being written after the command's end has a moment to finish", async (t) => {
  const at = place(t);
  await run(["bash", "-c", `echo text > >(sleep 0.2; cat > ${join(at.cwd, "late")})`], at);
  assert.equal(readFileSync(join(at.cwd, "late"), "utf8"), "text\n");
});

test("SIGKILL of the process that runs commands ends them, grandchildren included", { timeout: 20_000 }, async (t) => {
  const cwd = scratch(t);
  const mark = `imgtask-mark-${process.pid}-${Math.random()}`;
  writeFileSync(
    join(cwd, "run.mts"),
    `import { openSync } from "node:fs";
import { run } from ${JSON.stringify(join(repository, "lib/process.ts"))};
const place = { cwd: ${JSON.stringify(cwd)}, env: { PATH: process.env.PATH, MARK: process.env.MARK }, logFd: openSync("/dev/null", "a"), signal: new AbortController().signal };
void run(["sh", "-c", "sleep 301 & sleep 302"], place);
await run(["sh", "-c", "setsid -w sh -c 'exit 0'; sleep 303 | sleep 304"], place);
`,
  );
  const child = spawn(process.execPath, ["--import", "tsx", join(cwd, "run.mts")], { cwd: repository, env: { ...process.env, MARK: mark }, stdio: "ignore" });
  for (let i = 0; i < 100 && processesWith(mark).length < 6; i++) await sleep(100);
  assert.ok(processesWith(mark).length >= 6, "the commands run");
  child.kill("SIGKILL");
  assert.deepEqual(await noneWith(mark, 4000), []);
});

test("a guard that was ended is replaced, and the next one knows what runs; a bad name of a variable is refused", { timeout: 20_000 }, async (t) => {
  const cwd = scratch(t);
  const mark = `imgtask-mark-${process.pid}-${Math.random()}`;
  writeFileSync(
    join(cwd, "run.mts"),
    `import { openSync, readdirSync, readFileSync } from "node:fs";
import { run } from ${JSON.stringify(join(repository, "lib/process.ts"))};
const place = { cwd: ${JSON.stringify(cwd)}, env: { PATH: process.env.PATH, MARK: process.env.MARK }, logFd: openSync("/dev/null", "a"), signal: new AbortController().signal };
void run(["sh", "-c", "sleep 301 & sleep 302"], place);
const text = (file) => { try { return readFileSync(file, "latin1"); } catch { return ""; } };
const guard = readdirSync("/proc").find((id) => text("/proc/" + id + "/cmdline").startsWith("/bin/sh\\0-c\\0trap") && text("/proc/" + id + "/stat").split(") ")[1]?.split(" ")[1] === String(process.pid));
process.kill(Number(guard), "SIGKILL");
setInterval(() => {}, 1000);
`,
  );
  const child = spawn(process.execPath, ["--import", "tsx", join(cwd, "run.mts")], { cwd: repository, env: { ...process.env, MARK: mark }, stdio: ["ignore", "ignore", "inherit"] });
  for (let i = 0; i < 100 && processesWith(mark).length < 4; i++) await sleep(100);
  await sleep(300);
  assert.ok(processesWith(mark).length >= 4, "the commands run");
  child.kill("SIGKILL");
  assert.deepEqual(await noneWith(mark, 4000), []);
  await assert.rejects(run(["true"], place(t), { env: { "a-b": "1" } }), { code: "IMG3001", message: /"a-b"/ });
});
