/**
 * An ISO made from an installer tree that carries kernel and initial file systems: ISOLINUX for BIOS, GRUB for UEFI.
 * Knows boot loaders and ISO 9660; knows no vendor's layout.
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Arch, ExitCode, hostFile, type HostFile, ImgtaskError, type Requirement, type RunContext } from "../../lib/mod.ts";
import { type Console, grubConfig, grubEarlyConfig, isolinuxConfig } from "./boot-menu.ts";
import { efiImageTools, makeEfiImage } from "./efi-image.ts";
import { implant } from "./implant.ts";

/** Type of an EFI system partition in a GPT. */
const espType = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

/** Files of ISOLINUX, the boot loader for CDs under BIOS. */
const isolinux = {
  loader: hostFile({
    name: "ISOLINUX",
    anyOf: ["/usr/lib/ISOLINUX/isolinux.bin", "/usr/share/syslinux/isolinux.bin"],
    packages: { apt: "isolinux", dnf: "syslinux-nonlinux" },
  }),
  mbr: hostFile({
    name: "ISOLINUX's master boot record",
    anyOf: ["/usr/lib/ISOLINUX/isohdpfx.bin", "/usr/share/syslinux/isohdpfx.bin"],
    packages: { apt: "isolinux", dnf: "syslinux" },
  }),
  library: hostFile({
    name: "SYSLINUX's library",
    anyOf: ["/usr/lib/syslinux/modules/bios/ldlinux.c32", "/usr/share/syslinux/ldlinux.c32"],
    packages: { apt: "syslinux-common", dnf: "syslinux-nonlinux" },
  }),
} as const;

/** What the host needs to make one. */
export function makeTools(arch: Arch): readonly Requirement[] {
  return [...efiImageTools(arch), ...(arch.grub.bios === undefined ? [] : Object.values(isolinux))];
}

/** What an ISO is made of. */
export interface Make {
  /** The target's name: ISOs of different targets are told apart. */
  readonly target: string;
  readonly tree: string;
  readonly arch: Arch;
  readonly params: { readonly arch: string; readonly volume: string; readonly console: Console; readonly timeout: number; readonly title: string };
  readonly out: string;
}

/** `path on the ISO=path on the host`, as xorriso takes it with -graft-points. */
function graft(path: string, host: string): string {
  const quoted = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("=", "\\=");
  return `${quoted(path)}=${quoted(host)}`;
}

function firstOf({ anyOf, name }: HostFile): string {
  const found = anyOf.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new ImgtaskError("IMG1401", `${name} is missing`, { expected: `one of ${anyOf.join(", ")}`, exitCode: ExitCode.prerequisite });
}

/** What the boot by BIOS adds: options of mkisofs, and files on the ISO. */
function biosBoot(): { readonly options: readonly string[]; readonly grafts: readonly string[] } {
  return {
    options: [
      "-isohybrid-mbr", firstOf(isolinux.mbr),
      "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
      "-eltorito-alt-boot",
    ],
    grafts: [
      graft("/isolinux/isolinux.bin", firstOf(isolinux.loader)),
      graft("/isolinux/ldlinux.c32", firstOf(isolinux.library)),
    ],
  };
}

/** Makes the ISO. */
export async function make({ target, tree, arch, params, out }: Make, context: Pick<RunContext, "exec" | "epoch" | "tmp">): Promise<void> {
  const { epoch, tmp, exec } = context;
  const stage = join(tmp, "stage");
  const write = (path: string, text: string): void => {
    mkdirSync(join(stage, path, ".."), { recursive: true });
    writeFileSync(join(stage, path), text);
  };
  // What tells this ISO from others comes from what it is made of, not from chance.
  const answers = readFileSync(join(tree, "preseed.cpio"));
  const id = createHash("sha256").update(JSON.stringify([target, params, epoch])).update(answers).digest("hex");
  const marker = `.disk/id/${id.slice(0, 32)}`;
  write(marker, "");
  write(".disk/info", `${params.title} (${arch.name})\n`);
  write("boot/grub/grub.cfg", grubConfig({ ...params, arch }));
  const image = join(tmp, "efi.img");
  await makeEfiImage(context, {
    arch,
    image,
    earlyConfig: grubEarlyConfig(`/${marker}`),
    serial: id.slice(32, 40).toUpperCase(),
  });
  const bios = arch.grub.bios === undefined ? undefined : biosBoot();
  if (bios !== undefined) write("isolinux/isolinux.cfg", isolinuxConfig({ ...params, arch }));
  const date = new Date(epoch * 1000).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14);
  await exec([
    // No settings of the host.
    "xorriso", "-no_rc", "-as", "mkisofs",
    "-quiet",
    // Rock Ridge with owner root and modes that do not depend on the host's; names beyond 8.3, files beyond 4 GiB.
    "-r", "-iso-level", "3", "-V", params.volume,
    // Every time stamp and identifier that would otherwise come from the clock.
    `--modification-date=${date}00`, "--set_all_file_dates", `=${epoch}`, "--gpt_disk_guid", `${id.slice(0, 12)}4${id.slice(13, 16)}8${id.slice(17, 32)}`,
    "-partition_offset", "16",
    ...(bios?.options ?? []),
    // One copy of the ESP, behind the ISO's files: for El Torito, and as a partition of its own. Inside them, as
    // -isohybrid-gpt-basdat has it, partitions overlap, and EDK II boots no stick with such a table.
    "-append_partition", "2", espType, image, "-appended_part_as_gpt",
    "-e", "--interval:appended_partition_2:all::", "-no-emul-boot",
    "-o", out,
    "-graft-points",
    ...(bios?.grafts ?? []),
    graft("/", stage),
    graft("/", tree),
  ], { env: { TZ: "UTC", LC_ALL: "C.UTF-8" } });
  await implant(out, exec);
}
