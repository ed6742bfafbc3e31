/**
 * `imgtask outdated` shows the security notices that concern what is pinned, by the real command line and servers with the
 * vendors' own forms; what nobody can say is said.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import type { NoticeAnswer, NoticeReport } from "../../lib/mod.ts";
import { imageWith, repodata, rpmRepository, securityArchive, updateinfo } from "../rig/notices.ts";
import { type Finished, TestProject } from "../rig/project.ts";
import { type VendorServer, vendorServer } from "../rig/vendor-server.ts";

const places = new TestProject();
const file = (name: string): string => join(places.directory, name);
let server: VendorServer;
let project: TestProject;

/** Puts files of a repository on the server. */
function repository(path: string, files: ReadonlyMap<string, Buffer>, sign = true): void {
  for (const name of [...server.files.keys()]) if (name.startsWith(`${path}/repodata/`)) server.files.delete(name);
  for (const [name, bytes] of files) server.files.set(`${path}/repodata/${name}`, bytes);
  if (sign) server.files.set(`${path}/repodata/repomd.xml.asc`, server.sign(files.get("repomd.xml")!.toString(), "detached", ["--armor"]));
}

const baseos = "alma/9/BaseOS/x86_64/os", appstream = "alma/9/AppStream/x86_64/os";
const openssl = { id: "ALSA-2026:1111", severity: "Important", title: "Important: openssl <security> update", cves: ["CVE-2026-1001", "CVE-2025-9999"], packages: ["openssl 3.0.9 1.el9_6 x86_64", "openssl-libs 3.0.9 1.el9_6 x86_64", "openssl-devel 3.0.9 1.el9_6 x86_64", "openssl 3.0.9 1.el9_6 src"] };
const nginx = { id: "ALSA-2026:2222", severity: "Critical", issued: "2026-11-02 00:00:00", packages: ["nginx 1.26.3 2.el9 x86_64"] };
const updates = [
  openssl,
  { id: "ALSA-2026:1000", severity: "Low", packages: ["bash 5.1.8 9.el9 x86_64"] },
  { id: "ALBA-2026:1112", type: "bugfix", packages: ["bash 5.1.9 1.el9 x86_64"] },
  { id: "ALSA-2026:1113", severity: "Moderate", packages: ["not-there 2 1.el9 noarch"] },
];

before(async () => {
  imageWith(file("alma.iso"), { ".treeinfo": "", "BaseOS/Packages/openssl-3.0.7-24.el9.x86_64.rpm": "", "BaseOS/Packages/openssl-libs-3.0.7-24.el9.x86_64.rpm": "", "BaseOS/Packages/bash-5.1.8-9.el9.x86_64.rpm": "", "AppStream/Packages/n/nginx-1.20.1-14.el9.x86_64.rpm": "" });
  imageWith(file("debian.iso"), { "pool/main/o/openssl/libssl3_3.0.16-1~deb12u1_amd64.deb": "", "pool/main/l/linux-signed-amd64/linux-image-amd64_6.1.140-1_amd64.deb": "", "pool/main/b/bash/bash_5.2.15-2+b8_amd64.deb": "" });
  imageWith(file("kali.iso"), { "pool/main/b/bash/bash_5.2_amd64.deb": "" });
  server = await vendorServer([{ vendor: "alma", iso: file("alma.iso"), edition: "minimal" }, { vendor: "debian", iso: file("debian.iso"), release: "bookworm" }, { vendor: "kali", iso: file("kali.iso") }]);
  const { release, index } = securityArchive("bookworm-security", [
    { name: "libssl3", source: "openssl", version: "3.0.17-1~deb12u3" }, { name: "linux-image-amd64", source: "linux-signed-amd64 (6.1.147+1)", version: "6.1.147-1" }, { name: "unrelated", version: "9" },
  ]);
  server.files.set("debian-security/dists/bookworm-security/InRelease", server.sign(release, "clearsigned"));
  server.files.set("debian-security/dists/bookworm-security/main/binary-amd64/Packages.xz", index);
  server.files.set("notices/debian/DSA/list", Buffer.from(`[30 Sep 2026] DSA-6500-1 openssl - security update
	{CVE-2026-2001 CVE-2026-2002}
	[bookworm] - openssl 3.0.17-1~deb12u3
	[trixie] - openssl 3.5.1-1+deb13u1
[12 Aug 2026] DSA-6450-1 linux - security update
	{CVE-2026-1500}
	[bookworm] - linux 6.1.147-1
	NOTE: whatever
[01 Jan 2025] DSA-5800-1 openssl - security update
	{CVE-2025-1}
	[bookworm] - openssl 3.0.15-1~deb12u1
`));
  server.files.set("notices/debian/DLA/list", Buffer.from("[02 Oct 2026] DLA-4400-1 bash - security update\n\t[bookworm] - bash <end-of-life>\n\t[bullseye] - bash 5.1-2+deb11u2\n"));
});
after(async () => {
  places.eject();
  await server.close();
});

beforeEach(() => {
  project?.eject();
  project = new TestProject();
  repository(baseos, repodata(updateinfo(updates)));
  repository(appstream, repodata(updateinfo([openssl, nginx]), "xz"));
  project.write("imagefile.ts", `import { download, group, verify } from "imgtask";
import { alma } from "imgtask/distros/alma";
import { debian } from "imgtask/distros/debian";
import { kali } from "imgtask/distros/kali";
const trust = ${JSON.stringify({ keys: server.trust.keys, files: server.trust.files })};
export const a = verify("alma", { media: download("alma", alma.installer({ release: "9", arch: "x86_64", edition: "minimal" })), trust });
export const d = verify("debian", { media: download("debian", debian.installer({ release: "bookworm", arch: "x86_64", edition: "netinst" })), trust });
export const k = verify("kali", { media: download("kali", kali.installer({ release: "rolling", arch: "x86_64", edition: "netinst" })), trust });
export default group("all", [a, d, k]);
`);
});
after(() => project.eject());

/** The security archive as well; other tests that use the server take the host's. */
const environment = (): Readonly<Record<string, string>> => ({ ...server.env, IMGTASK_DEBIAN_SECURITY_MIRROR: `${server.url}/debian-security` });
const imgtask = (...argv: readonly string[]): Promise<Finished> => project.start(argv, { env: environment() }).finished;

async function good(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await imgtask(...argv);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

async function notesOf(...argv: readonly string[]): Promise<{ readonly code: number | null; readonly answers: readonly NoticeAnswer[] }> {
  const { code, stdout, stderr } = await imgtask("outdated", "--json", ...argv);
  const { notices } = JSON.parse(stdout || stderr) as { readonly notices: readonly { readonly answers: readonly NoticeAnswer[] }[] };
  return { code, answers: notices.flatMap(({ answers }) => answers) };
}
const brief = (answer: NoticeAnswer | undefined): readonly string[] => (answer as NoticeReport).notices.map(({ id, packages }) => `${id}: ${packages.map(({ name, found, fixed }) => `${name} ${found ?? "?"} → ${fixed ?? "?"}`).join(", ")}`);

test("notices of AlmaLinux are those of packages on the medium, signed, the gravest first", async () => {
  await good("run", "verify:alma");
  const text = await good("outdated", "verify:alma");
  assert.match(text, /Security notices for verify:alma\n {2}2 of 4 packages: 1 critical, 1 important\n.*signed by Vendor/);
  assert.match(text, /ALSA-2026:2222 {2}critical {2}2026-11-02 {2}nginx 1\.20\.1-14\.el9 → 1\.26\.3-2\.el9\n {6}https:\/\/errata\.almalinux\.org\/9\/ALSA-2026-2222\.html/);
  const { code, answers } = await notesOf("verify:alma");
  assert.equal(code, 0);
  assert.deepEqual(answers.map((one) => "trust" in one && [one.trust, one.basis, one.signer]), [["signed", "packages", "Vendor <vendor@example.org>"]]);
  assert.deepEqual(brief(answers[0]), ["ALSA-2026:2222: nginx 1.20.1-14.el9 → 1.26.3-2.el9", "ALSA-2026:1111: openssl 3.0.7-24.el9 → 3.0.9-1.el9_6, openssl-libs 3.0.7-24.el9 → 3.0.9-1.el9_6"]);
  assert.deepEqual((answers[0] as NoticeReport).notices[1], {
    id: "ALSA-2026:1111", severity: "important", title: "Important: openssl <security> update", date: "2026-10-20", cves: ["CVE-2025-9999", "CVE-2026-1001"],
    packages: ["openssl", "openssl-libs"].map((name) => ({ name, fixed: "3.0.9-1.el9_6", found: "3.0.7-24.el9" })), link: "https://errata.almalinux.org/9/ALSA-2026-1111.html",
  });
});

test("what is not built yet is judged by the day, and what can't be judged is said", async () => {
  const first = await notesOf("verify:alma");
  assert.deepEqual([first.code, first.answers.map((one) => "state" in one && one.state)], [0, ["unavailable"]]);
  await good("update", "verify:alma");
  const { answers } = await notesOf("verify:alma");
  assert.equal((answers[0] as NoticeReport).basis, "date");
  assert.match(await good("outdated", "verify:alma"), /none since \d{4}-\d\d-\d\d, by date alone/);
});

test("metadata that is not signed is shown as that; with a bad signature, or other bytes, it is refused", async () => {
  await good("run", "verify:alma");
  server.files.delete(`${appstream}/repodata/repomd.xml.asc`);
  assert.match(await good("outdated", "verify:alma"), /nothing vouches for it: neither signed nor by TLS/);
  repository(appstream, repodata(updateinfo([nginx])));
  server.files.set(`${appstream}/repodata/repomd.xml.asc`, server.sign("another text", "detached", ["--armor"]));
  const bad = await imgtask("outdated", "verify:alma");
  assert.equal(bad.code, 3, bad.stdout);
  assert.match(bad.stdout, /not known: IMG4005/);
  assert.match(bad.stdout, /AlmaLinux-9\.6-x86_64-minimal\.iso {2}newest/, "what is known of media is shown all the same");
  repository(appstream, repodata(updateinfo([nginx])));
  const name = [...server.files.keys()].find((path) => path.startsWith(`${appstream}/repodata/`) && path.includes("updateinfo"))!;
  server.files.set(name, Buffer.from(server.files.get(name)!.map((byte, index) => (index === 30 ? byte ^ 1 : byte))));
  const { code, answers } = await notesOf("verify:alma");
  assert.deepEqual([code, answers.map((one) => "state" in one && one.code)], [3, ["IMG4020"]]);
});

test("Debian: what the signed archive has newer, and the advisories, of which nothing but the connection vouches", async () => {
  await good("run", "verify:debian");
  const { code, answers } = await notesOf("verify:debian");
  assert.equal(code, 0);
  assert.deepEqual(answers.map((one) => "trust" in one && [one.trust, one.packages]), [["signed", 3], ["none", 3]]);
  assert.deepEqual(brief(answers[0]), ["linux-update: linux-image-amd64 6.1.140-1 → 6.1.147-1", "openssl-update: libssl3 3.0.16-1~deb12u1 → 3.0.17-1~deb12u3"]);
  assert.deepEqual(brief(answers[1]), ["DSA-6500-1: openssl 3.0.16-1~deb12u1 → 3.0.17-1~deb12u3", "DSA-6450-1: linux 6.1.140-1 → 6.1.147-1"]);
  const dsa = server.files.get("notices/debian/DSA/list")!;
  server.files.delete("notices/debian/DSA/list");
  const text = await good("outdated", "verify:debian");
  server.files.set("notices/debian/DSA/list", dsa);
  assert.match(text, /2 of 3 packages: 2 not rated\n.*signed by Vendor/, "the archive is asked all the same");
  assert.match(text, /not known: IMG5004: .*DSA\/list is not there/);
});

test("Kali publishes none, which is said; and a mirror that is gone hides nothing of others", async () => {
  await good("run", "verify:kali", "verify:alma");
  assert.match(await good("outdated", "verify:kali"), /Kali publishes no security notices of its own/);
  const { code, stdout } = await project.start(["outdated", "verify:kali", "verify:alma"], { env: { ...environment(), IMGTASK_ALMA_IMAGE_MIRROR: "http://127.0.0.1:9/alma" } }).finished;
  assert.equal(code, 75, stdout);
  assert.match(stdout, /kali-rolling-netinst-amd64 .* newest/);
  assert.match(stdout, /alma-9-minimal-x86_64 .*IMG5001: The mirror cannot be reached/);
  assert.match(stdout, /not known: IMG5001/);
  assert.match(stdout, /Kali publishes no/);
});

test("who is asked for newer media and notices gets what the download would send, within its limits, and the secret stays nowhere", async () => {
  const canary = "hunter2-Canary-17", authorization = `Basic ${Buffer.from(`me:${canary}`).toString("base64")}`;
  const options = (limits: string): string => `{ credentials: { origin: ${JSON.stringify(server.url)}, type: "basic", user: "me", password: secret.env("MIRROR_PASSWORD") }, limits: ${limits} }`;
  const write = (limits: string): void => project.write("imagefile.ts", `import { download, secret, verify } from "imgtask";
import { alma } from "imgtask/distros/alma";
const trust = ${JSON.stringify({ keys: server.trust.keys, files: server.trust.files })};
export default verify("alma", { media: download("alma", alma.installer({ release: "9", arch: "x86_64", edition: "minimal" }), ${options(limits)}), trust });
`);
  write("{}");
  const said: string[] = [];
  const say = async (argv: readonly string[], env: Readonly<Record<string, string>> = { MIRROR_PASSWORD: canary }): Promise<Finished> => {
    const finished = await project.start(argv, { env: { ...environment(), ...env } }).finished;
    said.push(finished.stdout, finished.stderr);
    return finished;
  };
  const from = server.seen.length;
  let refused = 0;
  server.lets = ({ headers }, path) => {
    const good = !path.startsWith("alma/") || headers.authorization === authorization;
    if (!good) refused++;
    return good;
  };
  try {
    const update = await say(["update"]);
    assert.equal(update.code, 0, update.stdout + update.stderr);
    assert.match(update.stdout, /AlmaLinux-9\.6-x86_64-minimal\.iso/);
    const outdated = await say(["outdated"]);
    assert.equal(outdated.code, 0, outdated.stdout);
    assert.match(outdated.stdout, /by date alone/);
    assert.ok(server.seen.slice(from).some((path) => path.endsWith("repomd.xml")));
    assert.equal(refused, 0, "nobody was asked without the login");

    const missing = await say(["outdated"], {});
    assert.equal(missing.code, 4, missing.stdout);
    assert.match(missing.stdout, /alma-9-minimal-x86_64 .*IMG1007/);
    assert.match(missing.stdout, /not known: IMG1007/);
    const wrong = await say(["outdated"], { MIRROR_PASSWORD: "wr0ng-Canary-17" });
    assert.match(wrong.stdout, /IMG5014/);
    assert.ok(refused > 0);
    const proxied = await say(["outdated"], { MIRROR_PASSWORD: canary, http_proxy: "http://127.0.0.1:9", no_proxy: "" });
    assert.match(proxied.stdout, /IMG5012/);

    write("{ time: 400 }");
    // The head comes, and then nothing.
    server.answers.set("alma/9/isos/x86_64/CHECKSUM", (_, response) => void response.writeHead(200, { "content-length": 1000 }).flushHeaders());
    const slow = await say(["outdated"]);
    assert.match(slow.stdout, /IMG5010/);
  } finally {
    server.lets = undefined;
    server.answers.clear();
  }
  for (const form of [canary, "wr0ng-Canary-17", authorization.slice(6)]) {
    assert.ok(said.every((text) => !text.includes(form)));
    assert.equal(spawnSync("grep", ["-rlaF", "--exclude-dir=node_modules", "-e", form, "--", project.directory], { encoding: "utf8" }).stdout, "");
  }
});

test("epochs and module streams of a medium are those of its repositories", async (t) => {
  const module = (stream: string, rpm: string): string => `---\ndocument: modulemd\nversion: 2\ndata:\n  name: nodejs\n  stream: "${stream}"\n  version: 9010020221009220316\n  context: rhel9\n  arch: noarch\n  summary: JavaScript\n  description: JavaScript\n  license:\n    module: [MIT]\n  artifacts:\n    rpms:\n    - ${rpm}\n...\n`;
  const of = rpmRepository(["nodejs 1:18.12.1 1.module+el9.1.0+1", "vim-common 2:8.2 1.el9", "php 8.1.0 1.module+el9.1.0+2"], module("18", "nodejs-1:18.12.1-1.module+el9.1.0+1.noarch"));
  // What is in no list is known by its name alone.
  imageWith(file("dvd.iso"), { ".treeinfo": "", "BaseOS/Packages/dbus-1.12.20-1.el9.x86_64.rpm": "", ...Object.fromEntries(Object.entries(of).map(([name, bytes]) => [`AppStream/${name}`, bytes])) });
  const dvd = await vendorServer([{ vendor: "alma", iso: file("dvd.iso"), edition: "minimal" }]);
  t.after(() => dvd.close());
  const put = (path: string, files: ReadonlyMap<string, Buffer>): void => files.forEach((bytes, name) => dvd.files.set(`${path}/repodata/${name}`, bytes));
  put(baseos, repodata(updateinfo([{ id: "ALSA-2026:1", packages: ["dbus 1:1.12.20 2.el9 x86_64"] }])));
  put(appstream, repodata(updateinfo([
    { id: "ALSA-2026:18", module: "nodejs:18", packages: ["nodejs 1:18.20.2 1.module+el9 noarch"] },
    { id: "ALSA-2026:20", module: "nodejs:20", packages: ["nodejs 1:20.12.2 1.module+el9 noarch"] },
    { id: "ALSA-2026:16", packages: ["nodejs 1:99 1.el9 noarch"] },
    { id: "ALSA-2026:81", module: "php:8.2", packages: ["php 8.2.1 1.module+el9 noarch"] },
    { id: "ALSA-2026:91", packages: ["vim-common 1:99 1.el9 noarch"] },
    { id: "ALSA-2026:92", packages: ["vim-common 2:8.2 2.el9 noarch"] },
  ])));
  project.write("imagefile.ts", `import { download, verify } from "imgtask";
import { alma } from "imgtask/distros/alma";
export default verify("alma", { media: download("alma", alma.installer({ release: "9", arch: "x86_64", edition: "minimal" })), trust: ${JSON.stringify({ keys: dvd.trust.keys, files: dvd.trust.files })} });
`);
  const go = async (...argv: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await project.start(argv, { env: dvd.env }).finished;
    assert.equal(code, 0, stdout + stderr);
    return stdout;
  };
  await go("run");
  const { notices: [one] } = JSON.parse(await go("outdated", "--json")) as { readonly notices: readonly { readonly answers: readonly NoticeAnswer[] }[] };
  assert.deepEqual(brief(one!.answers[0]).toSorted(), [
    "ALSA-2026:18: nodejs 1:18.12.1-1.module+el9.1.0+1 → 1:18.20.2-1.module+el9",
    "ALSA-2026:1: dbus 1.12.20-1.el9 → 1:1.12.20-2.el9",
    "ALSA-2026:81: php 8.1.0-1.module+el9.1.0+2 → 8.2.1-1.module+el9",
    "ALSA-2026:92: vim-common 2:8.2-1.el9 → 2:8.2-2.el9",
  ]);
  const text = await go("outdated");
  assert.match(text, /18\.20\.2-1\.module\+el9 \(nodejs:18\)/);
  assert.match(text, /8\.2\.1-1\.module\+el9 \(if it is of php:8\.2, which is not known\)/);
});

test("RHEL: Red Hat's index of advisories, page by page, since the medium was made", async () => {
  imageWith(file("rhel.iso"), { ".treeinfo": "", "BaseOS/Packages/openssl-3.5.1-3.el9.x86_64.rpm": "", "BaseOS/Packages/bash-5.1.8-9.el9.x86_64.rpm": "" });
  const advisory = (id: string, ...packages: readonly string[]): object => ({ RHSA: id, severity: "important", released_on: "2026-10-28T10:08:56Z", CVEs: ["CVE-2026-66199"], bugzillas: ["1"], released_packages: packages, resource_url: "https://example.org" });
  const all = [
    ...Array.from({ length: 1000 }, (_, index) => advisory(`RHSA-2026:${index + 10_000}`, "other-0:1-1.el9.x86_64")),
    advisory("RHSA-2026:1473", "openssl-1:3.5.1-7.el9_7.x86_64", "openssl-1:3.5.1-7.el9_7.src"), advisory("RHSA-2026:2", "openssl-1:3.5.9-1.el10.x86_64"), advisory("RHSA-2026:3", "bash-0:5.1.8-9.el9.x86_64"),
  ];
  const asked: string[] = [];
  server.answers.set("notices/rhel", (request, response) => {
    const { searchParams: of } = new URL(request.url!, "http://x"), page = Number(of.get("page")), size = Number(of.get("per_page"));
    asked.push(`${of.get("after")} ${page} ${of.get("isCompressed")}`);
    const body = JSON.stringify(all.slice((page - 1) * size, page * size));
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
  });
  const sha256 = createHash("sha256").update(readFileSync(file("rhel.iso"))).digest("hex");
  project.write("imagefile.ts", `import { download, verify } from "imgtask";
import { rhel } from "imgtask/distros/rhel";
const image = rhel.installer({ release: "9", arch: "x86_64", edition: "dvd", sha256: ${JSON.stringify(sha256)}, from: { file: ${JSON.stringify(file("rhel.iso"))} } });
export default verify("rhel", { media: download("rhel", image), trust: rhel.keys });
`);
  try {
    await good("run");
    const { code, answers } = await notesOf("verify:rhel");
    assert.equal(code, 0);
    assert.deepEqual(asked, ["2026-09-01 1 false", "2026-09-01 2 false"]);
    assert.deepEqual(answers.map((one) => "trust" in one && [one.trust, one.basis]), [["none", "packages"]]);
    assert.deepEqual(brief(answers[0]), ["RHSA-2026:1473: openssl 3.5.1-3.el9 → 1:3.5.1-7.el9_7"]);
    assert.match(await good("outdated"), /https:\/\/access\.redhat\.com\/errata\/RHSA-2026:1473/);
    server.answers.set("notices/rhel", (_, response) => void response.writeHead(200).end("<!DOCTYPE html><html>Log in</html>"));
    assert.match(await good("outdated"), /not known: IMG5003/);
  } finally {
    server.answers.clear();
  }
});
