/**
 * The lock file: what is written is read again, sorted whatever the order; what is damaged is refused with words.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isPin, type LockEntry, LockFile, type Pin } from "../../lib/lock-file.ts";
import { formatLock, parseLock } from "../../lib/lock-schema.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-lock-file-test-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const pin: Pin = { file: "kali.iso", path: "current/kali.iso", size: 5, sha256: "a".repeat(64), version: "2026.3", list: { signedAt: "2026-09-10T00:00:00.000Z", version: "2026.3" } };

test("the text is sorted, one value a line, and the same for the same entries", () => {
  const one = formatLock(new Map<string, LockEntry>([["b", pin], ["a", { list: { version: "1" } }]]));
  assert.equal(one, formatLock(new Map<string, LockEntry>([["a", { list: { version: "1" } }], ["b", Object.fromEntries(Object.entries(pin).reverse()) as unknown as Pin]])));
  const read = parseLock(one);
  assert.deepEqual([...read.keys()], ["a", "b"]);
  assert.deepEqual(read.get("b"), pin);
  assert.deepEqual([isPin(read.get("a")), isPin(read.get("b")), isPin(undefined)], [false, true, false]);
  const changed = formatLock(new Map<string, LockEntry>([["b", { ...pin, sha256: "b".repeat(64) }], ["a", { list: { version: "1" } }]]));
  assert.equal(one.split("\n").filter((line, index) => line !== changed.split("\n")[index]).length, 1, "one line differs");
});

test("what is damaged is refused", () => {
  const text = formatLock(new Map([["a", pin]]));
  const cases: Readonly<Record<string, readonly [string, string]>> = {
    "half a file": [text.slice(0, 60), "IMG2654"],
    "an unfinished merge": [`<<<<<<< HEAD\n${text}`, "IMG2654"],
    "another version": [text.replace(`"version": 1`, `"version": 2`), "IMG2654"],
    "a list": ["[]", "IMG2654"],
    "no media": [`{ "version": 1 }`, "IMG2654"],
    "a short digest": [text.replace("a".repeat(64), "abc"), "IMG2651"],
    "a size as text": [text.replace(`"size": 5`, `"size": "5"`), "IMG2651"],
    "a missing path": [text.replace(/ *"path".*\n/, ""), "IMG2651"],
    "an unknown field": [text.replace(`"size"`, `"Size"`), "IMG2651"],
    "a path that leads out": [text.replace("current/", "../"), "IMG2651"],
    "an absolute path": [text.replace("current/", "/etc/"), "IMG2651"],
    "another host": [text.replace("current/", "https://example.org/"), "IMG2651"],
    "a query": [text.replace("current/kali.iso", "current/kali.iso?x"), "IMG2651"],
    "a bad date": [text.replace("2026-09-10T00:00:00.000Z", "yesterday"), "IMG2651"],
    "a control character": [text.replace(`"kali.iso"`, `"kali\\u001b[2J.iso"`), "IMG2651"],
    "no entry": [`{ "version": 1, "media": { "a": null } }`, "IMG2651"],
  };
  for (const [name, [damaged, code]] of Object.entries(cases)) assert.throws(() => parseLock(damaged), { code, exitCode: 2 }, name);
});

test("errors say where, what was expected and what stands there", () => {
  const text = formatLock(new Map([["a", pin], ["b", { ...pin, sha256: "b".repeat(64) }]]));
  const cases: readonly (readonly [string, { readonly expected?: string; readonly found: string; readonly line: number; readonly column: number }])[] = [
    [text.replace("b".repeat(64), "xyz"), { expected: "sha256: 64 hex digits, lower case", found: `sha256: "xyz"`, line: 19, column: 7 }],
    [text.replace(`"size": 5`, `"size": "5"`), { expected: "size: a number of bytes", found: `size: "5"`, line: 7, column: 7 }],
    [text.replace(`"signedAt"`, `"signedOn"`), { expected: "list.signedOn: no other field", found: `list.signedOn: "2026-09-10T00:00:00.000Z"`, line: 11, column: 9 }],
    [text.replace(`"version": 1`, `"version": 9`), { expected: `an object with "version": 1 and "media"`, found: "version: 9", line: 2, column: 3 }],
  ];
  for (const [damaged, { line, column, ...details }] of cases) {
    assert.throws(() => parseLock(damaged, "/project/imgtask.lock"), { ...details, location: { file: "/project/imgtask.lock", line, column } }, damaged);
  }
  const half = text.slice(0, text.indexOf(`"size"`));
  assert.throws(() => parseLock(half, "x"), (error: { readonly location?: { readonly line: number } }) => error.location?.line === 7);
});

test("changes at the same time are all kept", async () => {
  const place = join(directory, "together");
  mkdirSync(place);
  const lock = new LockFile(place, join(place, ".imgtask"));
  await Promise.all(["a", "b", "c", "d"].map((id) => lock.write(new Map([[id, pin]]))));
  assert.deepEqual([...(await lock.entries()).keys()], ["a", "b", "c", "d"]);
  assert.deepEqual(["a", "b", "c", "d"].map((id) => lock.times(id)), [1, 1, 1, 1]);
});

test("a change leaves the other entries, and is counted", async () => {
  const lock = new LockFile(directory, join(directory, ".imgtask"));
  assert.equal((await lock.entries()).size, 0);
  assert.equal(existsSync(lock.path), false, "reading writes nothing");
  await lock.write(new Map([["a", pin]]));
  await lock.write(new Map([["b", { ...pin, version: "2026.4" }]]));
  await lock.write(new Map([["b", { ...pin, version: "2026.5" }]]));
  assert.deepEqual([...(await new LockFile(directory, join(directory, ".imgtask")).entries())].map(([id, entry]) => [id, (entry as Pin).version]), [["a", "2026.3"], ["b", "2026.5"]]);
  assert.deepEqual(["a", "b", "c"].map((id) => lock.times(id)), [1, 2, 0]);
  writeFileSync(join(directory, ".imgtask/pinned"), "damaged");
  assert.equal(lock.times("b"), 0);
});
