/**
 * Root file systems and disks of the families with archives in Debian's format, by the command line and real mmdebstrap.
 * Debian and Ubuntu are real, from their own archives with their own keys, and started by BIOS and UEFI. Kali's archive is
 * one of its shape on the loopback: its suite, origin, components and packages, signed by a key of the test's, with
 * Debian's packages in it.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { ubuntu } from "../../distros/ubuntu.ts";
import { aptSources } from "../rig/apt-sources.ts";
import { TestProject } from "../rig/project.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-apt-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Fetches as apt would: with its mirrors, proxies and credentials. */
function bring(url: string, file: string): boolean {
  try {
    execFileSync("/usr/lib/apt/apt-helper", ["-o", "APT::Sandbox::User=root", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1", "download-file", url, file], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The keys that Ubuntu's own package holds: bytes from anywhere, of which only those with pinned fingerprints count. */
function ubuntuKeys(): string | undefined {
  const { defaultMirror } = ubuntu.archive;
  const index = join(directory, "Packages.xz"), deb = join(directory, "keyring.deb");
  if (!bring(`${defaultMirror}/dists/noble/main/binary-amd64/Packages.xz`, index)) return undefined;
  const text = execFileSync("xz", ["-dc", index], { encoding: "utf8", maxBuffer: 1 << 28 });
  const file = /^Filename: (.*)$/m.exec(text.split("\n\n").find((one) => one.startsWith("Package: ubuntu-keyring\n"))!)![1]!;
  if (!bring(`${defaultMirror}/${file}`, deb)) return undefined;
  execFileSync("dpkg-deb", ["--extract", deb, join(directory, "keyring")]);
  return join(directory, "keyring/usr/share/keyrings/ubuntu-archive-keyring.gpg");
}

interface Family {
  readonly distro: "debian" | "ubuntu";
  readonly release: string;
  /** What the image's os-release says; for a regular expression. */
  readonly version: string;
  /** Environment that brings the keys of the archive; and one with keys that it must refuse. */
  readonly keys?: Readonly<Record<"right" | "foreign", Readonly<Record<string, string>>>>;
}

/** Builds a disk, and starts it by both kinds of firmware until somebody can log in. */
async function boots(t: TestContext, { distro, release, version, keys }: Family): Promise<void> {
  using project = new TestProject({
    "imagefile.ts": `import { disk, group, keypair, machine, rootfs, test } from "imgtask";
import { ${distro} } from "imgtask/distros/${distro}";
const key = keypair("lab");
const lab = machine({ hostname: "lab", packages: ["openssh-server", "sudo"], users: [{ name: "devops", sudo: "nopasswd", sshKeys: [key] }], services: { enable: ["ssh"] } });
const root = rootfs("${distro}", { distro: ${distro}, release: "${release}", arch: "x86_64", machine: lab });
const image = disk("${distro}", { from: root, format: "qcow2", size: "5G", boot: "bios+uefi" });
const looked = {
  image, timeout: 1500, login: { user: "devops", identity: key.identity },
  expect: {
    console: [/lab login:/], services: ["ssh"], users: [{ name: "devops" }],
    commands: [{ run: ["cat", "/etc/os-release"], stdout: /^VERSION_ID="${version}"$/m }, { run: ["sudo", "id", "-un"], stdout: /^root$/m }],
  },
};
export default group("boots", [test("bios", { ...looked, firmware: "bios" }), test("uefi", { ...looked, firmware: "uefi" })]);
`,
  });
  if (keys !== undefined) {
    const { code, stderr } = await project.start(["run", `rootfs:${distro}`], { env: keys.foreign }).finished;
    assert.equal(code, 3, stderr);
    assert.match(stderr, /IMG4040/);
  }
  const { code, stderr } = await project.start(["run", "-k", "--reporter", "plain"], { env: keys?.right ?? {}, timeout: 55 * 60_000 }).finished;
  assert.equal(code, 0, stderr.slice(-6000));
  for (const name of ["bios", "uefi"]) assert.match(project.read(`artifacts/test/${name}/junit.xml`), /failures="0"/);
  t.diagnostic([...stderr.matchAll(/^\[\S+\] done in .*$/gm)].map(([line]) => line).join("; "));
}

test("Debian 13: root file system and disk, started by BIOS and UEFI", { timeout: 60 * 60_000 }, (t) => boots(t, { distro: "debian", release: "trixie", version: "13" }));

for (const release of ["22.04", "24.04", "26.04"]) {
  test(`a real Ubuntu ${release}: root file system and disk, signed by its own key, started by BIOS and UEFI`, { timeout: 60 * 60_000 }, async (t) => {
    const keys = ubuntuKeys();
    if (keys === undefined) {
      t.skip("Ubuntu's archive cannot be reached from this machine");
      return;
    }
    const foreign = join(directory, "foreign.gpg");
    writeFileSync(foreign, readFileSync(new URL("../../vendor/debian/archive.gpg", import.meta.url)));
    await boots(t, {
      distro: "ubuntu", release, version: release.replace(".", "\\."),
      keys: { right: { IMGTASK_UBUNTU_KEYRING: keys }, foreign: { IMGTASK_UBUNTU_KEYRING: foreign } },
    });
  });
}

/** An archive of Kali's shape: everything below `dists` is made here, packages are where Debian's mirror has them. */
async function kaliArchive(): Promise<{ readonly server: Server; readonly url: string; readonly keys: string; readonly fingerprint: string }> {
  const [, mirror] = aptSources("bookworm")[0]!.split(" ");
  const packages = join(directory, "kali.xz");
  assert.ok(bring(`${mirror!.replace(/\/+$/, "")}/dists/bookworm/main/binary-amd64/Packages.xz`, packages));
  const empty = execFileSync("xz", ["-c"], { input: "" });
  const components = ["main", "contrib", "non-free", "non-free-firmware"];
  // apt passes over an index whose plain form is not in the list, too.
  const files = new Map(components.flatMap((name) => {
    const bytes = name === "main" ? readFileSync(packages) : empty, path = `${name}/binary-amd64/Packages`;
    return [[`${path}.xz`, bytes], [path, execFileSync("xz", ["-dc"], { input: bytes, maxBuffer: 1 << 28 })]] as const;
  }));
  const release = [
    "Origin: Kali", "Label: Kali", "Suite: kali-rolling", "Codename: kali-rolling", `Date: ${new Date().toUTCString()}`, "Architectures: amd64", `Components: ${components.join(" ")}`, "SHA256:",
    ...[...files].map(([name, bytes]) => ` ${createHash("sha256").update(bytes).digest("hex")} ${bytes.length} ${name}`), "",
  ].join("\n");
  const home = join(directory, "gnupg");
  mkdirSync(home, { mode: 0o700 });
  const gpg = (args: readonly string[], input?: string): Buffer => execFileSync("gpg", ["--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", ...args], { input, stdio: ["pipe", "pipe", "ignore"] });
  gpg(["--quick-generate-key", "Archive of a test", "ed25519", "sign", "never"]);
  const fingerprint = /^fpr:{9}([0-9A-F]{40}):/m.exec(gpg(["--list-keys", "--with-colons"]).toString())![1]!;
  const keys = join(directory, "kali.gpg");
  writeFileSync(keys, gpg(["--export"]));
  const signed = gpg(["--clearsign"], release);
  execFileSync("gpgconf", ["--homedir", home, "--kill", "all"], { stdio: "ignore" });
  const server = createServer((request, response) => {
    const path = decodeURI(request.url!).replace(/^\/kali\//, "");
    const name = path.replace(/^dists\/kali-rolling\//, "");
    if (name === "InRelease") response.end(signed);
    else if (path.startsWith("pool/")) response.writeHead(302, { Location: `${mirror!.replace(/\/+$/, "")}/${path}` }).end();
    else if (files.has(name)) response.end(files.get(name));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/kali`, keys, fingerprint };
}

let kali: Awaited<ReturnType<typeof kaliArchive>> | undefined;
before(async () => {
  kali = await kaliArchive();
});
after(() => kali?.server.close());

test("an archive of Kali's shape: what Kali declares gives a root file system and a disk; another key's gives none", { timeout: 40 * 60_000 }, async (t) => {
  const { url, keys, fingerprint } = kali!;
  const imagefile = (pinned: string): string => `import { disk, machine, rootfs } from "imgtask";
import { kali } from "imgtask/distros/kali";
const lab = machine({ hostname: "lab", packages: ["openssh-server", "sudo"], services: { enable: ["ssh"] } });
const root = rootfs("kali", { distro: { ...kali, keys: { ...kali.keys, keys: ${pinned} } }, release: "rolling", arch: "x86_64", machine: lab });
export default disk("kali", { from: root, format: "qcow2", size: "4G" });
`;
  using project = new TestProject({ "imagefile.ts": imagefile("kali.keys.keys") });
  const env = { IMGTASK_KALI_MIRROR: url, IMGTASK_KALI_KEYRING: keys };
  const other = await project.start(["run"], { env }).finished;
  assert.equal(other.code, 3, other.stderr);
  assert.match(other.stderr, /IMG4040/);
  project.write("imagefile.ts", imagefile(`[{ fingerprint: "${fingerprint}" }]`));
  const { code, stderr } = await project.start(["run", "--reporter", "plain"], { env, timeout: 35 * 60_000 }).finished;
  assert.equal(code, 0, stderr.slice(-6000));
  assert.ok(project.exists("artifacts/disk/kali.qcow2"));
  t.diagnostic([...stderr.matchAll(/^\[\S+\] done in .*$/gm)].map(([line]) => line).join("; "));
});
