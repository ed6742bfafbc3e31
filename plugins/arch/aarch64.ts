/**
 * The architecture aarch64 (arm64): what tools call it, and how to emulate one.
 * Knows no distribution.
 * @module
 */
import { type Arch, defineArch, hostFile, tool } from "../../lib/mod.ts";

/** 64-bit ARM with UEFI (SystemReady servers, virtual machines). */
export const aarch64: Arch<"aarch64"> = defineArch({
  name: "aarch64",
  node: "arm64",
  oci: "arm64",
  console: "ttyAMA0,115200",
  grub: { efi: "arm64-efi", removable: "BOOTAA64.EFI" },
  qemu: {
    system: tool("qemu-system-aarch64", { packages: { apt: "qemu-system-arm", dnf: "qemu-system-aarch64-core" } }),
    // Not "max": emulating pointer authentication costs half the speed, and no distribution asks for it.
    machine: ["-machine", "virt", "-cpu", "cortex-a72"],
    firmware: {
      code: hostFile({
        name: "UEFI firmware for aarch64",
        anyOf: ["/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw"],
        packages: { apt: "qemu-efi-aarch64", dnf: "edk2-aarch64" },
      }),
      vars: hostFile({
        name: "UEFI variable store for aarch64",
        anyOf: ["/usr/share/AAVMF/AAVMF_VARS.fd", "/usr/share/edk2/aarch64/vars-template-pflash.raw"],
        packages: { apt: "qemu-efi-aarch64", dnf: "edk2-aarch64" },
      }),
    },
  },
  userEmulation: hostFile({
    name: "emulation of aarch64 programs",
    anyOf: ["/proc/sys/fs/binfmt_misc/qemu-aarch64"],
    packages: { apt: "qemu-user-static" },
    hint: "In a container, binfmt_misc must be registered on its host",
  }),
});
