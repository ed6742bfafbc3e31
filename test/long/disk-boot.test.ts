/**
 * A Debian disk in every format, larger, and with a seed for cloud-init: each is started by the command line's own boot
 * test under QEMU, without KVM, until its login is there. What resize and cloud-init did is looked at inside.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TestProject } from "../rig/project.ts";

const imagefile = `import { convert, directory, disk, group, keypair, machine, publish, resize, rootfs, seed, sysprep, test } from "imgtask";
import { debian } from "imgtask/distros/debian";
const key = keypair("lab");
const lab = machine({
  hostname: "lab", packages: ["openssh-server", "sudo", "cloud-init"], services: { enable: ["ssh"] },
  users: [{ name: "devops", sudo: "nopasswd", sshKeys: [key] }],
});
const image = disk("lab", { from: rootfs("lab", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab }), format: "qcow2", size: "3G", boot: "bios+uefi" });

const stream = convert("stream", { from: image, format: "vmdk" });
const esxi = convert("esxi", { from: image, format: "vmdk", subformat: "monolithicFlat" });
const hyperv = convert("hyperv", { from: image, format: "vhdx" });
const azure = convert("azure", { from: image, format: "vhd" });
const appliance = convert("appliance", { from: image, format: "ova" });
const large = resize("large", { from: image, size: "7G" });
const template = sysprep("template", { from: image });

const timeout = 1500;
const expect = { console: [/lab login:/] };
const tests = [
  test("stream", { image: stream, timeout, expect }),
  test("esxi", { image: esxi, timeout, expect }),
  // Generation 2 of Hyper-V starts by UEFI alone.
  test("hyperv", { image: hyperv, firmware: "uefi", timeout, expect }),
  test("azure", { image: azure, timeout, expect }),
  // With the disk and the network that its descriptor asks for.
  test("appliance", { image: appliance, devices: "vmware", timeout, expect: { console: [/vmw_pvscsi|VMware PVSCSI/, /lab login:/] } }),
  test("large", {
    image: large, timeout, login: { user: "devops", identity: key.identity },
    expect: { commands: [{ run: ["df", "--block-size=1M", "--output=size", "/"], stdout: /^ *[67]\\d{3}$/m }, { run: ["lsblk", "--bytes", "--noheadings", "--nodeps", "--output=SIZE", "/dev/vda"], stdout: /^ *7516192768$/m }] },
  }),
] as const;

// The user, the name and the file are not in the image: the login itself fails where cloud-init did not run.
const guest = machine({
  hostname: "seeded", users: [{ name: "visitor", sudo: "nopasswd", sshKeys: [key] }],
  files: [{ path: "/etc/seeded/by", content: "the seed\\n", mode: 0o640 }],
});
const seeded = test("seeded", {
  image: template, seed: seed("guest", { machine: guest }), timeout, login: { user: "visitor", identity: key.identity },
  expect: {
    users: [{ name: "visitor" }],
    files: [{ path: "/etc/seeded/by", mode: 0o640, owner: "root", group: "root" }],
    commands: [
      { run: ["sudo", "cloud-init", "query", "subplatform"], stdout: /config-disk \\(\\/dev\\/vdb\\)/ },
      { run: ["hostname"], stdout: /^seeded$/m },
      { run: ["cloud-init", "status"], stdout: /^status: done$/m },
      { run: ["sudo", "cat", "/etc/seeded/by"], stdout: /^the seed$/m },
    ],
  },
});
publish("formats", { artifacts: [stream, hyperv, azure, appliance, large, template], to: directory("artifacts/release"), tests: [...tests, seeded] });
export default group("boots", [...tests, seeded]);
`;

test("every format boots, a larger disk is used to its end, and cloud-init does what the seed says", { timeout: 100 * 60_000 }, async (t) => {
  const project = new TestProject({ "imagefile.ts": imagefile });
  t.after(() => project.eject());
  // What boots needs no network and no second chance; everything that can be looked at is, whatever fails.
  const { code, stderr } = await project.start(["run", "-k", "--reporter", "plain", "publish:formats", "boots"], { timeout: 95 * 60_000 }).finished;
  assert.equal(code, 0, stderr.slice(-8000));
  for (const name of ["stream", "esxi", "hyperv", "azure", "appliance", "large", "seeded"]) {
    const report = project.read(`artifacts/test/${name}/junit.xml`);
    assert.match(report, /failures="0"/, name);
    assert.doesNotMatch(report, /<skipped/, name);
    t.diagnostic(`${name}: ${/tests="(\d+)"/.exec(report)![1]} looked at in ${Math.round(Number(/time="([\d.]+)"/.exec(report)![1]))} s`);
  }
  assert.ok(project.exists("artifacts/release/SHA256SUMS"));
});
