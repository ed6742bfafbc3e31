/**
 * What `rootfs()` and `disk()` declare: which change rebuilds what, and what they refuse. Nothing is built here.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { debian } from "../../../distros/debian.ts";
import { type AptDistro, defineDistro, type Machine, machine, type MachineSpec, source } from "../../../lib/mod.ts";
import { registry } from "../../../lib/target.ts";
import { disk } from "../../../plugins/disk/disk.ts";
import { keypair } from "../../../plugins/keypair/keypair.ts";
import { rootfs } from "../../../plugins/rootfs/rootfs.ts";

const declared = (name: string): (typeof registry extends () => { targets: (infer T)[] } ? T : never)["declaration"] => {
  const found = registry().targets.findLast((one) => one.declaration.name === name);
  assert.ok(found, name);
  return found.declaration;
};

const plain: MachineSpec = { hostname: "lab", packages: ["openssh-server", "git", "git"] };
function both(spec: MachineSpec): { readonly rootfs: unknown; readonly disk: unknown; readonly inputs: object } {
  const from = rootfs("r", { distro: debian, release: "bookworm", arch: "x86_64", machine: machine(spec) });
  disk("d", { from });
  const { name, params, env, inputs } = declared("rootfs:r");
  assert.deepEqual(inputs, {});
  return { rootfs: { name, params, env }, disk: declared("disk:d").params, inputs: declared("disk:d").inputs };
}

test("only packages reach the root file system; the rest of a machine reaches the disk", () => {
  const before = both(plain);
  const changes: readonly Partial<MachineSpec>[] = [
    { hostname: "other" },
    { timezone: "Europe/Berlin" },
    { users: [{ name: "ci" }] },
    { files: [{ path: "/etc/motd", content: "hello" }] },
    { overlay: source("overlay") },
    { services: { enable: ["ssh"] } },
    { passwordLogin: true },
  ];
  for (const change of changes) {
    const after = both({ ...plain, ...change });
    assert.deepEqual(after.rootfs, before.rootfs, JSON.stringify(change));
    assert.notDeepEqual([after.disk, after.inputs], [before.disk, before.inputs], JSON.stringify(change));
  }
  const more = both({ ...plain, packages: ["openssh-server", "git", "chrony"] });
  assert.notDeepEqual(more.rootfs, before.rootfs);
  assert.deepEqual(more.disk, before.disk);
  assert.deepEqual(both({ ...plain, packages: ["git", "openssh-server"] }).rootfs, before.rootfs, "neither order nor repetition counts");
});

test("packages are those of the machine and those it needs to boot, sorted", () => {
  both(plain);
  const { packages } = declared("rootfs:r").params as { packages: string[] };
  assert.deepEqual(packages, [...new Set(packages)].sort());
  for (const name of ["git", "openssh-server", "linux-image-cloud-amd64", "systemd-sysv"]) assert.ok(packages.includes(name), name);
});

test("keys, files and overlays of the machine are inputs of the disk", () => {
  const key = keypair("lab");
  const { inputs } = both({
    ...plain,
    users: [{ name: "ci", sshKeys: [key, "ssh-ed25519 AAAA x", source("a.pub")] }],
    files: [{ path: "/etc/a", content: source("a") }, { path: "/etc/b", content: "a" }],
    overlay: source("overlay"),
  });
  assert.deepEqual(inputs, {
    "inputs.rootfs": { type: "artifact", target: "rootfs:r", output: "out" },
    "params.machine.users.0.sshKeys.0.file": { type: "artifact", target: "keypair:lab", output: "out" },
    "params.machine.users.0.sshKeys.2.file": { type: "source", path: "a.pub" },
    "params.machine.files.0.content.file": { type: "source", path: "a" },
    "params.machine.overlay": { type: "source", path: "overlay" },
  });
});

test("a foreign architecture asks for emulation and starts by UEFI alone", () => {
  const from = rootfs("arm", { distro: debian, release: "trixie", arch: "aarch64", machine: machine(plain) });
  assert.equal(from.arch, "aarch64");
  disk("arm", { from });
  for (const name of ["rootfs:arm", "disk:arm"]) {
    const files = declared(name).tools.flatMap((need) => (need.type === "host file" ? need.anyOf : []));
    assert.equal(files.includes("/proc/sys/fs/binfmt_misc/qemu-aarch64"), process.arch !== "arm64", name);
    assert.equal(declared(name).platform, "aarch64");
  }
  assert.equal((declared("disk:arm").params as { boot: string }).boot, "uefi");
  // @ts-expect-error aarch64 has no BIOS
  assert.throws(() => disk("arm2", { from, boot: "bios+uefi" }), { code: "IMG2121" });
});

test("what a distribution lacks does not compile, and is refused in plain JavaScript", () => {
  const lab: Machine = machine(plain);
  // @ts-expect-error no such release
  assert.throws(() => rootfs("x", { distro: debian, release: "bokworm", arch: "x86_64", machine: lab }), { code: "IMG2111", expected: /"bookworm"/ });
  // @ts-expect-error no such architecture
  assert.throws(() => rootfs("x", { distro: debian, release: "bookworm", arch: "riscv64", machine: lab }), { code: "IMG2111", message: /riscv64/ });
  // @ts-expect-error a release of this name is inherited by every object, and is none
  assert.throws(() => rootfs("x", { distro: debian, release: "constructor", arch: "x86_64", machine: lab }), { code: "IMG2111" });
  const from = rootfs("x", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });
  // @ts-expect-error neither a size
  assert.throws(() => disk("x", { from, size: "10" }), { code: "IMG2120" });
  // @ts-expect-error nor a root file system
  assert.throws(() => disk("x", { from: keypair("x") }), { code: "IMG2040", message: /"from"/ });
});

test("another distribution is only data", () => {
  const other = defineDistro<AptDistro<"other", "one", "x86_64">>({ ...debian, name: "other", releases: { one: debian.releases.bookworm }, architectures: { x86_64: "amd64" }, bootPackages: () => ["kernel"], installer: () => { throw new Error("none"); } });
  const from = rootfs("other", { distro: other, release: "one", arch: "x86_64", machine: machine({ hostname: "a" }) });
  assert.equal(from.distro, "other");
  assert.deepEqual((declared("rootfs:other").params as { packages: string[] }).packages, ["kernel"]);
});
