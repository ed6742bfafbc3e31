/**
 * Readers of notices: what vendors write is read, what nobody should write is refused with IMG4081 or leaves nothing behind.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NoticePackage } from "../../../lib/mod.ts";
import { concerning, type Published } from "../../../plugins/notices/choose.ts";
import { packageOfFile, packagesOfList, type Present } from "../../../plugins/notices/present.ts";
import { readRedhat } from "../../../plugins/notices/redhat.ts";
import { readModules } from "../../../plugins/notices/rpm-medium.ts";
import { readSecurityList } from "../../../plugins/notices/security-lists.ts";
import { readRepomd, readUpdateinfo } from "../../../plugins/notices/updateinfo.ts";
import { readUsn } from "../../../plugins/notices/usn.ts";
import { compareRpmVersions } from "../../../plugins/notices/version.ts";
import { updateinfo } from "../../rig/notices.ts";

async function* chunks(text: string, size = 7): AsyncIterable<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const read = (text: string, size?: number): ReturnType<typeof readUpdateinfo> => readUpdateinfo(chunks(text, size), "updateinfo.xml", "https://example.org/{id}");
const refused = { code: "IMG4081", exitCode: 3 };
const good = updateinfo([{ id: "RLSA-2026:1", severity: "Critical", title: "ä — <b>", cves: ["CVE-2026-1234"], packages: ["a 1 2.el9 x86_64"] }, { id: "RLBA-2026:1", type: "bugfix", packages: ["b 1 1 noarch"] }]);

test("updateinfo.xml in pieces of any size", async () => {
  for (const size of [1, 2, 3, 1000]) {
    assert.deepEqual(await read(good, size), [{ id: "RLSA-2026:1", severity: "critical", title: "ä — <b>", date: "2026-10-20", cves: ["CVE-2026-1234"], packages: [{ name: "a", fixed: "1-2.el9" }], link: "https://example.org/RLSA-2026:1" }]);
  }
  assert.equal((await read(good.replace('<issued date="2026-10-20 10:11:12"/>', "<issued>1710460800</issued>")))[0]!.date, "2024-03-15");
  assert.deepEqual(await read("<updates/>"), []);
  assert.deepEqual(await read(good.replace('status="final"', 'status="retracted"')), []);
});

test("what is no updateinfo.xml is refused", async () => {
  const bombs = `<!DOCTYPE u [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><updates>&b;</updates>`;
  const cases: Readonly<Record<string, string>> = {
    "half a file": good.slice(0, 400),
    "a document type": `<!DOCTYPE updates SYSTEM "file:///etc/passwd">${good.slice(good.indexOf("<updates>"))}`,
    "entities": bombs,
    "an unknown entity": good.replace("RLSA", "&xxe;"),
    "another document": "<html><body>Log in</body></html>",
    "nothing": "",
    "no XML": "not xml at all",
    "an id with escapes": good.replace("RLSA-2026:1<", "RLSA&#x1b;[2J<"),
    "no id": good.replace("<id>RLSA-2026:1</id>", ""),
    "an endless id": good.replace("RLSA-2026:1<", `${"A".repeat(20_000)}<`),
    "deep elements": `<updates>${"<a>".repeat(100)}${"</a>".repeat(100)}</updates>`,
    "two roots": `${good}<updates/>`,
  };
  for (const [name, text] of Object.entries(cases)) await assert.rejects(read(text), refused, name);
  await assert.rejects(readUpdateinfo((async function* () { yield Buffer.from([0x3c, 0xff, 0xfe]); })(), "x", ""), refused, "no UTF-8");
});

test("epochs and module streams", async () => {
  const text = updateinfo([{ id: "RLSA-2026:2", module: "nodejs:18", packages: ["nodejs 1:18.20.2 2.module+el9 x86_64", "nodejs-nodemon 3.0.1 1.module+el9 noarch"] }, { id: "RLSA-2026:3", packages: ["vim 2:9 1 x86_64"] }]);
  const packages = [{ name: "nodejs", fixed: "1:18.20.2-2.module+el9", stream: "nodejs:18" }, { name: "nodejs-nodemon", fixed: "3.0.1-1.module+el9", stream: "nodejs:18" }];
  assert.deepEqual((await read(text)).map((one) => one.packages), [packages, [{ name: "vim", fixed: "2:9-1" }]]);
  const hostile = text.replace('name="nodejs" stream="18"', 'name="nodejs;x" stream="18"').replace('epoch="2"', 'epoch="-2"');
  assert.deepEqual((await read(hostile)).map((one) => one.packages.map(({ fixed, stream }) => [fixed, stream])), [[["1:18.20.2-2.module+el9", "?"], ["3.0.1-1.module+el9", "?"]], [["9-1", undefined]]]);
});

test("a medium's modules, by the text of their documents", async () => {
  const one = (stream: string, rpm: string): string => `---\ndocument: modulemd\nversion: 2\ndata:\n  name: php\n  stream: ${stream}\n  artifacts:\n    rpms:\n    - ${rpm}\n...\n`;
  const text = `${one("8.10", "php-0:8.10-1.x86_64")}${one('"8.2"', "php-0:8.2-1.x86_64")}---\ndocument: modulemd-defaults\nversion: 1\ndata: { module: php, stream: "8.2" }\n...\n`;
  assert.deepEqual([...(await readModules(text))], [["php-0:8.10-1.x86_64", "php:8.10"], ["php-0:8.2-1.x86_64", "php:8.2"]], "8.10 is no number");
  for (const bad of ["", "{", "[1, 2]", one("[1]", "x"), one("../..", "x"), "document: modulemd\ndata: 5\n", "a: &a [x, x]\nb: &b [*a, *a]\n"]) assert.equal((await readModules(bad)).size, 0, bad);
});

test("which notices concern what is there, by epoch and stream", () => {
  const published = (id: string, ...packages: readonly NoticePackage[]): Published => ({ id, packages, cves: [], link: "" });
  const all = [
    published("A-18", { name: "nodejs", fixed: "1:18.20-1", stream: "nodejs:18" }), published("A-20", { name: "nodejs", fixed: "1:20.1-1", stream: "nodejs:20" }),
    published("A-none", { name: "nodejs", fixed: "1:99-1" }), published("A-any", { name: "nodejs", fixed: "1:99-1", stream: "?" }),
    published("B-new", { name: "vim", fixed: "2:9.1-1" }), published("B-old", { name: "vim", fixed: "1:99-1" }),
  ];
  const of = (...packages: readonly Present[]): readonly string[] =>
    concerning(all, { packages }, compareRpmVersions)!.notices.map((one) => `${one.id}${one.packages.map(({ unsure, stream }) => `${unsure === true ? " unsure" : ""}${stream === undefined ? "" : ` ${stream}`}`).join()}`).sort();
  assert.deepEqual(of({ name: "nodejs", version: "1:18.12-1", stream: "nodejs:18" }), ["A-18 nodejs:18", "A-any unsure"]);
  assert.deepEqual(of({ name: "nodejs", version: "1:18.12-1", stream: "nodejs:18" }, { name: "nodejs", version: "1:20.0-1", stream: "nodejs:20" }), ["A-18 nodejs:18", "A-20 nodejs:20", "A-any unsure"]);
  assert.deepEqual(of({ name: "nodejs", version: "1:20.0-1", stream: "?" }), ["A-20 unsure nodejs:20", "A-any unsure"], "18.20 is older than what is there");
  assert.deepEqual(of({ name: "nodejs", version: "1:16-1" }), ["A-none"]);
  assert.deepEqual(of({ name: "vim", version: "2:8.2-1" }), ["B-new"], "2:8.2 is newer than 1:99");
  assert.deepEqual(of({ name: "vim", version: "8.2-1" }), ["B-new", "B-old"], "epoch 0 is the oldest");
  assert.deepEqual(of({ name: "vim", version: "9.1-1", anyEpoch: true }), ["B-old"], "an epoch that is not known is taken for the notice's");
});

test("hostile words do not get through", async () => {
  const text = good.replace("ä — &lt;b>", `\u202eevil &#10; two`).replace('name="a"', 'name="a;rm -rf /"').replace("CVE-2026-1234\" type=\"cve\" title=\"CVE-2026-1234\"", "CVE-&lt;x>\" type=\"cve\" title=\"\"");
  const [notice] = await read(text);
  assert.deepEqual([notice!.title, notice!.packages, notice!.cves], ["evil two", [], []]);
});

test("repomd.xml names one file in repodata/, by SHA-256", async () => {
  const of = (href: string, type = "sha256", digest = "a".repeat(64)): string =>
    `<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary"><checksum type="sha256">b</checksum><location href="repodata/p.xml.gz"/></data><data type="updateinfo"><checksum type="${type}">${digest}</checksum><open-checksum type="sha256">x</open-checksum><location href="${href}"/><timestamp>1</timestamp><size>12</size><open-size>99</open-size></data></repomd>`;
  assert.deepEqual(await readRepomd(of("repodata/u.xml.gz"), "repomd.xml"), { path: "repodata/u.xml.gz", sha256: "a".repeat(64), size: 12, openSize: 99 });
  assert.equal(await readRepomd("<repomd/>", "repomd.xml"), undefined);
  for (const bad of [of("../../etc/passwd"), of("repodata/../../x"), of("https://example.org/x"), of("repodata/u.xml", "sha"), of("repodata/u.xml", "sha256", "A")]) await assert.rejects(readRepomd(bad, "repomd.xml"), refused, bad);
});

test("lists of the Debian security tracker", () => {
  const text = "[02 Aug 2026] DSA-6410-1 libssh - security update\n\t{CVE-2026-0964 CVE-2026-0965}\n\t[trixie] - libssh 0.11.5-0+deb13u1\n\t[bookworm] - libssh <not-affected> (Vulnerable code not present)\n\tNOTE: x\n[1 Jan 2026] DLA-4000-2 dpkg\n\t[bookworm] - dpkg 1:1.21.22+x\n";
  assert.deepEqual(readSecurityList(text, "DSA/list", "trixie", "https://example.org/{id}"), [{ id: "DSA-6410-1", title: "libssh - security update", date: "2026-08-02", cves: ["CVE-2026-0964", "CVE-2026-0965"], packages: [{ name: "libssh", fixed: "0.11.5-0+deb13u1" }], link: "https://example.org/DSA-6410-1" }]);
  assert.deepEqual(readSecurityList(text, "DSA/list", "bookworm", "{id}").map(({ id, packages }) => [id, packages]), [["DLA-4000-2", [{ name: "dpkg", fixed: "1:1.21.22+x" }]]]);
  for (const bad of ["", "<html>", "[02 Foo] nothing"]) assert.throws(() => readSecurityList(bad, "DSA/list", "trixie", "{id}"), refused, bad);
});

test("Ubuntu's notices: binary packages of the release", () => {
  const page = { offset: 0, limit: 20, total_results: 41, notices: [{ id: "USN-8620-4", title: "Linux kernel\u001b[31m vulnerabilities", published: "2026-07-31T15:00:56.127396", cves_ids: ["CVE-2026-45912"], releases: [], release_packages: { jammy: [{ name: "linux", version: "5.15.0-1", is_source: true }], noble: [{ name: "openssl", version: "3.0.13-0ubuntu3.6", is_source: true }, { name: "libssl3t64", version: "3.0.13-0ubuntu3.6", is_source: false }] } }] };
  assert.deepEqual(readUsn(JSON.stringify(page), "page", "noble", "https://ubuntu.com/security/notices/{id}"), {
    total: 41,
    notices: [{ id: "USN-8620-4", title: "Linux kernel [31m vulnerabilities", date: "2026-07-31", cves: ["CVE-2026-45912"], packages: [{ name: "libssl3t64", fixed: "3.0.13-0ubuntu3.6" }], link: "https://ubuntu.com/security/notices/USN-8620-4" }],
  });
  for (const bad of ["", "[]", "{}", JSON.stringify({ ...page, notices: "x" }), JSON.stringify({ ...page, notices: [{ id: 5 }] })]) assert.throws(() => readUsn(bad, "page", "noble", "{id}"), refused, bad);
  assert.deepEqual(readUsn(JSON.stringify({ ...page, notices: [{ ...page.notices[0], id: "../../x" }] }), "page", "noble", "{id}").notices, []);
});

test("Red Hat's advisories: packages of the release", () => {
  const one = { RHSA: "RHSA-2026:1473", severity: "important", released_on: "2026-01-28T10:08:56Z", CVEs: ["CVE-2025-66199"], bugzillas: ["1"], released_packages: ["openssl-1:3.5.1-7.el9_7.x86_64", "openssl-libs-1:3.5.1-7.el9_7", "openssl-1:3.5.1-7.el9_7.src", "perl-IO-Compress-0:2.081-2.el8_10", "openssl-main@x86_64"], resource_url: "https://example.org" };
  assert.deepEqual(readRedhat(JSON.stringify([one, { ...one, RHSA: "RHSA-2026:2", released_packages: ["x-0:1-1.el10"] }]), "index", "el9", "https://access.redhat.com/errata/{id}"), {
    listed: 2,
    notices: [{ id: "RHSA-2026:1473", severity: "important", date: "2026-01-28", cves: ["CVE-2025-66199"], packages: [{ name: "openssl", fixed: "1:3.5.1-7.el9_7" }, { name: "openssl-libs", fixed: "1:3.5.1-7.el9_7" }], link: "https://access.redhat.com/errata/RHSA-2026:1473" }],
  });
  assert.equal(readRedhat(JSON.stringify([one]), "index", "el1", "{id}").notices.length, 0, "el1 is not el10");
  for (const bad of ["{}", "null", "[1]"]) assert.throws(() => readRedhat(bad, "index", "el9", "{id}"), refused, bad);
});

test("packages by names of files, and by lists", () => {
  assert.deepEqual(packageOfFile("/BaseOS/Packages/o/openssl-libs-3.0.7-24.el9.x86_64.rpm"), { name: "openssl-libs", version: "3.0.7-24.el9", anyEpoch: true });
  assert.deepEqual(packageOfFile("/AppStream/Packages/nodejs-18.12.1-1.module+el9.1.0+17326+318294bb.x86_64.rpm")?.stream, "?");
  assert.equal(packageOfFile("/x/openssl-3.0.7-24.el9.src.rpm"), undefined);
  assert.deepEqual(packageOfFile("/pool/main/libs/libssh/libssh-4_0.10.6-0+deb12u1_amd64.deb"), { name: "libssh-4", version: "0.10.6-0+deb12u1", source: "libssh" });
  assert.deepEqual(packageOfFile("/pool/main/d/dpkg/dpkg_1%3a1.21_amd64.udeb"), { name: "dpkg", version: "1:1.21", source: "dpkg" });
  for (const other of ["/EFI/BOOT/grubx64.efi", "/x.rpm", "/a b_1_amd64.deb", "/a_1.deb"]) assert.equal(packageOfFile(other), undefined, other);
  assert.deepEqual(packagesOfList("libc6:amd64 2.36-9 amd64\nbash\t5.2\n\nx\n"), [{ name: "libc6", version: "2.36-9" }, { name: "bash", version: "5.2" }]);
});
