/**
 * The code behind a recipe: which files count, and that a digest moves with each of them and with nothing else.
 * @module
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test, type TestContext } from "node:test";
import { type Digest, digestFileSync } from "../../lib/digest.ts";
import { closureOf, digestClosure } from "../../lib/recipe.ts";
import { scratch } from "../rig/scratch.ts";

function files(t: TestContext, texts: Readonly<Record<string, string>>): string {
  const at = scratch(t);
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  return at;
}

const digest = (at: string): Digest => digestClosure(join(at, "imagefile.ts"), closureOf(join(at, "imagefile.ts")), digestFileSync);

test("every way to import a local module is followed", (t) => {
  const at = files(t, {
    "imagefile.ts": `import a from "./a.ts"; import "./b.ts"; export * from './c.ts';\nimport type { D } from "./d.ts";
const e = await import("./e.ts"); const f = await import(\`./f.ts\`); const g = await import(\n  "./g.ts"\n);
import data from "./data.json" with { type: "json" };
new URL("./asset.txt", import.meta.url); import h from "./h.js"; import i from "./dir"; const j = require("./j.cjs");
import /* why */ "./k.ts"; import l from /* why */ "./l.ts";\n`,
    ...Object.fromEntries(["a", "b", "c", "d", "e", "f", "g", "h", "k", "l"].map((name) => [`${name}.ts`, name === "a" ? `import "./deep/one.ts";` : ""])),
    "deep/one.ts": `import "../deep/two.ts";`, "deep/two.ts": `import "./one.ts";`, "data.json": "{}", "asset.txt": "x", "dir/index.ts": "", "j.cjs": "", "unused.ts": "",
  });
  const found = closureOf(join(at, "imagefile.ts")).files.map((path) => relative(at, path)).sort();
  assert.deepEqual(found, ["a.ts", "asset.txt", "b.ts", "c.ts", "d.ts", "data.json", "deep/one.ts", "deep/two.ts", "dir/index.ts", "e.ts", "f.ts", "g.ts", "h.ts", "imagefile.ts", "j.cjs", "k.ts", "l.ts"]);
});

test("a package counts by its version", (t) => {
  const at = files(t, { "imagefile.ts": `import "@scope/one/sub"; import { x } from "two";`, "node_modules/@scope/one/package.json": `{"version":"1"}`, "node_modules/two/package.json": `{"version":"1"}` });
  const before = digest(at);
  writeFileSync(join(at, "node_modules/@scope/one/package.json"), `{"version":"2"}`);
  assert.notEqual(digest(at), before);
});

test("the digest moves with every file that counts, and is the same in another place", (t) => {
  const one = files(t, { "p/imagefile.ts": `import "./a.ts"; import "../shared/b.ts";`, "p/a.ts": "1", "shared/b.ts": "1", "p/unused.ts": "1" });
  const other = scratch(t);
  cpSync(one, other, { recursive: true });
  const before = digest(join(one, "p"));
  assert.equal(digest(join(other, "p")), before);
  for (const path of ["p/a.ts", "shared/b.ts", "p/imagefile.ts"]) {
    const text = readFileSync(join(other, path), "utf8");
    writeFileSync(join(other, path), `${text}\n1;`);
    assert.notEqual(digest(join(other, "p")), before, path);
    writeFileSync(join(other, path), text);
    assert.equal(digest(join(other, "p")), before);
  }
  writeFileSync(join(other, "p/unused.ts"), "2");
  assert.equal(digest(join(other, "p")), before);
});
