/**
 * The type checker's words for the mistakes that matter: they must name what was given and what is wanted.
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const root = new URL("../..", import.meta.url).pathname;
const flags = "--noEmit --strict --target es2023 --module nodenext --moduleResolution nodenext --allowImportingTsExtensions --skipLibCheck --types node --pretty false".split(" ");

const cases = [
  { file: "unverified", line: 5, words: [/Download<"d", PackageMedia>/, /Verified/] },
  { file: "iso-as-root", line: 6, words: [/iso:d/, /BootableRoot/] },
  { file: "release", line: 4, words: [/"sarge"/, /DebianRelease/] },
  { file: "arch", line: 4, words: [/"riscv64"/, /DebianArch/] },
  { file: "untested", line: 5, words: [/'untested' is missing/, /TestThatBoots<"disk:d">/] },
  { file: "plain-secret", line: 5, words: [/'string'/, /'Secret \| undefined'/] },
  { file: "no-archive", line: 4, words: [/Distro<"fedora"/, /AptDistro/] },
] as const;

test("wrong graphs are refused with a message that names both sides", async () => {
  const files = cases.map(({ file }) => `test/types/bad/${file}.ts`);
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...flags, ...files], { cwd: root }).catch(
    (error: { stdout: string }) => error,
  );
  for (const { file, line, words } of cases) {
    const message = stdout.split(/^(?=\S)/m).filter((part) => part.startsWith(`test/types/bad/${file}.ts(${line},`));
    assert.equal(message.length, 1, `one error in ${file}.ts at line ${line}, got:\n${stdout}`);
    for (const word of words) assert.match(message[0]!, word);
    assert.ok(message[0]!.split("\n").length <= 6, `the message fits a glance:\n${message[0]}`);
  }
  assert.equal(stdout.split(/^(?=\S)/m).length, cases.length, `no other errors:\n${stdout}`);
});
