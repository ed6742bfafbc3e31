/**
 * SBOMs of installers' media and of databases of RPM: media of the vendors' shapes, repositories by the real createrepo_c, databases by
 * the real rpm; documents judged by CycloneDX's own validator and the rules of SPDX; hostile lists.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { SPDX, Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { type ImgtaskError, output, target } from "../../../lib/mod.ts";
import type { InventorySummary } from "../../../plugins/sbom/inventory.ts";
import { purlOf } from "../../../plugins/sbom/packages.ts";
import { parsePrimary } from "../../../plugins/sbom/primary.ts";
import { rpmLicensing } from "../../../plugins/sbom/rpm.ts";
import { sbom } from "../../../plugins/sbom/sbom.ts";
import { type MediumFiles, mediumLists, primary, primaryPackage, stanza } from "../../rig/medium-lists.ts";
import { runRecipe } from "../../rig/recipe.ts";
import { scratch } from "../../rig/scratch.ts";

const image = target("iso:shape", { outputs: { out: output("file", "iso") }, run: () => {} });
const root = target("rootfs:rpm", { outputs: { out: output("file", "rootfs") }, run: () => {} });

/** An ISO without boot records. */
function iso(t: TestContext, files: MediumFiles): string {
  const base = scratch(t), tree = join(base, "tree");
  mkdirSync(tree);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content);
  }
  execFileSync("xorriso", ["-no_rc", "-as", "mkisofs", "-quiet", "-r", "-V", "MEDIUM", "-o", join(base, "m.iso"), tree], { stdio: ["ignore", "ignore", "pipe"] });
  return join(base, "m.iso");
}

interface Described {
  readonly spdx: string;
  readonly cdx: string;
  readonly summary: InventorySummary;
  readonly purls: readonly string[];
  /** `a -> b`, by package URLs. */
  readonly needs: readonly string[];
}

let count = 0;

async function describe(from: typeof image | typeof root, path: string, packages?: "rpm", name: string = `m${count++}`): Promise<Described> {
  sbom(name, { from, ...(packages === undefined ? {} : { packages }) });
  const ran = await runRecipe(`sbom:${name}`, { "inputs.image": path });
  try {
    const read = (key: string): string => readFileSync(ran.outputs[key]!, "utf8");
    const spdx = read("spdx"), cdx = read("cyclonedx");
    const bom = JSON.parse(cdx) as { components: { purl: string }[]; dependencies: { ref: string; dependsOn?: string[] }[] };
    const needs = bom.dependencies.filter(({ ref }) => ref !== "image").flatMap(({ ref, dependsOn = [] }) => dependsOn.map((one) => `${ref} -> ${one}`)).sort();
    return { spdx, cdx, summary: JSON.parse(read("out")), purls: bom.components.map(({ purl }) => purl).sort(), needs };
  } finally {
    ran.dispose();
  }
}

/** Judges documents: by the library's validator, SPDX's rules, and its published schema where that is at hand. */
async function judge({ spdx, cdx, purls }: Described, t: TestContext): Promise<void> {
  assert.equal(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(cdx), null);
  const document = JSON.parse(spdx) as { packages: { SPDXID: string; externalRefs?: { referenceLocator: string }[] }[]; relationships: { spdxElementId: string; relatedSpdxElement: string }[] };
  const ids = new Set(["SPDXRef-DOCUMENT", ...document.packages.map(({ SPDXID }) => SPDXID)]);
  assert.equal(ids.size, document.packages.length + 1, "identifiers are unique");
  for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
  for (const { spdxElementId, relatedSpdxElement } of document.relationships) assert.ok(ids.has(spdxElementId) && ids.has(relatedSpdxElement));
  assert.deepEqual(document.packages.slice(1).map(({ externalRefs }) => externalRefs![0]!.referenceLocator).sort(), purls, "both documents name the same");
  const schema = process.env["IMGTASK_TEST_SPDX_SCHEMA"];
  if (schema === undefined || !existsSync(schema)) return;
  const { default: Ajv } = createRequire(import.meta.url)("ajv") as { default: new (options: object) => { compile(schema: unknown): ((data: unknown) => boolean) & { errors?: unknown } } };
  const validate = new Ajv({ strict: false }).compile(JSON.parse(readFileSync(schema, "utf8")));
  assert.ok(validate(document), JSON.stringify(validate.errors));
  t.diagnostic("valid by the published SPDX 2.3 schema");
}

test("media of the vendors' shapes tell what they carry", { timeout: 300_000 }, async (t) => {
  // The whole media, with their boot records, are described in test/contract/layout.test.ts.
  const debian = await describe(image, iso(t, { ...mediumLists("debian"), ".disk/info": 'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 NETINST\n', "pool/main/b/base/base_1_all.deb": "a package\n" }));
  const ubuntu = await describe(image, iso(t, { ...mediumLists("ubuntu"), ".disk/info": 'Ubuntu-Server 24.04.2 LTS "Noble Numbat" - Release amd64\n' }));
  const el9 = await describe(image, iso(t, { ...mediumLists("el9"), ".treeinfo": "[general]\narch = x86_64\nfamily = Rocky Linux\nname = Rocky Linux 9.5\nversion = 9.5\n" }));
  for (const one of [debian, ubuntu, el9]) await judge(one, t);
  assert.deepEqual(debian.purls, [
    "pkg:deb/debian/base-files@12.4%2Bdeb12u5?arch=amd64&distro=debian-12.5.0", "pkg:deb/debian/base@1?arch=all&distro=debian-12.5.0",
    "pkg:deb/debian/di-utils@1.145?arch=amd64&distro=debian-12.5.0", "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12.5.0",
  ]);
  assert.deepEqual(debian.needs, ["pkg:deb/debian/base-files@12.4%2Bdeb12u5?arch=amd64&distro=debian-12.5.0 -> pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12.5.0"]);
  assert.equal(debian.summary.system.codename, "bookworm");
  assert.deepEqual(debian.summary.coverage!.lists, ["/dists/bookworm/main/binary-amd64/Packages.gz", "/dists/bookworm/main/debian-installer/binary-amd64/Packages.gz"]);
  assert.match(debian.summary.coverage!.missing.join(), /squashfs.*1 epochs/);
  assert.deepEqual(ubuntu.purls.map((one) => one.replace("pkg:deb/ubuntu/", "").replace("distro=ubuntu-24.04.2", "d")), [
    "adduser@3.137ubuntu1?d", "cloud-init@24.4-0ubuntu1~24.04.2?d", "efibootmgr@18-1build2?arch=amd64&d", "libc6@2.39-0ubuntu8.4?arch=amd64&d", "libssl3t64@3.0.13-0ubuntu3.5?arch=amd64&d",
  ]);
  assert.ok(ubuntu.summary.coverage!.missing.includes("1 snaps"));
  assert.deepEqual(el9.purls, [
    "pkg:rpm/rocky/bash@5.1.8-9.el9?arch=x86_64&distro=rocky-9.5", "pkg:rpm/rocky/glibc@2.34-125.el9?arch=x86_64&distro=rocky-9.5", "pkg:rpm/rocky/nginx@1.20.1-20.el9?arch=x86_64&distro=rocky-9.5&epoch=2",
  ]);
  assert.equal(el9.needs.length, 2);
  assert.equal(el9.summary.licensed, 2, "GPLv3+ is no SPDX expression");
  for (const { spdx, cdx } of [debian, ubuntu, el9]) assert.ok(/Not told: what is in squashfs images/.test(spdx) && /Not told: what is in squashfs images/.test(cdx));
  t.diagnostic(`${debian.purls.length}, ${ubuntu.purls.length} and ${el9.purls.length} packages`);
  t.mock.method(console, "error", () => {});
  await assert.rejects(describe(image, iso(t, { ".treeinfo": "", "images/install.img": "x" })), (error: ImgtaskError) => error.code === "IMG3582" && /installs from the network/.test(error.hint!));
});

test("the same medium gives the same documents", async (t) => {
  const medium = iso(t, { ...mediumLists("debian"), ...mediumLists("el9") });
  const one = await describe(image, medium, undefined, "same");
  assert.deepEqual(await describe(image, medium, undefined, "same"), one);
  assert.equal(one.purls.length, 6, "both kinds of packages on one medium");
  await judge(one, t);
});

const noRpm = ["rpm", "rpmbuild", "createrepo_c"].find((name) => spawnSync(name, ["--version"]).status !== 0);

/** Real packages. */
function buildRpms(directory: string): readonly string[] {
  const top = join(directory, "top"), spec = join(directory, "x.spec");
  writeFileSync(spec, [
    "Name: tool", "Epoch: 1", "Version: 2.0~rc1", "Release: 3", "Summary: A <tool> & more", "License: GPL-2.0-or-later AND (MIT OR Apache-2.0)", "URL: https://tool.example.org/?a=1&b=2", "BuildArch: noarch", "Requires: helper >= 1", "Requires: /bin/sh", "Packager: Zoë <zoe@example.org>",
    "%description", "Text", "%files",
    "%package -n helper", "Version: 1.5", "Summary: Helps", "License: GPLv2+", "Provides: help = 3", "%description -n helper", "Text", "%files -n helper", "",
  ].join("\n"));
  execFileSync("rpmbuild", ["-bb", "--quiet", "--define", `_topdir ${top}`, "--define", "dist %{nil}", spec], { stdio: "pipe" });
  return readdirSync(join(top, "RPMS/noarch")).map((name) => join(top, "RPMS/noarch", name));
}

test("a repository that createrepo_c made, compressed in three ways, and a database that rpm made", { skip: noRpm === undefined ? false : `no ${noRpm} (packages rpm, createrepo-c)`, timeout: 120_000 }, async (t) => {
  const base = scratch(t), rpms = buildRpms(base), repo = join(base, "repo");
  mkdirSync(join(repo, "Packages"), { recursive: true });
  for (const file of rpms) execFileSync("cp", [file, join(repo, "Packages")]);
  execFileSync("createrepo_c", ["--quiet", repo], { stdio: "pipe" });
  const name = readdirSync(join(repo, "repodata")).find((one) => one.endsWith("-primary.xml.gz"))!;
  const plain = execFileSync("gzip", ["-dc", join(repo, "repodata", name)]);
  const packages = Object.fromEntries(readdirSync(join(repo, "Packages")).map((one) => [`Packages/${one}`, readFileSync(join(repo, "Packages", one))]));
  const expected = ["pkg:rpm/fedora/helper@1.5-3?arch=noarch&distro=fedora-44&epoch=1", "pkg:rpm/fedora/tool@2.0~rc1-3?arch=noarch&distro=fedora-44&epoch=1"];
  const tree = { ".treeinfo": "[general]\nfamily = Fedora\nname = Fedora 44\nversion = 44\n", ...packages };
  for (const [suffix, compressed] of [["gz", gzipSync(plain)], ["xz", execFileSync("xz", ["-c"], { input: plain })], ["zst", execFileSync("zstd", ["-c"], { input: plain })]] as const) {
    const one = await describe(image, iso(t, { ...tree, [`repodata/${"a".repeat(64)}-primary.xml.${suffix}`]: compressed }));
    assert.deepEqual(one.purls, expected, suffix);
    assert.deepEqual(one.needs, [`${expected[1]} -> ${expected[0]}`], "a requirement by a file's path is none that is told");
    assert.equal(one.summary.licensed, 1);
    await judge(one, t);
  }
  const system = join(base, "system"), database = join(system, "usr/lib/sysimage/rpm");
  mkdirSync(database, { recursive: true });
  mkdirSync(join(system, "boot"));
  writeFileSync(join(system, "boot/vmlinuz-6.11.4-300.fc44.x86_64"), "k");
  writeFileSync(join(system, "usr/lib/os-release"), "ID=fedora\nVERSION_ID=44\nPRETTY_NAME=\"Fedora 44\"\n");
  execFileSync("rpm", ["--dbpath", database, "--install", "--justdb", "--nodeps", "--nosignature", "--noscripts", ...rpms], { stdio: "pipe" });
  assert.ok(existsSync(join(database, "rpmdb.sqlite")));
  execFileSync("tar", ["--create", "--file", join(base, "root.tar"), "--directory", system, "."]);
  const installed = await describe(root, join(base, "root.tar"), "rpm");
  await judge(installed, t);
  assert.deepEqual(installed.purls, expected);
  assert.deepEqual(installed.needs, [`${expected[1]} -> ${expected[0]}`]);
  assert.deepEqual([installed.summary.kernels, installed.summary.licensed, installed.summary.system.title], [["6.11.4-300.fc44.x86_64"], 1, "Fedora 44"]);
  const tool = (JSON.parse(installed.spdx) as { packages: { name: string; summary: string; supplier: string; licenseDeclared: string; sourceInfo: string; homepage?: string }[] }).packages.find((one) => one.name === "tool")!;
  assert.deepEqual([tool.summary, tool.licenseDeclared, tool.homepage], ["A <tool> & more", "GPL-2.0-or-later AND (MIT OR Apache-2.0)", "https://tool.example.org/?a=1&b=2"]);
  assert.match(tool.supplier, /Zoë \(zoe@example\.org\)/);
  t.mock.method(console, "error", () => {});
  await assert.rejects(describe(root, join(base, "root.tar")), (error: ImgtaskError) => error.code === "IMG3582" && /packages: "rpm"/.test(error.hint!));
  writeFileSync(join(database, "rpmdb.sqlite"), "no database");
  execFileSync("tar", ["--create", "--file", join(base, "bad.tar"), "--directory", system, "."]);
  await assert.rejects(describe(root, join(base, "bad.tar"), "rpm"), { code: "IMG3582" });
});

test("hostile lists: names that are none, bombs, broken XML, links out of the repository", { timeout: 120_000 }, async (t) => {
  const good = "pool/main/g/good/good_1_amd64.deb";
  const hostile = await describe(image, iso(t, {
    ".disk/info": "Debian GNU/Linux 12\u001b[31m \"Book\u202eworm\" - x\nsecond line", [good]: "x", "pool/e/evil_1_amd64.deb": "x",
    "dists/x/main/binary-amd64/Packages": stanza("good", "1", good) + stanza("../../etc", "1", good) + stanza("evil\u001b[2J", "1", good) + stanza("ok", "1 rm -rf", good) + stanza("elsewhere", "1", "../../../etc/passwd") + stanza("quote\"<x>", "1", good) + "Package: half\n\n",
    "casper/x.manifest": "fine\t1.0\n<script>\t1\n\u0000\t2\nname\n",
  }));
  await judge(hostile, t);
  assert.deepEqual(hostile.purls.map((one) => one.replace(/\?.*/, "")), ["pkg:deb/debian/evil@1", "pkg:deb/debian/fine@1.0", "pkg:deb/debian/good@1"]);
  // oxlint-disable-next-line no-control-regex
  assert.ok(!/[\x00-\x09\x0b-\x1f\u202e]/.test(`${hostile.spdx}${hostile.cdx}`.replaceAll("\n", "")));
  assert.ok(hostile.summary.coverage!.missing.some((clause) => /^\d+ entries of lists that name no package$/.test(clause)), hostile.summary.coverage!.missing.join("; "));
  assert.ok(hostile.summary.coverage!.missing.includes("1 packages that lists name and that are not on the medium"));
  t.mock.method(console, "error", () => {});
  const refused = (files: MediumFiles): Promise<void> => assert.rejects(describe(image, iso(t, files)), { code: "IMG3582" });
  const list = `BaseOS/repodata/${"b".repeat(64)}-primary.xml.gz`;
  await refused({ [list]: gzipSync("<metadata><package>") });
  await refused({ [list]: "no gzip" });
  await refused({ [list]: gzipSync(`<!DOCTYPE x [<!ENTITY a "b">]><metadata>&a;</metadata>`) });
  await refused({ "dists/x/main/binary-amd64/Packages.xz": "no xz" });
  await refused({ [list]: gzipSync(Buffer.alloc(300 * 1024 ** 2)) });
  await refused({ [list]: gzipSync(primary([primaryPackage("away", { ver: "1", rel: "1" }, { href: "../../../../etc/passwd" })])) });
  await refused({ "README.txt": "nothing" });
  await assert.rejects(parsePrimary(Readable.from([primary([primaryPackage("a", { ver: "1", rel: "1" }), primaryPackage("b", { ver: "1", rel: "1" })])]), 1), /more than 1 packages/);
});

test("package URLs and licences of RPM", () => {
  const purl = (version: string): string => purlOf({ format: "rpm", name: "curl", version, arch: "i386" }, { id: "fedora", version: "25" });
  assert.equal(purl("7.50.3-1.fc25"), "pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&distro=fedora-25");
  assert.equal(purl("1:7.50.3-1.fc25"), "pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&distro=fedora-25&epoch=1");
  const known = (id: string): boolean => SPDX.isSupportedSpdxId(id);
  for (const [text, expression] of [["MIT", "MIT"], ["MIT and BSD-3-Clause", "MIT AND BSD-3-Clause"], ["(MIT OR ISC) AND Zlib", "(MIT OR ISC) AND Zlib"], ["GPLv2+", undefined], ["MIT AND", undefined], ["(MIT", undefined], ["MIT) AND (ISC", undefined], ["", undefined], ["Public Domain", undefined]] as const) {
    assert.equal(rpmLicensing(text, known)?.expression, expression, text);
  }
});
