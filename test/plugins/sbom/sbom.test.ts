/**
 * SBOMs of the host's own database of packages, a real one: complete, valid by the CycloneDX library's validator and
 * the rules of SPDX, and the same bytes twice. Names, licences and needs by hand-made cases.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { SPDX, Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { output, target } from "../../../lib/mod.ts";
import { parseSystem } from "../../../plugins/sbom/inventory.ts";
import { licensing } from "../../../plugins/sbom/licences.ts";
import { parseStatus, purlOf } from "../../../plugins/sbom/packages.ts";
import { sbom } from "../../../plugins/sbom/sbom.ts";
import { runRecipe } from "../../rig/recipe.ts";
import { scratch } from "../../rig/scratch.ts";

const root = target("rootfs:host", { outputs: { out: output("file", "rootfs") }, run: () => {} });
const known = (name: string): string | undefined => SPDX.fixupSpdxId(name);

/** A tar of files below a directory, as mmdebstrap writes it. */
function pack(t: TestContext, files: Readonly<Record<string, string | { readonly link: string }>>): string {
  const base = scratch(t);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(base, "root", path)), { recursive: true });
    if (typeof content === "string") writeFileSync(join(base, "root", path), content);
    else symlinkSync(content.link, join(base, "root", path));
  }
  execFileSync("tar", ["--create", "--file", join(base, "root.tar"), "--directory", join(base, "root"), "."]);
  return join(base, "root.tar");
}

async function describe(tar: string, name: string): Promise<{ readonly spdx: string; readonly cdx: string; readonly summary: { system: { id: string; version?: string }; kernels: string[]; packages: number; licensed: number } }> {
  sbom(name, { from: root });
  const ran = await runRecipe(`sbom:${name}`, { "inputs.image": tar });
  try {
    const read = (key: string): string => readFileSync(ran.outputs[key]!, "utf8");
    return { spdx: read("spdx"), cdx: read("cyclonedx"), summary: JSON.parse(read("out")) };
  } finally {
    ran.dispose();
  }
}

interface Spdx {
  readonly packages: readonly { SPDXID: string; name: string; versionInfo: string; licenseDeclared: string; externalRefs?: readonly { referenceLocator: string }[] }[];
  readonly relationships: readonly { spdxElementId: string; relatedSpdxElement: string; relationshipType: string }[];
  readonly hasExtractedLicensingInfos?: readonly { licenseId: string; extractedText: string }[];
}

test("the host's own packages: all of them, in documents that validators accept, the same bytes twice", { timeout: 120_000 }, async (t) => {
  const base = scratch(t), tar = join(base, "host.tar");
  const paths = ["./etc/os-release", "./usr/lib/os-release", "./var/lib/dpkg/status", "./usr/share/doc"];
  execFileSync("tar", ["--create", "--file", tar, "--directory", "/", ...paths]);
  const { spdx, cdx, summary } = await describe(tar, "host");
  assert.deepEqual(await describe(tar, "host"), { spdx, cdx, summary });

  const listed = execFileSync("dpkg-query", ["-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\\n"], { encoding: "utf8" })
    .split("\n").filter((line) => line.startsWith("installed ")).map((line) => line.slice(10)).sort();
  const document = JSON.parse(spdx) as Spdx;
  const { id, version } = summary.system;
  const listedPurls = listed.map((line) => line.split(" ")).map(([name, version_, arch]) => purlOf({ name: name!, version: version_!, arch: arch! }, { id, ...(version === undefined ? {} : { version }) })).sort();
  assert.deepEqual(document.packages.slice(1).map(({ externalRefs }) => externalRefs![0]!.referenceLocator).sort(), listedPurls);
  const bom = JSON.parse(cdx) as { components: { purl: string; version: string }[]; metadata: { component: { hashes: { content: string }[] } } };
  assert.deepEqual(bom.components.map(({ purl }) => purl).sort(), listedPurls);
  assert.equal(bom.metadata.component.hashes[0]!.content, createHash("sha256").update(readFileSync(tar)).digest("hex"));
  assert.equal(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(cdx), null);

  const ids = new Set(["SPDXRef-DOCUMENT", ...document.packages.map(({ SPDXID }) => SPDXID)]);
  assert.equal(ids.size, document.packages.length + 1, "identifiers are unique");
  for (const one of ids) assert.match(one, /^SPDXRef-[A-Za-z0-9.-]+$/);
  for (const { spdxElementId, relatedSpdxElement } of document.relationships) assert.ok(ids.has(spdxElementId) && ids.has(relatedSpdxElement));
  const references = new Set(document.hasExtractedLicensingInfos?.map(({ licenseId }) => licenseId));
  for (const { name, licenseDeclared } of document.packages) {
    const words = licenseDeclared.split(/[()\s]+/).filter((word) => !["", "AND", "OR", "NOASSERTION"].includes(word));
    for (const word of words) assert.ok(references.has(word) || SPDX.isSupportedSpdxId(word), `${name}: ${word}`);
  }
  // The published schema is not part of this repository; where it is at hand it is asked.
  const schema = process.env["IMGTASK_TEST_SPDX_SCHEMA"];
  if (schema !== undefined && existsSync(schema)) {
    const { default: Ajv } = createRequire(import.meta.url)("ajv") as { default: new (options: object) => { compile(schema: unknown): ((data: unknown) => boolean) & { errors?: unknown } } };
    const validate = new Ajv({ strict: false }).compile(JSON.parse(readFileSync(schema, "utf8")));
    assert.ok(validate(document), JSON.stringify(validate.errors));
    t.diagnostic("valid by the published SPDX 2.3 schema");
  }
  t.diagnostic(`${summary.packages} packages, licences of ${summary.licensed}, ${document.relationships.filter(({ relationshipType }) => relationshipType === "DEPENDS_ON").length} needs`);
  assert.ok(summary.packages > 50 && summary.packages === listed.length);
});

const status = (name: string, rest = ""): string => `Package: ${name}\nStatus: install ok installed\nMaintainer: A Team <a@example.org>\nArchitecture: amd64\nVersion: 1:1.0+x~1\n${rest}Description: thing\n long text\n\n`;

test("an image without packages is refused, and so is one of another kind: no empty list", async (t) => {
  t.mock.method(console, "error", () => {});
  for (const files of [{ "etc/os-release": "ID=debian\n" }, { "var/lib/dpkg/status": "" }, { "var/lib/rpm/rpmdb.sqlite": "x" }]) {
    await assert.rejects(describe(pack(t, files), "empty"), { code: "IMG3582", message: /"rootfs:host"/ });
  }
});

test("kernels, and links in an image that lead out of it", async (t) => {
  const { summary, spdx } = await describe(pack(t, {
    "usr/lib/os-release": `ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n`, "etc/os-release": { link: "../usr/lib/os-release" },
    "boot/vmlinuz-6.1.0-9-amd64": "k", "boot/initrd.img-6.1.0-9-amd64": "i",
    "var/lib/dpkg/status": status("a") + status("b"),
    "usr/share/doc/a": { link: "/etc" }, "usr/share/doc/b/copyright": { link: "../../../../../../../../../etc/passwd" },
  }), "links");
  assert.deepEqual(summary.kernels, ["6.1.0-9-amd64"]);
  assert.deepEqual([summary.packages, summary.licensed, summary.system.version], [2, 0, "12"]);
  assert.equal(spdx.includes("root:x:0"), false);
});

test("package URLs are as the specification has them", () => {
  const debian = { id: "debian", version: "12" };
  assert.equal(purlOf({ name: "libstdc++6", version: "12.2.0-14", arch: "amd64" }, debian), "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12");
  assert.equal(purlOf({ name: "attr", version: "1:2.4.47-2", arch: "source" }, { id: "debian" }), "pkg:deb/debian/attr@1:2.4.47-2?arch=source");
  assert.equal(purlOf({ name: "x", version: "1~rc1+b1", arch: "all" }, { id: "ubuntu", version: "24.04" }), "pkg:deb/ubuntu/x@1~rc1%2Bb1?arch=all&distro=ubuntu-24.04");
});

test("what needs what: alternatives, versions, provided names; removed packages are none", () => {
  const text = status("a", "Depends: mail-transport | c, b (>= 1), d:any, gone | b\nPre-Depends: e\n") + status("b") + status("postfix", "Provides: mail-transport (= 1)\nSource: post (3)\n") + status("d") + status("e") +
    status("left").replace("install ok installed", "deinstall ok config-files");
  const packages = parseStatus(text);
  assert.deepEqual(packages.map(({ name }) => name), ["a", "b", "d", "e", "postfix"]);
  assert.deepEqual(packages[0]!.needs, ["b:amd64", "d:amd64", "e:amd64", "postfix:amd64"]);
  assert.deepEqual(packages[4]!.source, { name: "post", version: "3" });
  assert.equal(packages[0]!.summary, "thing");
});

test("licences: Debian's names become SPDX's, others references with their text; what no machine reads is not guessed", () => {
  const file = (...licences: readonly string[]): string => `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nSource: x\n\n${licences.map((one) => `Files: *\nCopyright: me\nLicense: ${one}\n\n`).join("")}`;
  const cases: readonly (readonly [licences: readonly string[], expression: string])[] = [
    [["GPL-2+"], "GPL-2.0-or-later"], [["GPL-2"], "GPL-2.0-only"], [["LGPL-2.1+"], "LGPL-2.1-or-later"], [["AGPL-3"], "AGPL-3.0-only"],
    [["Expat", "Expat"], "MIT"], [["GPL-3+", "BSD-3-clause"], "BSD-3-Clause AND GPL-3.0-or-later"],
    [["GPL-2+ or Artistic"], "(GPL-2.0-or-later OR Artistic-1.0-Perl)"], [["Expat and ISC"], "ISC AND MIT"],
    [["GPL-2 or Expat and ISC"], "(GPL-2.0-only OR MIT AND ISC)"], [["GPL-2 or Expat, and ISC"], "(GPL-2.0-only OR MIT) AND ISC"],
    [["GFDL-1.3+"], "GFDL-1.3-or-later"], [["CC0"], "CC0-1.0"], [["apache-2.0"], "Apache-2.0"],
  ];
  for (const [licences, expression] of cases) assert.equal(licensing(file(...licences), known)?.expression, expression, licences.join("; "));
  const other = licensing(`${file("my own")}License: my own\n Do as you like.\n .\n Really.\n`, known)!;
  assert.match(other.expression, /^LicenseRef-my-own-[0-9a-f]{8}$/);
  assert.equal(other.others[0]!.text, "Do as you like.\n\nReally.");
  for (const text of ["", "This is free software under the GPL.", "Format: 2\n\nLicense: GPL-2\n", file()]) assert.equal(licensing(text, known), undefined);
  assert.equal(parseSystem(`NAME='X y'\nID=arch\n# VERSION_ID=1\nPRETTY_NAME="A \\"b\\" \\$c"\n`).title, `A "b" $c`);
});


test("a disk is read through its largest partition, qcow2 or raw", { timeout: 120_000 }, async (t) => {
  const base = scratch(t), raw = join(base, "disk.raw"), files = join(base, "files"), part = join(base, "part");
  for (const [path, content] of Object.entries({
    "usr/lib/os-release": "ID=debian\nVERSION_ID=12\n", "boot/vmlinuz-6.1.0-9-amd64": "k", "boot/grub/grub.cfg": "", "var/lib/dpkg/status": status("a") + status("b"),
    "usr/share/doc/a/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n",
  })) {
    mkdirSync(dirname(join(files, path)), { recursive: true });
    writeFileSync(join(files, path), content);
  }
  symlinkSync("a", join(files, "usr/share/doc/b"));
  execFileSync("truncate", ["-s", "40M", raw]);
  execFileSync("sfdisk", ["--quiet", raw], { input: "label: gpt\nstart=2048, size=4096\nstart=8192, size=65536\n" });
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-d", files, part, "32M"], { stdio: "ignore" });
  execFileSync("dd", [`if=${part}`, `of=${raw}`, "bs=4096", "seek=1024", "conv=notrunc,sparse"], { stdio: "ignore" });
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, join(base, "disk.qcow2")]);
  for (const format of ["raw", "qcow2"]) {
    const disk = target(`disk:${format}`, { outputs: { out: output("file", "disk", { path: `artifacts/disk/x.${format}` }) }, run: () => {} });
    sbom(format, { from: disk });
    const ran = await runRecipe(`sbom:${format}`, { "inputs.image": join(base, `disk.${format}`) });
    const summary = JSON.parse(readFileSync(ran.outputs["out"]!, "utf8"));
    ran.dispose();
    assert.deepEqual([summary.packages, summary.licensed, summary.kernels, summary.system.id], [2, 2, ["6.1.0-9-amd64"], "debian"], format);
  }
});
