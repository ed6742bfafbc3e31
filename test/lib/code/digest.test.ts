/**
 * Digests of recipes: what may be edited without moving them, and what may not.
 * @module
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { head, recipesOf } from "../../rig/code.ts";

const base = {
  "imagefile.ts": `${head}import { shout, sizes } from "./lib/words.ts";
import * as far from "./lib/far.ts";
import { join as put } from "node:path";
// a remark
const greeting = "hello", unused = 1;
function body(text: string, times: number): string {
  let all = "";
  for (let i = 0; i < times; i++) all += shout(text) + (i > 1 ? "!" : "?");
  return all;
}
target("make:one", { outputs: { out: "file" }, async run({ outputs, exec }) {
  const text = body(greeting, 2 + sizes.small);
  const { length: count, ...rest } = { length: text.length, other: 1 };
  await exec(["true"]);
  writeFileSync(put(outputs.out), \`\${text} \${count} \${JSON.stringify({ rest })}\`);
} });
target("make:two", { outputs: { out: "file" }, run: ({ outputs }) => writeFileSync(outputs.out, far.away() + \`two\`) });
`,
  "lib/words.ts": `import { exclaim } from "./deep/mark.ts";
export const sizes: Readonly<Record<string, number>> = { small: 1, big: 0x10 };
export const shout = (text: string): string => exclaim(text.toUpperCase());
export function other(): number { return 1; }
`,
  "lib/deep/mark.ts": `export default function unused() {}\nexport function exclaim(text: string) { return text + "!"; }\n`,
  "lib/far.ts": `export { nearby as away } from "./near.ts";\nexport const never = 1;\n`,
  "lib/near.ts": `export const nearby = () => "near";\n`,
} as const;

type File = keyof typeof base;

async function digests(t: TestContext, files: Readonly<Record<string, string>>): Promise<readonly (string | undefined)[]> {
  const found = await recipesOf(t, files);
  for (const { coarse } of Object.values(found)) assert.equal(coarse, undefined);
  return [found["make:one"]!.digest, found["make:two"]!.digest];
}

const replaced = (file: File, from: string | RegExp, to: string): Readonly<Record<string, string>> => {
  const text = base[file].replace(from, to);
  assert.notEqual(text, base[file], `${file} has ${String(from)}`);
  return { ...base, [file]: text };
};

const neutral: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["a comment", replaced("imagefile.ts", "a remark", "another remark /* ")],
  ["a comment in the recipe", replaced("imagefile.ts", `await exec`, `/* why */ await /* that */ exec`)],
  ["layout", replaced("imagefile.ts", `{ outputs, exec }) {`, `{\n\n    outputs,\n    exec,\n  }) {\n`)],
  ["quotes", replaced("imagefile.ts", `"hello"`, `'hello'`)],
  ["a template without parts", replaced("imagefile.ts", "`two`", `"two"`)],
  ["parentheses", replaced("imagefile.ts", "i > 1 ?", "(i > 1) ?")],
  ["a renamed local", replaced("imagefile.ts", /\btext\b/g, "words")],
  ["a renamed parameter", replaced("imagefile.ts", /\btimes\b/g, "often")],
  ["a renamed local under a property", replaced("imagefile.ts", "...rest } =", "...left } =")["imagefile.ts"] === undefined ? base : { ...base, "imagefile.ts": base["imagefile.ts"].replace("...rest } =", "...left } =").replace("{ rest }", "{ rest: left }") }],
  ["a parameter named otherwise", { ...base, "imagefile.ts": base["imagefile.ts"].replace("run({ outputs, exec })", "run({ outputs: made, exec })").replace("put(outputs.out)", "put(made.out)") }],
  ["a renamed function", replaced("imagefile.ts", /\bbody\b/g, "content")],
  ["a renamed constant", replaced("imagefile.ts", /\bgreeting\b/g, "salute")],
  ["a renamed import", { ...base, "imagefile.ts": base["imagefile.ts"].replace("{ shout, sizes }", "{ shout as cry, sizes }").replace("shout(text)", "cry(text)") }],
  ["the order of imports", replaced("imagefile.ts", /^(import \{ shout.*\n)(import \* as far.*\n)/m, "$2$1")],
  ["the order of declarations", replaced("lib/words.ts", /^(export const sizes.*\n)(export const shout.*\n)/m, "$2$1")],
  ["a constant that nothing uses", replaced("imagefile.ts", "unused = 1", "unused = 2")],
  ["a function that nothing uses", replaced("lib/words.ts", "return 1", "return 2")],
  ["a type", replaced("lib/words.ts", "Readonly<Record<string, number>>", "{ small: number; big: number }")],
  ["a type taken away", replaced("imagefile.ts", "(text: string, times: number): string", "(text, times)")],
  ["an interface", replaced("lib/words.ts", "export const shout", "export interface Word { a: 1 }\nexport const shout")],
  ["satisfies", replaced("imagefile.ts", "{ length: text.length, other: 1 }", "({ length: text.length, other: 1 } satisfies object)")],
  ["a number written otherwise", replaced("lib/words.ts", "0x10", "16")],
  ["another target", replaced("imagefile.ts", 'target("make:two"', 'target("make:zero", { params: { a: 1 }, outputs: { out: "file" }, run() {} });\ntarget("make:two"')],
  ["the place of the imagefile's targets", replaced("imagefile.ts", /^(target\("make:one"[^]*?\n\} \}\);\n)(target\("make:two".*\n)/m, "$2$1")],
  ["a moved file", { ...base, "imagefile.ts": base["imagefile.ts"].replace("./lib/words.ts", "./other/place.ts"), "other/place.ts": base["lib/words.ts"].replace("./deep", "../lib/deep") }],
  ["a function that moved to another file", { ...base, "lib/words.ts": base["lib/words.ts"].replace("./deep/mark.ts", "./cut.ts"), "lib/cut.ts": `export { exclaim } from "./deep/mark.ts";` }],
];

for (const [what, files] of neutral) {
  test(`not moved by ${what}`, async (t) => assert.deepEqual(await digests(t, files), await digests(t, base)));
}

const telling: readonly (readonly [string, Readonly<Record<string, string>>, boolean, boolean])[] = [
  ["a literal", replaced("imagefile.ts", `"hello"`, `"hallo"`), true, false],
  ["an operator", replaced("imagefile.ts", "i > 1", "i >= 1"), true, false],
  ["a unary operator", replaced("imagefile.ts", "i++", "i--"), true, false],
  ["a number", replaced("imagefile.ts", "2 + sizes", "3 + sizes"), true, false],
  ["white space in a template", replaced("imagefile.ts", "${text} ${count}", "${text}  ${count}"), true, false],
  ["let and const", replaced("imagefile.ts", "const text", "let text"), true, false],
  ["a missing await", replaced("imagefile.ts", "await exec", "exec"), true, false],
  ["a property", replaced("imagefile.ts", "sizes.small", "sizes.big"), true, false],
  ["the property that is taken apart", replaced("imagefile.ts", "length: count,", "other: count,"), true, false],
  ["the call of another function", replaced("imagefile.ts", "JSON.stringify({ rest })", "String({ rest })"), true, false],
  ["two locals exchanged", replaced("imagefile.ts", "`${text} ${count}", "`${count} ${text}"), true, false],
  ["the name of a shorthand property", replaced("imagefile.ts", "{ rest })", "{ left: rest })"), true, false],
  ["a helper", replaced("lib/words.ts", "toUpperCase", "toLowerCase"), true, false],
  ["a constant in another module", replaced("lib/words.ts", "small: 1", "small: 2"), true, false],
  ["a helper two modules away", replaced("lib/deep/mark.ts", `text + "!"`, `text + "."`), true, false],
  ["a helper behind a re-export", replaced("lib/near.ts", `"near"`, `"far"`), false, true],
  ["what a re-export stands for", { ...replaced("lib/far.ts", "nearby as away", "farther as away"), "lib/near.ts": `${base["lib/near.ts"]}export const farther = () => "farther";\n` }, false, true],
  ["a function of Node's", replaced("imagefile.ts", "join as put", "dirname as put"), true, false],
];

for (const [what, files, one, two] of telling) {
  test(`moved by ${what}`, async (t) => {
    const before = await digests(t, base), after = await digests(t, files);
    assert.deepEqual([before[0] !== after[0], before[1] !== after[1]], [one, two]);
  });
}

test("names that tsconfig.json or package.json explain are followed", async (t) => {
  const with_ = (parts: string, aliased: string): Readonly<Record<string, string>> => ({
    "package.json": `{ "type": "module", "imports": { "#parts/*": "./parts/*" } }`,
    "tsconfig.json": `{ "compilerOptions": { "paths": { "@/*": ["./aliased/*"] } } }`,
    "imagefile.ts": `${head}import { one } from "#parts/one.ts";\ntarget("make:one", { outputs: { out: "file" }, run: ({ outputs }) => writeFileSync(outputs.out, one) });
target("make:two", { outputs: { out: "file" }, async run({ outputs }) { writeFileSync(outputs.out, (await import("@/two.ts")).two); } });\n`,
    "parts/one.ts": `export const one = "${parts}";\n`,
    "aliased/two.ts": `export const two = "${aliased}";\n`,
  });
  const before = await digests(t, with_("1", "1"));
  assert.deepEqual((await digests(t, with_("2", "1"))).map((one, index) => one !== before[index]), [true, false]);
  assert.deepEqual((await digests(t, with_("1", "2"))).map((one, index) => one !== before[index]), [false, true]);
});
