/**
 * Commands that the small process starts: they are as if Node had started them, and end when they are to, whoever dies.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { setMaxListeners } from "node:events";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { guardStrays } from "../../lib/guard.ts";
import { type Place, run } from "../../lib/process.ts";
import { noneWith, processesWith, repository } from "../rig/project.ts";
import { scratch } from "../rig/scratch.ts";

const skip = existsSync("/usr/bin/perl") ? false : "there is no perl";

/** A place whose `TMPDIR` the guard knows: what runs there is started by the small process. */
function place(t: TestContext, signal: AbortSignal = new AbortController().signal): Place & { readonly log: () => string; readonly mark: string } {
  const cwd = scratch(t), tmp = join(cwd, "tmp");
  mkdirSync(tmp);
  guardStrays(tmp);
  const logFd = openSync(join(cwd, "log"), "ax", 0o600);
  t.after(() => closeSync(logFd));
  const mark = `imgtask-mark-${process.pid}-${Math.random()}`;
  return { cwd, env: { PATH: process.env["PATH"], MARK: mark, TMPDIR: tmp }, logFd, signal, log: () => readFileSync(join(cwd, "log"), "utf8"), mark };
}

const text = (file: string): string => {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
};

/** Ids of this process's children whose command line begins with some words. */
function children(...words: readonly string[]): readonly number[] {
  return readdirSync("/proc").filter((id) => /^\d+$/.test(id) && text(`/proc/${id}/cmdline`).startsWith(words.join("\0")) && text(`/proc/${id}/stat`).split(") ").at(-1)?.split(" ")[1] === String(process.pid)).map(Number);
}

const small = (): readonly number[] => children("/usr/bin/perl", "-e", "use strict;");

test("arguments, environment, directory and files are what they are with Node, and nothing else is open", { skip }, async (t) => {
  const at = place(t);
  const hostile = ["", " a\n", "\\", "$(id)", "ü€😀", "\u0001\u007f", "x".repeat(100_000)];
  const show = "process.stdout.write(JSON.stringify([process.argv.slice(1), process.env, process.cwd()]))";
  const answers: string[] = [], open: string[] = [];
  // With input it is started by Node.
  for (const options of [{}, { input: "" }]) {
    const stdout = { file: join(at.cwd, "answer") };
    await run([process.execPath, "-e", show, "--", ...hostile], at, { stdout, ...options });
    answers.push(readFileSync(stdout.file, "utf8"));
    await run(["sh", "-c", "ls /proc/$$/fd"], at, { stdout, ...options });
    open.push(readFileSync(stdout.file, "utf8"));
  }
  assert.equal(open[0], open[1]);
  assert.equal(answers[0], answers[1]);
  assert.deepEqual((JSON.parse(answers[0]!) as unknown[])[0], hostile);
  assert.equal(small().length, 1, "the small process is there");
  await run(["sh", "-c", "echo one; echo two >&2"], at);
  await run(["sh", "-c", "cat; echo three"], at);
  assert.equal(at.log(), "one\ntwo\nthree\n", "appended to, and standard input is empty");
});

test("exit codes, signals and failures to start are told", { skip }, async (t) => {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const at = place(t, signal);
  assert.equal((await run(["sh", "-c", "exit 7"], at, { ok: [7] })).code, 7);
  await assert.rejects(run(["sh", "-c", "kill -KILL $$"], at), { code: "IMG3002", found: "exit code 137" });
  await assert.rejects(run(["sh", "-c", "kill -SEGV $$"], at), { code: "IMG3002", found: "exit code 139" });
  writeFileSync(join(at.cwd, "odd"), "#!/no/such/interpreter\n");
  chmodSync(join(at.cwd, "odd"), 0o755);
  await assert.rejects(run(["./odd"], at), { code: "IMG3001", message: /ENOENT/ });
  await assert.rejects(run(["true", "x".repeat(3_000_000)], at), { code: "IMG3001", message: /E2BIG/ });
  await assert.rejects(run(["true"], at, { cwd: join(at.cwd, "missing") }), { code: "IMG3001", message: /ENOENT/ });
  const codes = await Promise.all(Array.from({ length: 60 }, async (_, code) => (await run(["sh", "-c", `exit ${code}`], at, { ok: [code] })).code));
  assert.deepEqual(codes, Array.from({ length: 60 }, (_, code) => code), "many at once");
});

test("what takes too long, is aborted or left behind is ended, with all its group", { skip, timeout: 30_000 }, async (t) => {
  const controller = new AbortController();
  const at = place(t, controller.signal);
  await assert.rejects(run(["sh", "-c", "sleep 300 & sleep 300"], at, { timeout: 200 }), { code: "IMG3003" });
  assert.deepEqual(processesWith(at.mark), []);
  await run(["sh", "-c", "sleep 300 & exit 0"], at);
  assert.deepEqual(processesWith(at.mark), []);
  const running = [run(["sh", "-c", `sh -c 'trap "" TERM; while :; do sleep 0.1; done' & sleep 300`], at), run(["sleep", "300"], at)];
  const ends = Promise.all(running.map((one) => assert.rejects(one, { code: "IMG3004" })));
  await sleep(300);
  assert.ok(processesWith(at.mark).length >= 3);
  controller.abort();
  await ends;
  assert.deepEqual(processesWith(at.mark), []);
});

test("a small process that was ended takes its commands with it, and is replaced; so is one whose guard was", { skip, timeout: 30_000 }, async (t) => {
  const at = place(t);
  const running = assert.rejects(run(["sleep", "300"], at), { code: "IMG3001", message: /was ended/ });
  for (let i = 0; i < 100 && processesWith(at.mark).length === 0; i++) await sleep(20);
  process.kill(small()[0]!, "SIGKILL");
  await running;
  assert.deepEqual(await noneWith(at.mark, 4000), []);
  await run(["sh", "-c", "echo again"], at);
  const [first] = small();
  assert.ok(first !== undefined);
  const long = run(["sleep", "1"], at);
  await sleep(200);
  for (const guard of children("/bin/sh", "-c", "trap")) process.kill(guard, "SIGKILL");
  await sleep(200);
  await run(["sh", "-c", "echo and again"], at);
  await long;
  assert.ok(!small().includes(first) || small().length === 2, "another one");
  for (let i = 0; i < 100 && small().length > 1; i++) await sleep(20);
  assert.equal(small().length, 1);
  assert.notEqual(small()[0], first);
  assert.equal(at.log(), "again\nand again\n");
});

test("SIGKILL of imgtask at 20 moments around the start of a command leaves nothing of it", { skip, timeout: 120_000 }, async (t) => {
  const cwd = scratch(t), tmp = join(cwd, "tmp");
  mkdirSync(tmp);
  writeFileSync(
    join(cwd, "run.mts"),
    `import { openSync } from "node:fs";
import { guardStrays } from ${JSON.stringify(join(repository, "lib/guard.ts"))};
import { run } from ${JSON.stringify(join(repository, "lib/process.ts"))};
guardStrays(${JSON.stringify(tmp)});
const place = { cwd: ${JSON.stringify(cwd)}, env: { PATH: process.env.PATH, MARK: process.env.MARK, TMPDIR: ${JSON.stringify(tmp)} }, logFd: openSync("/dev/null", "a"), signal: new AbortController().signal };
await run(["true"], place);
process.stdout.write("ready");
// Some started by the small process, some by Node; some leave their group.
for (;;) await Promise.all([run(["sh", "-c", "setsid sleep 301 & sleep 0.01"], place), run(["sh", "-c", "env -i sleep 0.02; sleep 302 & exit 0"], place, { stdout: "capture" })]);
`,
  );
  let killed = 0;
  for (let moment = 0; moment < 20; moment++) {
    const mark = `imgtask-mark-${process.pid}-${Math.random()}`;
    const child = spawn(process.execPath, ["--import", "tsx", join(cwd, "run.mts")], { cwd: repository, env: { ...process.env, MARK: mark }, stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await sleep((moment * 7) % 40);
    if (child.kill("SIGKILL")) killed++;
    assert.deepEqual(await noneWith(mark, 4000), [], `moment ${moment}`);
  }
  t.diagnostic(`${killed} kills, 0 processes left`);
});
