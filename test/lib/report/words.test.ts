/**
 * Phrases, sizes, durations and errors by their exact words.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bug, ImgtaskError } from "../../../lib/error.ts";
import type { Reason } from "../../../lib/event.ts";
import type { PlanEntry } from "../../../lib/plan.ts";
import { formatDuration } from "../../../lib/report/duration.ts";
import { errorData, formatError } from "../../../lib/report/error.ts";
import { planData, planText } from "../../../lib/report/plan.ts";
import { phrase, phraseAll } from "../../../lib/report/reason.ts";
import { formatSize } from "../../../lib/report/size.ts";
import { failureWords, tail } from "../../../lib/report/words.ts";
import { reasons } from "./samples.ts";

const cwd = mkdtempSync(join(tmpdir(), "imgtask-words-"));
after(() => rmSync(cwd, { recursive: true }));

test("a phrase for every reason", () => {
  assert.deepEqual(Object.fromEntries(Object.entries(reasons).map(([type, reason]) => [type, phrase(reason)])), {
    "never run": "never run before",
    forced: "forced",
    store: "stored output out damaged",
    kept: ".imgtask/keys/lab missing",
    option: 'option size "8G" → "10G"',
    source: "source overlay/etc/motd changed",
    upstream: "rootfs:debian has new content",
    input: 'inputs.conf ["a/**"] → ["b/**"]',
    environment: "environment variable HTTP_PROXY changed",
    tool: "tool xorriso 1.5.4 → 1.5.6",
    recipe: "recipe changed (imagefile)",
    outputs: 'output out path "artifacts/a" → "artifacts/b"',
    manifest: "platform x86_64 → aarch64",
  });
  assert.equal(phrase({ ...reasons.upstream, output: "packages" }), "rootfs:debian#packages has new content");
  assert.equal(phrase({ ...reasons.upstream, from: undefined }), "reads rootfs:debian now");
  assert.equal(phrase({ ...reasons.upstream, to: undefined }), "no longer reads rootfs:debian");
  assert.equal(phrase({ ...reasons.option, from: undefined, to: `"${"x".repeat(60)}"` }), `option size unset → "${"x".repeat(38)}…`);
  assert.equal(phrase({ ...reasons.source, path: "a\u001b[2J\nb" }), "source a\\u001b[2J\\nb changed");
  assert.equal(phrase({ ...reasons.source, path: `${"x/".repeat(60)}motd`, change: "removed" }), `source …${"x/".repeat(60).slice(-55)}motd removed`);
  assert.equal(phrase({ ...reasons.input, from: undefined }), 'reads ["b/**"] now');
  assert.equal(phrase({ ...reasons.input, to: undefined }), 'no longer reads ["a/**"]');
  const entry = (...details: Extract<Reason, { type: "source" }>["details"]): string => phrase({ ...reasons.source, path: "a", details });
  assert.equal(entry({ what: "mode", from: "0644", to: "0755" }), "source a mode 0644 → 0755");
  assert.equal(entry({ what: "content" }, { what: "mode", from: "0644", to: "0755" }), "source a changed, mode 0644 → 0755");
  assert.equal(entry({ what: "link", from: "x", to: "y" }), "source a link x → y");
  assert.equal(entry({ what: "kind", from: "file", to: "directory" }), "source a file → directory");
  const list = (from: readonly unknown[], to: readonly unknown[]): string => phrase({ type: "option", name: "packages", from: JSON.stringify(from), to: JSON.stringify(to) });
  assert.equal(list(["a", "b"], ["a", "vim", "b"]), 'option packages + "vim"');
  assert.equal(list(["a", "a", 1], ["a"]), 'option packages - "a", - 1');
  assert.equal(list(["a", "b"], ["b", "a"]), "option packages in another order");
  assert.equal(list([], [1, 2, 3, 4, 5]), "option packages + 1, + 2, + 3 and 2 more");
  assert.equal(phraseAll([reasons.forced, reasons.source, reasons.tool]), "forced; source overlay/etc/motd changed (and 1 more)");
  assert.equal(phraseAll([]), "");
});

test("sizes and durations", () => {
  assert.deepEqual([0, 999, 1000, 61_400_000, 999_949, 999_950, 4.7e9].map(formatSize), ["0 B", "999 B", "1.0 kB", "61.4 MB", "999.9 kB", "1.0 MB", "4.7 GB"]);
  assert.deepEqual(
    [0, 120, 994, 995, 3200, 9949, 9950, 41_000, 59_600, 125_000, 3_599_600, 3_720_000].map(formatDuration),
    ["0.00 s", "0.12 s", "0.99 s", "1.0 s", "3.2 s", "9.9 s", "10 s", "41 s", "1 min 00 s", "2 min 05 s", "1 h 00 min", "1 h 02 min"],
  );
});

test("an error with everything", () => {
  const file = join(cwd, "imagefile.ts");
  writeFileSync(file, 'one\n\tconst two = "\u001b";\n');
  const error = new ImgtaskError("IMG2004", 'Unknown target "iso:kli"', {
    expected: "one of\ntwo lines", found: "this", hint: 'Did you mean "iso:kali"?', location: { file, line: 2, column: 8 }, cause: new Error("why"),
  });
  const text = `error IMG2004: Unknown target "iso:kli"
  expected one of
           two lines
  found    this
  cause    why
  at       imagefile.ts:2:8
  2 | \tconst two = "\\u001b";
    | \t      ^
  hint     Did you mean "iso:kali"?`;
  assert.equal(formatError(error, { color: false, cwd, debug: false }), text);
  const colored = formatError(error, { color: true, cwd, debug: false });
  assert.match(colored, /^\u001b\[31merror IMG2004:\u001b\[39m/);
  // eslint-disable-next-line no-control-regex
  assert.equal(colored.replace(/\u001b\[\d+m/g, ""), text);
  assert.match(formatError(error, { color: false, cwd: "/", debug: false }), new RegExp(`at {7}${file.slice(1)}:2:8`));
});

test("a location without a readable line is only named", () => {
  const error = new ImgtaskError("IMG2004", "Bad", { location: { file: join(cwd, "gone.ts"), line: 3 } });
  assert.equal(formatError(error, { color: false, cwd, debug: false }), "error IMG2004: Bad\n  at       gone.ts:3");
});

test("errors that are none of imgtask's own", () => {
  const unknown = formatError(new TypeError("x is not a function"), { color: false, cwd, debug: false });
  assert.equal(unknown.split("\n")[0], "error IMG9000: Unexpected error: x is not a function");
  assert.doesNotMatch(unknown, /\n\s+at /);
  assert.match(formatError(new TypeError("x"), { color: false, cwd, debug: true }), /\n\s+at /);
  assert.match(formatError("text", { color: false, cwd, debug: false }), /^error IMG9000: Unexpected error: text\n/);
  assert.match(formatError(undefined, { color: false, cwd, debug: false }), /a value was thrown that is no error: undefined/);
  assert.match(formatError(bug("lost"), { color: false, cwd, debug: false }), /^error IMG9000: BUG: lost\n {2}hint/);
  const loop = new Error("a");
  loop.cause = loop;
  assert.equal(formatError(loop, { color: false, cwd, debug: false }).split("\n").length, 2);
  assert.deepEqual(errorData(new Error("x"), cwd), { code: "IMG9000", message: "x", expected: null, found: null, hint: null, file: null, line: null });
});

test("the end of a log", () => {
  const file = join(cwd, "log");
  writeFileSync(file, `${"é".repeat(50_000)}\nlast\n`);
  assert.deepEqual(tail(file, 20), ["last"]);
  writeFileSync(file, "");
  assert.deepEqual(tail(file, 20), []);
  assert.deepEqual(tail(join(cwd, "gone"), 20), []);
  writeFileSync(file, "a\n\nb");
  assert.deepEqual(tail(file, 2), ["", "b"]);
});

test("a plan", () => {
  const entries: readonly PlanEntry[] = [
    { target: "download:debian", verdict: "fresh", reasons: [] },
    { target: "verify:debian", verdict: "restore", reasons: [], restore: [{ output: "out", path: "artifacts/a", problem: "different" }, { output: "log", path: "artifacts/b", problem: "missing" }] },
    { target: "rootfs:debian", verdict: "stale", reasons: [reasons.option, reasons.tool] },
    { target: "disk:debian", verdict: "depends", reasons: [], on: "rootfs:debian" },
  ];
  assert.equal(planText(entries, { color: false, duration: 100 }), `download:debian  fresh
verify:debian    restore: artifacts/a was edited (and 1 more)
rootfs:debian    stale: option size "8G" → "10G" (and 1 more)
disk:debian      depends on rootfs:debian
1 would run, 1 may run, 1 would be restored, 1 fresh (0.10 s)
`);
  assert.equal(planText(entries.slice(0, 1), { color: false }), "download:debian  fresh\nNothing to do: 1 target fresh\n");
  const data = JSON.parse(JSON.stringify(planData([{ target: "a", verdict: "stale", reasons: [{ ...reasons.option, from: undefined }] }]))) as unknown;
  assert.deepEqual(data, { targets: [{ target: "a", verdict: "stale", on: null, reasons: [{ type: "option", name: "size", from: null, to: '"10G"' }], restore: [], earlier: null }] });
});

test("what an error says already is said once, and of a log only what the last attempt adds", () => {
  const cause = Object.assign(new Error("ECONNREFUSED"), { cause: new Error("connect ECONNREFUSED 127.0.0.1:9", { cause: new Error("ECONNREFUSED") }) });
  const error = new ImgtaskError("IMG5001", "The mirror cannot be reached", { found: "ECONNREFUSED, after 3 attempts", cause });
  assert.deepEqual(formatError(error, { color: false, cwd }).split("\n").filter((line) => line.includes("ECONN")), [
    "  found    ECONNREFUSED, after 3 attempts",
    "  cause    connect ECONNREFUSED 127.0.0.1:9",
  ]);
  const log = join(cwd, "attempts.log");
  const shown = (text: string, code = "IMG5001"): readonly string[] => {
    writeFileSync(log, text);
    return failureWords({ type: "target failed", target: "a:b", duration: 1, error: new ImgtaskError(code, "No"), log }, { color: false, cwd }).filter((line) => line.startsWith("  | "));
  };
  const again = "mirror: http://a\nimgtask: IMG5001: The mirror cannot be reached; attempt 2 of 2 in 300 ms\n";
  assert.deepEqual(shown(`${again}mirror: http://a\n`), []);
  assert.deepEqual(shown(`${again}$ curl http://a\ncurl: (6) no\n`), ["  | $ curl http://a", "  | curl: (6) no"]);
  assert.deepEqual(shown("said\n", "IMG3020"), ["  | said"]);
});
