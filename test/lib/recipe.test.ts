/**
 * The code behind a recipe: which files count, and that a digest moves with each of them and with nothing else.
 * @module
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test, type TestContext } from "node:test";
import { type Digest, digestFileSync } from "../../lib/digest.ts";
import { closureOf, digestClosure, identifyPackage } from "../../lib/recipe.ts";
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

test("a package is told by its version and those of what it depends on; a linked one by its code", (t) => {
  const at = files(t, {
    "node_modules/one/package.json": `{"name":"one","version":"1","dependencies":{"two":"*"}}`, "node_modules/one/index.js": "1",
    "node_modules/two/package.json": `{"name":"two","version":"1"}`,
    "linked/package.json": `{"name":"linked","version":"1","main":"index.js"}`, "linked/index.js": "1", "linked/part/a.js": "1",
    "built/package.json": `{"name":"built","version":"1","exports":{".":"./dist/index.js","./package.json":"./package.json"}}`, "built/dist/index.js": "1", "built/lib/index.ts": "1",
  });
  const moved = (name: string, path: string, text: string): boolean => {
    const before = identifyPackage(join(at, name), digestFileSync).text;
    writeFileSync(join(at, path), text);
    return identifyPackage(join(at, name), digestFileSync).text !== before;
  };
  assert.equal(moved("node_modules/one", "node_modules/one/index.js", "2"), false);
  assert.equal(moved("node_modules/one", "node_modules/one/package.json", `{"name":"one","version":"2","dependencies":{"two":"*"}}`), true);
  assert.equal(moved("node_modules/one", "node_modules/two/package.json", `{"name":"two","version":"2"}`), true);
  assert.equal(moved("linked", "linked/part/a.js", "2"), true);
  assert.equal(moved("linked", "linked/index.js", "2"), true);
  assert.equal(moved("built", "built/dist/index.js", "2"), true);
  assert.equal(moved("built", "built/lib/index.ts", "2"), false);
});

test("names that only a tsconfig.json or package.json explains are said to be unresolved", (t) => {
  for (const [text, expected] of [[`import "#parts/a";`, true], [`import a from "@/a.ts";`, true], [`import a from "no-such-package";`, true], [`import "./a.ts"; import fs from "node:fs"; import { join } from "path";`, false]] as const) {
    const at = files(t, { "imagefile.ts": text, "a.ts": "" });
    assert.equal(closureOf(join(at, "imagefile.ts")).unresolved, expected, text);
  }
});
