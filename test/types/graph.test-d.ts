/**
 * What the type checker must accept and refuse. Checked by `npm run types`: every `@ts-expect-error` line must be
 * an error, every other line none.
 * @module
 */
import {
  ansible, type Artifact, convert, customize, directory, dirs, disk, download, iso, keypair, machine, minisign, output, publish, resize, rootfs, secret, seed, source, sysprep, target, test, verify,
} from "../../plugins/mod.ts";
import { centosStream } from "../../distros/centos-stream.ts";
import { debian } from "../../distros/debian.ts";
import { fedora } from "../../distros/fedora.ts";
import { kali } from "../../distros/kali.ts";
import { rhel } from "../../distros/rhel.ts";
import { ubuntu } from "../../distros/ubuntu.ts";

type Equal<X, Y> = (<T>() => T extends X ? 1 : 2) extends <T>() => T extends Y ? 1 : 2 ? true : false;
type Expect<T extends true> = T;

const lab = machine({ hostname: "lab", packages: ["openssh-server"] });
const media = download("d", debian.installer({ release: "bookworm", arch: "x86_64" }));
const trusted = verify("d", { media, trust: debian.keys });
const tree = customize("d", { media: trusted, machine: lab });
const image = iso("d", { from: tree });
const root = rootfs("d", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });
const vm = disk("d", { from: root, format: "qcow2", size: "80G", boot: "bios+uefi" });

export type Names = Expect<Equal<typeof vm.name, "disk:d">>;
export type Out = Expect<Equal<typeof image.outputs.out, Artifact<"iso">>>;

// @ts-expect-error unverified media into customize
customize("bad", { media, machine: lab });
// @ts-expect-error verified media twice
verify("bad", { media: trusted, trust: debian.keys });
// @ts-expect-error an ISO is no root file system
disk("bad", { from: image });
// @ts-expect-error a root file system is no installer tree
iso("bad", { from: root });
// @ts-expect-error a disk where a root file system is asked
disk("bad", { from: vm });
// A playbook's root file system is one, and keeps the architecture.
const played = ansible("d", { from: root, playbook: source("site.yml"), variables: { port: 1, list: ["a", { b: null }] } });
export type Played = Expect<Equal<typeof played.arch, "x86_64">>;
disk("played", { from: ansible("d2", { from: played, playbook: source("more.yml"), roles: source("roles") }) });
// @ts-expect-error a disk is no root file system to play on
ansible("bad", { from: vm, playbook: source("site.yml") });
// @ts-expect-error an ISO neither
ansible("bad", { from: image, playbook: source("site.yml") });
// @ts-expect-error a playbook is a file of the graph or of the project, never a path
ansible("bad", { from: root, playbook: "site.yml" });
// @ts-expect-error no playbook
ansible("bad", { from: root });
// @ts-expect-error a root file system is no playbook
ansible("bad", { from: root, playbook: root.outputs.out });
// @ts-expect-error a variable is data
ansible("bad", { from: root, playbook: source("site.yml"), variables: { now: () => 1 } });
// @ts-expect-error a secret is a handle, never a value
ansible("bad", { from: root, playbook: source("site.yml"), secrets: { token: "hunter2" } });
// @ts-expect-error unknown release
rootfs("bad", { distro: debian, release: "sarge", arch: "x86_64", machine: lab });
// @ts-expect-error unsupported architecture
rootfs("bad", { distro: debian, release: "bookworm", arch: "riscv64", machine: lab });
// @ts-expect-error unknown release of media
debian.installer({ release: "sarge", arch: "x86_64" });
// @ts-expect-error unsupported architecture of media
debian.installer({ release: "bookworm", arch: "riscv64" });
// @ts-expect-error unsupported edition of media
kali.installer({ release: "rolling", arch: "x86_64", edition: "live" });
// @ts-expect-error an edition of another distribution
ubuntu.installer({ release: "24.04", arch: "x86_64", edition: "netinst" });
// @ts-expect-error a release that is no LTS release
ubuntu.installer({ release: "24.10", arch: "x86_64" });
// @ts-expect-error an architecture that the distribution has, and imgtask has not
ubuntu.installer({ release: "24.04", arch: "riscv64" });
// @ts-expect-error RHEL without credentials
rhel.installer({ release: "9", arch: "x86_64", sha256: "" });
// @ts-expect-error RHEL without a digest
rhel.installer({ release: "9", arch: "x86_64", from: { file: "rhel.iso" } });
// @ts-expect-error a token is a handle to a secret, never its value
rhel.installer({ release: "9", arch: "x86_64", sha256: "", from: { token: "eyJhbGci" } });
rhel.installer({ release: "9", arch: "x86_64", sha256: "", from: { token: secret.env("RHSM_OFFLINE_TOKEN") } });
// @ts-expect-error CentOS Stream signs no list: a digest is needed
centosStream.installer({ release: "9", arch: "x86_64" });
// @ts-expect-error a point release of media out of the archive's package
debian.installer({ release: "bookworm", arch: "x86_64", version: "12.12.0" });
// @ts-expect-error no root file system can be built of it
rootfs("bad", { distro: fedora, release: "44", arch: "x86_64", machine: lab });
const netinst = download("n", debian.installer({ release: "trixie", arch: "x86_64", edition: "netinst" }));
// @ts-expect-error an unverified image into customize
customize("bad", { media: netinst, machine: lab });
export type Kind = Expect<Equal<typeof netinst.media.kind, "iso">>;
export type Verified = Expect<Equal<ReturnType<typeof verify<"n", typeof netinst.media>>["media"]["kind"], "iso">>;
// @ts-expect-error a size without unit
disk("bad", { from: root, size: "80" });
// @ts-expect-error unknown format
disk("bad", { from: root, format: "vhd" });
// @ts-expect-error unknown option
disk("bad", { from: root, sise: "80G" });
// @ts-expect-error an ISO has no login
test("bad", { image, login: { user: "root", identity: "k" }, expect: {} });
// @ts-expect-error services of an installer cannot be asked
test("bad", { image, expect: { services: ["ssh"] } });
// @ts-expect-error a root file system cannot be booted
test("bad", { image: root, expect: {} });
// @ts-expect-error only SSH public keys and host files are keys
machine({ hostname: "x", users: [{ name: "a", sshKeys: [image] }] });
// @ts-expect-error a machine needs a host name
machine({ packages: [] });

const arm = rootfs("arm", { distro: debian, release: "bookworm", arch: "aarch64", machine: lab });
disk("arm", { from: arm, boot: "uefi" });
// @ts-expect-error no BIOS on aarch64
disk("bad", { from: arm, boot: "bios" });

machine({ hostname: "x", users: [{ name: "a", sshKeys: [keypair("k"), source("a.pub"), "ssh-ed25519 AAAA"] }] });
dirs("d", { directories: dirs.list(source("list"), { under: "/srv" }) });
// Images are published with tests that boot them, or with the reason why not.
const vmTest = test("d", { image: vm, expect: {} }), imageTest = test("i", { image, expect: {} });
export type Boots = Expect<Equal<typeof vmTest.boots, "disk:d">>;
const to = directory("out");
publish("p", { artifacts: [image, vm, vm.outputs.out, root.outputs.packages], to, tests: [vmTest, imageTest] });
publish("p", { artifacts: [image, vm], to, tests: [vmTest], untested: "the installer is tried by hand" });
publish("p", { artifacts: [root.outputs.packages], to });
publish("p", { artifacts: [vm], to, tests: [vmTest], sign: minisign({ key: secret.file("release.key"), password: secret.env("PASSWORD") }) });
// @ts-expect-error no test at all
publish("bad", { artifacts: [image], to });
// What is made of a disk keeps its architecture, can be booted, and is published as other images are.
const stream = convert("s", { from: vm, format: "vmdk" }), esxi = convert("e", { from: vm, format: "vmdk", subformat: "monolithicFlat" });
const hyperv = convert("h", { from: vm, format: "vhdx" }), azure = convert("a", { from: vm, format: "vhd" }), ova = convert("o", { from: vm, format: "ova" });
const large = resize("l", { from: convert("q", { from: vm, format: "qcow2", compress: true }), size: "90G" }), template = sysprep("t", { from: large });
export type Kept = Expect<Equal<[typeof stream.arch, typeof large.arch, typeof template.arch], ["x86_64", "x86_64", "x86_64"]>>;
export type Formats = Expect<Equal<[typeof stream.outputs.out.type, typeof esxi.outputs.out.type, typeof ova.outputs.out.type, typeof large.outputs.out.type], ["vmdk", "vmdk directory", "ova", "disk"]>>;
const streamTest = test("s", { image: stream, seed: seed("d", { machine: lab }), expect: {} });
for (const made of [test("e", { image: esxi, expect: {} }), test("h", { image: hyperv, expect: {} }), test("a", { image: azure, expect: {} }), test("o", { image: ova, expect: {} }), test("l", { image: large, expect: {} }), test("t", { image: template, expect: {} })]) void made;
const bought = convert("b", { from: { image: source("bought.vhdx"), format: "vhdx", arch: "aarch64" }, format: "raw" });
export type Said = Expect<Equal<typeof bought.arch, "aarch64">>;
test("b", { image: bought, expect: {} });
publish("p", { artifacts: [stream, large], to, tests: [streamTest, test("l", { image: large, expect: {} })] });
// @ts-expect-error an image of which nobody said the architecture
test("bad", { image: convert("n", { from: { image: source("bought.vhdx"), format: "vhdx" }, format: "raw" }), expect: {} });
// @ts-expect-error a seed is no disk
test("bad", { image: seed("d", { machine: lab }), expect: {} });
// @ts-expect-error a disk is no seed
test("bad", { image: vm, seed: vm, expect: {} });
// @ts-expect-error an installer has no cloud-init
test("bad", { image, seed: seed("d", { machine: lab }), expect: {} });
// @ts-expect-error a VMDK without a test, though the disk that it is made of has one
publish("bad", { artifacts: [stream], to, tests: [vmTest] });
// @ts-expect-error an OVA without a test
publish("bad", { artifacts: [ova], to });
// @ts-expect-error a VHDX without a test
publish("bad", { artifacts: [hyperv], to });
// @ts-expect-error a VHD without a test
publish("bad", { artifacts: [azure], to });
publish("p", { artifacts: [ova], to, untested: "it is tried on the hypervisor" });
// @ts-expect-error no tests in the list
publish("bad", { artifacts: [image], to, tests: [] });
// @ts-expect-error the test boots another image
publish("bad", { artifacts: [image], to, tests: [vmTest] });
// @ts-expect-error one of two images is not tested
publish("bad", { artifacts: [image, vm], to, tests: [imageTest] });
// @ts-expect-error a bare output of an image needs a test as well
publish("bad", { artifacts: [vm.outputs.out], to });
// @ts-expect-error a report is no test
publish("bad", { artifacts: [vm], to, tests: [root.outputs.packages] });
// @ts-expect-error a key to sign with is a handle, never the key
publish("bad", { artifacts: [vm], to, tests: [vmTest], sign: minisign({ key: "RWQ" }) });

// A target of the user's own: names and paths are inferred.
const own = target("report:sizes", {
  inputs: { vm, all: source.glob("overlay/**"), many: [image, vm] },
  params: { unit: "MiB", deep: { file: source("x"), list: [1, 2] } },
  env: ["REPORT"],
  outputs: { out: "file", tree: output("tree", "report tree", { path: "artifacts/report" }) },
  async run({ inputs, params, outputs, env, exec, $ }) {
    type In = Expect<Equal<keyof typeof inputs, "vm" | "all" | "many">>;
    type Path = Expect<Equal<typeof inputs.vm, string>>;
    type Glob = Expect<Equal<typeof inputs.all, readonly string[]>>;
    type Deep = Expect<Equal<typeof params.deep.file, string>>;
    type Outs = Expect<Equal<keyof typeof outputs, "out" | "tree">>;
    await exec(["du", "-h", inputs.vm, ...inputs.all], { stdout: { file: outputs.out } });
    await $`echo ${env["REPORT"]} ${params.unit}`;
    // @ts-expect-error no such input
    void inputs.wm;
    // @ts-expect-error argv is a list, never a shell string
    await exec("du -h");
    return undefined as unknown as In & Path & Glob & Deep & Outs & void;
  },
});
export type OwnTree = Expect<Equal<typeof own.outputs.tree, Artifact<"report tree">>>;
// @ts-expect-error unknown output of an upstream target
target("bad", { inputs: { a: own.outputs.imgae }, outputs: { out: "file" }, run() {} });
// @ts-expect-error a function is no parameter
target("bad2", { params: { f: () => 1 }, outputs: { out: "file" }, run() {} });
// Secrets: their names are known, their values are strings.
target("secretive", {
  secrets: { token: secret.env("TOKEN", { version: "2" }), key: secret.file("key.pem") },
  outputs: { out: "file" },
  run({ secrets, env }) {
    type Names = Expect<Equal<keyof typeof secrets, "token" | "key">>;
    type Value = Expect<Equal<typeof secrets.token, string>>;
    // @ts-expect-error no such secret
    void secrets.tokn;
    return undefined as unknown as Names & Value & typeof env & void;
  },
});
// @ts-expect-error a secret is a handle, never a value
target("bad7", { secrets: { token: "hunter2" }, outputs: { out: "file" }, run() {} });
// What it takes, and how long it may take.
target("takes", {
  outputs: { out: "file" },
  resources: { cpu: 2, memory: "1.5G", disk: 1024, network: true, kvm: true, locks: ["usb"] },
  timeout: 60_000,
  retries: { times: 2, delay: 500, limit: 5000 },
  run() {},
});
// @ts-expect-error a size has a letter that is known
target("bad3", { outputs: { out: "file" }, resources: { memory: "2GB" }, run() {} });
// @ts-expect-error pools are no resource
target("bad4", { outputs: { out: "file" }, resources: { pools: ["network"] }, run() {} });
// @ts-expect-error milliseconds
target("bad5", { outputs: { out: "file" }, timeout: "10 min", run() {} });
// @ts-expect-error retries without a number
target("bad6", { outputs: { out: "file" }, retries: {}, run() {} });
// No inputs at all.
target("none", {
  outputs: { out: "file" },
  run({ inputs }) {
    type None = Expect<Equal<keyof typeof inputs, never>>;
    return undefined as unknown as None & void;
  },
});
