/**
 * The lock file: what is written is read again, sorted whatever the order; what is damaged is refused with words.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { formatLock, isPin, type LockEntry, LockFile, parseLock, type Pin } from "../../lib/lock-file.ts";

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

test("a change leaves the other entries, and is counted", () => {
  const lock = new LockFile(directory, join(directory, ".imgtask"));
  assert.equal(lock.entries().size, 0);
  assert.equal(existsSync(lock.path), false, "reading writes nothing");
  lock.write(new Map([["a", pin]]));
  lock.write(new Map([["b", { ...pin, version: "2026.4" }]]));
  lock.write(new Map([["b", { ...pin, version: "2026.5" }]]));
  assert.deepEqual([...new LockFile(directory, join(directory, ".imgtask")).entries()].map(([id, entry]) => [id, (entry as Pin).version]), [["a", "2026.3"], ["b", "2026.5"]]);
  assert.deepEqual(["a", "b", "c"].map((id) => lock.times(id)), [1, 2, 0]);
  writeFileSync(join(directory, ".imgtask/pinned"), "damaged");
  assert.equal(lock.times("b"), 0);
});
