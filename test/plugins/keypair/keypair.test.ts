/**
 * `keypair()` with the real ssh-keygen.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { keypair } from "../../../plugins/keypair/keypair.ts";
import { runRecipe } from "../../rig/recipe.ts";

test("a key pair: the private key stays in the project's state with tight modes, the public one is the output", async () => {
  const key = keypair("lab", { comment: "people@lab" });
  assert.equal(key.identity, ".imgtask/keys/lab");
  const made = await runRecipe("keypair:lab");
  try {
    const file = join(made.directory, "project", key.identity);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(join(file, "..")).mode & 0o777, 0o700);
    const line = readFileSync(made.outputs["out"]!, "utf8");
    assert.match(line, /^ssh-ed25519 [A-Za-z0-9+/=]+ people@lab\n$/);
    // ssh-keygen itself agrees that the two belong together.
    const derived = spawnSync("ssh-keygen", ["-y", "-f", file], { encoding: "utf8" }).stdout;
    assert.equal(derived.split(" ")[1]?.trim(), line.split(" ")[1]);
    assert.ok(!existsSync(`${file}.new`));
    assert.ok(!made.log().includes("PRIVATE KEY"));
  } finally {
    made.dispose();
  }
});
