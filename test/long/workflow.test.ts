/**
 * The example of the whole workflow, all of it: four families from vendor-shaped servers and Debian's archive, through
 * answers, ISOs, disks and boot tests to a signed release, which is looked at with tools that are not ours.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Workflow } from "../rig/workflow.ts";

describe("the example, from download to publish", { timeout: 90 * 60_000 }, () => {
  let flow: Workflow;
  before(async () => {
    flow = await Workflow.create();
  });
  after(() => flow?.[Symbol.asyncDispose]());
  const release = (...parts: readonly string[]): string => flow.project.path("artifacts/release", ...parts);

  test("everything is built, boots, and is published", async (context) => {
    const { code, stderr } = await flow.run("-k", "publish:release", "publish:other-formats", "images");
    assert.equal(code, 0, stderr.slice(-6000));
    context.diagnostic(/^\d.* in .*/m.exec(stderr)?.[0] ?? "");
    const tests = readdirSync(flow.project.path("artifacts/test"));
    assert.deepEqual(tests.sort(), ["debian", "debian-iso", "kali-bios", "kali-uefi", "rocky-bios", "rocky-uefi", "ubuntu-bios", "ubuntu-uefi"]);
    for (const name of tests) assert.match(flow.project.read(`artifacts/test/${name}/junit.xml`), /failures="0"/, name);
    // The answers were found on the medium by the running installer, with the bytes that were put there.
    for (const name of ["ubuntu-bios", "ubuntu-uefi", "rocky-bios", "rocky-uefi"]) assert.match(flow.project.read(`artifacts/test/${name}/console.log`), /RIG file: [0-9a-f]{64}/, name);
  });

  test("the release is complete, signed, and what it says it is", () => {
    const names = readdirSync(release()).sort();
    for (const name of ["disk-debian.qcow2", "iso-debian.iso", "iso-kali.iso", "iso-rocky.iso", "iso-ubuntu.iso", "SHA256SUMS", "SHA256SUMS.minisig", "manifest.json"]) assert.ok(names.includes(name), `${name} of ${names.join(", ")}`);
    execFileSync("sha256sum", ["--check", "--strict", "--quiet", "SHA256SUMS"], { cwd: release(), stdio: "ignore" });
    for (const name of ["SHA256SUMS", "iso-kali.iso", "disk-debian.qcow2"]) execFileSync("minisign", ["-V", "-q", "-p", flow.project.path("keys/release.pub"), "-m", release(name)], { stdio: "ignore" });
    for (const name of ["iso-ubuntu.iso", "iso-rocky.iso", "iso-kali.iso"]) execFileSync("checkisomd5", [release(name)], { stdio: "ignore" });
    execFileSync("qemu-img", ["check", release("disk-debian.qcow2")], { stdio: "ignore" });
    const manifest = JSON.parse(readFileSync(release("manifest.json"), "utf8")) as object;
    assert.ok(JSON.stringify(manifest).includes("iso-rocky.iso"));
    const verified = spawnSync(process.execPath, [join(import.meta.dirname, "../../dist/lib/cli/main.js"), "verify", release("iso-kali.iso"), release("disk-debian.qcow2"), "--key", flow.project.path("keys/release.pub")], { encoding: "utf8" });
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    const formats = readdirSync(flow.project.path("artifacts/formats"));
    assert.ok(formats.some((name) => name.endsWith(".ova")) && formats.some((name) => name.endsWith(".vmdk")), formats.join());
  });

  test("a second time there is nothing to do", async () => {
    assert.match((await flow.run("publish:release", "publish:other-formats", "images")).stderr, /Nothing to do/);
  });
});
