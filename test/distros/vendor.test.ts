/**
 * The ledger of vendored data is true and complete.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { packageFile } from "../../lib/mod.ts";

it("vendor/README.md has a row with the right digest for every vendored file, and no other", () => {
  const root = packageFile("vendor");
  const ledger = readFileSync(join(root, "README.md"), "utf8");
  const rows = new Map([...ledger.matchAll(/^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|/gm)].map((row) => [row[1]!, row[2]!]));
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .filter((file) => file !== "README.md");
  assert.ok(files.length > 0);
  assert.deepEqual([...rows.keys()].sort(), files.sort());
  for (const file of files) assert.equal(createHash("sha256").update(readFileSync(join(root, file))).digest("hex"), rows.get(file), file);
});
