/**
 * The small FAT image that UEFI firmware boots an ISO from, with GRUB in it. The same GRUB always gives the same bytes.
 * Knows nothing of what is booted.
 * @module
 */
import { statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Arch, hostFile, type Requirement, type RunContext, tool } from "../../lib/mod.ts";

/** Modules of GRUB to find an ISO, show a menu and start Linux. */
const modules = [
  "part_gpt", "part_msdos", "iso9660", "fat", "search", "search_fs_file", "normal", "linux", "configfile", "terminal", "echo", "test", "boot",
] as const;

/** Those that only a PC has. */
const pcModules = ["serial", "efi_gop"] as const;

const grubDirectory = (arch: Arch): string => `/usr/lib/grub/${arch.grub.efi}`;

/** What the host needs to make such an image. */
export function efiImageTools(arch: Arch): readonly Requirement[] {
  const foreign = arch.node === process.arch ? "" : `:${arch.oci}`;
  return [
    tool("grub-mkimage", { packages: { apt: "grub-common" } }),
    hostFile({
      name: `GRUB for UEFI on ${arch.name}`,
      anyOf: [`${grubDirectory(arch)}/normal.mod`],
      packages: { apt: `grub-efi-${arch.oci}-bin${foreign}` },
      ...(foreign === "" ? {} : { hint: `On Debian first: dpkg --add-architecture ${arch.oci} && apt-get update` }),
    }),
    tool("mkfs.vfat", { versionArgs: ["--help"], packages: { apt: "dosfstools" } }),
    tool("mmd", { packages: { apt: "mtools" } }),
    tool("mcopy", { packages: { apt: "mtools" } }),
  ];
}

/**
 * Makes the image.
 *
 * @param image where.
 * @param earlyConfig commands that GRUB runs first.
 * @param serial volume number, 8 hex digits.
 */
export async function makeEfiImage(
  context: Pick<RunContext, "exec" | "epoch" | "tmp">,
  { arch, image, earlyConfig, serial }: { readonly arch: Arch; readonly image: string; readonly earlyConfig: string; readonly serial: string },
): Promise<void> {
  const { exec, epoch, tmp } = context;
  const config = join(tmp, "early.cfg");
  const loader = join(tmp, arch.grub.removable);
  writeFileSync(config, earlyConfig);
  await exec([
    "grub-mkimage", "-O", arch.grub.efi, "-d", grubDirectory(arch), "-p", "/boot/grub", "-c", config, "-o", loader,
    ...modules, ...(arch.grub.bios === undefined ? [] : pcModules),
  ]);
  utimesSync(loader, epoch, epoch);
  // As small as a floppy where that will do: firmware takes it for one. 64 KiB for the file system's own tables.
  const kib = Math.max(1440, Math.ceil((statSync(loader).size / 1024 + 64) / 32) * 32);
  // mtools stamp entries with SOURCE_DATE_EPOCH, in the local time zone, and read settings of the user
  // (and of the system, which say nothing of an image that is named).
  const env = { SOURCE_DATE_EPOCH: String(epoch), TZ: "UTC", HOME: tmp, MTOOLSRC: "/dev/null" };
  await exec(["mkfs.vfat", "-C", "-F", "12", "-n", "ESP", "-i", serial, "--invariant", image, String(kib)], { env });
  await exec(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], { env });
  await exec(["mcopy", "-m", "-i", image, loader, `::/EFI/BOOT/${arch.grub.removable}`], { env });
}
