/**
 * SBOMs of disks with RPM: real databases, made by rpm, in a real ext4 on a partition, compared with what rpm itself tells; and disks of
 * which nothing can be read.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type ImgtaskError, output, target } from "../../../lib/mod.ts";
import { sbom } from "../../../plugins/sbom/sbom.ts";
import { runRecipe } from "../../rig/recipe.ts";
import { scratch } from "../../rig/scratch.ts";

const run = (program: string, ...args: readonly string[]): string => execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const missing = ["rpm", "rpmbuild", "qemu-img", "sfdisk", "mke2fs", "debugfs"].find((name) => spawnSync(name, [name === "mke2fs" || name === "debugfs" ? "-V" : "--version"]).status !== 0);
const skip = missing === undefined ? false : `no ${missing} (packages rpm, qemu-utils, fdisk, e2fsprogs)`;

/** A disk with one partition behind its first MiB, with this in it. */
function diskWith(base: string, name: string, part: Buffer): string {
  const disk = join(base, name);
  writeFileSync(disk, Buffer.concat([Buffer.alloc(1 << 20), part, Buffer.alloc(1 << 20)]));
  execFileSync("sfdisk", ["--quiet", disk], { input: `label: gpt\nstart=2048, size=${part.length / 512}\n`, stdio: ["pipe", "pipe", "pipe"] });
  return disk;
}

let serial = 0;

async function purls(disk: string, format: "raw" | "qcow2", packages: "rpm" | "dpkg" = "rpm"): Promise<{ readonly purls: readonly string[]; readonly summary: { readonly packages: number; readonly kernels: readonly string[]; readonly system: { readonly title: string } } }> {
  const name = `disk${serial++}`, from = target(`disk:${name}`, { outputs: { out: output("file", "disk", { path: `artifacts/${name}.${format}` }) }, run: () => {} });
  sbom(name, { from, packages });
  const ran = await runRecipe(`sbom:${name}`, { "inputs.image": disk });
  try {
    const { components } = JSON.parse(readFileSync(ran.outputs["cyclonedx"]!, "utf8")) as { components: { purl: string }[] };
    return { purls: components.map(({ purl }) => purl).sort(), summary: JSON.parse(readFileSync(ran.outputs["out"]!, "utf8")) };
  } finally {
    ran.dispose();
  }
}

/** Three packages by rpmbuild. */
function packages(base: string): readonly string[] {
  const spec = join(base, "x.spec");
  writeFileSync(spec, `Name: tool\nEpoch: 1\nVersion: 2.0\nRelease: 3\nSummary: A tool\nLicense: MIT\nBuildArch: noarch\n%description\nText\n%files\n${["helper", "libs"].map((name) => `%package -n ${name}\nVersion: 1.5~rc1\nSummary: Helps\nLicense: MIT\n%description -n ${name}\nText\n%files -n ${name}\n`).join("")}`);
  run("rpmbuild", "-bb", "--quiet", "--define", `_topdir ${join(base, "top")}`, spec);
  return readdirSync(join(base, "top/RPMS/noarch")).map((name) => join(base, "top/RPMS/noarch", name));
}

for (const below of ["usr/lib/sysimage/rpm", "var/lib/rpm"]) {
  test(`packages of a disk with ext4 are those of its database: /${below}`, { skip, timeout: 120_000 }, async (t) => {
    const base = scratch(t), root = join(base, "root"), database = join(root, below);
    for (const directory of [database, join(root, "usr/lib"), join(root, "boot")]) mkdirSync(directory, { recursive: true });
    writeFileSync(join(root, "usr/lib/os-release"), "ID=rocky\nVERSION_ID=9.6\nPRETTY_NAME=\"Rocky Linux 9.6\"\n");
    writeFileSync(join(root, "boot/vmlinuz-5.14.0-1.el9.x86_64"), "k");
    const rpm = (...args: readonly string[]): string => run("rpm", "--dbpath", database, ...args);
    rpm("--initdb");
    rpm("--install", "--justdb", "--nodeps", "--nosignature", "--noscripts", ...packages(base));
    assert.ok(existsSync(join(database, "rpmdb.sqlite")), readdirSync(database).join());
    const told = rpm("--query", "--all", "--queryformat", "%{NAME} %{EPOCHNUM} %{VERSION}-%{RELEASE} %{ARCH}\\n").trim().split("\n").sort();
    assert.equal(told.length, 3);
    const part = join(base, "part");
    run("mke2fs", "-q", "-t", "ext4", "-d", root, part, "16M");
    const disk = diskWith(base, "disk.raw", readFileSync(part));
    const raw = await purls(disk, "raw");
    assert.deepEqual(raw.purls, told.map((line) => {
      const [name, epoch, version, arch] = line.split(" ");
      return `pkg:rpm/rocky/${name!}@${version!}?arch=${arch!}&distro=rocky-9.6${epoch === "0" ? "" : `&epoch=${epoch!}`}`;
    }).sort());
    assert.deepEqual([raw.summary.packages, raw.summary.kernels, raw.summary.system.title], [3, ["5.14.0-1.el9.x86_64"], "Rocky Linux 9.6"]);
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, join(base, "disk.qcow2"));
    assert.deepEqual(await purls(join(base, "disk.qcow2"), "qcow2"), raw);
    t.mock.method(console, "error", () => {});
    await assert.rejects(purls(disk, "raw", "dpkg"), (error: ImgtaskError) => error.code === "IMG3582" && /packages: "rpm"/.test(error.hint!));
    t.diagnostic(`${told.length} packages, by rpm and by the SBOM`);
  });
}

test("a disk of which nothing can be read is refused by its file system's name: no empty list", { skip, timeout: 60_000 }, async (t: TestContext) => {
  t.mock.method(console, "error", () => {});
  const base = scratch(t), empty = join(base, "empty");
  const magic = (offset: number, text: string | Buffer): Buffer => {
    const part = Buffer.alloc(2 << 20);
    Buffer.from(text as string).copy(part, offset);
    return part;
  };
  const cases: [RegExp, Buffer][] = [[/: Btrfs$/, magic(0x10040, "_BHRfS_M")], [/: LUKS$/, magic(0, "LUKS\xba\xbe")], [/: LVM$/, magic(0x218, "LVM2 001")], [/: unknown$/, Buffer.alloc(2 << 20)]];
  // A real one, where there is who makes it; else its first bytes.
  if (spawnSync("mkfs.xfs", ["-V"]).status === 0) {
    const part = join(base, "xfs");
    writeFileSync(part, "");
    truncateSync(part, 300 * 1024 ** 2);
    run("mkfs.xfs", "-q", part);
    cases.push([/: XFS$/, readFileSync(part).subarray(0, 4 << 20)]);
  } else cases.push([/: XFS$/, magic(0, "XFSB")]);
  for (const [message, part] of cases) {
    for (const kind of ["rpm", "dpkg"] as const) await assert.rejects(purls(diskWith(base, "other.raw", part), "raw", kind), { code: "IMG3582", message });
  }
  mkdirSync(empty);
  run("mke2fs", "-q", "-t", "ext4", "-d", empty, join(base, "none"), "4M");
  for (const kind of ["rpm", "dpkg"] as const) await assert.rejects(purls(diskWith(base, "none.raw", readFileSync(join(base, "none"))), "raw", kind), { code: "IMG3582", message: /^No database of packages/ });
  // Debian's rpm passes over what it was not built for, and sees an empty database.
  for (const [name, format] of [["Packages.db", "ndb"], ["Packages", "Berkeley DB"], ["rpmdb.sqlite", "sqlite"]] as const) {
    const root = join(base, format);
    mkdirSync(join(root, "var/lib/rpm"), { recursive: true });
    writeFileSync(join(root, "var/lib/rpm", name), Buffer.concat([Buffer.from("RpmP"), Buffer.alloc(8188)]));
    run("mke2fs", "-q", "-t", "ext4", "-d", root, join(base, `${name}.part`), "4M");
    await assert.rejects(purls(diskWith(base, "format.raw", readFileSync(join(base, `${name}.part`))), "raw"), (error: ImgtaskError) => error.code === "IMG3582" && error.found!.includes(`a database of ${format}`));
  }
});
