/**
 * The line-wise reporters by their exact output.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ImgtaskError } from "../../../lib/error.ts";
import type { Reporter } from "../../../lib/report/reporter.ts";
import { suitable, wantsColor } from "../../../lib/report/choose.ts";
import { githubReporter } from "../../../lib/report/github.ts";
import { jsonReporter } from "../../../lib/report/json.ts";
import { plainReporter, quietReporter } from "../../../lib/report/plain.ts";
import { liveLine } from "../../../lib/report/tty.ts";
import { ended, memory, story } from "./samples.ts";

const cwd = mkdtempSync(join(tmpdir(), "imgtask-report-"));
after(() => rmSync(cwd, { recursive: true }));
writeFileSync(join(cwd, "imagefile.ts"), "import x;\nconst d = disk();\n");
const log = join(cwd, "disk.log");
writeFileSync(log, `${Array.from({ length: 25 }, (_, index) => `line ${index + 1}`).join("\n")}\n::error::forged \u001b[31mred\u001b[0m\u0007\n10 %\r100 %\n`);
writeFileSync(join(cwd, "iso.log"), "Writing\n::set-output name=x::y\n");

const failure = `error IMG3002: "mke2fs" failed
  expected exit code 0
  found    exit code 1
  at       imagefile.ts:2:7
  2 | const d = disk();
    |       ^
  hint     Run it again by hand: cd /x && mke2fs
  the last 20 lines of the log:
${Array.from({ length: 18 }, (_, index) => `  | line ${index + 8}\n`).join("")}  | ::error::forged red\\u0007
  | 100 %
  log      disk.log`;

test("plain: one line an event", () => {
  const sink = memory();
  const reporter = plainReporter(sink, { color: false, cwd, now: () => 0 });
  for (const event of story(cwd, log)) reporter.on(event);
  assert.equal(sink.text, `Waiting for another imgtask on this project: process 4711, imgtask run
[verify:debian] restored artifacts/verify/linux
[iso:debian] started: source overlay/etc/motd changed (and 1 more)
[disk:debian] started: option size "8G" → "10G"
[iso:debian] done in 3.2 s, artifacts/iso/debian.iso 61.4 MB
[disk:debian] failed
${failure}
[test:debian] skipped, because disk:debian failed
[dirs:debian] cancelled
warning IMG9101: A record was damaged
  hint     It is built anew
1 failed, 1 skipped, 1 cancelled, 1 done, 1 restored, 1 fresh in 41 s
`);
});

test("plain: verbose tells fresh targets and progress", () => {
  const sink = memory();
  const reporter = plainReporter(sink, { color: false, cwd, verbose: true });
  for (const event of story(cwd, log)) if (["target fresh", "target progress"].includes(event.type)) reporter.on(event);
  assert.equal(sink.text, "[download:debian] fresh\n[iso:debian] 42 %\n");
});

test("plain: progress again after ten seconds", () => {
  const sink = memory();
  let now = 0;
  const reporter = plainReporter(sink, { color: false, cwd, now: () => now });
  reporter.on({ type: "target started", target: "a:b", reasons: [], log });
  for (now of [5000, 10_000, 15_000, 20_000]) reporter.on({ type: "target progress", target: "a:b", text: `${now / 1000}\u001b[2J` });
  assert.equal(sink.text, "[a:b] started\n[a:b] 10\\u001b[2J\n[a:b] 20\\u001b[2J\n");
});

test("the closing line", () => {
  const say = (...args: Parameters<typeof ended>): string => {
    const sink = memory();
    plainReporter(sink, { color: false, cwd }).on(ended(...args));
    return sink.text;
  };
  assert.equal(say({ fresh: 9 }, 120), "Nothing to do: 9 targets fresh (0.12 s)\n");
  assert.equal(say({ fresh: 1 }, 120), "Nothing to do: 1 target fresh (0.12 s)\n");
  assert.equal(say({ done: 3, fresh: 6 }, 41_000), "3 done, 6 fresh in 41 s\n");
  assert.equal(say({ done: 1 }, 125_000), "1 done in 2 min 05 s\n");
  const sink = memory();
  plainReporter(sink, { color: false, cwd }).on({ ...ended({ cancelled: 2, fresh: 1 }, 1000), signal: "SIGINT" } as never);
  assert.equal(sink.text, "Interrupted by SIGINT: 2 cancelled, 1 fresh in 1.0 s\n");
});

test("quiet: only trouble", () => {
  const sink = memory();
  const reporter = quietReporter(sink, { color: false, cwd });
  for (const event of story(cwd, log)) reporter.on(event);
  assert.equal(sink.text, `[disk:debian] failed\n${failure}\nwarning IMG9101: A record was damaged\n  hint     It is built anew\n`);
});

test("github: groups, annotations and summary; no log line becomes a command", () => {
  const sink = memory();
  const summary = join(cwd, "summary.md");
  let serial = 0;
  const reporter = githubReporter(sink, { color: false, cwd, summary, token: () => `t${++serial}` });
  for (const event of story(cwd, log)) reporter.on(event);
  const lines = sink.text.split("\n");
  assert.deepEqual(lines.slice(4, 10), [
    "::group::iso:debian done in 3.2 s, artifacts/iso/debian.iso 61.4 MB", "::stop-commands::t1", "Writing", "::set-output name=x::y", "::t1::", "::endgroup::",
  ]);
  assert.ok(lines.includes(
    '::error file=imagefile.ts,line=2,col=7,title=IMG3002::disk:debian: "mke2fs" failed%0Aexpected exit code 0%0Afound exit code 1%0Ahint: Run it again by hand: cd /x && mke2fs',
  ));
  assert.ok(lines.includes("::warning title=IMG9101::A record was damaged%0AIt is built anew"));
  // Replays what the runner does: while commands are stopped, only the token counts.
  let stopped: string | undefined;
  const obeyed: string[] = [];
  for (const line of lines) {
    if (stopped !== undefined) {
      if (line === `::${stopped}::`) stopped = undefined;
    } else if (line.startsWith("::stop-commands::")) stopped = line.slice("::stop-commands::".length);
    else if (line.startsWith("::")) obeyed.push(line.split(/[ :]+/)[1]!);
  }
  assert.equal(stopped, undefined);
  assert.deepEqual(obeyed, ["group", "endgroup", "group", "endgroup", "error", "warning"]);
  assert.equal(readFileSync(summary, "utf8"), `### imgtask: 1 failed, 1 skipped, 1 cancelled, 1 done, 1 restored, 1 fresh in 41 s

| Target | Result | Time | |
| --- | --- | --- | --- |
| \`download:debian\` | fresh |  |  |
| \`verify:debian\` | restored |  |  |
| \`iso:debian\` | done | 3.2 s | artifacts/iso/debian.iso 61.4 MB |
| \`disk:debian\` | **failed** | 41 s | IMG3002: "mke2fs" failed |
| \`test:debian\` | skipped |  | disk:debian failed |
| \`dirs:debian\` | cancelled |  |  |

`);
});

test("json: one object a line, every field there, paths relative", () => {
  const sink = memory();
  const reporter = jsonReporter(sink, { cwd });
  const events = story(cwd, log);
  for (const event of events) reporter.on(event);
  const lines = sink.text.trimEnd().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(lines.map(({ type }) => type), events.map(({ type }) => type));
  assert.deepEqual(lines[8], {
    type: "target failed", target: "disk:debian", duration: 41_000, log: "disk.log",
    error: {
      code: "IMG3002", message: '"mke2fs" failed', expected: "exit code 0", found: "exit code 1",
      hint: "Run it again by hand: cd /x && mke2fs", file: "imagefile.ts", line: 2,
    },
  });
  assert.deepEqual((lines[7]!["results"] as object[])[1], { output: "list", digest: "cd", size: 10, path: null });
  assert.equal(lines[12]!["signal"], null);
  assert.ok(!sink.text.includes(cwd));
});

test("a target that is to be tried again, in every form", () => {
  const error = new ImgtaskError("IMG5001", "The mirror cannot be reached\u0007", { exitCode: 75 });
  const event = { type: "target retrying", target: "download:debian", attempt: 2, attempts: 3, delay: 1400, error } as const;
  const said = (make: (sink: ReturnType<typeof memory>) => Reporter): string => {
    const sink = memory();
    make(sink).on(event);
    return sink.text;
  };
  const words = "IMG5001: The mirror cannot be reached\\u0007; attempt 2 of 3 in 1.4 s\n";
  assert.equal(said((sink) => plainReporter(sink, { color: false, cwd })), `[download:debian] ${words}`);
  assert.equal(said((sink) => githubReporter(sink, { color: false, cwd })), `download:debian ${words}`);
  assert.equal(said((sink) => quietReporter(sink, { color: false, cwd })), "");
  const { error: data, ...rest } = JSON.parse(said((sink) => jsonReporter(sink, { cwd }))) as Record<string, unknown> & { error: { code: string } };
  assert.deepEqual(rest, { type: "target retrying", target: "download:debian", attempt: 2, attempts: 3, delay: 1400 });
  assert.equal(data.code, "IMG5001");
});

test("which reporter suits", () => {
  const terminal = { write: () => {}, isTTY: true, columns: 80 };
  assert.equal(suitable(terminal, { TERM: "xterm" }), "tty");
  assert.equal(suitable({ ...terminal, columns: 0 }, { TERM: "xterm" }), "plain");
  assert.equal(suitable({ ...terminal, columns: undefined }, { TERM: "xterm" }), "plain");
  assert.equal(suitable(terminal, { TERM: "dumb" }), "plain");
  assert.equal(suitable(terminal, { TERM: "xterm", CI: "true" }), "plain");
  assert.equal(suitable(terminal, { TERM: "xterm", CI: "false" }), "tty");
  assert.equal(suitable({ ...terminal, isTTY: false }, {}), "plain");
  assert.equal(suitable(terminal, { GITHUB_ACTIONS: "true" }), "github");
});

test("whether colours are wanted", () => {
  const terminal = { write: () => {}, isTTY: true, columns: 80 };
  const pipe = { write: () => {} };
  assert.equal(wantsColor(terminal, {}), true);
  assert.equal(wantsColor(pipe, {}), false);
  assert.equal(wantsColor(terminal, { NO_COLOR: "1" }), false);
  assert.equal(wantsColor(terminal, { NO_COLOR: "" }), true);
  assert.equal(wantsColor(terminal, { TERM: "dumb" }), false);
  assert.equal(wantsColor(pipe, { FORCE_COLOR: "1" }), true);
  assert.equal(wantsColor(terminal, { FORCE_COLOR: "0" }), false);
  assert.equal(wantsColor(terminal, { NO_COLOR: "1" }, "always"), true);
  assert.equal(wantsColor(terminal, { FORCE_COLOR: "1" }, "never"), false);
});

test("the live line is cut to the width", () => {
  const running = new Map([["iso:debian", { since: 0, progress: "42 %" }], ["rootfs:debian", { since: 500, progress: "" }]]);
  assert.equal(liveLine(running, 3700, 80), "iso:debian 3 s (42 %), rootfs:debian 3 s");
  assert.equal(liveLine(running, 3700, 20), "iso:debian 3 s (42 …");
  assert.equal(liveLine(running, 0, 80), "iso:debian 0 s (42 %), rootfs:debian 0 s");
  assert.equal(liveLine(new Map([["a:b", { since: 0, progress: "一二三四" }]]), 125_000, 22), "a:b 2 min 05 s (一二…");
});
