/**
 * `imgtask verify --rebuild`: what came out the same is said to, what did not is found, with the place and both bytes;
 * nothing that is stored or shown changes. Disk images are real ones, made by mke2fs and xorriso.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { note, preamble, TestProject } from "../rig/project.ts";

/** Files of `.imgtask` that hold results, with their bytes. */
function results(project: TestProject): string {
  const hash = createHash("sha256").update(readFileSync(project.path(".imgtask/records")));
  for (const name of readdirSync(project.path(".imgtask/store"), { recursive: true, encoding: "utf8" }).sort()) hash.update(`${name}\n`);
  return hash.digest("hex");
}

interface Report {
  readonly targets: readonly {
    readonly target: string;
    readonly outcome: string;
    readonly outputs: readonly {
      readonly output: string;
      readonly differing: number;
      readonly differences: readonly { readonly type: string; readonly path: string; readonly bytes?: number; readonly first?: readonly { readonly offset: number; readonly stored: string; readonly rebuilt: string; readonly inside: readonly string[]; readonly insideOffset: number | null }[] }[];
    }[];
  }[];
}

const imagefile = `${preamble}
import { tool } from "imgtask";
import { mkdirSync, chmodSync, symlinkSync, truncateSync } from "node:fs";
const base = target("same:base", { outputs: { out: output("file", "base", { path: "artifacts/base" }) }, run({ outputs, target }) { ${note} writeFileSync(outputs.out, "base"); } });
const good = target("same:tree", { inputs: { base }, outputs: { out: output("tree", "t", { path: "artifacts/tree" }) }, run({ inputs, outputs, target }) {
  ${note}
  mkdirSync(outputs.out + "/a", { recursive: true });
  writeFileSync(outputs.out + "/a/file", readFileSync(inputs.base));
  symlinkSync("a/file", outputs.out + "/link");
} });
const clock = target("bad:clock", { inputs: { base }, outputs: { out: output("file", "x", { path: "artifacts/clock" }) }, run({ outputs }) { writeFileSync(outputs.out, "made at " + process.hrtime.bigint() + "\\n"); } });
const tree = target("bad:tree", { outputs: { out: output("tree", "t", { path: "artifacts/bad" }) }, run({ outputs }) {
  const times = Number(fromOutside("TIMES"));
  mkdirSync(outputs.out);
  writeFileSync(outputs.out + "/same", "same");
  writeFileSync(outputs.out + "/text", "0123456789" + times);
  writeFileSync(outputs.out + "/" + times, "");
  writeFileSync(outputs.out + "/mode", "");
  chmodSync(outputs.out + "/mode", times === 1 ? 0o755 : 0o644);
  symlinkSync("to" + times, outputs.out + "/link");
} });
const fs = target("bad:ext4", { tools: [tool("mke2fs", { versionArgs: ["-V"], packages: { apt: "e2fsprogs" } })], outputs: { out: output("file", "fs", { path: "artifacts/fs" }) }, async run({ outputs, tmp, exec }) {
  mkdirSync(tmp + "/tree/etc", { recursive: true });
  writeFileSync(tmp + "/tree/etc/stamp", "x".repeat(5000) + fromOutside("TIMES"));
  writeFileSync(outputs.out, "");
  truncateSync(outputs.out, 8 * 1024 * 1024);
  await exec(["mke2fs", "-q", "-F", "-t", "ext4", "-U", "5d2c1e6e-5c5e-4a8f-8a59-0d0e3d0c1b2a", "-E", "hash_seed=5d2c1e6e-5c5e-4a8f-8a59-0d0e3d0c1b2a", "-d", tmp + "/tree", outputs.out], { env: { E2FSPROGS_FAKE_TIME: "1700000000" } });
} });
const iso = target("bad:iso", { tools: [tool("xorriso", { packages: { apt: "xorriso" } })], outputs: { out: output("file", "iso", { path: "artifacts/iso" }) }, async run({ outputs, tmp, exec }) {
  mkdirSync(tmp + "/tree/some", { recursive: true });
  writeFileSync(tmp + "/tree/some/A file with a long name.txt", "abc" + fromOutside("TIMES"));
  await exec(["xorriso", "-as", "mkisofs", "-R", "--set_all_file_dates", "2026010100000000", "--modification-date=2026010100000000", "-o", outputs.out, tmp + "/tree"]);
} });
const told = target("same:told", { outputs: { out: output("file", "x", { path: "artifacts/told" }), log: output("file", "log", { path: "logs/told", tellsOfRun: true }) }, run({ outputs, target }) {
  ${note}
  writeFileSync(outputs.out, "told");
  writeFileSync(outputs.log, "made at " + process.hrtime.bigint() + "\\n");
} });
const late = target("same:late", { inputs: { clock }, outputs: { out: "file" }, run({ inputs, outputs }) { writeFileSync(outputs.out, readFileSync(inputs.clock)); } });
const sent = target("same:sent", { inputs: { base }, untracked: { writes: ["sent"] }, outputs: { out: "file" }, run({ outputs, target }) { ${note} writeFileSync(outputs.out, ""); } });
export default group("all", [good, clock, tree, fs, iso, told, late, sent]);
`;

test("equal and different results are told apart, and nothing is changed", async (t) => {
  using project = new TestProject({ "imagefile.ts": imagefile });
  const env = (times: string): { env: Record<string, string> } => ({ env: { TIMES: times, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` } });
  const none = await project.start(["verify", "--rebuild", "same:base"], env("1")).finished;
  assert.equal(none.code, 2);
  assert.match(none.stderr, /IMG2170/);

  const run = await project.start(["run"], env("1")).finished;
  assert.equal(run.code, 0, run.stderr);
  project.ran();
  const before = results(project);
  const verify = async (times: string, ...argv: readonly string[]): Promise<{ code: number | null; report: Report; stderr: string }> => {
    const { code, stdout, stderr } = await project.start(["verify", "--rebuild", "--json", ...argv], env(times)).finished;
    return { code, report: JSON.parse(stdout === "" ? "{}" : stdout) as Report, stderr };
  };

  const same = await verify("2", "same:base", "same:told", "same:tree");
  assert.equal(same.code, 0, same.stderr);
  assert.deepEqual(same.report.targets.map(({ target, outcome }) => [target, outcome]), [["same:base", "equal"], ["same:told", "equal"], ["same:tree", "equal"]]);
  assert.deepEqual(project.ran(), ["same:base", "same:told", "same:tree"], "they ran again");
  assert.deepEqual(same.report.targets[1]!.outputs.map(({ output }) => output), ["out"], "what tells of its run is not compared");

  const clock = await verify("1", "bad:clock");
  assert.equal(clock.code, 3);
  assert.match(clock.stderr, /IMG4090/);
  const [stretch] = clock.report.targets[0]!.outputs[0]!.differences[0]!.first!;
  assert.ok(stretch!.offset >= "made at ".length && stretch!.stored !== stretch!.rebuilt);
  // What only passes a difference on is not to blame: it is made again from what is stored.
  const deep = await verify("1", "--deep", "same:late", "same:tree");
  assert.deepEqual(deep.report.targets.map(({ target, outcome }) => [target, outcome]).sort(), [["bad:clock", "different"], ["same:base", "equal"], ["same:late", "equal"], ["same:tree", "equal"]]);

  const tree = await verify("2", "bad:tree");
  assert.deepEqual(tree.report.targets[0]!.outputs[0]!.differences.map(({ type, path }) => [path, type]), [["1", "missing"], ["2", "added"], ["link", "link"], ["mode", "mode"], ["text", "content"]]);
  assert.deepEqual(tree.report.targets[0]!.outputs[0]!.differences[4]!.first, [{ offset: 10, length: 1, stored: "31", rebuilt: "32", inside: [], insideOffset: 10 }]);
  assert.equal((await verify("1", "bad:tree")).code, 0, "and it is equal where it comes out equal");

  const fs = await verify("2", "bad:ext4");
  assert.ok(fs.report.targets[0]!.outputs[0]!.differences[0]!.first!.some(({ inside, insideOffset, stored, rebuilt }) => inside.join() === "/etc/stamp" && insideOffset === 5000 && stored === "31" && rebuilt === "32"), JSON.stringify(fs.report));
  const iso = await verify("2", "bad:iso");
  assert.ok(iso.report.targets[0]!.outputs[0]!.differences[0]!.first!.some(({ inside, insideOffset }) => inside.join() === "/some/A file with a long name.txt" && insideOffset === 3), JSON.stringify(iso.report));

  const outside = await verify("1", "same:sent");
  assert.equal(outside.code, 2);
  assert.match(outside.stderr + JSON.stringify(outside.report), /IMG2171/);
  assert.equal(results(project), before, "no record and no object is new");
  assert.deepEqual(readdirSync(project.path(".imgtask/tmp")), [], "and nothing is left behind");
  const text = await project.start(["verify", "--rebuild", "bad:tree"], env("2")).finished;
  assert.match(text.stdout, /text: 1 of 11 bytes differ, in 1 place\n.*byte 10.*\n.*stored\s+31 {2}"1"\n.*rebuilt\s+32 {2}"2"/);
  t.diagnostic("planted: 4 of 4 targets with differences found, 4 of 4 equal ones not blamed");
});
