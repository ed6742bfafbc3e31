/**
 * A disk image of 100 GiB with little in it as an input: its first digest takes time for what is in it, and a run that
 * finds it unchanged reads nothing of it.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, statSync, utimesSync, writeSync } from "node:fs";
import { test } from "node:test";
import { note, preamble, TestProject } from "../rig/project.ts";

const gibibyte = 1024 ** 3;
const data = 32 * 1024 ** 2;
const imagefile = `${preamble}
export default target("look", {
  inputs: { disk: source("disk.raw") },
  outputs: { out: output("file", "part", { path: "out" }) },
  run: ({ target, outputs }) => { ${note} writeFileSync(outputs.out, "seen"); },
});
`;

/** Bytes that a run of imgtask read, of all its processes. */
async function bytesRead(project: TestProject): Promise<number> {
  // What children that have been waited for read counts as their parent's.
  const { code, stdout, stderr } = await project.start(["run", "look"], { prefix: ["sh", "-c", '"$@" && cat /proc/$$/io', "sh"] }).finished;
  assert.equal(code, 0, stderr);
  return Number(/^rchar: (\d+)$/m.exec(stdout)![1]);
}

test("a 100 GiB file with 32 MiB of data is read once, its data only, and no byte of it when it is unchanged", async (t) => {
  if (spawnSync("perl", ["-v"]).status !== 0) return t.skip("holes are asked for by perl, which is not here");
  using project = new TestProject({ "imagefile.ts": imagefile });
  const disk = project.path("disk.raw");
  const fd = openSync(disk, "w");
  try {
    ftruncateSync(fd, 100 * gibibyte);
  } catch (error) {
    closeSync(fd);
    return t.skip(`no file of 100 GiB can be made here: ${(error as Error).message}`);
  }
  for (let i = 0; i < 32; i++) writeSync(fd, Buffer.alloc(data / 32, i + 1), 0, data / 32, i * 3 * gibibyte + 12_345);
  closeSync(fd);
  assert.ok(statSync(disk).blocks * 512 < 2 * data);
  utimesSync(disk, 1, 1);
  await new Promise((resolve) => setTimeout(resolve, 60));

  const first = await bytesRead(project);
  assert.deepEqual(project.ran(), ["look"]);
  assert.ok(first > data && first < 4 * data, `the first run read ${first} bytes`);
  const unchanged = await bytesRead(project);
  assert.deepEqual(project.ran(), []);

  using other = new TestProject({ "imagefile.ts": imagefile, "disk.raw": "small" });
  await bytesRead(other);
  const without = await bytesRead(other);
  assert.ok(unchanged < without + 256 * 1024, `unchanged, ${unchanged} bytes were read; with a small file, ${without}`);

  const change = openSync(disk, "r+");
  writeSync(change, "x", 50 * gibibyte);
  closeSync(change);
  await project.imgtask("run", "look");
  assert.deepEqual(project.ran(), ["look"], "a byte written into a hole is seen");
  t.diagnostic(`bytes read: first ${first}, unchanged ${unchanged}, unchanged with a small file instead ${without}`);
});
