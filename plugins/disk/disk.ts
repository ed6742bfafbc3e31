/**
 * `disk()`: a bootable disk image from a root file system and its machine.
 * Knows no distribution; needs neither root, loop devices nor mounts on the host.
 * @module
 */
import { existsSync } from "node:fs";
import { type Artifact, checkCall, ExitCode, fit, type Fits, hostFile, ImgtaskError, type Machine, output, type OutputSpec, type Requirement, type Target, target, tool } from "../../lib/mod.ts";
import { archOf, emulationOf } from "../arch/mod.ts";
import { imageParams } from "../machine/image.ts";
import { namespaceTools, runInside } from "../machine/namespace.ts";
import { machineSecrets, passwordTools, withPasswords } from "../machine/passwords.ts";
import { diskScript } from "./build.ts";
import { type Boot, identifiers, parseSize } from "./layout.ts";

/** A disk size; powers of two. */
export type Size = `${number}G` | `${number}M`;

/** How a disk of an architecture can start. */
export type BootOf<A extends string> = A extends "x86_64" ? Boot : "uefi";

/** A root file system and the machine that it is to become: what `rootfs()` returns. */
export interface BootableRoot<A extends string = string> {
  readonly outputs: { readonly out: Artifact<"rootfs"> };
  readonly machine: Machine;
  readonly arch: A;
}

/** What passes for a root file system. */
export const rootFit: fit.Optional = fit.target("rootfs", ["machine", "arch"], "a root file system, as rootfs() gives it");

/** What `disk()` takes beside the name. */
export interface DiskOptions<A extends string> {
  /** The root file system; its machine is applied to it. */
  readonly from: BootableRoot<A>;
  /** @default "qcow2" */
  readonly format?: "qcow2" | "raw";
  /** Size that the machine sees, in GiB (`"10G"`) or MiB (`"1500M"`). The file takes only what is used of it. @default "10G" */
  readonly size?: Size;
  /** Firmware that can start it. @default "bios+uefi" where the architecture has both, else "uefi" */
  readonly boot?: BootOf<NoInfer<A>>;
}

const fits: Fits<DiskOptions<string>> = { from: fit.needed(rootFit), format: fit.word("qcow2", "raw"), size: fit.text, boot: fit.word("bios+uefi", "uefi", "bios") };

/** A bootable disk image. */
export type Disk<Name extends string = string, A extends string = string> = Target<`disk:${Name}`, { readonly out: OutputSpec<"disk"> }> & {
  readonly arch: A;
};

// Types of the Discoverable Partitions Specification, so that tools find the root without being told.
const rootTypes: Readonly<Record<string, string>> = {
  x86_64: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
  aarch64: "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
};
const linuxData = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

const grubPackages: Readonly<Record<string, string>> = { "i386-pc": "grub-pc-bin", "x86_64-efi": "grub-efi-amd64-bin", "arm64-efi": "grub-efi-arm64-bin" };

function grubModules(platform: string, removable: boolean): readonly Requirement[] {
  const file = `/usr/lib/grub/${platform}/kernel.img`;
  // A foreign architecture's modules are seldom packaged for the host; then they come from the image.
  if (removable && !existsSync(file)) return [];
  return [hostFile({ name: `GRUB for ${platform}`, anyOf: [file], packages: { apt: grubPackages[platform] ?? `grub-${platform}-bin` } })];
}

const tools: readonly Requirement[] = [
  tool("mke2fs", { versionArgs: ["-V"], packages: { apt: "e2fsprogs", dnf: "e2fsprogs" } }),
  tool("dd", { packages: { apt: "coreutils", dnf: "coreutils" } }),
  tool("chroot", { packages: { apt: "coreutils", dnf: "coreutils" } }),
  tool("sfdisk", { packages: { apt: "fdisk", dnf: "util-linux-core" } }),
  tool("tar", { packages: { apt: "tar", dnf: "tar" } }),
  tool("grub-mkimage", { packages: { apt: "grub-common" } }),
  tool("qemu-img", { packages: { apt: "qemu-utils", dnf: "qemu-img" } }),
];
const espTools: readonly Requirement[] = [
  tool("mcopy", { packages: { apt: "mtools", dnf: "mtools" } }),
  tool("mkfs.vfat", { versionArgs: ["--help"], packages: { apt: "dosfstools", dnf: "dosfstools" } }),
];

/**
 * Declares a bootable disk image: the root file system with its machine applied, on ext4, in a GUID partition table
 * with GRUB for BIOS and for UEFI. Console on the screen and on the serial line.
 *
 * The same inputs give the same bytes. Identifiers follow from them, host keys and the machine id are made at the
 * first boot.
 *
 * @throws {ImgtaskError} IMG2120 for a bad size, IMG2121 for a way to start that the architecture lacks.
 *
 * @example
 * ```ts
 * export const debianDisk = disk("debian", { from: root, format: "qcow2", size: "80G", boot: "bios+uefi" });
 * ```
 */
export function disk<const Name extends string, A extends string>(name: Name, options: DiskOptions<A>): Disk<Name, A> {
  checkCall("disk", name, options, fits);
  const { from } = options;
  const arch = archOf(from.arch);
  const format = options.format ?? "qcow2";
  const boot: Boot = options.boot ?? (arch.grub.bios === undefined ? "uefi" : "bios+uefi");
  if (arch.grub.bios === undefined && boot !== "uefi") {
    throw new ImgtaskError("IMG2121", `A disk for ${arch.name} cannot start by BIOS`, { expected: `boot: "uefi"`, found: `boot: "${boot}"`, exitCode: ExitCode.usage });
  }
  const made = target(`disk:${name}`, {
    description: `Disk image (${format}) of "${from.machine.hostname}" for ${arch.name}`,
    inputs: { rootfs: from },
    secrets: machineSecrets(from.machine),
    params: {
      machine: imageParams(from.machine),
      format,
      size: parseSize(options.size ?? "10G"),
      boot,
      grub: { efi: arch.grub.efi, removable: arch.grub.removable, bios: arch.grub.bios },
      console: arch.console,
      rootType: rootTypes[arch.name] ?? linuxData,
    },
    tools: [
      ...tools,
      ...(boot === "bios" ? [] : [...espTools, ...grubModules(arch.grub.efi, arch.grub.bios === undefined)]),
      ...(boot === "uefi" || arch.grub.bios === undefined ? [] : grubModules(arch.grub.bios, false)),
      ...passwordTools(from.machine),
      ...namespaceTools,
      ...emulationOf(arch),
    ],
    outputs: { out: output("file", "disk", { path: `artifacts/disk/${name}.${format}` }) },
    platform: arch.name,
    resources: { cpu: 1, memory: "1G", disk: "2G" },
    untracked: { reads: ["/etc/mtools.conf", "/etc/default/mtools.conf"] },
    module: import.meta.url,
    async run(context) {
      const { params, inputs, outputs, tmp, epoch } = context;
      const { format, size, boot, grub, console, rootType } = params;
      const machine = await withPasswords(params.machine, context);
      await runInside(context, diskScript, {
        rootfs: inputs.rootfs,
        out: outputs.out,
        format,
        size,
        boot,
        machine,
        // Not from the content: an image that was built anew replaces the old one, and keeps its identifiers.
        ids: { ...identifiers(`${context.target}\0${machine.hostname}`) },
        rootType,
        grub,
        console,
        epoch,
        tmp,
      });
    },
  });
  return Object.freeze({ ...made, arch: from.arch });
}
