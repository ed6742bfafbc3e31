/**
 * The changed lines between two sheets of a recipe.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeChanges } from "../../lib/recipe-change.ts";

const entry = (name: string, text: string, line = 10, file = "imagefile.ts") => ({ file, name, line, text });

test("one changed line, with its place", async () => {
  const before = [entry("run", "a();\nb();\nc();")], now = [entry("run", "a();\nB();\nc();", 20)];
  assert.deepEqual(await codeChanges(before, now), [{ file: "imagefile.ts", name: "run", line: 21, removed: ["b();"], added: ["B();"] }]);
  assert.deepEqual(await codeChanges(now, now), []);
});

test("two places of one declaration, and lines that only came or went", async () => {
  const changes = await codeChanges([entry("run", "a();\nb();\nc();\nd();")], [entry("run", "b();\nc();\nd();\ne();")]);
  assert.deepEqual(changes, [
    { file: "imagefile.ts", name: "run", line: 10, removed: ["a();"], added: [] },
    { file: "imagefile.ts", name: "run", line: 13, removed: [], added: ["e();"] },
  ]);
});

test("declarations that came, went, moved to another file, or stand twice", async () => {
  assert.deepEqual(await codeChanges([entry("run", "x"), entry("old", "gone();", 3)], [entry("run", "x"), entry("help", "new();", 7, "helper.ts")]), [
    { file: "helper.ts", name: "help", line: 7, removed: [], added: ["new();"] },
    { file: "imagefile.ts", name: "old", line: 3, removed: ["gone();"], added: [] },
  ]);
  assert.deepEqual(await codeChanges([entry("help", "same();")], [entry("help", "same();", 1, "helper.ts")]), []);
  assert.deepEqual(await codeChanges([entry("help", "one();")], [entry("help", "two();", 1, "helper.ts")]), [{ file: "helper.ts", name: "help", line: 1, removed: ["one();"], added: ["two();"] }]);
  assert.deepEqual(await codeChanges([entry("", "a"), entry("", "b")], [entry("", "b"), entry("", "c")]), [{ file: "imagefile.ts", name: "", line: 10, removed: ["a"], added: ["c"] }]);
});

test("layout is no change", async () => {
  assert.deepEqual(await codeChanges([entry("run", "a( 1 );\nb();")], [entry("run", "a(1);\nb();")]), []);
});
