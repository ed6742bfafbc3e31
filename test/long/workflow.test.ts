/**
 * The example of the whole workflow, all of it: four families from vendor-shaped servers and Debian's archive, through
 * answers, ISOs, disks and boot tests to a signed release. Every file is looked at with tools that are not ours.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { counted, fromIso, lookAtAll, proveDownloads } from "../rig/outside.ts";
import { repository } from "../rig/project.ts";
import { swiftMissing } from "../rig/swift.ts";
import { Workflow } from "../rig/workflow.ts";

const isos = ["debian", "kali", "rocky", "ubuntu"] as const;
const goals = ["publish:release", ...(swiftMissing() === undefined ? ["publish:bucket"] : []), "publish:other-formats", "images"];
const boots = ["debian", "disk", "kali", "rocky", "ubuntu"].flatMap((name) => [`${name}-bios`, `${name}-uefi`]);

describe("the example, from download to publish", { timeout: 180 * 60_000 }, () => {
  let flow: Workflow;
  before(async () => {
    flow = await Workflow.create();
  });
  after(() => flow?.[Symbol.asyncDispose]());
  const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

  test("everything is built, boots by BIOS and by UEFI, and is published", async (context) => {
    const { code, stderr } = await flow.run("-k", ...goals);
    assert.equal(code, 0, stderr.slice(-6000));
    context.diagnostic(/^\d.* in .*/m.exec(stderr)?.[0] ?? "");
    assert.deepEqual(readdirSync(flow.project.path("artifacts/test")).sort(), boots);
    const { code: none, stderr: again } = await flow.run(...goals);
    assert.equal(none, 0, again);
    assert.match(again, /Nothing to do/);
  });

  test("gpgv accepts every list, and sha256sum the media by these", () => {
    const proven = proveDownloads(flow.project.path(".imgtask/store"), { images: flow.server.keyring, packages: join(repository, "vendor/debian/archive.gpg") });
    assert.deepEqual(proven.map((name) => name.split("-")[0]), ["Rocky", "debian", "kali", "ubuntu"]);
  });

  test("the running installers found the answers that are on their media", () => {
    for (const [name, path] of [["ubuntu", "nocloud/user-data"], ["rocky", "ks.cfg"]] as const) {
      const digest = sha256(fromIso(flow.project.path(`artifacts/iso/${name}.iso`), `/${path}`));
      for (const firmware of ["bios", "uefi"]) assert.ok(flow.project.read(`artifacts/test/${name}-${firmware}/console.log`).includes(`RIG file: ${digest}  /rig/${path}`), `${name} ${firmware}`);
    }
    for (const name of ["kali", "debian"]) for (const firmware of ["bios", "uefi"]) assert.match(flow.project.read(`artifacts/test/${name}-${firmware}/console.log`), /IMGTASK_PRESEED_READ/, `${name} ${firmware}`);
  });

  test("tools that are not ours accept every file", async (context) => {
    const release = await lookAtAll(flow.project.path("artifacts/release"), flow.publicKey);
    context.diagnostic(`published: ${counted(release)}`);
    context.diagnostic(`other formats: ${counted(await lookAtAll(flow.project.path("artifacts/formats"), flow.publicKey))}`);
    const images = new Map<string, number>();
    for (const part of ["disk", "iso", "sbom", "seed", "test"]) for (const [tool, count] of await lookAtAll(flow.project.path("artifacts", part), flow.publicKey)) images.set(tool, (images.get(tool) ?? 0) + count);
    context.diagnostic(`kept: ${counted(images)}`);
    assert.equal(release.get("checkisomd5"), isos.length);
    assert.equal(release.get("minisign"), 6, "five images and the list");
    assert.equal(release.get("ajv with CycloneDX's schema"), 3, "of the disk and of the media that carry packages");
    assert.equal(images.get("an XML parser"), boots.length);
  });

  test("s3cmd fetches the same release from the bucket", { skip: swiftMissing() ?? false }, async (context) => {
    const fetched = flow.fetch("lab/");
    context.diagnostic(`fetched: ${counted(await lookAtAll(fetched, flow.publicKey))}`);
    assert.equal(execFileSync("diff", ["--recursive", "--brief", fetched, flow.project.path("artifacts/release")], { encoding: "utf8" }), "");
  });

  test("imgtask verify accepts all of it", () => {
    const files = ["release", "formats"].flatMap((place) => readdirSync(flow.project.path("artifacts", place)).filter((name) => /\.(iso|qcow2|vmdk|ova)$/.test(name)).map((name) => flow.project.path("artifacts", place, name)));
    assert.equal(files.length, 8);
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(repository, "dist/lib/cli/main.js"), "verify", ...files, "--key", flow.publicKey], { encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  });

  test("the directories are on the host as well, and what was made is in the logs", () => {
    for (const name of ["ubuntu", "rocky", "kali", "debian"]) {
      assert.ok(flow.project.exists(`workspaces/${name}/billing/prod/api/config`), name);
      assert.ok(readdirSync(flow.project.path("logs")).some((log) => new RegExp(`^directories-\\d{14}-${name}\\.md$`).test(log)), name);
    }
  });
});
