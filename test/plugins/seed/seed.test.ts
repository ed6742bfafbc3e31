/**
 * Seed media, looked at by blkid, xorriso and cloud-init's own schema; the same bytes at another time.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { machine } from "../../../lib/mod.ts";
import { seed } from "../../../plugins/seed/seed.ts";
import { runRecipe } from "../../rig/recipe.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-seed-"));
after(() => rmSync(base, { recursive: true, force: true }));

function run(command: string, ...args: readonly string[]): string {
  const result = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C" } });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

const lab = machine({
  hostname: "lab",
  packages: ["git"],
  users: [{ name: "devops", sudo: "nopasswd", sshKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7tTqzA3Vt2x2nV9gq1Q2mJ6gWq0mXrJ3mWc1lXyQbT somebody"] }],
  files: [{ path: "/etc/app.conf", content: "a: \"b\"\n- c\n" }],
});

test("the medium has the label and the files that cloud-init looks for, and its schema accepts them", async (t) => {
  seed("lab", { machine: lab });
  const made = await runRecipe("seed:lab");
  await sleep(1100);
  const again = await runRecipe("seed:lab");
  try {
    const iso = made.outputs["out"]!;
    assert.ok(readFileSync(iso).equals(readFileSync(again.outputs["out"]!)), "the same bytes");
    const found = run("blkid", "-p", "-o", "export", iso);
    assert.match(found, /^LABEL=CIDATA$/m);
    assert.match(found, /^TYPE=iso9660$/m);
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", join(base, "out"));
    assert.deepEqual(run("ls", join(base, "out")).trim().split("\n").sort(), ["meta-data", "network-config", "user-data"]);
    assert.match(readFileSync(join(base, "out/meta-data"), "utf8"), /"local-hostname": "lab"/);
    if (spawnSync("cloud-init", ["--version"]).error !== undefined) return t.skip("cloud-init is not installed");
    const { status, stdout, stderr } = spawnSync("cloud-init", ["schema", "--config-file", join(base, "out/user-data")], { encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  } finally {
    made.dispose();
    again.dispose();
  }
});

test("what cloud-init cannot do is refused when it is declared", () => {
  assert.throws(() => seed("bad", { machine: machine({ hostname: "a", storage: { partitions: [{ mount: "/", size: "rest" }] } }) as never }), { code: "IMG2312" });
});
