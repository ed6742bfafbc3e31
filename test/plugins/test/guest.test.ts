/**
 * The script that looks at a guest, run by the shells of this host on files of this host.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { judge, type Questions, readAnswers, script } from "../../../plugins/test/guest.ts";
import { shellQuote } from "../../../plugins/test/probe/probe.ts";

const root = mkdtempSync(join(tmpdir(), "imgtask-guest-"));
after(() => rmSync(root, { recursive: true, force: true }));

const nothing: Questions = { probes: [], files: [], directories: [], commands: [] };
const shells = ["sh", "bash", "busybox"].filter((shell) => spawnSync(shell, ["true"]).error === undefined);

function ask(shell: string, questions: Questions): ReturnType<typeof readAnswers> {
  const argv = shell === "busybox" ? ["sh", "-s"] : ["-s"];
  const result = spawnSync(shell, argv, { input: script(questions, 5), encoding: "utf8" });
  const answers = readAnswers(`Welcome to the lab\n${result.stdout}`);
  assert.ok(answers.complete, result.stderr);
  return answers;
}

test("a word survives a shell, whatever is in it", () => {
  for (const word of ["", "a b", "it's", "$HOME `id` \\", "-n", "ä\nö", "'\\''", "IMGTASK_END_OF_PART"]) {
    const result = spawnSync("sh", ["-s"], { input: `printf %s ${shellQuote(word)}`, encoding: "utf8" });
    assert.equal(result.stdout, word);
  }
});

for (const shell of shells) {
  test(`${shell}: files are seen as they are, awkward names and all`, () => {
    const names = ["plain", "two words", "it's $HOME `id`", "-rf", "ünï", "semi;colon", "quote\"d"];
    for (const name of names) {
      writeFileSync(join(root, name), `one\ntwo ${name}\n`);
      chmodSync(join(root, name), 0o640);
    }
    mkdirSync(join(root, "directory"), { recursive: true });
    chmodSync(join(root, "directory"), 0o1777);
    rmSync(join(root, "link"), { force: true });
    symlinkSync("nowhere", join(root, "link"));
    const { username, uid } = userInfo();
    const files = [
      ...names.map((name) => ({ path: join(root, name), mode: 0o640, owner: username, type: "file" as const, contains: `one\ntwo ${name}\n` })),
      { path: join(root, "directory"), mode: 0o1777, owner: String(uid), type: "directory" as const },
      { path: join(root, "link"), type: "symlink" as const },
    ];
    const checks = judge({ ...nothing, files }, ask(shell, { ...nothing, files }));
    assert.equal(checks.length, names.length * 2 + 2);
    assert.deepEqual(checks.filter((check) => check.outcome !== "passed"), []);
  });

  test(`${shell}: a wrong mode, owner, type or content and a missing file are each told`, () => {
    writeFileSync(join(root, "wrong"), "content");
    chmodSync(join(root, "wrong"), 0o600);
    const path = join(root, "wrong");
    const files = [
      { path, mode: 0o644 },
      { path, owner: "nobody" },
      { path, group: "nogroup" },
      { path, type: "directory" as const },
      { path, contains: "other" },
      { path: join(root, "missing"), mode: 0o644 },
    ];
    const checks = judge({ ...nothing, files }, ask(shell, { ...nothing, files })).filter((check) => check.outcome === "failed");
    assert.deepEqual(checks.map((check) => check.expected), ["0644", "nobody:*", "*:nogroup", "directory", "other", "0644"]);
    assert.match(checks[0]?.found ?? "", /^file \S+:\S+ 0600$/);
    assert.equal(checks[4]?.found, "content");
    assert.match(checks[5]?.found ?? "", /^nothing there/);
  });

  test(`${shell}: commands give their exit code and output, and cannot eat the script`, () => {
    const commands = [
      { run: ["sh", "-c", "cat; printf 'a\\nb\\n'; exit 7"], stdout: "a\nb", exit: 7 },
      { run: ["printf", "%s", "no line break"], stdout: { source: "^no line break$", flags: "" }, exit: 0 },
      { run: ["printf", "END\nO 0 Zm9v\n"], stdout: "O 0 Zm9v", exit: 0 },
      { run: ["exit", "3"], exit: 3 },
      { run: ["no-such-command-here"], exit: 127 },
      { run: ["true"], exit: 0 },
    ];
    const checks = judge({ ...nothing, commands }, ask(shell, { ...nothing, commands }));
    assert.deepEqual(checks.filter((check) => check.outcome !== "passed"), []);
    const wrong = [{ run: ["sh", "-c", "echo found; exit 1"], stdout: "expected", exit: 0 }];
    const [check] = judge({ ...nothing, commands: wrong }, ask(shell, { ...nothing, commands: wrong }));
    assert.deepEqual([check?.outcome, check?.expected, check?.found], ["failed", `exit code 0 and output "expected"`, `exit code 1 and output "found\\n"`]);
  });
}

test("600 directories are asked for in one script, and the wrong ones are named", () => {
  const under = join(root, "apps");
  const paths = Array.from({ length: 600 }, (_, index) => join(under, `team ${index % 20}`, `app ${index}`));
  for (const path of paths) mkdirSync(path, { recursive: true });
  for (const path of paths) chmodSync(path, 0o750);
  const { username } = userInfo();
  const group = spawnSync("id", ["-gn"], { encoding: "utf8" }).stdout.trim();
  const questions = { ...nothing, directories: [{ name: "apps.txt", paths, mode: 0o750, owner: username, group }] };
  assert.deepEqual(judge(questions, ask("sh", questions)), [{ name: "600 directories of apps.txt", outcome: "passed" }]);
  chmodSync(paths[3]!, 0o755);
  rmSync(paths[599]!, { recursive: true });
  const [check] = judge(questions, ask("sh", questions));
  assert.equal(check?.outcome, "failed");
  assert.deepEqual(check?.found?.split("\n").map((line) => line.slice(0, line.indexOf(": "))), [paths[3], paths[599]]);
});
