/**
 * Takes the files that tell what is in an image out of it, as data: nothing of the image runs, and no link in it leads
 * elsewhere. One function a form: a tar of a root file system, a disk with ext4.
 * @module
 */
import { closeSync, existsSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImgtaskError, type RunContext } from "../../lib/mod.ts";
import type { ImageFiles } from "./inventory.ts";
import { rpmDatabases } from "./rpm.ts";

type Context = Pick<RunContext, "exec" | "tmp">;

/** What was taken out of an image that has RPM. */
export interface RpmFiles {
  readonly osRelease: string;
  readonly kernels: readonly string[];
  /** A copy of the database. */
  readonly database: string;
}

/** The databases that are asked for, and those that are read. */
export type Databases = "dpkg" | "rpm";

/** Directories and files of an image that are wanted, without a leading slash. */
const wantedOfRpm: ReadonlySet<string> = new Set(["etc/os-release", "usr/lib/os-release", ...rpmDatabases.flatMap((path) => [path, `${path}-wal`])]);
const wanted = /^(?:etc\/os-release|usr\/lib\/os-release|var\/lib\/dpkg\/status|usr\/share\/doc\/[^/]+(?:\/copyright)?)$/;

/** Content of a file below a root, symbolic links followed within it; `undefined` when there is none. */
function contentOf(root: string, path: string): string | undefined {
  try {
    const full = realpathSync(join(root, path));
    return full.startsWith(`${realpathSync(root)}/`) ? readFileSync(full, "utf8") : undefined;
  } catch {
    return undefined;
  }
}

/** RPM's files below a root. @throws {ImgtaskError} IMG3582 without a database of packages */
function rpmBelow(root: string, kernels: readonly string[], target: string): RpmFiles {
  const database = rpmDatabases.map((path) => join(root, path)).find((path) => (lstatSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0 && lstatSync(path).isFile());
  if (database === undefined) {
    throw new ImgtaskError("IMG3582", `No database of packages that can be read in "${target}"`, { expected: `rpm's: ${rpmDatabases.join(", ")}`, found: "none of them", hint: `dpkg's is read without "packages"` });
  }
  return { osRelease: osReleaseOf(root), kernels: kernels.filter((name) => /^vmlinuz-./.test(name)), database };
}

function osReleaseOf(root: string): string {
  return contentOf(root, "usr/lib/os-release") ?? contentOf(root, "etc/os-release") ?? "";
}

/** What was taken out below a root. @throws {ImgtaskError} IMG3582 without a database of packages */
function filesBelow(root: string, kernels: readonly string[], target: string): ImageFiles {
  const status = contentOf(root, "var/lib/dpkg/status");
  if (status === undefined || !/^Package: /m.test(status)) {
    throw new ImgtaskError("IMG3582", `No database of packages that can be read in "${target}"`, {
      expected: "dpkg's, var/lib/dpkg/status, with packages in it",
      found: status === undefined ? "no such file" : "no package in it",
      hint: "Of a system of RPM, ask for `packages: \"rpm\"`",
    });
  }
  return {
    osRelease: osReleaseOf(root),
    status,
    kernels: kernels.filter((name) => /^vmlinuz-./.test(name)),
    copyright: (name) => contentOf(root, `usr/share/doc/${name}/copyright`),
  };
}

/** Of a root file system as a tar, as `rootfs()` makes it. */
export async function readRootfs(tar: string, target: string, { exec, tmp }: Context): Promise<ImageFiles>;
export async function readRootfs(tar: string, target: string, context: Context, databases: "rpm"): Promise<RpmFiles>;
export async function readRootfs(tar: string, target: string, { exec, tmp }: Context, databases: Databases = "dpkg"): Promise<ImageFiles | RpmFiles> {
  const list = join(tmp, "list"), chosen = join(tmp, "chosen"), root = join(tmp, "image");
  await exec(["tar", "--list", "--quoting-style=literal", "--file", tar], { stdout: { file: list } });
  const names = readFileSync(list, "utf8").split("\n");
  writeFileSync(chosen, names.filter((name) => {
    const path = name.replace(/^\.\//, "");
    return databases === "rpm" ? wantedOfRpm.has(path) : wanted.test(path);
  }).map((name) => `${name}\0`).join(""));
  mkdirSync(root);
  await exec(["tar", "--extract", "--no-same-owner", "--no-same-permissions", "--delay-directory-restore", "--no-recursion", "--file", tar, "--directory", root, "--null", "--verbatim-files-from", "--no-wildcards", "--files-from", chosen]);
  return (databases === "rpm" ? rpmBelow : filesBelow)(root, names.map((name) => /^(?:\.\/)?boot\/([^/]+)$/.exec(name)?.[1] ?? ""), target);
}

/** Names of file systems by their magic numbers. Source: libmagic's and libblkid's tables. */
const fileSystems: readonly (readonly [name: string, offset: number, magic: Buffer])[] = [
  ["ext4", 0x438, Buffer.from([0x53, 0xef])], ["XFS", 0, Buffer.from("XFSB")], ["Btrfs", 0x10040, Buffer.from("_BHRfS_M")], ["LUKS", 0, Buffer.from("LUKS")],
  ["LVM", 0x218, Buffer.from("LVM2 001")], ["F2FS", 0x400, Buffer.from([0x10, 0x20, 0xf5, 0xf2])], ["squashfs", 0, Buffer.from("hsqs")], ["NTFS", 3, Buffer.from("NTFS    ")],
  ["swap", 0xff6, Buffer.from("SWAPSPACE2")], ["FAT", 0x52, Buffer.from("FAT32")], ["FAT", 0x36, Buffer.from("FAT1")],
];

/** What stands at a place of a disk: ext4's name is that of its predecessors, too. */
function fileSystemAt(disk: string, offset: number): string | undefined {
  const fd = openSync(disk, "r");
  try {
    const head = Buffer.alloc(0x10048);
    readSync(fd, head, 0, head.length, offset);
    return fileSystems.find(([, at, magic]) => head.subarray(at, at + magic.length).equals(magic))?.[0];
  } finally {
    closeSync(fd);
  }
}

/** Of a disk as `disk()` makes it: its largest partition, which must be ext4. */
export async function readDisk(disk: string, format: string, target: string, { exec, tmp }: Context): Promise<ImageFiles>;
export async function readDisk(disk: string, format: string, target: string, context: Context, databases: "rpm"): Promise<RpmFiles>;
export async function readDisk(disk: string, format: string, target: string, { exec, tmp }: Context, databases: Databases = "dpkg"): Promise<ImageFiles | RpmFiles> {
  const raw = format === "raw" ? disk : join(tmp, "disk.raw");
  if (raw !== disk) await exec(["qemu-img", "convert", "-f", format, "-O", "raw", disk, raw]);
  const { stdout } = await exec(["sfdisk", "--json", raw], { stdout: "capture" });
  const { partitiontable: table } = JSON.parse(stdout) as { partitiontable: { sectorsize?: number; partitions?: readonly { start: number; size: number }[] } };
  const largest = [...(table.partitions ?? [])].sort((a, b) => b.size - a.size)[0];
  if (largest === undefined) throw new ImgtaskError("IMG3582", `No partition in "${target}"`, { expected: "a partition table, as disk() makes it", found: "none" });
  const offset = largest.start * (table.sectorsize ?? 512), fileSystem = fileSystemAt(raw, offset);
  if (fileSystem !== "ext4") {
    throw new ImgtaskError("IMG3582", `The file system in "${target}" cannot be read: ${fileSystem ?? "unknown"}`, {
      expected: "ext4 on the largest partition",
      found: fileSystem === undefined ? "nothing that is known there" : `${fileSystem}, ${largest.size * (table.sectorsize ?? 512)} bytes from byte ${offset} on`,
      hint: "Describe the root file system that the disk was made of; or publish the disk without sbom()",
    });
  }
  const device = `${raw}?offset=${offset}`;
  const root = join(tmp, "image"), boot = join(root, "boot");
  for (const directory of ["etc", "usr/lib", "usr/share", "var/lib/dpkg", "boot", "var/lib/rpm", "usr/lib/sysimage/rpm"]) mkdirSync(join(root, directory), { recursive: true });
  // Paths of imgtask's own, without blanks: debugfs has a command line, and this is a script for it.
  const script = join(tmp, "debugfs");
  const out = "image";
  writeFileSync(script, [
    `dump /usr/lib/os-release ${out}/usr/lib/os-release`,
    ...(databases === "rpm"
      ? rpmDatabases.flatMap((path) => [path, `${path}-wal`]).map((path) => `dump /${path} ${out}/${path}`)
      : [`dump /var/lib/dpkg/status ${out}/var/lib/dpkg/status`, `rdump /usr/share/doc ${out}/usr/share`]),
    "ls -p /boot",
  ].map((line) => `${line}\n`).join(""));
  const listing = await exec(["debugfs", "-f", script, device], { cwd: tmp, stdout: "capture", env: { DEBUGFS_PAGER: "cat" } });
  if (!existsSync(boot) || readdirSync(root).length === 0) throw new ImgtaskError("IMG3582", `No file system that can be read in "${target}"`);
  const kernels = listing.stdout.split("\n").map((line) => /^\/\d+\/\d+\/\d+\/\d+\/([^/]+)\/\d*\/$/.exec(line.trim())?.[1] ?? "");
  return (databases === "rpm" ? rpmBelow : filesBelow)(root, kernels, target);
}
