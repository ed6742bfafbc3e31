/**
 * A session on a serial console with the real login(1), PAM, shells and line discipline of this host, on a terminal of its
 * own; accounts exist in its mount namespace alone.
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { judge, type Questions, readAnswers, script } from "../../../plugins/test/guest.ts";
import { Console } from "../../../plugins/test/serial.ts";
import { runOverSerial, type Terminal } from "../../../plugins/test/serial-session.ts";

const place = mkdtempSync(join(tmpdir(), "imgtask-serial-"));
after(() => rmSync(place, { recursive: true, force: true }));
const password = "a b'c\"$d\\e";
const skip = process.getuid?.() !== 0 ? "needs root, for login(1)" : spawnSync("script", ["--version"]).error !== undefined ? "needs script(1), of bsdutils" : spawnSync("login", ["--help"]).error !== undefined ? "needs login(1)" : false;

/** A terminal with login(1) on it; again and again, as a getty has it. */
function terminal(shell: string): Terminal & { readonly child: ChildProcess; readonly typed: string[] } {
  const etc = mkdtempSync(join(place, "etc-"));
  mkdirSync(join(etc, "home"));
  const hash = execFileSync("openssl", ["passwd", "-6", "-stdin"], { input: password, encoding: "utf8" }).trim();
  writeFileSync(join(etc, "passwd"), `root:x:0:0:root:/root:/bin/bash\nlab:x:61234:61234::/:${shell}\n`);
  writeFileSync(join(etc, "shadow"), `root:*:19000::::::\nlab:${hash}:19000::::::\n`, { mode: 0o600 });
  writeFileSync(join(etc, "group"), `root:x:0:\nlab:x:61234:\n`);
  writeFileSync(join(etc, "pam"), "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n");
  const bind = [["passwd", "/etc/passwd"], ["shadow", "/etc/shadow"], ["group", "/etc/group"], ["pam", "/etc/pam.d/login"]].map(([from, to]) => `mount --bind ${join(etc, from!)} ${to}`).join(" && ");
  const child = spawn("unshare", ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "script", "-qfec", `sh -c '${bind} && while :; do /bin/login; done'`, "/dev/null"], { stdio: ["pipe", "pipe", "ignore"], env: { PATH: process.env["PATH"], TERM: "vt100" } });
  const console = new Console();
  const typed: string[] = [];
  child.stdout.on("data", (data: Buffer) => console.feed(data));
  child.once("exit", () => console.end());
  return { console, child, typed, type: (text) => (typed.push(text), void child.stdin.write(text)) };
}

const questions: Questions = {
  probes: [{ name: "many lines", shell: "seq 1 20000", judge: (printed) => (printed.split("\n").length === 20_001 ? undefined : { expected: "20000 lines", found: `${printed.split("\n").length}` }) }],
  files: [{ path: "/etc/passwd", contains: "lab:x:61234" }],
  directories: [],
  commands: [{ run: ["printf", "%s", "\x03\x04\x1a ünï IMGTASK_DONE"], stdout: "\x03\x04\x1a ünï IMGTASK_DONE", exit: 0 }, { run: ["id", "-un"], stdout: "lab", exit: 0 }],
};

for (const shell of ["/bin/bash", "/bin/dash"]) {
  test(`${shell}: name and password open a shell; what is asked goes in and comes back whole`, { skip }, async (context) => {
    const one = terminal(shell);
    try {
      const session = { user: "lab", password, deadline: Date.now() + 120_000, signal: new AbortController().signal };
      const result = await runOverSerial(one, session, script(questions, 1));
      assert.ok("stdout" in result, "refused" in result ? `${result.refused}: ${one.console.text.slice(-500)}` : "");
      const answers = readAnswers(result.stdout);
      assert.deepEqual(judge(questions, answers).filter(({ outcome }) => outcome !== "passed"), []);
      assert.equal(answers.user, "lab");
      assert.equal(one.console.text.includes(password), false, "the password is not shown");
      context.diagnostic(`${one.typed.join("").length} characters typed, ${one.console.text.length} shown`);
      // It logged out: the terminal asks who is next.
      assert.equal((await one.console.expect({ source: "login: ?$", flags: "" }, Date.now() + 20_000, session.signal)).outcome, "seen");
    } finally {
      one.child.kill("SIGKILL");
    }
  });
}

test("a wrong password, an unknown user and a machine that stops are each told", { skip }, async () => {
  const one = terminal("/bin/bash");
  const session = { user: "lab", password, deadline: Date.now() + 120_000, signal: new AbortController().signal };
  try {
    assert.deepEqual(await runOverSerial(one, { ...session, password: "wrong-password" }, "true\n"), { refused: "the password was not accepted" });
    assert.deepEqual(await runOverSerial(one, { ...session, user: "nonesuch" }, "true\n"), { refused: "the password was not accepted" });
  } finally {
    one.child.kill("SIGKILL");
    await once(one.child, "exit");
  }
  assert.deepEqual(await runOverSerial({ console: one.console, type: () => {} }, session, "true\n"), { refused: "the machine stopped" });
  assert.equal(readFileSync("/etc/passwd", "utf8").includes("61234"), false, "this host's accounts are as they were");
});
