/**
 * Projects that an ordinary user has no access to, mirrors that fail for different reasons, and a terminal that is closed
 * during a run: by the real command line.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { binary, noneWith, preamble, TestProject } from "../rig/project.ts";
import { rangeServer } from "../rig/range-server.ts";
import { which } from "../../lib/process.ts";

const nobody = 65534;

test("what an ordinary user may not read, write or search is told as such", { timeout: 60_000, skip: process.geteuid?.() === 0 ? false : "needs root, to be somebody else" }, async () => {
  using project = new TestProject({
    "conf/a": "a",
    "imagefile.ts": `${preamble}import { tool } from "imgtask";
target("make:a", { inputs: { a: source.glob("conf/**") }, tools: [tool("true", { packages: { apt: "coreutils" } })], outputs: { out: "file" }, async run({ outputs, exec }) { await exec(["true"]); writeFileSync(outputs.out, ""); } });\n`,
  });
  mkdirSync(project.path("secret"), { mode: 0o700 });
  chmodSync(project.path(".."), 0o755);
  const prefix = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", "--no-new-privs"];
  const env = { HOME: "/nonexistent", PATH: `${project.path("secret")}:${process.env["PATH"]!}` };
  const run = async (): Promise<{ readonly code: number | null; readonly text: string }> => {
    const { code, stdout, stderr } = await project.start(["run", "make:a"], { prefix, env }).finished;
    return { code, text: stdout + stderr };
  };
  const unwritable = await run();
  assert.equal(unwritable.code, 4, unwritable.text);
  assert.match(unwritable.text, /IMG1010: No access to ".*\.imgtask/);
  chownSync(project.directory, nobody, nobody);
  chmodSync(project.path("conf"), 0o700);
  const unreadable = await run();
  assert.equal(unreadable.code, 4, unreadable.text);
  assert.match(unreadable.text, /IMG1010: No access to ".*conf"[^]* at +imagefile\.ts:/);
  chmodSync(project.path("conf"), 0o755);
  const good = await run();
  assert.equal(good.code, 0, `a directory of PATH that may not be searched is passed over\n${good.text}`);
});

test("of two mirrors, each one's reason is told", { timeout: 60_000 }, async (t) => {
  const [first, second] = await Promise.all([rangeServer({}), rangeServer({ "d/SUMS": Buffer.from("<!DOCTYPE html><html></html>") })]);
  t.after(() => (first.close(), second.close()));
  using project = new TestProject({
    "imagefile.ts": `import { download, type ImageMedia } from "imgtask";
const media: ImageMedia = {
  kind: "iso", id: "vendor-1", distro: "vendor", release: "1", arch: "x86_64", answers: "preseed", edition: "install", layout: "debian-cd", image: { name: "vendor-{version}-install.iso" },
  source: { kind: "mirror", env: "IMGTASK_TEST_MIRROR", mirrors: [${JSON.stringify(first.url)}, ${JSON.stringify(second.url)}], directory: "d", list: { file: "SUMS", form: "gnu", algorithm: "sha256", signature: { kind: "none" } } },
  keys: { keys: [] }, sha256: "${"0".repeat(64)}",
};
export default download("big", media);\n`,
  });
  const { code, stderr } = await project.imgtask("run");
  assert.equal(code, 1, stderr);
  assert.match(stderr, /IMG5011: None of 2 mirrors gave vendor-1[^]*IMG5004: .* is not there \(404[^]*IMG500[0-9]: /);
  assert.doesNotMatch(stderr, /of the log:/);
});

test("a terminal that is closed ends the run by SIGHUP, and what it started", { timeout: 60_000, skip: which("script") === undefined ? "needs script of util-linux" : false }, async () => {
  using project = new TestProject({
    "imagefile.ts": `${preamble}export default target("make:a", { env: ["MARK"], outputs: { out: "file" }, async run({ target, exec }) { noteRun(target); await exec(["sleep", "60"]); } });\n`,
  });
  const mark = `mark-${Math.random()}`;
  // The kernel tells the session's leader alone: this shell passes it on, as every one does, and stays to tell how it ended.
  const command = `'${process.execPath}' '${binary}' run & trap "kill -HUP $!" HUP; wait $!; wait $!; echo $? >code`;
  const terminal = spawn("script", ["-qec", command, "/dev/null"], { cwd: project.directory, stdio: ["pipe", "ignore", "ignore"], env: { PATH: process.env["PATH"], HOME: process.env["HOME"], SHELL: "/bin/sh", TERM: "xterm", RUNS: project.path("../runs"), MARK: mark } });
  for (let waited = 0; project.runs("make:a") === 0 && waited < 30_000; waited += 50) await sleep(50);
  await sleep(300);
  terminal.kill("SIGKILL");
  for (let waited = 0; (!project.exists("code") || project.read("code") === "") && waited < 15_000; waited += 50) await sleep(50);
  assert.equal(project.read("code").trim(), "129");
  assert.deepEqual(await noneWith(mark, 4000), []);
});
