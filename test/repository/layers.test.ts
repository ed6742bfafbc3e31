/**
 * The shape of the repository: imports only go down, files say what they are for and stay small, and only reporters
 * and commands speak to people.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { repository } from "../rig/project.ts";

/** Files of lib from the lowest layer to the highest; within a layer they may use each other, without cycles. */
const layers: readonly (readonly string[])[] = [
  ["error", "artifact", "digest", "sparse", "package", "files", "compare-versions", "watch", "queue", "budget", "trace", "blake2b", "columns", "witness", "epoch", "log", "record-log", "lock-entry", "lock-schema", "lock-file", "notice", "workplace", "stray", "strace", "redact", "url-password", "nearest", "commands"],
  ["compare", "inside"],
  ["checksums", "content"],
  ["lineage", "publication"],
  ["resources", "retry"],
  ["fit"],
  ["option"],
  ["tool", "thrown", "caller", "lift", "source", "secret", "context", "spec", "target", "machine", "media", "group", "guard", "spawner", "disk-error", "minisign-key", "minisign", "dsse", "attestation", "verify-publication", "private-keys", "accesses"],
  ["event", "plugin", "publisher", "graph", "history", "metrics", "fingerprint", "difference", "sandbox", "stat-table", "stat-cache", "process", "host"],
  ["mod", "store", "artifacts", "record", "recipe", "sources", "snapshot", "evidence-table", "evidence", "evidence-writer", "recipe-sheet", "recipe-change", "lock", "tool-versions", "package-manager", "project", "audit-policy", "audit", "secret-value", "hush", "compiled"],
  ["code", "trust", "collect", "priority"],
  ["evaluate", "load"],
  ["state"],
  ["origin"],
  ["plan"],
  ["explain"],
  ["pin", "ask"],
  ["run"],
  ["gather"],
  ["attempt", "job", "rebuild"],
  ["schedule"],
  ["report"],
  ["cli"],
];

function filesBelow(directory: string): readonly string[] {
  const full = join(repository, directory);
  if (!existsSync(full)) return [];
  return readdirSync(full).flatMap((name) => {
    const path = join(directory, name);
    return statSync(join(repository, path)).isDirectory() ? filesBelow(path) : name.endsWith(".ts") ? [path] : [];
  });
}

const files = ["lib", "plugins", "distros"].flatMap(filesBelow);
const text = (file: string): string => readFileSync(join(repository, file), "utf8");
/** The text without comments, in which examples stand. */
const code = (file: string): string => text(file).replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");

/** Files that a file imports, types included, relative to the repository. */
function imports(file: string): readonly string[] {
  return [...code(file).matchAll(/(?:\bfrom|\bimport|\bimport\()\s*["'](\.{1,2}\/[^"']+)["']/g)].map((match) => relative(repository, join(repository, dirname(file), match[1]!)));
}

const rankOf = (file: string): number => {
  const name = file.split("/")[1]!.replace(/\.ts$/, "");
  return layers.findIndex((layer) => layer.includes(name));
};

test("there is something to look at, and every import is found", () => {
  assert.ok(files.length > 50);
  for (const file of files) for (const imported of imports(file)) assert.ok(existsSync(join(repository, imported)), `${file} imports ${imported}`);
});

test("every file of lib has a layer, and imports go down only", () => {
  for (const file of files.filter((one) => one.startsWith("lib/"))) {
    assert.ok(rankOf(file) >= 0, `${file} has no layer: give it one in this test`);
    for (const imported of imports(file)) {
      if (!imported.startsWith("lib/")) continue;
      assert.ok(rankOf(imported) <= rankOf(file), `${file} imports ${imported}, which is above it`);
    }
  }
});

test("lib imports no plugin and no distribution; they import its public face only", () => {
  for (const file of files) {
    for (const imported of imports(file)) {
      if (file.startsWith("lib/")) assert.match(imported, /^lib\//, `${file} imports ${imported}`);
      else if (imported.startsWith("lib/")) assert.equal(imported, "lib/mod.ts", `${file} imports ${imported}`);
      if (file.startsWith("plugins/") && file !== "plugins/mod.ts") assert.doesNotMatch(imported, /^distros\//, `${file} imports ${imported}`);
    }
  }
});

test("no import cycles, types included", () => {
  const finished = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.equal(path.includes(file), false, `cycle: ${[...path.slice(path.indexOf(file)), file].join(" → ")}`);
    if (finished.has(file)) return;
    for (const imported of imports(file)) visit(imported, [...path, file]);
    finished.add(file);
  };
  for (const file of files) visit(file, []);
});

test("each file says first what it is for", () => {
  for (const file of files) assert.match(text(file), /^(?:#!.*\n)?\/\*\*\n(?: \*.*\n)+? \* @module\n \*\/\n/, file);
});

test("no file is longer than 400 lines", () => {
  for (const file of files) {
    const length = text(file).trimEnd().split("\n").length;
    assert.ok(length <= 400, `${file} has ${length} lines`);
  }
});

test("only reporters and commands speak to people", () => {
  for (const file of files) {
    if (/^lib\/(?:report|cli)\//.test(file)) continue;
    // What runs in a namespace of its own has its target's log as standard error.
    if (file === "plugins/machine/log.ts") continue;
    const lines = code(file).split("\n").filter((line) => /(?<![.\w])console\.(?:log|error|warn|info|debug)\(|process\.std(?:out|err)\b/.test(line));
    assert.deepEqual(lines, [], file);
  }
});
