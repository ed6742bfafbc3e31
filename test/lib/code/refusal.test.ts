/**
 * What recipes may not use, what is judged by all modules instead, and what is neither.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isImgtaskError } from "../../../lib/error.ts";
import { head, recipesOf } from "../../rig/code.ts";

const recipe = (body: string, more = ""): string => `target("make:a", { ${more} outputs: { out: "file" }, run({ outputs, inputs, params, exec }: any) { ${body} } });`;

/** Code after the head; the place of what is refused is marked with «». */
const refused: readonly (readonly [string, code: string, name: string, imagefile: string])[] = [
  ["a loop variable", "IMG2016", "name", `for (const name of ["a", "b"]) { target("make:" + name, { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, «name); } }); }`],
  ["a counter of a loop", "IMG2016", "i", `for (let i = 0; i < 2; i++) target("make:" + i, { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, String(«i)); } });`],
  ["a key of a loop", "IMG2016", "key", `for (const key in { a: 1 }) target("make:" + key, { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, «key); } });`],
  ["what is computed from a loop variable", "IMG2016", "name", `for (const name of ["a"]) { const file = «name + ".txt"; target("make:" + name, { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, file); } }); }`],
  ["a parameter of a factory", "IMG2016", "text", `function make(name: string, text: string) { return target(name, { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, «text); } }); }\nmake("make:a", "x");`],
  ["a parameter taken apart", "IMG2016", "text", `const make = ({ text }: { text: string }) => target("make:a", { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, «text); } });\nmake({ text: "x" });`],
  ["a parameter of a callback", "IMG2016", "name", `["a"].map((name) => target("make:" + name, { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, «name); } }));`],
  ["a parameter by way of a function inside", "IMG2016", "text", `function make(text: string) { const say = () => «text; target("make:a", { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, say()); } }); }\nmake("x");`],
  ["a parameter passed to what makes the recipe", "IMG2016", "text", `const writer = (text: string) => ({ outputs }: any) => writeFileSync(outputs.out, text);\nfor (const text of ["x"]) target("make:a", { outputs: { out: "file" }, run: writer(«text) });`],
  ["a file that is read", "IMG2016", "version", `const version = «readFileSync("imagefile.ts", "utf8").slice(0, 5);\n${recipe("writeFileSync(outputs.out, version);")}`],
  ["a file that is read by a helper", "IMG2016", "version", `function read() { return «readFileSync("imagefile.ts", "utf8"); }\nconst version = read();\n${recipe("writeFileSync(outputs.out, version);")}`],
  ["the time", "IMG2016", "stamp", `const stamp = «Date.now();\n${recipe("writeFileSync(outputs.out, String(stamp));")}`],
  ["the time as an object", "IMG2016", "stamp", `const stamp = «new Date().toISOString();\n${recipe("writeFileSync(outputs.out, stamp);")}`],
  ["a random number", "IMG2016", "id", `const id = Math.floor(«Math.random() * 10);\n${recipe("writeFileSync(outputs.out, String(id));")}`],
  ["the working directory", "IMG2016", "here", `const here = «process.cwd();\n${recipe("writeFileSync(outputs.out, here);")}`],
  ["a variable assigned anew", "IMG2016", "mode", `let mode = "a";\nif (1 < 2) «mode = "b";\n${recipe("writeFileSync(outputs.out, mode);")}`],
  ["a list that grows", "IMG2016", "names", `const names: string[] = [];\nfor (const one of ["a"]) «names.push(one);\n${recipe("writeFileSync(outputs.out, names.join());")}`],
  ["an object that is changed", "IMG2016", "settings", `const settings = { size: 1 };\n«settings.size = 2;\n${recipe("writeFileSync(outputs.out, String(settings.size));")}`],
  ["an object that is changed under another name", "IMG2016", "settings", `const settings = { size: 1 };\nconst same = settings;\n«same.size = 2;\n${recipe("writeFileSync(outputs.out, String(settings.size));")}`],
  ["an object that Object.assign changes", "IMG2016", "settings", `const settings = { size: 1 };\nObject.assign(«settings, { size: 2 });\n${recipe("writeFileSync(outputs.out, String(settings.size));")}`],
  ["a target's handle", "IMG2017", "other", `const other = «target("make:b", { outputs: { out: "file" }, run() {} });\n${recipe("writeFileSync(outputs.out, other.name);")}`],
  ["a source's handle", "IMG2017", "file", `const file = «source("imagefile.ts");\n${recipe("writeFileSync(outputs.out, readFileSync(file.path));")}`],
  ["a glob's handle", "IMG2017", "files", `const files = «source.glob("*.ts");\n${recipe("writeFileSync(outputs.out, String(files));")}`],
  ["a handle from a helper", "IMG2017", "file", `const pick = () => «source("imagefile.ts");\nconst file = pick();\n${recipe("writeFileSync(outputs.out, file.path);")}`],
  ["the environment", "IMG2018", "process.env.LEVEL", recipe(`writeFileSync(outputs.out, «process.env.LEVEL ?? "");`)],
  ["the environment by a text", "IMG2018", "process.env.LEVEL", recipe(`writeFileSync(outputs.out, «process.env["LEVEL"] ?? "");`)],
  ["the whole environment", "IMG2018", "process.env", recipe(`writeFileSync(outputs.out, JSON.stringify(«process.env));`)],
  ["the environment taken apart", "IMG2018", "process.env", recipe(`const { env } = «process; writeFileSync(outputs.out, String(env.LEVEL));`)],
  ["the environment in a constant", "IMG2018", "process.env.LEVEL", `const level = «process.env.LEVEL ?? "1";\n${recipe("writeFileSync(outputs.out, level);")}`],
  ["the environment from node:process", "IMG2018", "env.LEVEL", `import { env } from "node:process";\n${recipe(`writeFileSync(outputs.out, «env.LEVEL ?? "");`)}`],
  ["the environment by globalThis", "IMG2018", "globalThis.process.env.LEVEL", recipe(`writeFileSync(outputs.out, «globalThis.process.env.LEVEL ?? "");`)],
  ["process under another name", "IMG2018", "process", `const p = «process;\n${recipe(`writeFileSync(outputs.out, p.env.LEVEL ?? "");`)}`],
];

for (const [what, code, name, marked] of refused) {
  test(`refused: ${what}`, async (t) => {
    const text = head + marked;
    const before = text.slice(0, text.indexOf("«"));
    await assert.rejects(recipesOf(t, { "imagefile.ts": text.replace("«", "") }), (error: unknown) => {
      assert.ok(isImgtaskError(error), String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, /^The recipe of "make:[a-z0-9]+" /);
      assert.ok(error.message.includes(name), error.message);
      assert.ok(error.found?.includes(name), error.found);
      assert.match(error.hint!, { IMG2016: /params/, IMG2017: /inputs/, IMG2018: /env/ }[code]!);
      const lines = before.split("\n");
      assert.deepEqual([error.location?.line, error.location?.column], [lines.length, lines.at(-1)!.length + 1]);
      return true;
    });
  });
}

const exact: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
  ["literals", `const a = "a", b = [1, 2], c = { a, b: [...b, 3], d: \`\${a}\` };\n${recipe("writeFileSync(outputs.out, a + b.length + c.d);")}`],
  ["what pure functions of the language make of them", `const names = "a b".split(" ").map((one) => one.toUpperCase()), at = new Map([["a", 1]]), pattern = new RegExp("x"), path = join("a", "b");\n${recipe("writeFileSync(outputs.out, names.join() + at.get('a') + pattern.source + path);")}`],
  ["what local functions make of them", `function twice(text: string) { return text + text; }\nconst word = twice("a");\n${recipe("writeFileSync(outputs.out, word);")}`],
  ["parameters of the target", `for (const name of ["a", "b"]) target("make:" + name, { params: { name }, outputs: { out: "file" }, run({ params, outputs }) { writeFileSync(outputs.out, params.name); } });`],
  ["a constant of the function around it", `function make(name: string) { const text = "x"; target(name, { outputs: { out: "file" }, run({ outputs }) { writeFileSync(outputs.out, text); } }); }\nmake("make:a");`],
  ["a recipe that is handed to a function", `function make(name: \`\${string}:\${string}\`, run: any) { target(name, { outputs: { out: "file" }, run }); }\nmake("make:a", ({ outputs }: any) => writeFileSync(outputs.out, "a"));\nmake("make:b", ({ outputs }: any) => writeFileSync(outputs.out, "b"));`],
  ["a recipe that is handed to a function in an object", `const make = ({ name, run }: any) => target(name, { outputs: { out: "file" }, run });\nfor (const name of ["make:a"]) make({ name, run: ({ outputs }: any) => writeFileSync(outputs.out, "a") });`],
  ["a recipe by its name", `function run({ outputs }: any) { writeFileSync(outputs.out, "a"); }\ntarget("make:a", { outputs: { out: "file" }, run });`],
  ["a recipe from a function", `const writer = (text: string) => ({ outputs }: any) => writeFileSync(outputs.out, text);\ntarget("make:a", { outputs: { out: "file" }, run: writer("x") });`],
  ["a recipe in another module", `import { run } from "./run.ts";\ntarget("make:a", { outputs: { out: "file" }, run });`, { "run.ts": `import { writeFileSync } from "node:fs";\nexport const run = ({ outputs }: any) => writeFileSync(outputs.out, "x");` }],
  ["promisify", `import { execFile } from "node:child_process";\nimport { promisify } from "node:util";\nconst call = promisify(execFile);\ntarget("make:a", { outputs: { out: "file" }, async run({ outputs }) { await call("true"); } });`],
  ["an object that is only read, here and by others", `const sizes = { small: 1, big: 2 };\nconst all = [...Object.keys(sizes), "x"];\ntarget("make:b", { params: { sizes, all }, outputs: { out: "file" }, run() {} });\nconst show = (of: typeof sizes) => of.small + of.big;\n${recipe("writeFileSync(outputs.out, String(sizes.small + show(sizes)) + JSON.stringify(sizes));")}`],
  ["the environment of another target's parameters", `const level = process.env.LEVEL ?? "1";\ntarget("make:b", { params: { level }, outputs: { out: "file" }, run() {} });\n${recipe(`writeFileSync(outputs.out, "");`)}`],
  ["process but for its environment", recipe(`writeFileSync(outputs.out, process.platform + typeof process);`)],
  ["enums and classes", `enum Size { Small = 1, Big }\nclass Word { constructor(readonly text: string) {} shout(): string { return this.text.toUpperCase(); } }\n${recipe(`writeFileSync(outputs.out, new Word("x").shout() + Size.Big);`)}`],
  ["JSON", `import data from "./data.json" with { type: "json" };\n${recipe(`writeFileSync(outputs.out, data.text);`)}`, { "data.json": `{ "text": "x" }` }],
];

for (const [what, imagefile, more] of exact) {
  test(`exact: ${what}`, async (t) => {
    for (const [name, { digest, coarse }] of Object.entries(await recipesOf(t, { ...more, "imagefile.ts": head + imagefile }))) {
      assert.equal(coarse, undefined, name);
      assert.notEqual(digest, undefined, name);
    }
  });
}

const coarse: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
  ["a cache that functions fill", `const cache = new Map<string, string>();\nfunction get(key: string) { if (!cache.has(key)) cache.set(key, key); return cache.get(key)!; }\n${recipe(`writeFileSync(outputs.out, get("a"));`)}`],
  ["a variable that functions assign", `let last = "";\nfunction get(key: string) { last = key; return last; }\n${recipe(`writeFileSync(outputs.out, get("a"));`)}`],
  ["a function that keeps a count", `const counter = () => { let n = 0; return () => ++n; };\nconst next = counter();\nnext();\n${recipe(`writeFileSync(outputs.out, String(next()));`)}`],
  ["an object that is passed on and changed there", `const settings: any = {};\nfunction set(of: any) { of.size = 1; }\nset(settings);\n${recipe(`writeFileSync(outputs.out, String(settings.size));`)}`],
  ["an object that changes itself", `const settings: any = { size: 1, set(size: number) { this.size = size; } };\nsettings.set(2);\n${recipe(`writeFileSync(outputs.out, String(settings.size));`)}`],
  ["elements that are changed", `const list = [{ size: 1 }];\nlist.forEach((one) => { one.size = 2; });\n${recipe(`writeFileSync(outputs.out, String(list[0]!.size));`)}`],
  ["an object that a function passes on", `const settings = { size: 1 };\nconst get = () => settings;\nget().size = 2;\n${recipe(`writeFileSync(outputs.out, String(get().size));`)}`],
  ["eval", recipe(`writeFileSync(outputs.out, eval("1"));`)],
  ["import.meta", recipe(`writeFileSync(outputs.out, import.meta.url);`)],
  ["a module by a computed name", `target("make:a", { outputs: { out: "file" }, async run({ outputs }) { await import("./" + outputs.out); } });`],
  ["a spread specification", `const rest = { run() {} };\ntarget("make:a", { outputs: { out: "file" }, ...rest });`],
  ["a global that is set", `(globalThis as any).level = 1;\n${recipe(`writeFileSync(outputs.out, "x");`)}`],
  ["the environment that is set", `process.env["LEVEL"] = "1";\n${recipe(`writeFileSync(outputs.out, "x");`)}`],
  ["a prototype that is changed", `(Array.prototype as any).last = function () { return 1; };\n${recipe(`writeFileSync(outputs.out, "x");`)}`],
];

for (const [what, imagefile, more] of coarse) {
  test(`coarse: ${what}`, async (t) => {
    const { digest, coarse: why } = (await recipesOf(t, { ...more, "imagefile.ts": head + imagefile }))["make:a"]!;
    assert.equal(digest, undefined);
    assert.notEqual(why, undefined);
  });
}
