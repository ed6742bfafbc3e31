/**
 * The layout of Fedora and the RHEL family, as lorax makes it: `.treeinfo`, kernel and stage 2 in `images/`. BIOS is
 * served by ISOLINUX (RHEL 9 and before) or GRUB; UEFI by GRUB with a menu of its own on the EFI system partition.
 * @module
 */
import type { Layout } from "./layout-type.ts";

export const anaconda: Layout = {
  name: "anaconda",
  marks: [/^\/\.treeinfo$/, /^\/images\/pxeboot\/vmlinuz$/],
  isolinux: ["/isolinux/isolinux.cfg"],
  grub: ["/boot/grub2/grub.cfg", "/EFI/BOOT/grub.cfg", "/EFI/BOOT/BOOT.conf"],
  esp: /^\/efi\/boot\/(grub\.cfg|boot\.conf)$/,
  model: ({ kernel, arguments: words }) => /(^|\/)vmlinuz$/.test(kernel) && !words.some((word) => /^(rd\.live\.check|inst\.rescue|rescue)\b/.test(word)),
  checksums: ".treeinfo",
};
