/**
 * The command line's arguments as data, as a table.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isImgtaskError } from "../../../lib/error.ts";
import { helpText } from "../../../lib/cli/help.ts";
import { commands, type Options, optionNames, parseOptions, unknownCommand } from "../../../lib/cli/options.ts";

const defaults: Omit<Options, "given"> = {
  command: "list", targets: [], implied: false, jobs: undefined, memory: undefined, failures: "no-new", trace: undefined, dryRun: false, force: false, frozen: false,
  audit: false,
  directory: undefined, imagefile: undefined, json: false, reporter: undefined, color: "auto", quiet: false, verbose: false,
  installTools: false, exitCode: false, format: "mermaid", dashboard: false, schedule: "17 3 * * 1", olderThan: undefined, rebuild: false, deep: false, key: undefined, clean: { store: false, artifacts: false },
};

const accepted: readonly (readonly [string, Partial<Options>])[] = [
  ["", {}],
  ["iso:debian", { command: "run", targets: ["iso:debian"], implied: true }],
  ["iso:* disk:debian -k", { command: "run", targets: ["iso:*", "disk:debian"], implied: true, failures: "continue" }],
  ["all", { command: "run", targets: ["all"], implied: true }],
  ["run", { command: "run" }],
  ["run list", { command: "run", targets: ["list"] }],
  ["-- list", { command: "list" }],
  ["-k", { command: "run", failures: "continue" }],
  ["--json", { command: "list", json: true }],
  ["-j4 iso:a", { command: "run", targets: ["iso:a"], implied: true, jobs: 4 }],
  ["-j 4 run", { command: "run", jobs: 4 }],
  ["run --jobs=12", { command: "run", jobs: 12 }],
  ["run -kf iso:a", { command: "run", targets: ["iso:a"], failures: "continue", force: true }],
  ["--fail-fast a:b", { command: "run", targets: ["a:b"], implied: true, failures: "kill" }],
  ["--memory 1.5G", { command: "run", memory: 1.5 * 1024 ** 3 }],
  ["run --trace t.json", { command: "run", trace: "t.json" }],
  ["run -n", { command: "plan", dryRun: true }],
  ["-n iso:a", { command: "plan", targets: ["iso:a"], implied: true, dryRun: true }],
  ["plan --exit-code --json", { command: "plan", exitCode: true, json: true }],
  ["why iso:a", { command: "why", targets: ["iso:a"] }],
  ["show", { command: "show" }],
  ["graph --format dot a:b", { command: "graph", format: "dot", targets: ["a:b"] }],
  ["doctor --install-tools", { command: "doctor", installTools: true }],
  ["clean", { command: "clean" }],
  ["clean --store", { command: "clean", clean: { store: true, artifacts: false } }],
  ["clean --older-than 2w", { command: "clean", olderThan: 14 * 24 * 3600 * 1000 }],
  ["ci github iso:a", { command: "ci", targets: ["github", "iso:a"] }],
  ["metrics --dashboard", { command: "metrics", dashboard: true }],
  ["clean --all", { command: "clean", clean: { store: true, artifacts: true } }],
  ["-C .. --imagefile x.ts check", { command: "check", directory: "..", imagefile: "x.ts" }],
  ["run --reporter github --color never -q", { command: "run", reporter: "github", color: "never", quiet: true }],
  ["--version", { command: "version" }],
  ["version --json", { command: "version", json: true }],
  ["help", { command: "help" }],
  ["help plan", { command: "help", targets: ["plan"] }],
  ["plan --help", { command: "help", targets: ["plan"] }],
  ["-h", { command: "help" }],
  ["iso:a -h", { command: "help" }],
];

for (const [line, expected] of accepted) {
  test(`accepts: imgtask ${line}`, () => {
    const { given, ...options } = parseOptions(line.split(" ").filter(Boolean));
    assert.deepEqual(options, { ...defaults, ...expected });
    assert.ok([...given].every((name) => optionNames.includes(name)));
  });
}

const refused: readonly (readonly [string, RegExp, RegExp])[] = [
  ["run --job 4", /^Unknown option "--job"$/, /"--jobs"/],
  ["--keepgoing", /^Unknown option "--keepgoing"$/, /"--keep-going"/],
  ["-x", /^Unknown option "-x"$/, /help/],
  ["--constructor", /^Unknown option "--constructor"$/, /./],
  ["--__proto__", /^Unknown option "--__proto__"$/, /./],
  ["run -j", /^Option "-j" needs a value$/, /./],
  ["run -j -k", /^Option "-j" needs a value$/, /./],
  ["ci", /^Command "ci" needs the name of a CI system$/, /./],
  ["ci github --schedule daily", /^Bad value "daily" for "--schedule"$/, /./],
  ["run -j0", /^Bad value "0" for "--jobs"$/, /./],
  ["run -j many", /^Bad value "many" for "--jobs"$/, /./],
  ["run --memory 4GB", /^Bad value "4GB" for "--memory"$/, /./],
  ["run --memory 0G", /^Bad value "0G" for "--memory"$/, /./],
  ["run -k --fail-fast", /^"--keep-going" and "--fail-fast" exclude each other$/, /./],
  ["plan --trace x", /^Command "plan" takes no option "--trace"$/, /./],
  ["run --jobs=", /^Option "--jobs" needs a value$/, /./],
  ["run --json=yes", /^Option "--json" takes no value$/, /./],
  ["run --reporter githb", /^Bad value "githb" for "--reporter"$/, /"github"/],
  ["--color sometimes", /^Bad value "sometimes" for "--color"$/, /./],
  ["graph --format svg", /^Bad value "svg" for "--format"$/, /./],
  ["list --store", /^Command "list" takes no option "--store"$/, /help list/],
  ["clean --install-tools", /^Command "clean" takes no option "--install-tools"$/, /./],
  ["why", /^Command "why" needs the name of a target$/, /list/],
  ["why a:b c:d", /^Command "why" takes one argument$/, /./],
  ["clean iso:a", /^Command "clean" takes no argument$/, /./],
  ["help pln", /^Unknown command "pln"$/, /"plan"/],
];

for (const [line, message, hint] of refused) {
  test(`refuses: imgtask ${line}`, () => {
    assert.throws(() => parseOptions(line.split(" ")), (error) => {
      assert.ok(isImgtaskError(error));
      assert.deepEqual([error.code, error.exitCode], ["IMG2020", 2]);
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
      return true;
    });
  });
}

test("an unknown word is compared with commands and targets", () => {
  assert.equal(unknownCommand("docter", ["iso:debian"]).hint, 'Did you mean "doctor"?');
  assert.equal(unknownCommand("disk", ["disk:a", "iso:a"]).hint, 'Did you mean "disk:a"?');
  assert.equal(unknownCommand("disk", ["disk:a", "disk:b"]).hint, 'Did you mean "disk:*"?');
  assert.equal(unknownCommand("everythin", ["everything"]).hint, 'Did you mean "everything"?');
});

test("the help names every option and every command, in lines that fit", () => {
  const all = [helpText(), ...commands.map((command) => helpText(command))].join("\n");
  for (const name of optionNames) assert.match(all, new RegExp(`--${name}\\b`));
  for (const command of commands) {
    assert.match(helpText(), new RegExp(`^  ${command} `, "m"));
    assert.match(helpText(command), new RegExp(`^usage: imgtask ${command}`));
  }
  for (const line of all.split("\n")) assert.ok(line.length <= 120, line);
});
