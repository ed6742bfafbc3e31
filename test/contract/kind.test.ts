/**
 * What every built-in kind of target promises, looked at on the targets of this repository's imagefiles, which
 * use all of them.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { canonicalJson } from "../../lib/digest.ts";
import { buildGraph } from "../../lib/graph.ts";
import { type Registered, registry } from "../../lib/target.ts";
import { repository } from "../rig/project.ts";

const imagefiles = ["imagefile.ts", "examples/workflow/imagefile.ts"];
const of = new Map<string, readonly Registered[]>();
for (const name of imagefiles) {
  const before = registry().targets.length;
  await import(join(repository, name));
  of.set(name, registry().targets.slice(before));
}
const targets = [...of].flatMap(([imagefile, registered]) => registered.map(({ declaration }) => ({ imagefile, declaration }))).filter(({ declaration }) => declaration.kind !== "group");

/** Folders of plugins/ that are no kinds. */
const helpers = ["arch", "machine", "notices", "secret"];
const folderOf = (module: string | undefined): string | undefined => /\/plugins\/([a-z-]+)\/[a-z0-9-]+\.[jt]s$/.exec(module ?? "")?.[1];

test("the imagefiles use every kind there is", () => {
  const folders = readdirSync(join(repository, "plugins"), { withFileTypes: true }).filter((entry) => entry.isDirectory() && !helpers.includes(entry.name));
  assert.deepEqual([...new Set(targets.map(({ declaration }) => folderOf(declaration.module)))].sort(), folders.map(({ name }) => name).sort());
});

for (const { imagefile, declaration } of targets) {
  describe(`${declaration.name} of ${imagefile}`, () => {
    test("is named after its kind, and says in one line what it is", () => {
      assert.ok(declaration.name.startsWith(`${declaration.kind}:`));
      assert.match(declaration.description ?? "", /^\S.{5,100}$/);
    });

    test("names the module of its recipe, which is a kind's own", () => assert.ok(folderOf(declaration.module) !== undefined, declaration.module));

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
      const told = canonicalJson([declaration.params, declaration.inputs, declaration.outputs]);
      for (const end of ["/", '"']) assert.ok(!told.includes(repository + end));
    });

    test("comes from the place in the imagefile that declares it", () => {
      assert.equal(declaration.location?.file, join(repository, imagefile));
    });
  });
}

for (const [name, registered] of of) {
  test(`the graph of ${name} holds together`, () => {
    assert.equal(buildGraph(registered.map(({ declaration }) => declaration)).size, registered.length);
  });
}
