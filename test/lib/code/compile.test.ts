/**
 * Modules compiled for Node: which are refused and left to tsx, what is kept of imports, and where frames lead.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { compile, type Compilation } from "../../../lib/code/compile.ts";
import { scratch } from "../../rig/scratch.ts";

type Files = Readonly<Record<string, string>>;

function compiled(t: TestContext, files: Files, links: Files = {}): Compilation & { readonly text: (name: string) => string; readonly directory: string } {
  const directory = realpathSync(scratch(t));
  const all = { "package.json": `{ "type": "module" }`, "node_modules/pkg/package.json": `{ "name": "pkg", "version": "1.0.0", "main": "index.js" }`, "node_modules/pkg/index.js": "", ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  for (const [path, to] of Object.entries(links)) symlinkSync(to, join(directory, path));
  const result = compile(join(directory, "imagefile.ts"), directory, directory);
  return { ...result, directory, text: (name) => result.modules!.get(join(directory, name))!.replace(/\/\/# sourceMappingURL.*\n$/, "") };
}

const refused: readonly (readonly [what: string, files: Files, reason: RegExp, links?: Files])[] = [
  ["a syntax error", { "imagefile.ts": "const = 1;" }, /imagefile\.ts: /],
  ["require", { "imagefile.ts": `const fs = require("node:fs");` }, /"require"/],
  ["import = require", { "imagefile.ts": `import fs = require("node:fs"); fs.statSync(".");` }, /./],
  ["__dirname", { "imagefile.ts": "export const here = __dirname;" }, /"__dirname"/],
  ["module.exports", { "imagefile.ts": "module.exports = {};" }, /"module"/],
  ["export =", { "imagefile.ts": "const a = 1; export = a;" }, /./],
  ["a computed import()", { "imagefile.ts": `const name = "./a.ts"; await import(name);`, "a.ts": "" }, /computed import/],
  ["import.meta.resolve", { "imagefile.ts": `import.meta.resolve("./a");` }, /import\.meta/],
  ["import.meta passed on", { "imagefile.ts": "export const meta = import.meta;" }, /import\.meta/],
  ["import.meta in a circle", { "imagefile.ts": `import "./a.ts"; export const url = () => import.meta.url;`, "a.ts": `import { url } from "./imagefile.ts"; url();` }, /import each other/],
  ["JSON", { "imagefile.ts": `import data from "./a.json" with { type: "json" }; export { data };`, "a.json": "{}" }, /a\.json/],
  ["TSX", { "imagefile.ts": `import "./a.tsx";`, "a.tsx": "" }, /a\.tsx/],
  ["an old module", { "imagefile.ts": `import "./a.cjs";`, "a.cjs": "" }, /a\.cjs/],
  ["a module outside of the project", { "imagefile.ts": `import "../a.ts";` }, /not the project's own/],
  ["a package.json in between", { "imagefile.ts": `import "./lib/a.ts";`, "lib/a.ts": "", "lib/package.json": "{}" }, /package\.json in/],
  ["node_modules in between", { "imagefile.ts": `import "./lib/a.ts";`, "lib/a.ts": "", "lib/node_modules/x/package.json": "{}" }, /node_modules in/],
  ["a symbolic link", { "imagefile.ts": `import "./b.ts";`, "a.ts": "" }, /symbolic link/, { "b.ts": "a.ts" }],
  ["an ambiguous .js", { "imagefile.ts": `import "./a.js";`, "a.js": "", "a.ts": "" }, /may mean/],
  ["an ambiguous name", { "imagefile.ts": `import "./a";`, "a.js": "", "a.ts": "" }, /may mean/],
  ["a directory", { "imagefile.ts": `import "./a";`, "a/index.ts": "" }, /may mean/],
  ["a missing module", { "imagefile.ts": `import "./a.ts";` }, /a\.ts/],
  ["a missing package", { "imagefile.ts": `import "no-such-package";` }, /no-such-package/],
  ["a package in TypeScript", { "imagefile.ts": `import "ts-pkg";`, "node_modules/ts-pkg/package.json": `{ "name": "ts-pkg", "main": "index.ts" }`, "node_modules/ts-pkg/index.ts": "" }, /not JavaScript/],
  ["the project by its own name", { "imagefile.ts": `import "me/a.js";`, "package.json": `{ "name": "me", "type": "module", "exports": { "./*": "./*" } }`, "a.js": "" }, /project's own/],
  ["#imports", { "imagefile.ts": `import "#a";`, "package.json": `{ "type": "module", "imports": { "#a": "./a.ts" } }`, "a.ts": "" }, /#a/],
  ["a URL", { "imagefile.ts": `import "data:text/javascript,";` }, /data:/],
  ["no type module", { "imagefile.ts": "", "package.json": "{}" }, /"type": "module"/],
  ["paths of tsconfig.json", { "imagefile.ts": "", "tsconfig.json": `{ "compilerOptions": { "paths": { "~/*": ["./*"] } } }` }, /paths/],
  ["paths of one that is extended", { "imagefile.ts": "", "tsconfig.json": `{ "extends": "./base.json" }`, "base.json": `{ "compilerOptions": { "paths": { "~/*": ["./*"] } } }` }, /paths/],
  ["old decorators", { "imagefile.ts": "const d = (x: unknown) => x as never; @d class A {} new A();", "tsconfig.json": `{ "compilerOptions": { "experimentalDecorators": true } }` }, /decorators/],
  ["fields that are assigned", { "imagefile.ts": "class A { x?: number; } new A();", "tsconfig.json": `{ "compilerOptions": { "target": "ES2020" } }` }, /fields/],
  ["a module compiled before", { "imagefile.ts": `import "./a.js";`, "a.js": "//# sourceMappingURL=a.js.map" }, /compiled from something else/],
];

for (const [what, files, reason, links] of refused) {
  test(`left to tsx: ${what}`, (t) => {
    const { modules, refused: found } = compiled(t, files, links);
    assert.equal(modules, undefined);
    assert.match(found!, reason);
  });
}

test("left to tsx: bytes that are not UTF-8", (t) => {
  const directory = realpathSync(scratch(t));
  writeFileSync(join(directory, "package.json"), `{ "type": "module" }`);
  writeFileSync(join(directory, "imagefile.ts"), Buffer.from([0x22, 0xff, 0x22]));
  assert.match(compile(join(directory, "imagefile.ts"), directory, directory).refused!, /UTF-8/);
});

test("imports that are types alone go, as under tsx; all that is a value stays", (t) => {
  const { text, modules, refused: reason } = compiled(t, {
    "imagefile.ts": `import { A, type B, c } from "./a.ts";\nimport { D } from "./types-only.ts";\nimport type { E } from "./types-only.ts";\nimport "./effect.ts";\nexport type { A } from "./a.ts";\nconst x: A | B | D | E = c; console.log(x satisfies unknown);\n`,
    "a.ts": "export interface A { a: 1 }\nexport type B = 1;\nexport const c = 1 as never;\n",
    "effect.ts": "export {};\n",
  });
  assert.equal(reason, undefined);
  assert.match(text("imagefile.ts"), /^import \{ c \} from "\.\/a\.ts\.mjs";\nimport "\.\/effect\.ts\.mjs";\nconst x = c;/);
  assert.equal(modules!.size, 3);
});

test("modules keep what a setting keeps; JavaScript keeps all", (t) => {
  const { text } = compiled(t, {
    "imagefile.ts": `import { c } from "./a.js";\n`, "a.js": `import { d } from "pkg";\nexport const c = 1;\n`,
    "tsconfig.json": `{ "compilerOptions": { "verbatimModuleSyntax": true } }`,
  });
  assert.match(text("imagefile.ts"), /import \{ c \} from "\.\/a\.js\.mjs"/);
  assert.match(text("a.js"), /import \{ d \} from "pkg"/);
});

test("names of modules: with an ending, with that of what is built, without; in a directory, by import()", (t) => {
  const { text, directory, modules } = compiled(t, {
    "imagefile.ts": `import "./a.ts";\nimport "./b.js";\nimport "./c";\nimport "./d.mts";\nexport * from "./lib/e.ts";\nconst f = await import("./lib/f.js");\nconsole.log(f);\n`,
    "a.ts": "", "b.ts": "", "c.ts": "", "d.mts": "", "lib/e.ts": `import "../a.ts"; export const e = 1;`, "lib/f.js": "export default 1;",
  });
  assert.deepEqual(text("imagefile.ts").split("\n").slice(0, 6), [
    `import "./a.ts.mjs";`, `import "./b.ts.mjs";`, `import "./c.ts.mjs";`, `import "./d.mts.mjs";`, `export * from "./lib/e.ts.mjs";`, `const f = await import("./lib/f.js.mjs");`,
  ]);
  assert.match(text("lib/e.ts"), /import "\.\.\/a\.ts\.mjs";/);
  assert.deepEqual([...modules!.keys()].sort(), ["a.ts", "b.ts", "c.ts", "d.mts", "imagefile.ts", "lib/e.ts", "lib/f.js"].map((one) => join(directory, one)));
});

test("what it rests on: what was read, and what was not there", (t) => {
  const { rests, directory } = compiled(t, { "imagefile.ts": `import "./lib/a.js";`, "lib/a.ts": "" });
  const known = (name: string): unknown => rests.get(join(directory, name));
  for (const name of ["imagefile.ts", "lib/a.ts", "package.json"]) assert.match(String(known(name)), /^[0-9a-f]{64}$/, name);
  for (const name of ["lib/a.js", "lib/package.json", "lib/node_modules", "tsconfig.json"]) assert.equal(known(name), null, name);
});
