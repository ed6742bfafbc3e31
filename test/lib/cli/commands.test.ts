/**
 * The commands around the engine, run as a user runs them, in projects of their own.
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseDiagnostics } from "../../../lib/cli/check.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const base = mkdtempSync(join(tmpdir(), "imgtask-commands-"));
after(() => rmSync(base, { recursive: true }));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function imgtask(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--import", import.meta.resolve("tsx"), join(root, "lib/cli/main.ts"), ...args], {
      cwd, encoding: "utf8", timeout: 60_000, env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
    }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }));
  });
}

const mod = JSON.stringify(new URL("../../../lib/mod.ts", import.meta.url).href);
const sample = `import { group, output, target, tool } from ${mod};
const sizes = target("report:sizes", {
  description: "Sizes",
  params: { size: 8 },
  tools: [tool("tar", { packages: { apt: "tar" } }), tool("imgtask-no-such-tool", { packages: { apt: "no-such-package" } })],
  outputs: { out: output("file", "report", { path: "artifacts/report/sizes.txt" }) },
  run({ outputs, exec }) { return exec(["touch", outputs.out]).then(() => {}); },
});
const edited = target("report:edited", {
  inputs: {}, outputs: { out: output("file", "report", { path: "artifacts/edited.txt" }), dir: output("tree", "tree", { path: "artifacts/tree" }) },
  async run({ outputs, exec }) {
    await exec(["sh", "-c", 'echo content > "$1"; mkdir -p "$2/sub"; echo x > "$2/sub/x"', "sh", outputs.out, outputs.dir]);
  },
});
export default group("all", [sizes, edited]);
`;

function project(text: string = sample): string {
  const directory = mkdtempSync(join(base, "project-"));
  writeFileSync(join(directory, "imagefile.ts"), text);
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }\n');
  return directory;
}

test("list, show and graph write to standard output only, and nothing into the project", async () => {
  const directory = project();
  const before = readdirSync(directory);
  const list = await imgtask(directory, []);
  assert.deepEqual([list.code, list.stderr], [0, ""]);
  assert.match(list.stdout, /^report\n {2}report:sizes {3}Sizes\n {2}report:edited\n\ngroup\n\* all {12}report:sizes, report:edited\n/);
  const show = await imgtask(directory, ["show", "report:sizes"]);
  assert.deepEqual([show.code, show.stderr], [0, ""]);
  assert.match(show.stdout, /declared\n {2}imagefile\.ts:2:\d+\n$/);
  assert.match((await imgtask(directory, ["graph", "all", "--format", "dot"])).stdout, /"report:sizes" -> "all";/);
  const data = JSON.parse((await imgtask(directory, ["show", "report:sizes", "--json"])).stdout) as { targets: { name: string; location: { file: string } }[] };
  assert.deepEqual(data.targets.map(({ name, location }) => [name, location.file]), [["report:sizes", "imagefile.ts"]]);
  assert.deepEqual(readdirSync(directory), before);
});

test("an unknown target, in words and as data", async () => {
  const directory = project();
  const ran = await imgtask(directory, ["show", "report:size"]);
  assert.deepEqual([ran.code, ran.stdout], [2, ""]);
  assert.match(ran.stderr, /^error IMG2004: Unknown target "report:size"\n {2}expected .*\n {2}hint {5}Did you mean "report:sizes"\?\n$/);
  const json = await imgtask(directory, ["show", "report:size", "--json"]);
  assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, "IMG2004");
});

test("an unknown word is no target: exit 2, with the nearest", async () => {
  const ran = await imgtask(project(), ["lst"]);
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /error IMG2020: Unknown command "lst"[^]*Did you mean "list"\?/);
});

test("doctor names what is missing, who needs it and what installs it; 4 as long as it is missing", async () => {
  const directory = project();
  const ran = await imgtask(directory, ["doctor"]);
  assert.equal(ran.code, 4);
  assert.match(ran.stdout, /^ok +tar +1\.\d\S* +\/\S+tar$/m);
  assert.match(ran.stdout, /^MISSING +imgtask-no-such-tool +not found; needed by report:sizes$/m);
  assert.match(ran.stdout, /^ok +Node\.js/m);
  const data = JSON.parse((await imgtask(directory, ["doctor", "--json"])).stdout) as { ok: boolean; install: string | null; tools: { name: string; ok: boolean; neededBy: string[] }[] };
  assert.equal(data.ok, false);
  assert.deepEqual(data.tools.map(({ name, ok, neededBy }) => [name, ok, neededBy]), [["tar", true, ["report:sizes"]], ["imgtask-no-such-tool", false, ["report:sizes"]]]);
  const { host, workbench } = JSON.parse((await imgtask(directory, ["doctor", "--json"])).stdout) as { host: { name: string; state: string }[]; workbench: { name: string; ok: boolean; problem: string | null; packages: Record<string, string> }[] };
  assert.ok(host.some(({ name }) => name === "rights"));
  // Told beside, with versions and packages; whether they are there changes nothing.
  assert.deepEqual(["packer", "virt-install", "isohybrid", "gpg"].filter((name) => !workbench.some((one) => one.name === name)), []);
  for (const { name, ok, problem, packages } of workbench) assert.ok((ok ? problem === null : problem !== null) && packages["apt"] !== undefined, name);
  assert.equal((await imgtask(directory, ["doctor", "report:edited"])).code, 0);
});

test("doctor installs with the system's package manager when asked to, and looks again", async () => {
  const directory = project();
  const bin = mkdtempSync(join(base, "bin-"));
  writeFileSync(join(bin, "apt-get"), `#!/bin/sh\necho "$@" >> ${bin}/note\n[ "$1" = update ] || { printf '#!/bin/sh\\necho 1.0\\n' > ${bin}/imgtask-no-such-tool; chmod +x ${bin}/imgtask-no-such-tool; }\n`);
  writeFileSync(join(bin, "sudo"), `#!/bin/sh\nshift\nexec "$@"\n`);
  symlinkSync("/bin/true", join(bin, "dpkg"));
  for (const name of ["apt-get", "sudo"]) chmodSync(join(bin, name), 0o755);
  const ran = await imgtask(directory, ["doctor", "--install-tools"], { PATH: `${bin}:${process.env["PATH"]}` });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(readFileSync(join(bin, "note"), "utf8"), "update\ninstall -y --no-install-recommends no-such-package\n");
  assert.match(ran.stdout, /^ok +imgtask-no-such-tool +1\.0 /m);
});

test("check: mistakes at their place, by the bundled and by the project's own TypeScript", async () => {
  const wrong = project('import { hostname } from "./other.ts";\nexport const n: number = hostname;\n');
  writeFileSync(join(wrong, "other.ts"), 'export const hostname = "a";\n');
  const bundled = await imgtask(wrong, ["check"]);
  assert.equal(bundled.stdout, "imagefile.ts:2:14 error TS2322: Type 'string' is not assignable to type 'number'.\n");
  assert.deepEqual([bundled.code, bundled.stderr], [2, "1 mistake in types\n"]);
  mkdirSync(join(wrong, "node_modules"));
  symlinkSync(join(root, "node_modules/typescript"), join(wrong, "node_modules/typescript"));
  const own = await imgtask(wrong, ["check"]);
  assert.equal(own.stdout, bundled.stdout);
  // A tsconfig.json that leaves the imagefile out must not hide its mistakes.
  writeFileSync(join(wrong, "tsconfig.json"), '{ "compilerOptions": { "module": "nodenext", "allowImportingTsExtensions": true, "noEmit": true, "types": [] }, "files": ["other.ts"] }\n');
  assert.equal((await imgtask(wrong, ["check"])).stdout, bundled.stdout);
  const data = JSON.parse((await imgtask(wrong, ["check", "--json"])).stdout) as { ok: boolean; compiler: string; diagnostics: object[] };
  assert.deepEqual([data.ok, data.compiler, data.diagnostics.length], [false, "project", 1]);
  writeFileSync(join(wrong, "imagefile.ts"), "export const n: number = 1;\n");
  assert.deepEqual(await imgtask(wrong, ["check"]), { code: 0, stdout: "", stderr: "imagefile.ts: no mistakes in types\n" });
});

test("the compiler's output: places, explanations, mistakes of no file", () => {
  assert.deepEqual(parseDiagnostics("a.ts(1,2): error TS1: One\n  Because\n    of\nerror TS2: Two\n/p/a.ts\n", "/p"), [
    { file: "/p/a.ts", line: 1, column: 2, code: "TS1", message: "One\n  Because\n    of" },
    { file: null, line: null, column: null, code: "TS2", message: "Two" },
  ]);
});

test("clean removes what is as imgtask made it, and keeps what was edited or added to", async () => {
  const directory = project(sample.replace(/, tool\("imgtask-no-such-tool".*?\} \}\)/, ""));
  assert.equal((await imgtask(directory, ["run"])).code, 0);
  const artifact = (path: string): string => join(directory, "artifacts", path);
  assert.ok(existsSync(artifact("report/sizes.txt")) && existsSync(artifact("tree/sub/x")));
  rmSync(artifact("edited.txt"));
  writeFileSync(artifact("edited.txt"), "mine\n");
  appendFileSync(artifact("foreign.txt"), "mine too\n");
  chmodSync(artifact("tree"), 0o755);
  writeFileSync(artifact("tree/added"), "mine as well\n");
  writeFileSync(join(directory, ".imgtask/tmp/left"), "x".repeat(10_000));

  const plain = await imgtask(directory, ["clean"]);
  assert.deepEqual([plain.code, plain.stdout], [0, ""]);
  assert.match(plain.stderr, /^removed \.imgtask\/tmp\n\d+\.\d kB freed\n$/);
  assert.ok(existsSync(artifact("report/sizes.txt")) && existsSync(join(directory, ".imgtask/store")));

  const all = await imgtask(directory, ["clean", "--all", "--json"]);
  const data = JSON.parse(all.stdout) as { removed: string[]; kept: string[]; freed: number };
  assert.deepEqual([...data.kept].sort(), ["artifacts/edited.txt", "artifacts/tree"]);
  assert.ok(data.removed.includes("artifacts/report/sizes.txt") && data.removed.includes(".imgtask/store") && data.removed.includes(".imgtask/records"));
  assert.ok(!existsSync(artifact("report")), "a directory that became empty goes too");
  assert.deepEqual(readdirSync(artifact("")).sort(), ["edited.txt", "foreign.txt", "tree"]);
  assert.equal(readFileSync(artifact("edited.txt"), "utf8"), "mine\n");
  assert.deepEqual(readdirSync(join(directory, ".imgtask")).filter((name) => name !== ".gitignore"), []);
  assert.deepEqual(await imgtask(directory, ["clean", "--all"]), { code: 0, stdout: "", stderr: "Nothing to remove\n" });

  const again = await imgtask(directory, ["run", "report:sizes"]);
  assert.equal(again.code, 0, again.stderr);
});

test("init writes a project whose types are right, and overwrites nothing", async () => {
  const directory = mkdtempSync(join(base, "init-"));
  const ran = await imgtask(directory, ["init"]);
  assert.deepEqual([ran.code, ran.stdout], [0, ""]);
  assert.deepEqual(readdirSync(directory).sort(), [".gitignore", "imagefile.ts", "package.json", "tsconfig.json"]);
  const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { type: string; devDependencies: Record<string, string> };
  assert.equal(manifest.type, "module");
  assert.ok(manifest.devDependencies["imgtask"]);
  const before = readFileSync(join(directory, "imagefile.ts"), "utf8");
  const twice = await imgtask(directory, ["init"]);
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /^error IMG2025: There is a project already: "imagefile\.ts"/);
  assert.equal(readFileSync(join(directory, "imagefile.ts"), "utf8"), before);
});

test("init in a CommonJS project adds, and says so", async () => {
  const directory = mkdtempSync(join(base, "init-"));
  writeFileSync(join(directory, "package.json"), '{\n\t"name": "mine",\n\t"scripts": { "images": "make" }\n}\n');
  writeFileSync(join(directory, ".gitignore"), "/node_modules");
  writeFileSync(join(directory, "tsconfig.json"), "{}");
  const ran = await imgtask(directory, ["init"]);
  assert.equal(ran.code, 0);
  assert.match(ran.stderr, /^wrote imagefile\.mts\nkept tsconfig\.json: .*\nadded to package\.json\nadded to \.gitignore\n/);
  const text = readFileSync(join(directory, "package.json"), "utf8");
  assert.match(text, /^\{\n\t"name": "mine",\n\t"scripts": \{\n\t\t"images": "make"\n\t\}/);
  assert.equal(readFileSync(join(directory, ".gitignore"), "utf8"), "/node_modules\n.imgtask/\nartifacts/\n");
  assert.equal(readFileSync(join(directory, "tsconfig.json"), "utf8"), "{}");
});
