/**
 * What `ansible()` declares: which change plays what again, and what it refuses. Nothing is played here.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { debian } from "../../../distros/debian.ts";
import { machine, secret, source } from "../../../lib/mod.ts";
import { registry } from "../../../lib/target.ts";
import { ansible } from "../../../plugins/ansible/ansible.ts";
import { judge } from "../../../plugins/ansible/judge.ts";
import { disk } from "../../../plugins/disk/disk.ts";
import { rootfs } from "../../../plugins/rootfs/rootfs.ts";

const declared = (name: string): (typeof registry extends () => { targets: (infer T)[] } ? T : never)["declaration"] => {
  const found = registry().targets.findLast((one) => one.declaration.name === name);
  assert.ok(found, name);
  return found.declaration;
};
const lab = machine({ hostname: "lab", packages: ["python3"] });
const root = rootfs("r", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });

test("playbook, roles and root file system are inputs, variables are parameters, secrets only by where they are", () => {
  ansible("a", { from: root, playbook: source("site.yml"), roles: source("roles"), groups: ["web", "db", "web"], variables: { port: 1, deep: { list: [true, null] } }, secrets: { token: secret.env("TOKEN") } });
  const { inputs, params, secrets, resources, tools } = declared("ansible:a");
  assert.deepEqual(inputs, {
    "inputs.rootfs": { type: "artifact", target: "rootfs:r", output: "out" },
    "inputs.playbook": { type: "source", path: "site.yml" },
    "inputs.roles": { type: "source", path: "roles" },
  });
  assert.deepEqual(params, { host: "lab", groups: ["db", "web"], variables: { port: 1, deep: { list: [true, null] } }, network: false });
  assert.deepEqual(secrets, { token: { from: "environment", name: "TOKEN" } });
  assert.notEqual(resources.network, true);
  for (const need of ["ansible-playbook", "community.general.chroot"]) assert.ok(tools.some(({ name, packages }) => name === need && packages["apt"] === "ansible"), need);
});

test("roles of one playbook are no inputs of what stands before it", () => {
  const first = ansible("first", { from: root, playbook: source("first.yml"), roles: source("roles/first") });
  const second = ansible("second", { from: first, playbook: source("second.yml"), roles: source("roles/second") });
  disk("d", { from: second });
  const sources = (name: string): readonly string[] => Object.values(declared(name).inputs).flatMap((input) => (input.type === "source" ? [input.path] : []));
  const before = (name: string): readonly string[] => Object.values(declared(name).inputs).flatMap((input) => (input.type === "artifact" ? [input.target] : []));
  assert.deepEqual(sources("ansible:first"), ["first.yml", "roles/first"]);
  assert.deepEqual(sources("ansible:second"), ["second.yml", "roles/second"]);
  assert.deepEqual(sources("disk:d"), []);
  assert.deepEqual([before("ansible:first"), before("ansible:second"), before("disk:d")], [["rootfs:r"], ["ansible:first"], ["ansible:second"]]);
  assert.equal(second.machine, lab);
  assert.equal(second.arch, "x86_64");
});

test("the network is asked for, and a foreign architecture asks for emulation", () => {
  const arm = rootfs("arm", { distro: debian, release: "trixie", arch: "aarch64", machine: lab });
  ansible("arm", { from: arm, playbook: source("a.yml"), network: true });
  const { resources, tools, platform } = declared("ansible:arm");
  assert.equal(resources.network, true);
  assert.equal(platform, "aarch64");
  const files = tools.flatMap((need) => (need.type === "host file" ? need.anyOf : []));
  assert.equal(files.includes("/proc/sys/fs/binfmt_misc/qemu-aarch64"), process.arch !== "arm64");
});

test("bad names are refused", () => {
  const playbook = source("a.yml");
  for (const name of ["with-dash", "1st", "", "ansible_connection", "a b"]) {
    assert.throws(() => ansible("x", { from: root, playbook, variables: { [name]: 1 } }), { code: "IMG2180" }, name);
  }
  assert.throws(() => ansible("x", { from: root, playbook, groups: ["all"] }), { code: "IMG2180" });
  assert.throws(() => ansible("x", { from: root, playbook, groups: ["a-b"] }), { code: "IMG2180" });
  assert.throws(() => ansible("x", { from: root, playbook, variables: { a: 1 }, secrets: { a: secret.env("A") } }), { code: "IMG2180", message: /"a"/ });
});

test("the failure that ended a playbook is told from those that were ignored, in the logs of old and new versions", () => {
  const log = (lines: readonly string[], head: string): string => lines.map((line) => `2026-01-02 03:04:05,678 p=9 u=root ${head}| ${line}`).join("\n");
  const lines = ["TASK [one] ****", `fatal: [lab]: FAILED! => {"changed": false, "msg": "first"}`, "...ignoring", "TASK [a [b] : two] ****", `fatal: [lab]: UNREACHABLE! => {"msg": "last"}`, "PLAY RECAP ***"];
  for (const head of ["n=ansible ", "n=ansible INFO"]) {
    const error = judge(2, log(lines, head), "p.yml");
    assert.equal(error?.message, `The task "a [b] : two" of the playbook "p.yml" failed`);
    assert.equal(error?.found, "last");
  }
  assert.equal(judge(0, log(lines.slice(0, 3), "n=ansible "), "p.yml"), undefined);
  assert.equal(judge(250, "", "p.yml")?.code, "IMG3642");
});
