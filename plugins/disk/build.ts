/**
 * Makes a disk image inside the namespace: root tar in, machine applied, partitions, file systems and boot loader out.
 * Knows nothing of targets.
 * @module
 */
import { existsSync, mkdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImgtaskError } from "../../lib/mod.ts";
import { applyMachine, writeInside } from "../machine/apply.ts";
import { command, makeScratch } from "../machine/inside.ts";
import { insideMain } from "../machine/namespace.ts";
import type { ReadyMachine } from "../machine/passwords.ts";
import { fixTimes } from "./ext4.ts";
import { earlyConfig, menu, modules, platformModules, writeBiosBoot } from "./grub.ts";
import { biosBoot, type Boot, esp, type Identifiers, partitionTable, rootSize, rootStart } from "./layout.ts";
import { logLine } from "../machine/log.ts";

/** What is to be made. */
export interface DiskJob {
  /** The tar of the root. */
  readonly rootfs: string;
  readonly out: string;
  readonly format: "qcow2" | "raw";
  /** Bytes. */
  readonly size: number;
  readonly boot: Boot;
  readonly machine: ReadyMachine;
  readonly ids: Identifiers;
  /** Partition type of the root. */
  readonly rootType: string;
  /** The architecture's GRUB platforms, removable name and serial console. */
  readonly grub: { readonly efi: string; readonly removable: string; readonly bios: string | undefined };
  readonly console: string;
  readonly epoch: number;
  /** An empty directory. */
  readonly tmp: string;
}

/** File URL of this module, for `runInside`. */
export const diskScript: string = import.meta.url;

/** mke2fs reads its defaults from here and not from the host: newer ones have features that GRUB cannot read. */
const mke2fsConfig = `[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384
[fs_types]
ext4 = {
  features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
`;

/** Where GRUB's modules for a platform are: in the image, for an architecture that the host has none of, or on the host. */
function grubDirectory(tree: string, platform: string): string {
  const found = [`/usr/lib/grub/${platform}`, `${tree}/usr/lib/grub/${platform}`].find((directory) => existsSync(`${directory}/kernel.img`));
  if (found !== undefined) return found;
  throw new ImgtaskError("IMG1310", `GRUB for ${platform} is neither on this host nor in the image`, {
    expected: `/usr/lib/grub/${platform}/kernel.img`,
    hint: `Install the package grub-${platform === "i386-pc" ? "pc" : platform.replace("x86_64-efi", "efi-amd64").replace("arm64-efi", "efi-arm64")}-bin, or add it to the machine's \`packages\``,
    exitCode: 4,
  });
}

function grubImage(work: string, tree: string, platform: string, name: string, config: string): string {
  const file = join(work, name);
  command(["grub-mkimage", "-d", grubDirectory(tree, platform), "-O", platform, "-o", file, "-c", config, "-p", "/boot/grub", ...modules, ...platformModules(platform)]);
  return file;
}

function makeEsp(work: string, job: DiskJob, loader: string): string {
  const image = join(work, "esp.img");
  const env = { TZ: "UTC", MTOOLS_SKIP_CHECK: "1", HOME: work, MTOOLSRC: "/dev/null" };
  writeFileSync(image, "");
  truncateSync(image, esp.size);
  command(["mkfs.vfat", "-F", "32", "--invariant", "-n", "ESP", "-i", job.ids.espVolume, image]);
  command(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], { env });
  utimesSync(loader, job.epoch, job.epoch);
  command(["mcopy", "-m", "-i", image, loader, `::/EFI/BOOT/${job.grub.removable}`], { env });
  return image;
}

function makeRoot(disk: string, work: string, tree: string, job: DiskJob): void {
  const config = join(work, "mke2fs.conf");
  writeFileSync(config, mke2fsConfig);
  const version = /mke2fs (\d+)\.(\d+)/.exec(command(["mke2fs", "-V"], { env: { MKE2FS_CONFIG: config } }).stderr);
  // The file is one hole, so nothing needs zeroing: neither now nor, which would make every image grow by gigabytes,
  // by the kernel after the first boot. Before 1.47 mke2fs cannot be told so, and leaves it to the kernel.
  const zeroed = version !== null && Number(version[1]) * 1000 + Number(version[2]) >= 1047;
  command(
    [
      "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-U", job.ids.rootFilesystem, "-d", tree,
      "-E", [`offset=${rootStart}`, "root_owner=0:0", `hash_seed=${job.ids.directoryHash}`, "nodiscard", ...(zeroed ? ["assume_storage_prezeroed=1"] : ["lazy_itable_init=1", "lazy_journal_init=1"])].join(","),
      disk, `${rootSize(job.size) / 1024}k`,
    ],
    { env: { MKE2FS_CONFIG: config, E2FSPROGS_FAKE_TIME: String(job.epoch), MKE2FS_SYNC: "0" } },
  );
  fixTimes(disk, rootStart, job.epoch);
}

function fstab(job: DiskJob): string {
  const { espVolume, rootFilesystem } = job.ids;
  const volume = `${espVolume.slice(0, 4)}-${espVolume.slice(4)}`.toUpperCase();
  const efi = job.boot === "bios" ? "" : `UUID=${volume} /boot/efi vfat umask=0077,nofail 0 0\n`;
  return `UUID=${rootFilesystem} / ext4 errors=remount-ro 0 1\n${efi}`;
}

await insideMain<DiskJob>(import.meta.url, (job) => {
  const started = Date.now();
  let last = started;
  const step = (name: string): void => {
    logLine(`# ${name}: ${Date.now() - last} ms`);
    last = Date.now();
  };
  const work = join(job.tmp, "work");
  // The tree, and the same again as blocks of the disk.
  const inMemory = makeScratch(work, statSync(job.rootfs).size * 2.5 + 256 * 2 ** 20);
  const tree = join(work, "root");
  mkdirSync(tree, { mode: 0o755 });
  // Devices come from the kernel at boot, and an ordinary user could not make them here.
  command(["tar", "-x", "-p", "--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*", "-f", job.rootfs, "-C", tree]);
  step("unpack");
  applyMachine(tree, job.machine);
  writeInside(tree, "/etc/fstab", fstab(job));
  if (job.boot !== "bios") mkdirSync(join(tree, "boot/efi"), { recursive: true });
  writeInside(tree, "/boot/grub/grub.cfg", menu(job.ids.rootFilesystem, `console=tty0 console=${job.console}`));
  step("apply");
  const disk = join(work, "disk.raw");
  writeFileSync(disk, "");
  truncateSync(disk, job.size);
  command(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk], { input: partitionTable(job.size, job.boot, job.ids, job.rootType) });
  makeRoot(disk, work, tree, job);
  step("root file system");
  const early = join(work, "early.cfg");
  writeFileSync(early, earlyConfig(job.ids.rootFilesystem));
  if (job.boot !== "bios") {
    const image = makeEsp(work, job, grubImage(work, tree, job.grub.efi, job.grub.removable, early));
    command(["dd", `if=${image}`, `of=${disk}`, "bs=1M", `seek=${esp.start / 2 ** 20}`, "conv=notrunc,sparse", "status=none"]);
  }
  if (job.boot !== "uefi" && job.grub.bios !== undefined) {
    const core = grubImage(work, tree, job.grub.bios, "core.img", early);
    writeBiosBoot(disk, join(grubDirectory(tree, job.grub.bios), "boot.img"), core, biosBoot.start, biosBoot.size);
  }
  step("boot loader");
  if (job.format === "qcow2") command(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, job.out]);
  else command(["cp", "--sparse=always", disk, job.out]);
  step("output");
  // Files of other users could not be removed from outside. Memory is free when the namespace ends.
  if (!inMemory) rmSync(work, { recursive: true, force: true });
});
