/**
 * A disk that grows: partition table, partition and file system are judged by sfdisk, e2fsck and debugfs.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { source } from "../../../lib/mod.ts";
import { resize } from "../../../plugins/disk/resize.ts";
import { runRecipe } from "../../rig/recipe.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-resize-"));
after(() => rmSync(base, { recursive: true, force: true }));
const raw = join(base, "disk.raw"), start = 22_528 * 512;

function run(command: string, args: readonly string[], input = ""): string {
  const result = spawnSync(command, args, { encoding: "utf8", input, env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C" } });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

before(() => {
  mkdirSync(join(base, "tree"));
  writeFileSync(join(base, "tree/file"), "content\n");
  writeFileSync(raw, "");
  run("truncate", ["-s", "200M", raw]);
  // As cloud images have it: the first partition lies last.
  run("sfdisk", ["-q", raw], "label: gpt\nlabel-id: 5d2c1e6e-5c5e-4a8f-8a59-0d0e3d0c1b2a\n1: start=22528, size=385024, name=root\n15: start=2048, size=20480, name=esp\n");
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-d", join(base, "tree"), "-E", `offset=${start}`, raw, "188M"]);
});

test("table, partition and file system grow, what is in them stays, twice the same bytes", async (t) => {
  resize("lab", { from: { image: source("disk.raw"), format: "raw" }, size: "80G", format: "qcow2" });
  const paths = { "inputs.image": raw };
  const [one, two] = [await runRecipe("resize:lab", paths), await runRecipe("resize:lab", paths)];
  try {
    assert.ok(readFileSync(one.outputs["out"]!).equals(readFileSync(two.outputs["out"]!)));
    const disk = join(base, "grown.raw");
    run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", one.outputs["out"]!, disk]);
    assert.equal(statSync(disk).size, 80 * 2 ** 30);
    assert.match(run("sfdisk", ["--verify", disk]), /No errors detected/);
    type Table = { partitiontable: { id: string; partitions: { node: string; start: number; size: number; uuid: string; name: string }[] } };
    const [was, is] = [raw, disk].map((file) => (JSON.parse(run("sfdisk", ["--json", file])) as Table).partitiontable);
    assert.equal(is!.id, was!.id);
    assert.deepEqual(is!.partitions.map(({ uuid, name, start }) => [uuid, name, start]), was!.partitions.map(({ uuid, name, start }) => [uuid, name, start]));
    assert.ok(is!.partitions[0]!.size * 512 > 79.9 * 2 ** 30);
    assert.equal(is!.partitions[1]!.size, 20_480);
    const system = `${disk}?offset=${start}`;
    run("e2fsck", ["-f", "-n", system]);
    assert.equal(run("debugfs", ["-R", "cat /file", system]), "content\n");
    const [, blocks] = /Block count:\s+(\d+)/.exec(run("debugfs", ["-R", "stats -h", system]))!;
    const [, blockSize] = /Block size:\s+(\d+)/.exec(run("debugfs", ["-R", "stats -h", system]))!;
    assert.ok(Number(blocks) * Number(blockSize) > 79.9 * 2 ** 30);
    const used = statSync(disk).blocks * 512;
    assert.ok(used < 2 ** 30, `${used} bytes are used of 80 GiB`);
    t.diagnostic(`80 GiB take ${Math.round(used / 2 ** 20)} MiB`);
  } finally {
    one.dispose();
    two.dispose();
  }
});

test("a smaller size, and a disk without a GUID partition table, are refused", async () => {
  const original = console.error;
  console.error = () => {};
  try {
    resize("small", { from: { image: source("disk.raw"), format: "raw" }, size: "256M" });
    writeFileSync(join(base, "empty.raw"), Buffer.alloc(2 ** 20));
    await assert.rejects(runRecipe("resize:small", { "inputs.image": join(base, "empty.raw") }), { code: "IMG3143", message: /no GUID partition table/ });
    run("truncate", ["-s", "300M", join(base, "large.raw")]);
    await assert.rejects(runRecipe("resize:small", { "inputs.image": join(base, "large.raw") }), { code: "IMG3143", message: /already/ });
  } finally {
    console.error = original;
  }
});
