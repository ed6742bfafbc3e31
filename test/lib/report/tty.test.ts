/**
 * The live view on a real pseudo-terminal, made by util-linux' `script`.
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { which } from "../../../lib/process.ts";
import { width } from "../../../lib/report/text.ts";

const fixture = fileURLToPath(new URL("tty.fixture.ts", import.meta.url));
const skip = which("script") === undefined ? "needs script of util-linux" : false;
const hide = "\u001b[?25l", show = "\u001b[?25h";

/** What the terminal is sent. */
function onTerminal(columns: number, happening?: string): Promise<string> {
  const env: NodeJS.ProcessEnv = { PATH: process.env["PATH"], HOME: process.env["HOME"], TERM: "xterm" };
  const command = `stty cols ${columns} rows 24; exec '${process.execPath}' --import tsx '${fixture}'${happening === undefined ? "" : ` '${happening}'`}`;
  return new Promise((resolve, reject) => {
    const child = execFile("script", ["-qec", command, "/dev/null"], { env, timeout: 30_000, encoding: "utf8" }, (error, stdout) => (error === null ? resolve(stdout) : reject(error)));
    void child;
  });
}

/** The lines that the spinner drew, without escapes. */
function frames(sent: string): readonly string[] {
  // eslint-disable-next-line no-control-regex
  return sent.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "\r").split(/[\r\n]+/).filter((line) => /^[⠀-⣿\-\\|/] /.test(line));
}

/** The lines that stay. */
function lasting(sent: string): readonly string[] {
  // eslint-disable-next-line no-control-regex
  return sent.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "\r").split("\n").map((line) => line.replace(/\r+$/, "").split("\r").at(-1)!).filter((line) => line !== "");
}

const end = ["✔ iso:debian done in 0.70 s", "✔ disk:debian done in 0.30 s", "2 done in 1.0 s"];

test("finished lines stay, one line spins within the width, the cursor comes back", { skip }, async () => {
  const sent = await onTerminal(40);
  assert.deepEqual(lasting(sent), end);
  const drawn = frames(sent);
  assert.ok(drawn.length >= 5, sent);
  assert.ok(drawn.some((line) => line.includes("iso:debian 0 s (42 % of a text")));
  assert.ok(drawn.some((line) => /disk:debian 0 s/.test(line)));
  for (const line of drawn) assert.ok(width(line) < 40, line);
  assert.ok(sent.lastIndexOf(show) > sent.lastIndexOf(hide) && sent.includes(hide));
});

test("what is to be tried again stays as a line, and is said to wait", { skip }, async () => {
  const sent = await onTerminal(100, "retry");
  assert.deepEqual(lasting(sent), ["↻ iso:debian IMG5001: The mirror cannot be reached; attempt 2 of 3 in 1.4 s", ...end]);
  assert.ok(frames(sent).some((line) => line.includes("iso:debian 0 s (waits to be tried again)")));
});

test("a terminal without a width gets plain lines", { skip }, async () => {
  const sent = await onTerminal(0);
  assert.equal(sent.includes("\u001b"), false);
  assert.deepEqual(lasting(sent), ["[iso:debian] started", "[disk:debian] started", "[iso:debian] done in 0.70 s", "[disk:debian] done in 0.30 s", "2 done in 1.0 s"]);
});

test("a terminal that loses its width does not spin until it has one again", { skip }, async () => {
  const sent = await onTerminal(40, "width 0");
  assert.deepEqual(lasting(sent), end);
  // 700 ms with a width draw about nine frames, 1,000 ms without one draw none.
  assert.ok(frames(sent).length <= 14, String(frames(sent).length));
  assert.ok(sent.lastIndexOf(show) > sent.lastIndexOf(hide));
});

test("a terminal that becomes narrow gets narrow lines", { skip }, async () => {
  const sent = await onTerminal(40, "width 20");
  assert.deepEqual(lasting(sent).slice(-3), end);
  const drawn = frames(sent);
  assert.ok(drawn.some((line) => width(line) > 20));
  assert.ok(width(drawn.at(-1)!) < 20, drawn.at(-1));
});

test("closing in the middle leaves a clean line and the cursor", { skip }, async () => {
  const sent = await onTerminal(40, "close");
  assert.deepEqual(lasting(sent), ["✔ iso:debian done in 0.70 s", "CLOSED"]);
  assert.ok(sent.lastIndexOf(show) > sent.lastIndexOf(hide));
  assert.equal(frames(sent.slice(sent.indexOf("CLOSED"))).length, 0);
});

test("after Ctrl-C, what runs is said to end", { skip }, async () => {
  const drawn = frames(await onTerminal(40, "interrupt"));
  assert.ok(drawn.some((line) => line.includes(" ending iso:debian")), drawn.join("\n"));
  for (const line of drawn) assert.ok(width(line) < 40, line);
});

test("Ctrl-Z gives the cursor back, and the line spins again afterwards", { skip }, async () => {
  const sent = await onTerminal(40, "stop");
  const [before = "", after = ""] = sent.split("STOPPED");
  assert.ok(before.indexOf(show) > before.indexOf(hide) && before.includes(hide), sent);
  assert.ok(frames(after).length > 2);
});
