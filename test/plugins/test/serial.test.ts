/**
 * The serial console: text that arrives in crumbs, with escape sequences, and patterns in it.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Console, endOf, showPattern, toPattern } from "../../../plugins/test/serial.ts";

const never = new AbortController().signal;
const soon = (): number => Date.now() + 5000;

test("escape sequences are taken out, wherever the stream is cut", () => {
  const raw = Buffer.from("\x1b[2J\x1b[01;32m[  OK  ]\x1b[0m Started \x1b]0;title\x07ssh\x1b(B – ready\r\n\x1b[?25hlogin: \x1b[6n");
  for (let cut = 0; cut <= raw.length; cut++) {
    const console = new Console();
    console.feed(raw.subarray(0, cut));
    console.feed(raw.subarray(cut));
    assert.equal(console.text, "[  OK  ] Started ssh – ready\nlogin: ", `cut at ${cut}`);
  }
  const bytes = new Console();
  for (const byte of raw) bytes.feed(Uint8Array.of(byte));
  assert.equal(bytes.text, "[  OK  ] Started ssh – ready\nlogin: ");
});

test("garbage that begins like a sequence does not swallow the rest of the console", () => {
  const console = new Console();
  console.feed(Buffer.from("\x1bP" + "x".repeat(5000)));
  console.feed(Buffer.from("\nlogin: "));
  assert.match(console.text, /login: $/);
});

test("patterns are found in order, each behind the one before", async () => {
  const console = new Console();
  const seen = console.expect("login: ", soon(), never);
  for (const part of ["log", "in", ": \nroot login", ": "]) console.feed(Buffer.from(part));
  assert.equal((await seen).outcome, "seen");
  assert.equal((await console.expect(toPattern(/ROOT LOGIN: $/i), soon(), never)).outcome, "seen");
  assert.equal((await console.expect("root", Date.now() + 50, never)).outcome, "late", "what was found once is not found again");
});

test("a pattern that never comes ends at the deadline, with the end of the console at hand", async () => {
  const console = new Console();
  console.feed(Buffer.from("one\n\ntwo\x07\nthree\n"));
  const start = Date.now();
  assert.deepEqual(await console.expect("four", start + 200, never), { outcome: "late" });
  assert.ok(Date.now() - start >= 199 && Date.now() - start < 2000);
  assert.deepEqual(console.tail(2), ["two", "three"]);
});

test("a kernel panic and the end of the machine end the wait at once", async () => {
  const console = new Console();
  const wait = console.expect("login:", Date.now() + 60_000, never);
  console.feed(Buffer.from("[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n"));
  assert.deepEqual(await wait, { outcome: "panic", text: "Kernel panic - not syncing: VFS: Unable to mount root fs" });
  const other = new Console();
  const end = other.expect("login:", Date.now() + 60_000, never);
  other.end();
  assert.deepEqual(await end, { outcome: "ended" });
});

test("an abort ends the wait", async () => {
  const controller = new AbortController();
  const wait = new Console().expect("login:", Date.now() + 60_000, controller.signal);
  controller.abort();
  await assert.rejects(wait, { name: "AbortError" });
});

test("a guest that prints without end is cut, and the newest is kept", () => {
  const console = new Console();
  for (let i = 0; i < 20; i++) console.feed(Buffer.from("x".repeat(1 << 20)));
  console.feed(Buffer.from("\nlogin: "));
  assert.ok(console.text.length <= 8 << 20);
  assert.match(console.text.slice(-8), /login: $/);
});

test("patterns go through JSON and lose the flags that have a memory", () => {
  const pattern = toPattern(/a.c/gimsy);
  assert.deepEqual(JSON.parse(JSON.stringify(pattern)), { source: "a.c", flags: "ims" });
  assert.equal(endOf(pattern, "xxA\nC!"), 5);
  assert.equal(endOf("a.c", "abc"), -1, "a text is no expression");
  assert.equal(showPattern(pattern), "/a.c/ims");
  assert.equal(showPattern('say "hi"'), '"say \\"hi\\""');
});
