/**
 * What every built-in kind of target promises, looked at on the targets of this repository's imagefile, which uses
 * all of them.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { canonicalJson } from "../../lib/digest.ts";
import { buildGraph } from "../../lib/graph.ts";
import { registry } from "../../lib/target.ts";
import { repository } from "../rig/project.ts";

await import(join(repository, "imagefile.ts"));
const targets = registry().targets.map(({ declaration }) => declaration).filter(({ kind }) => kind !== "group");

/** Folders of plugins/ that are no kinds. */
const helpers = ["arch", "machine"];

test("the imagefile uses every kind there is", () => {
  const folders = readdirSync(join(repository, "plugins"), { withFileTypes: true }).filter((entry) => entry.isDirectory() && !helpers.includes(entry.name));
  assert.deepEqual([...new Set(targets.map(({ kind }) => kind))].sort(), folders.map(({ name }) => name).sort());
});

for (const declaration of targets) {
  describe(declaration.name, () => {
    test("is named after its kind, and says in one line what it is", () => {
      assert.ok(declaration.name.startsWith(`${declaration.kind}:`));
      assert.match(declaration.description ?? "", /^\S.{5,100}$/);
    });

    test("names the module of its recipe, which is its kind's own", () => {
      assert.match(declaration.module ?? "", new RegExp(`/plugins/${declaration.kind}/[a-z-]+\\.[jt]s$`));
    });

    test("has a principal output named out", () => assert.ok(declaration.outputs["out"] !== undefined));

    test("puts outputs only where results belong, and unverified media nowhere", () => {
      for (const { path, type } of Object.values(declaration.outputs)) {
        if (path !== undefined) assert.match(path, /^(?:artifacts|workspaces|logs)\//);
        if (type === "media") assert.equal(path, undefined);
      }
    });

    test("says for each tool which package has it", () => {
      for (const { name, packages } of declaration.tools) assert.match(packages["apt"] ?? "", /^[a-z0-9][a-z0-9.+ -]+$/, name);
    });

    test("depends on nothing that differs from checkout to checkout", () => {
      assert.ok(!canonicalJson([declaration.params, declaration.inputs, declaration.outputs]).includes(repository));
    });

    test("comes from the place in the imagefile that declares it", () => {
      assert.equal(declaration.location?.file, join(repository, "imagefile.ts"));
    });
  });
}

test("the graph of all of them holds together", () => {
  assert.equal(buildGraph(registry().targets.map(({ declaration }) => declaration)).size, targets.length + 1);
});
