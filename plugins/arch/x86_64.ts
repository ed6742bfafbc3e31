/**
 * The architecture x86_64 (amd64, PC): what tools call it, and how to emulate one.
 * Knows no distribution.
 * @module
 */
import { type Arch, defineArch, hostFile, tool } from "../../lib/mod.ts";

/** 64-bit PC; boots by BIOS and by UEFI. */
export const x86_64: Arch<"x86_64"> = defineArch({
  name: "x86_64",
  node: "x64",
  oci: "amd64",
  console: "ttyS0,115200",
  grub: { efi: "x86_64-efi", removable: "BOOTX64.EFI", bios: "i386-pc" },
  qemu: {
    system: tool("qemu-system-x86_64", { packages: { apt: "qemu-system-x86", dnf: "qemu-system-x86-core" } }),
    // "max": the emulator's default processor lacks what x86-64-v2 distributions ask for.
    machine: ["-machine", "q35", "-cpu", "max"],
    firmware: {
      // Both lists in the same order: a variable store fits only code of its own size.
      code: hostFile({
        name: "UEFI firmware for x86_64",
        anyOf: ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/x64/OVMF_CODE.4m.fd"],
        packages: { apt: "ovmf", dnf: "edk2-ovmf" },
      }),
      vars: hostFile({
        name: "UEFI variable store for x86_64",
        anyOf: ["/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"],
        packages: { apt: "ovmf", dnf: "edk2-ovmf" },
      }),
    },
  },
  userEmulation: hostFile({
    name: "emulation of x86_64 programs",
    anyOf: ["/proc/sys/fs/binfmt_misc/qemu-x86_64"],
    packages: { apt: "qemu-user-static" },
    hint: "In a container, binfmt_misc must be registered on its host",
  }),
});
