/**
 * `run --audit` of a whole image with the real tools: key pair, root file system, disk, and a boot that proves it
 * use nothing that they do not declare. (`publish` is audited in test/e2e/publish.test.ts and test/long/publish-real.test.ts.)
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { which } from "../../lib/process.ts";
import { TestProject } from "../rig/project.ts";

const skip = which("strace") === undefined ? "strace is not installed" : process.getuid?.() !== 0 ? "not root" : false;

const imagefile = `import { directory, disk, group, keypair, machine, publish, rootfs, test } from "imgtask";
import { debian } from "imgtask/distros/debian";
const key = keypair("lab");
const lab = machine({
  hostname: "lab", packages: ["openssh-server", "sudo"], services: { enable: ["ssh"] },
  users: [{ name: "devops", sudo: "nopasswd", sshKeys: [key] }],
  files: [{ path: "/etc/sysctl.d/60-lab.conf", content: "kernel.panic = 10\\n" }],
});
const root = rootfs("lab", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });
const image = disk("lab", { from: root, format: "qcow2", size: "4G", boot: "bios+uefi" });
const boots = test("lab", { image, login: { user: "devops", identity: key.identity }, expect: { console: [/lab login:/], services: ["ssh"] } });
export default group("all", [publish("lab", { artifacts: [image], to: directory("artifacts/release"), tests: [boots] })]);
`;

test("an audited build of a disk and its boot test find nothing undeclared", { skip, timeout: 3_600_000 }, async (t) => {
  const project = new TestProject({ "imagefile.ts": imagefile });
  t.after(() => project.eject());
  const names = ["keypair:lab", "rootfs:lab", "disk:lab", "test:lab"];
  const { code, stdout, stderr } = await project.start(["run", "--audit", "--json", ...names], { timeout: 3_500_000 }).finished;
  const audited = stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as { type: string; target: string; undeclared: object[] }).filter(({ type }) => type === "target audited");
  assert.deepEqual(audited.flatMap(({ target, undeclared }) => undeclared.map((one) => `${target}: ${JSON.stringify(one)}`)), [], stderr);
  assert.equal(code, 0, stderr);
  assert.deepEqual(audited.map(({ target }) => target), names);
  t.diagnostic(`${audited.length} targets audited, 0 uses undeclared`);
});
