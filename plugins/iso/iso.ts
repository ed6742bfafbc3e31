/**
 * The kind `iso`: an installer tree becomes a hybrid ISO image, bootable from CD and USB by BIOS and UEFI.
 * Knows boot loaders and ISO 9660; knows no answer format and no distribution.
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Arch,
  ExitCode,
  hostFile,
  type HostFile,
  ImgtaskError,
  output,
  type OutputSpec,
  type Requirement,
  type RunContext,
  type Target,
  target,
  tool,
} from "../../lib/mod.ts";
import { archOf } from "../arch/mod.ts";
import type { Customized } from "../customize/customize.ts";
import { type Console, grubConfig, grubEarlyConfig, isolinuxConfig } from "./boot-menu.ts";
import { efiImageTools, makeEfiImage } from "./efi-image.ts";

/** What `iso()` takes. */
export interface IsoOptions {
  /** The installer, as `customize()` makes it. */
  readonly from: Customized;
  /** Volume name: capital letters, digits and `_`; 32 at most. @default the target's name in that alphabet */
  readonly volume?: string;
  /**
   * Where boot loader and installer can be seen. With `"serial+vga"` both show the boot, and the installer itself
   * speaks on the serial line.
   * @default "serial+vga"
   */
  readonly console?: Console;
  /** Seconds in which a key stops the unattended start; 0 to 600. @default 3 */
  readonly timeout?: number;
}

/** A target that makes an ISO image. */
export type Iso<Name extends string = string> =
  & Target<`iso:${Name}`, { readonly out: OutputSpec<"iso"> }>
  & {
    /** Canonical architecture: `x86_64`. */
    readonly arch: string;
  };

const xorriso = tool("xorriso", { versionArgs: ["-version"], versionPattern: /xorriso version\s*:\s*(\d+(?:\.\d+)+)/, min: "1.5.0", packages: { apt: "xorriso", dnf: "xorriso" } });

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

function requirements(arch: Arch): readonly Requirement[] {
  return [xorriso, ...efiImageTools(arch), ...(arch.grub.bios === undefined ? [] : Object.values(isolinux))];
}

function volumeOf(name: string, asked: string | undefined): string {
  const volume = asked ?? name.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_");
  if (/^[A-Z0-9_]{1,32}$/.test(volume)) return volume;
  throw new ImgtaskError("IMG2401", `Bad volume name ${JSON.stringify(volume)} for "iso:${name}"`, {
    expected: "capital letters, digits and _; 1 to 32 (the d-characters of ISO 9660)",
    exitCode: ExitCode.usage,
  });
}

/**
 * Declares target `iso:NAME`: a bootable image in `artifacts/iso/NAME.iso` that installs without asking.
 *
 * It boots from CD and from USB stick: on a PC by BIOS (ISOLINUX) and by UEFI (GRUB), elsewhere by UEFI. The same
 * installer always gives the same bytes.
 *
 * @param name letters, digits, `.`, `_`, `+`, `-`.
 * @throws {ImgtaskError} IMG2401 for a bad volume name, IMG2402 for a bad timeout, IMG2110 for an unknown architecture.
 *
 * @example
 * ```ts
 * export const debianIso = iso("debian", { from: tree, volume: "DEBIAN_LAB" });
 * ```
 */
export function iso<const Name extends string>(name: Name, options: IsoOptions): Iso<Name> {
  const arch = archOf(options.from.media.arch);
  const { console = "serial+vga", timeout = 3 } = options;
  if (!Number.isInteger(timeout) || timeout < 0 || timeout > 600) {
    throw new ImgtaskError("IMG2402", `Bad timeout ${JSON.stringify(timeout)} for "iso:${name}"`, {
      expected: "whole seconds, 0 to 600",
      exitCode: ExitCode.usage,
    });
  }
  const declared = target(`iso:${name}`, {
    description: `Unattended installer of ${options.from.media.id}, as an ISO image`,
    inputs: { from: options.from },
    params: { arch: arch.name, volume: volumeOf(name, options.volume), console, timeout, title: `Install ${name}` },
    tools: requirements(arch),
    outputs: { out: output("file", "iso", { path: `artifacts/iso/${name}.iso` }) },
    platform: arch.name,
    untracked: { reads: ["/etc/mtools.conf", "/etc/default/mtools.conf"] },
    module: import.meta.url,
    run: build,
  });
  return Object.freeze({ ...declared, arch: arch.name });
}

type Build = RunContext<
  { readonly from: Customized },
  { readonly arch: string; readonly volume: string; readonly console: Console; readonly timeout: number; readonly title: string },
  { readonly out: OutputSpec }
>;

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

async function build(context: Build): Promise<void> {
  const { inputs, params, outputs, epoch, tmp, exec } = context;
  const arch = archOf(params.arch);
  const stage = join(tmp, "stage");
  const write = (path: string, text: string): void => {
    mkdirSync(join(stage, path, ".."), { recursive: true });
    writeFileSync(join(stage, path), text);
  };
  // What tells this ISO from others comes from what it is made of, not from chance.
  const answers = readFileSync(join(inputs.from, "preseed.cpio"));
  const id = createHash("sha256").update(JSON.stringify([context.target, params, epoch])).update(answers).digest("hex");
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
    "-o", outputs.out,
    "-graft-points",
    ...(bios?.grafts ?? []),
    graft("/", stage),
    graft("/", inputs.from),
  ], { env: { TZ: "UTC", LC_ALL: "C.UTF-8" } });
}
