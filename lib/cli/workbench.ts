/**
 * Programs that people who build images have at hand, beside those that their targets declare. `doctor` says which are
 * there, in which version, and what would install the others; nothing depends on them.
 * @module
 */
import { type Requirement, tool } from "../tool.ts";

/** In the order in which they are told. */
export const workbench: readonly Requirement[] = [
  tool("packer", { min: "1.9", packages: { apt: "packer" } }),
  tool("qemu-system-x86_64", { packages: { apt: "qemu-system-x86", dnf: "qemu-system-x86-core" } }),
  tool("qemu-img", { packages: { apt: "qemu-utils", dnf: "qemu-img" } }),
  tool("virt-install", { packages: { apt: "virtinst", dnf: "virt-install" } }),
  tool("xorriso", { versionArgs: ["-version"], versionPattern: /xorriso version\s*:\s*(\d+(?:\.\d+)+)/, min: "1.5.0", packages: { apt: "xorriso", dnf: "xorriso" } }),
  tool("isohybrid", { versionArgs: ["--version"], packages: { apt: "syslinux-utils", dnf: "syslinux" } }),
  tool("ansible", { packages: { apt: "ansible-core", dnf: "ansible-core" } }),
  tool("cloud-init", { packages: { apt: "cloud-init", dnf: "cloud-init" } }),
  tool("sha256sum", { packages: { apt: "coreutils", dnf: "coreutils" } }),
  tool("gpg", { packages: { apt: "gpg", dnf: "gnupg2" } }),
];
