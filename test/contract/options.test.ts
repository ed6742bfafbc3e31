/**
 * Options of public functions that no type checker has read, as in an imagefile in JavaScript, or one that nobody checks: what is
 * mistyped, missing or of the wrong type is refused by name, and what is not verified never passes for verified. A new
 * public function is found here.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { alma } from "../../distros/alma.ts";
import { centosStream } from "../../distros/centos-stream.ts";
import { debian } from "../../distros/debian.ts";
import { fedora } from "../../distros/fedora.ts";
import { kali } from "../../distros/kali.ts";
import { rhel } from "../../distros/rhel.ts";
import { rocky } from "../../distros/rocky.ts";
import { ubuntu } from "../../distros/ubuntu.ts";
import { x86_64 } from "../../plugins/arch/x86_64.ts";
import * as imgtask from "../../plugins/mod.ts";
import { github } from "../../plugins/publish/github.ts";
import { lfs } from "../../plugins/publish/lfs.ts";
import { openstack } from "../../plugins/publish/openstack.ts";
import { proxmox } from "../../plugins/publish/proxmox.ts";
import { s3 } from "../../plugins/publish/s3.ts";
import { ssh } from "../../plugins/publish/ssh.ts";
import { vsphere } from "../../plugins/publish/vsphere.ts";
import { pass } from "../../plugins/secret/pass.ts";
import { vault } from "../../plugins/secret/vault.ts";

const { packageFile } = imgtask;
type ImgtaskError = imgtask.ImgtaskError;
const distros = [alma, centosStream, debian, fedora, kali, rhel, rocky, ubuntu] as unknown as readonly imgtask.Distro[];
/** A copy without some fields. */
const own = (of: object, ...without: readonly string[]): Readonly<Record<string, unknown>> => Object.fromEntries(Object.entries(of).filter(([name]) => !without.includes(name)));

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

/** A call with options: how it is made with others, and the least that it takes. */
interface Taking {
  readonly call: (options: unknown) => unknown;
  readonly least: Readonly<Record<string, unknown>>;
  /** Of what it takes at least, what something else may stand in for. */
  readonly instead?: readonly string[];
  /** Its options cannot be left out altogether, though none of them is needed. */
  readonly bare?: false;
}

/** A kind of target: a name, then options. */
const kind = (name: string, least: Taking["least"], more: Partial<Taking> = {}): readonly [string, Taking] => [name, { call: (options) => kinds[name]!(nameOf(name), options), least, ...more }];
const handle = imgtask.secret.env("TOKEN");
const sha256 = "0".repeat(64);

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
  sbom: { from: root },
  dirs: { directories: teams },
  keypair: {},
  test: { image: disk, expect: { console: ["login:"] } },
  publish: { artifacts: [disk], tests: [proof], to: imgtask.directory("out") },
  target: { outputs: { out: "file" }, run: () => undefined },
  tool: { packages: { apt: "x" } },
};
const nameOf = (kind: string): string => (kind === "target" ? `x:${next()}` : next());

/** Every public function that takes options, by the name under which people call it. */
const takes: ReadonlyMap<string, Taking> = new Map<string, Taking>([
  ...Object.entries(good).map(([name, least]) => kind(name, least, name === "publish" ? { instead: ["tests"] } : {})),
  ["download", { call: (options) => kinds["download"]!(next(), image.media, options), least: {} }],
  ["dirs.list", { call: (options) => (imgtask.dirs.list as Call)(source, options), least: { under: "/srv" } }],
  ["group", { call: (options) => kinds["group"]!(`all-${next()}`, [root], options), least: {} }],
  ["machine", { call: (options) => kinds["machine"]!(options), least: { hostname: "lab" } }],
  ["packageSet", { call: (options) => kinds["packageSet"]!("web", options), least: {}, bare: false }],
  ["hostFile", { call: (options) => kinds["hostFile"]!(options), least: { name: "firmware", anyOf: ["/x"], packages: { apt: "x" } } }],
  ["secret.env", { call: (options) => (imgtask.secret.env as Call)("TOKEN", options), least: {} }],
  ["secret.file", { call: (options) => (imgtask.secret.file as Call)("token", options), least: {} }],
  ["secret.manager", { call: (options) => (imgtask.secret.manager as Call)("safe", "token", () => undefined, options), least: {} }],
  ["minisign", { call: (options) => kinds["minisign"]!(options), least: { key: handle } }],
  ["directory", { call: (options) => kinds["directory"]!("out", options), least: {} }],
  ["defineArch", { call: (options) => kinds["defineArch"]!(options), least: x86_64 as unknown as Taking["least"] }],
  ["defineDistro", { call: (options) => kinds["defineDistro"]!(options), least: { name: "own", title: "Own", releases: {}, architectures: {}, editions: ["netinst"], keys: debian.keys, installer: () => image.media } }],
  ["ssh", { call: (options) => (ssh as Call)(options), least: { host: "h", path: "/srv", knownHosts: source, identity: handle } }],
  ["s3", { call: (options) => (s3 as Call)(options), least: { bucket: "images" } }],
  ["github", { call: (options) => (github as Call)(options), least: { repository: "a/b", tag: "v1" } }],
  ["lfs", { call: (options) => (lfs as Call)(options), least: { repository: "https://git.example.org/a.git" } }],
  ["openstack", { call: (options) => (openstack as Call)(options), least: {} }],
  ["vsphere", { call: (options) => (vsphere as Call)(options), least: { url: "https://vc.example.org", library: "images", credentials: { user: "a@b" } } }],
  ["proxmox", { call: (options) => (proxmox as Call)(options), least: { url: "https://pve.example.org", node: "pve", storage: "local", tokenId: "a@pve!ci" } }],
  ["pass", { call: (options) => (pass as Call)("lab/s3", options), least: {} }],
  ["vault", { call: (options) => (vault as Call)("lab/s3", "key", options), least: {} }],
  ...distros.map((distro): readonly [string, Taking] => [`${distro.name}.installer`, {
    call: (options) => (distro.installer as unknown as Call)(options),
    least: {
      release: Object.keys(distro.releases)[0], arch: Object.keys(distro.architectures)[0],
      ...Object.fromEntries(Object.entries({ sha256, from: { file: "image.iso" } }).filter(([name]) => distro.installerOptions?.[name]?.needed === true)),
    },
  }]),
  // What options hold.
  ["credentials of download", { call: (options) => kinds["download"]!(next(), image.media, { credentials: options }), least: { origin: "https://mirror.example.org", type: "bearer", token: handle }, bare: false }],
  ["limits of download", { call: (options) => kinds["download"]!(next(), image.media, { limits: options }), least: {} }],
  ["media of download", { call: (options) => kinds["download"]!(next(), options), least: own(image.media, "notices"), bare: false }],
  ["media of download, a package", { call: (options) => kinds["download"]!(next(), options), least: own(package_.media, "notices"), bare: false }],
  ["media.source of download", { call: (source) => kinds["download"]!(next(), { ...image.media, source }), least: own(image.media.source) }],
  ["media.source of download, a file", { call: (source) => kinds["download"]!(next(), { ...image.media, sha256, source }), least: { kind: "file", path: "image.iso" } }],
  ["media.source.list of download", { call: (list) => kinds["download"]!(next(), { ...image.media, source: { ...image.media.source, list } }), least: { file: "SUMS", form: "gnu", algorithm: "sha256", signature: { kind: "clearsigned" } } }],
  ["trust of verify", { call: (trust) => kinds["verify"]!(next(), { media: image, trust }), least: { keys: kali.keys.keys } }],
  ["a key in trust of verify", { call: (key) => kinds["verify"]!(next(), { media: image, trust: { keys: [key] } }), least: { fingerprint: kali.keys.keys[0]!.fingerprint }, bare: false }],
  ["an output of target", { call: (out) => kinds["target"]!(nameOf("target"), { ...good["target"], outputs: { out } }), least: { form: "file", type: "x" }, bare: false }],
  ...([["untracked", {}], ["retries", { times: 1 }], ["resources", {}], ["pin", { entry: "a", fields: ["sha256"] }]] as const).map(([name, least]): readonly [string, Taking] =>
    [`${name} of target`, { call: (part) => kinds["target"]!(nameOf("target"), { ...good["target"], [name]: part }), least }]),
  ...([
    ["users", { name: "a" }], ["repositories", { type: "apt", name: "a", url: "https://a.example.org", suites: ["x"], key: source }], ["files", { path: "/a", content: "a" }],
    ["network", { name: "eth0" }], ["late", { script: source }],
  ] as const).map(([name, least]): readonly [string, Taking] => [`an entry in ${name} of machine`, { call: (part) => kinds["machine"]!({ hostname: "lab", [name]: [part] }), least, bare: false }]),
  ...([["firewall", { allow: ["ssh"] }], ["passwordPolicy", {}], ["services", {}]] as const).map(([name, least]): readonly [string, Taking] =>
    [`${name} of machine`, { call: (part) => kinds["machine"]!({ hostname: "lab", [name]: part }), least }]),
  ["directories of machine", { call: (directories) => kinds["machine"]!({ hostname: "lab", directories }), least: { list: source, under: "/srv", mode: 0o755, owner: "root", group: "root" } }],
  ["storage of machine", { call: (storage) => kinds["machine"]!({ hostname: "lab", storage: typeof storage === "object" ? { partitions: [{ mount: "/", size: "9G" }], ...storage } : storage }), least: {}, bare: false }],
  ["a partition in storage of machine", { call: (part) => kinds["machine"]!({ hostname: "lab", storage: { partitions: [part] } }), least: { mount: "/", size: "9G" } }],
  ["a volume in storage of machine", { call: (part) => kinds["machine"]!({ hostname: "lab", storage: { lvm: { volumes: [part] } } }), least: { name: "root", mount: "/", size: "9G" } }],
  ["lvm in storage of machine", { call: (lvm) => kinds["machine"]!({ hostname: "lab", storage: { lvm } }), least: { volumes: [{ name: "root", mount: "/", size: "9G" }] } }],
  ["credentials of s3", { call: (credentials) => (s3 as Call)({ bucket: "images", credentials }), least: { accessKeyId: handle, secretAccessKey: handle } }],
  ["credentials of vsphere", { call: (credentials) => (vsphere as Call)({ url: "https://vc.example.org", library: "images", credentials }), least: { user: "a@b" } }],
  ...(["password", "token", "application-credential"] as const).map((method): readonly [string, Taking] =>
    [`auth of openstack, ${method}`, { call: (auth) => (openstack as Call)({ auth }), least: { method }, bare: false }]),
  ["from of rhel.installer", { call: (from) => (rhel.installer as unknown as Call)({ release: "9", arch: "x86_64", sha256, from }), least: { token: handle } }],
]);

/** Public functions that take no options: what they are given is data, which they read themselves, or one value. */
const takesNone: ReadonlySet<string> = new Set([
  // Values.
  "source", "source.glob", "bytesOf", "compareVersions", "packageFile", "version", "isImgtaskError", "isPin", "isPublishedName", "namespaceArgv", "packagesFor", "keyringOwner", "inputsOf", "digestFile", "readLockFile",
  // Of errors and checks, which plugins make.
  "ImgtaskError", "bug", "checkCall", "checkKeyring", "checkNames", "checkOptions",
  // Formats.
  "formatChecksums", "parseChecksums", "formatManifest", "parseManifest", "parseEnvelope", "seal", "signerOf", "parsePublicKey", "parseSecretKey", "signMinisign", "verifyMinisign", "provenance",
  // Looked at by target(), see "an output of target".
  "output",
]);

/** What a mistyped imagefile would call: what the package exports, what hangs on that, and places and managers of files of their own. */
async function publicFunctions(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [name, value] of Object.entries(imgtask)) {
    if (name === "fit") continue;
    if (typeof value === "function") found.push(name);
    if (typeof value === "function" || name === "secret") found.push(...Object.entries(value).flatMap(([part, of]) => (typeof of === "function" ? [`${name}.${part}`] : [])));
  }
  for (const directory of ["publish", "secret"]) {
    for (const file of readdirSync(packageFile(`plugins/${directory}`)).filter((one) => one.endsWith(".ts"))) {
      const exported = (await import(pathToFileURL(join(packageFile(`plugins/${directory}`), file)).href)) as Readonly<Record<string, unknown>>;
      const name = file.slice(0, -3);
      if (typeof exported[name] === "function" && !(name in imgtask)) found.push(name);
    }
  }
  return [...found, ...distros.map(({ name }) => `${name}.installer`)];
}

test("every public function is here: it takes options, which are checked, or takes none", async (t) => {
  const all = await publicFunctions();
  const unknown = all.filter((name) => !takes.has(name) && !takesNone.has(name));
  assert.deepEqual(unknown, [], "checkOptions() in each of them, and a line in this file");
  assert.deepEqual(all.filter((name) => takes.has(name) && takesNone.has(name)), []);
  const gone = [...takes.keys(), ...takesNone].filter((name) => !name.includes(" ") && !all.includes(name));
  assert.deepEqual(gone, []);
  t.diagnostic(`${all.length} public functions, ${all.filter((name) => takes.has(name)).length} of them take options; ${takes.size} sets of options in all`);
});

/** What a call refuses. */
function refusal(of: Taking, options: unknown, what: string): ImgtaskError {
  try {
    of.call(options);
  } catch (error) {
    assert.ok(imgtask.isImgtaskError(error), `${what}: ${(error as Error).stack}`);
    assert.equal(error.exitCode, 2, what);
    return error;
  }
  assert.fail(`${what} was taken`);
}

test("what is good is taken", () => {
  for (const [name, { call, least }] of takes) assert.doesNotThrow(() => call(least), name);
});

test("of every public function: an option that there is not, one that is missing, and one that is something else", (t) => {
  const nothing = Symbol("no option is this");
  const seen = { mistyped: 0, missing: 0, wrong: 0 };
  for (const [name, of] of takes) {
    const { least, instead = [] } = of;
    const strange = refusal(of, { ...least, fromat: "raw" }, `${name} with "fromat"`);
    assert.equal(strange.code, "IMG2040", name);
    assert.match(strange.message, /has no option "fromat"$/);
    const known = [...strange.expected!.matchAll(/"([^"]+)"/g)].map((match) => match[1]!);
    assert.ok(Object.keys(least).every((one) => known.includes(one)), name);
    for (const option of known) {
      const mistyped = refusal(of, { ...least, [`${option}${option.at(-1)!}`]: nothing }, `${name} with a mistyped "${option}"`);
      assert.equal(mistyped.hint, `Did you mean "${option}"?`, name);
      const wrong = refusal(of, { ...least, [option]: nothing }, `${name} with a symbol as "${option}"`);
      assert.match(wrong.code, /^IMG2/);
      if (wrong.code === "IMG2040") assert.match(wrong.message, /is of the wrong type$/, `${name} ${option}`);
      seen.mistyped++;
      seen.wrong++;
    }
    for (const option of Object.keys(least).filter((one) => !instead.includes(one))) {
      const { [option]: _, ...rest } = least;
      const missing = refusal(of, rest, `${name} without "${option}"`);
      assert.ok(missing.message.includes("lacks its option") || missing.code === "IMG2002", `${name} without "${option}": ${missing.message}`);
      seen.missing++;
    }
    if (Object.keys(least).length > 0 && of.bare !== false && !name.includes(" ")) assert.match(refusal(of, undefined, `${name} without options`).message, /lacks its options$/);
    assert.equal(refusal(of, 5, `${name} with a number for its options`).exitCode, 2);
  }
  t.diagnostic(`refused: ${seen.mistyped} mistyped names, ${seen.missing} missing options, ${seen.wrong} values of another type`);
  assert.ok(seen.mistyped > 300 && seen.missing > 100);
});

test("kinds: no name", () => {
  for (const [name, options] of Object.entries(good)) {
    if (name === "target") continue;
    assert.throws(() => kinds[name]!(options, undefined), { code: "IMG2040", exitCode: 2, message: /lacks its name$/ }, name);
  }
  assert.throws(() => kinds["download"]!(image.media), { code: "IMG2040", message: /lacks its name$/ });
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
