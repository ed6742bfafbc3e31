/**
 * Recipe sheets: what of the code stands in them, and that they are kept, found and removed by digest.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Digest } from "../../lib/digest.ts";
import { collectSheets, readSheet, writeSheet } from "../../lib/recipe-sheet.ts";
import { head, recipesOf } from "../rig/code.ts";
import { scratch } from "../rig/scratch.ts";

test("a sheet has what the recipe reaches, without comments, with file and line", async (t) => {
  const { "make:a": made } = await recipesOf(t, {
    "imagefile.ts": `${head}import { shout } from "./lib/shout.ts";
const greeting = "hello"; // why
const other = 1;
target("make:a", { outputs: { out: "file" }, run({ outputs }) {
  // say it
  const text = shout(greeting); writeFileSync(outputs.out, text);
} });\n`,
    "lib/shout.ts": `/** Louder. */\nexport function shout(text: string): string { /* here */ return text.toUpperCase(); }\nexport const unused = 1;\n`,
  });
  assert.deepEqual(made!.sheet.map(({ file, name, line }) => [file, name, line]), [["imagefile.ts", "run", 5], ["lib/shout.ts", "shout", 2], ["imagefile.ts", "greeting", 3]]);
  assert.deepEqual(made!.sheet[0]!.text.split("\n").map((line) => line.trim()), ["run({ outputs }) {", "const text = shout(greeting);", "writeFileSync(outputs.out, text);", "}"]);
  assert.equal(made!.sheet[2]!.text, `const greeting = "hello"`);
  assert.doesNotMatch(JSON.stringify(made!.sheet), /why|say it|here|Louder/);
});

test("sheets are kept by digest; damage is nothing; what nothing needs is removed", (t) => {
  const state = scratch(t), one = "a".repeat(64) as Digest, two = "b".repeat(64) as Digest;
  const sheet = [{ file: "imagefile.ts", name: "run", line: 1, text: "x" }];
  assert.equal(readSheet(state, one), undefined);
  writeSheet(state, one, sheet);
  writeSheet(state, two, sheet);
  assert.deepEqual(readSheet(state, one), sheet);
  for (const text of ["", "{}", "null", `[{"file":1}]`, "[null]"]) {
    writeFileSync(join(state, "recipes", `${two}.json`), text);
    assert.equal(readSheet(state, two), undefined);
  }
  collectSheets(state, new Set([one]));
  assert.deepEqual(readdirSync(join(state, "recipes")), [`${one}.json`]);
  const full = scratch(t);
  writeFileSync(join(full, "recipes"), "a file where the directory should be");
  writeSheet(full, one, sheet);
  assert.equal(readSheet(full, one), undefined);
  collectSheets(join(full, "none"), new Set());
  mkdirSync(join(full, "none"));
  assert.equal(existsSync(join(full, "none/recipes")), false);
});
