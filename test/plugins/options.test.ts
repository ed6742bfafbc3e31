/**
 * Options of kinds that no type checker has read, as in an imagefile in JavaScript, or one that nobody checks: what is
 * mistyped, missing or of the wrong type is refused by name, and what is not verified never passes for verified.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { debian } from "../../distros/debian.ts";
import { kali } from "../../distros/kali.ts";
import { rocky } from "../../distros/rocky.ts";
import * as imgtask from "../../plugins/mod.ts";

type Call = (name: unknown, ...rest: readonly unknown[]) => unknown;
const kinds = imgtask as unknown as Readonly<Record<string, Call>>;
let count = 0;
const next = (): string => `t${count++}`;

const lab = imgtask.machine({ hostname: "lab" });
const source = imgtask.source("x");
const root = imgtask.rootfs(next(), { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });
const disk = imgtask.disk(next(), { from: root });
const package_ = imgtask.download(next(), debian.installer({ release: "bookworm", arch: "x86_64" }));
const image = imgtask.download(next(), kali.installer({ release: "rolling", arch: "x86_64" }));
const verified = imgtask.verify(next(), { media: package_, trust: debian.keys });
const installer = imgtask.customize(next(), { media: verified, machine: lab });
const iso = imgtask.iso(next(), { from: installer });
const proof = imgtask.test(next(), { image: disk, expect: { console: ["login:"] } });
const teams = imgtask.dirs.list(source, { under: "/srv" });

/** Of each kind what it takes, so that one thing at a time can be wrong. */
const good: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  rootfs: { distro: debian, release: "bookworm", arch: "x86_64", machine: lab },
  disk: { from: root },
  convert: { from: disk, format: "vhdx" },
  resize: { from: disk, size: "20G" },
  sysprep: { from: disk },
  ansible: { from: root, playbook: source },
  verify: { media: package_, trust: debian.keys },
  customize: { media: verified, machine: lab },
  iso: { from: installer },
  seed: { machine: lab },
  dirs: { directories: teams },
  keypair: {},
  test: { image: disk, expect: { console: ["login:"] } },
  publish: { artifacts: [disk], tests: [proof], to: imgtask.directory("out") },
  target: { outputs: { out: "file" }, run: () => undefined },
};
const nameOf = (kind: string): string => (kind === "target" ? `x:${next()}` : next());

test("what is good is taken", () => {
  for (const [kind, options] of Object.entries(good)) assert.doesNotThrow(() => kinds[kind]!(nameOf(kind), options), kind);
});

test("of every kind: an option that there is not, one that is missing, no options, no name", () => {
  let seen = 0;
  const refused = (kind: string, name: unknown, options: unknown, message: RegExp): void => {
    assert.throws(() => kinds[kind]!(name, options), { code: "IMG2040", exitCode: 2, message }, `${kind} ${message.source}`);
    seen++;
  };
  for (const [kind, options] of Object.entries(good)) {
    refused(kind, nameOf(kind), { ...options, fromat: "raw" }, /has no option "fromat"$/);
    if (kind !== "keypair") refused(kind, nameOf(kind), undefined, /lacks its options$/);
    if (kind !== "target") refused(kind, options, undefined, /lacks its name$/);
    const optional = kind === "publish" ? ["tests"] : [];
    for (const name of Object.keys(options).filter((one) => !optional.includes(one))) {
      const { [name]: _, ...rest } = options;
      refused(kind, nameOf(kind), rest, new RegExp(`lacks its option "${name}"$`));
      refused(kind, nameOf(kind), { ...options, [name]: 5 }, new RegExp(`Option "${name}" of .* is of the wrong type$`));
    }
  }
  assert.ok(seen > 90, String(seen));
});

test("media that nobody verified, and other things in the place of what is wanted", (t) => {
  const wrong: readonly (readonly [string, object])[] = [
    ["customize", { media: package_ }], ["customize", { media: image }], ["customize", { media: package_.outputs.out }], ["customize", { media: source }], ["customize", { media: { ...verified, outputs: package_.outputs } }],
    ["iso", { from: package_ }], ["iso", { from: image }], ["iso", { from: verified }], ["iso", { from: { ...installer, outputs: image.outputs } }],
    ["verify", { media: verified }], ["verify", { trust: "debian" }],
    ["disk", { from: iso }], ["disk", { from: root.outputs.out }], ["disk", { format: "vmdk" }],
    ["rootfs", { distro: rocky, release: "9" }], ["rootfs", { machine: { hostname: "lab" } }],
    ["convert", { from: root }], ["convert", { format: "vdi" }], ["convert", { cpus: 4 }], ["convert", { from: { image: source } }],
    ["resize", { size: 8 }], ["sysprep", { from: iso }], ["seed", { packageManager: "pacman" }],
    ["test", { image: root }], ["test", { expect: { consol: ["x"] } }], ["test", { seed: disk }], ["test", { firmware: "efi" }],
    ["publish", { artifacts: disk }], ["publish", { tests: ["test:x"] }], ["publish", { to: "/srv" }], ["publish", { sboms: [root] }], ["publish", { sign: "key" }],
    ["ansible", { playbook: "site.yml" }], ["dirs", { directories: source }],
    ["target", { inputs: { f: undefined } }], ["target", { input: {} }], ["target", { run: "true" }],
  ];
  for (const [kind, options] of wrong) {
    assert.throws(() => kinds[kind]!(nameOf(kind), { ...good[kind], ...options }), { code: "IMG2040", exitCode: 2 }, `${kind} ${Object.keys(options).join()}`);
  }
  t.diagnostic(`${wrong.length} wrong values refused`);
});

test("keys that are no whole fingerprints pin nothing", () => {
  for (const keys of [[], [{ fingerprint: "ABCD" }], [{ fingerprint: "a".repeat(40) }]]) {
    assert.throws(() => kinds["verify"]!(next(), { media: package_, trust: { keys } }), { code: "IMG2104" });
  }
});
