/**
 * The layout of Ubuntu's live installers: GRUB for BIOS and for UEFI with one menu on the medium, the EFI system
 * partition behind the files; `md5sum.txt`.
 * @module
 */
import type { Layout } from "./layout-type.ts";

export const casper: Layout = {
  name: "casper",
  marks: [/^\/\.disk\/info$/, /^\/casper\/vmlinuz$/],
  isolinux: [],
  // The second one serves where the ISO is a file on another disk.
  grub: ["/boot/grub/grub.cfg", "/boot/grub/loopback.cfg"],
  model: ({ kernel }) => kernel === "/casper/vmlinuz",
  checksums: "md5sum.txt",
};
