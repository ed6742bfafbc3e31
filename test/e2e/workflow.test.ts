/**
 * Installers of three families by the example's own imagefile: from vendor-shaped servers to remastered ISOs and their
 * publication to a directory and a bucket, through the real command line. Every file is looked at with tools that are not ours. Debian's installer, boots,
 * disks and the release as the example has it are in test/long.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { counted, fromIso, lookAtAll, proveDownloads } from "../rig/outside.ts";
import { swiftMissing } from "../rig/swift.ts";
import { Workflow } from "../rig/workflow.ts";

/** Releases of what needs no boot: to a directory, and a smaller one to the bucket. */
const unbooted = `const { sign, sboms } = release, untested = "their boots take minutes";
publish("unbooted", { artifacts: [ubuntuIso, rockyIso, kaliIso, cloudSeed], to: directory("artifacts/unbooted"), untested, sboms: sboms.slice(0, 2), sign });
publish("stored", { artifacts: [kaliIso, cloudSeed], to: s3({ bucket: "images", prefix: "lab/" }), untested, sign });`;

describe("the example, from download to ISO and its publication", { timeout: 15 * 60_000 }, () => {
  let flow: Workflow;
  before(async () => {
    flow = await Workflow.create({ more: unbooted });
  });
  after(() => flow?.[Symbol.asyncDispose]());

  const file = (iso: string, path: string): string => fromIso(flow.project.path(`artifacts/iso/${iso}.iso`), path);

  test("three vendors' media become installers that ask nothing", async (context) => {
    const { code, stderr } = await flow.run("iso:ubuntu", "iso:rocky", "iso:kali");
    assert.equal(code, 0, stderr);
    context.diagnostic(/^\d.* in .*/m.exec(stderr)?.[0] ?? "");
    const log = readdirSync(flow.project.path("logs")).find((name) => /^download-\d{8}\.md$/.test(name));
    assert.equal(flow.project.read(`logs/${log}`).match(/ accepted \|$/gm)?.length, 3);
    assert.match(file("ubuntu", "/boot/grub/grub.cfg"), /autoinstall/);
    assert.match(file("rocky", "/isolinux/isolinux.cfg"), /inst\.ks=/);
    assert.match(file("rocky", "/ks.cfg"), /^selinux --enforcing$/m);
    assert.match(file("ubuntu", "/nocloud/user-data"), /^#cloud-config/);
  });

  test("gpgv accepts their lists, and sha256sum the media by these", () => {
    const proven = proveDownloads(flow.project.path(".imgtask/store"), { images: flow.server.keyring, packages: "" });
    assert.deepEqual(proven.map((name) => name.split("-")[0]), ["Rocky", "kali", "ubuntu"]);
  });

  test("they are published with all documents, which others' tools accept", async (context) => {
    const { code, stderr } = await flow.run("publish:unbooted");
    assert.equal(code, 0, stderr);
    const accepted = await lookAtAll(flow.project.path("artifacts/unbooted"), flow.publicKey);
    context.diagnostic(counted(accepted));
    assert.equal(accepted.get("checkisomd5"), 3);
    assert.equal(accepted.get("minisign"), 5);
    assert.equal(accepted.get("openssl"), 4);
    assert.equal(accepted.get("ajv with CycloneDX's schema"), 2);
    assert.match((await flow.run("publish:unbooted")).stderr, /Nothing to do/);
  });

  test("s3cmd fetches from the bucket what was published to it", { skip: swiftMissing() ?? false }, async (context) => {
    const { code, stderr } = await flow.run("publish:stored");
    assert.equal(code, 0, stderr);
    const fetched = flow.fetch("lab/"), digest = (path: string): string => execFileSync("sha256sum", { input: readFileSync(path), encoding: "utf8" });
    context.diagnostic(counted(await lookAtAll(fetched, flow.publicKey)));
    for (const name of ["iso-kali.iso", "seed-lab.iso"]) assert.equal(digest(join(fetched, name)), digest(flow.project.path("artifacts/unbooted", name)), name);
  });

  test("answers of one machine agree in every format", () => {
    const userData = file("ubuntu", "/nocloud/user-data"), kickstart = file("rocky", "/ks.cfg");
    for (const text of [userData, kickstart]) {
      assert.match(text, /imgtask/, "the rest is done by what lies beside");
      assert.match(text, /chrony/);
      assert.match(text, /fail2ban/);
      assert.match(text, /Europe\/Berlin/);
    }
    for (const name of ["ubuntu", "rocky"]) {
      const to = flow.project.path(`.payload-${name}`);
      execFileSync("xorriso", ["-osirrox", "on", "-indev", flow.project.path(`artifacts/iso/${name}.iso`), "-extract", "/imgtask", to], { stdio: "ignore" });
      const all = readdirSync(to, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1")).join("\n");
      for (const part of ["devops", "NOPASSWD", "ssh-ed25519", "srv/apps", "Built by imgtask"]) assert.ok(all.includes(part), `${name}: ${part}`);
    }
    assert.match(userData, /auditd/);
    assert.match(kickstart, /^audit$/m, "a package has another name there");
  });

  test("nothing is done twice, and an edited list of directories makes exactly the answers anew", async () => {
    const asked = flow.server.seen.length;
    assert.match((await flow.run("iso:ubuntu", "iso:rocky", "iso:kali")).stderr, /Nothing to do/);
    flow.project.write("config/directories.txt", `one/more\n${flow.project.read("config/directories.txt")}`);
    const { code, stderr } = await flow.run("iso:ubuntu", "iso:rocky", "iso:kali");
    assert.equal(code, 0, stderr);
    const ran = [...stderr.matchAll(/^\[(\S+)\] started/gm)].map(([, name]) => name).sort();
    assert.deepEqual(ran, ["customize:kali", "customize:rocky", "customize:ubuntu", "iso:kali", "iso:rocky", "iso:ubuntu"]);
    assert.equal(flow.server.seen.length, asked, "nothing is downloaded again");
  });
});
