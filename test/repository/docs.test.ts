/**
 * The documents agree with the program: error codes, environment variables, exit codes, commands, links, and code
 * that compiles against what `npm run build` made.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { ExitCode } from "../../lib/error.ts";
import { commands, optionNames } from "../../lib/cli/options.ts";
import { commandOf } from "../fresh/readme.ts";

const root = resolve(import.meta.dirname, "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");

function sources(...directories: readonly string[]): readonly { readonly path: string; readonly code: string }[] {
  return directories.flatMap((directory) =>
    readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(directory, name))
      // Comments may name codes of other files as examples.
      .map((path) => ({ path, code: readFileSync(join(root, path), "utf8").replace(/^\s*\/?\*.*$/gm, "").replace(/^\s*\/\/.*$/gm, "") })));
}

/** The part of README.md from one heading to the next of any level. */
function section(heading: string): string {
  const start = readme.indexOf(`\n${heading}\n`);
  assert.ok(start >= 0, `README.md has no section "${heading}"`);
  return readme.slice(start + heading.length + 1).split(/^#{1,6} /m)[0]!;
}

function sorted(values: Iterable<string>): readonly string[] {
  return [...new Set(values)].sort();
}

test("every error code of the sources is in README.md, and no other", () => {
  const used = sorted(sources("lib", "plugins", "distros").flatMap(({ code }) => code.match(/(?<=["'`])IMG\d{4}(?=["'`])/g) ?? []));
  const listed = [...section("## Errors").matchAll(/^\| (IMG\d{4}) \|/gm)].map(([, code]) => code!);
  assert.ok(used.length > 50);
  assert.deepEqual(listed, sorted(listed), "the table is sorted, and has each code once");
  assert.deepEqual(listed, used);
});

test("every environment variable of imgtask is in README.md, and no other", () => {
  const used = sorted(sources("lib", "plugins", "distros").flatMap(({ code }) => code.match(/\bIMGTASK_[A-Z_]+/g) ?? []));
  // Names by which parts of a recipe talk to each other, and a mark on the installer's console.
  const internal = new Set(["IMGTASK_PACKAGES", "IMGTASK_SOURCES", "IMGTASK_PRESEED_READ"]);
  const documented = sorted(section("### Environment variables").match(/\bIMGTASK_[A-Z_]+/g) ?? []);
  assert.deepEqual(documented, used.filter((name) => !internal.has(name) && !name.startsWith("IMGTASK_TEST_") && documented.includes(name)));
  for (const name of ["IMGTASK_DEBIAN_MIRROR", "IMGTASK_DEBIAN_SECURITY_MIRROR", "IMGTASK_STORE_LIMIT", "IMGTASK_DEBUG"]) assert.ok(documented.includes(name), name);
});

test("exit codes, commands and options of README.md are those of the program", () => {
  const codes = [...section("### Exit codes").matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, list]) => list!.split(", ").map(Number));
  assert.deepEqual(codes.sort((a, b) => a - b), [...Object.values(ExitCode)].sort((a, b) => a - b));
  const table = section("## Commands");
  for (const command of commands) assert.match(table, new RegExp(`\`(?:imgtask )?${command}\\b`), command);
  for (const [, option] of table.matchAll(/--([a-z][a-z-]+)/g)) assert.ok(optionNames.includes(option!), `--${option}`);
});

test("the commands for a fresh machine are one line each, and name what exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
  assert.match(commandOf("build"), /^npm ci && .*iso:debian disk:debian --install-tools$/);
  assert.match(commandOf("test"), /&& npm test$/);
  for (const [, script] of readme.matchAll(/npm run ([a-z:]+)/g)) assert.ok(scripts[script!] !== undefined, script);
  assert.throws(() => commandOf("nothing"), /no code block/);
  assert.throws(() => commandOf("two", "<!-- fresh-machine: two -->\n```sh\none\ntwo\n```\n"), /more than one line/);
});

test("the code of README.md compiles against the built package", () => {
  const place = mkdtempSync(join(tmpdir(), "imgtask-docs-"));
  try {
    mkdirSync(join(place, "node_modules/@types"), { recursive: true });
    symlinkSync(root, join(place, "node_modules/imgtask"));
    symlinkSync(join(root, "node_modules/@types/node"), join(place, "node_modules/@types/node"));
    writeFileSync(join(place, "package.json"), `{ "type": "module" }`);
    const options = { target: "es2023", module: "nodenext", moduleResolution: "nodenext", types: ["node"], strict: true, noEmit: true, skipLibCheck: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
    writeFileSync(join(place, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
    const blocks = [...readme.matchAll(/^```ts\n([^]*?)\n```$/gm)].map(([, block]) => block!);
    assert.ok(blocks.length >= 3);
    blocks.forEach((block, index) => writeFileSync(join(place, `block-${index + 1}.ts`), `${block}\nexport {};\n`));
    const checked = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", place, "--pretty", "false"], { encoding: "utf8" });
    assert.equal(checked.stdout, "");
    assert.equal(checked.status, 0);
  } finally {
    rmSync(place, { recursive: true });
  }
});

test("links between documents lead somewhere", () => {
  const documents = execFileSync("find", [".", "-name", "*.md", "-not", "-path", "*/node_modules/*", "-not", "-path", "./.*", "-not", "-path", "./artifacts/*", "-not", "-path", "./workspaces/*", "-not", "-path", "./logs/*"], { cwd: root, encoding: "utf8" }).trim().split("\n");
  assert.ok(documents.length >= 7);
  for (const document of documents) {
    for (const [, target] of readFileSync(join(root, document), "utf8").matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
      assert.ok(existsSync(join(root, dirname(document), target!)), `${document} links to ${target}`);
    }
  }
});
