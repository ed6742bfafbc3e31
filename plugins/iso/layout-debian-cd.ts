/**
 * The layout of Debian's and Kali's installers, as debian-cd makes it: ISOLINUX for BIOS, GRUB for UEFI, whose EFI
 * image only leads to the menu on the medium; `md5sum.txt`.
 * @module
 */
import type { Layout } from "./layout-type.ts";

export const debianCd: Layout = {
  name: "debian-cd",
  marks: [/^\/\.disk\/info$/, /^\/install(\.[a-z0-9]+)?\/vmlinuz$/],
  isolinux: ["/isolinux/isolinux.cfg"],
  grub: ["/boot/grub/grub.cfg"],
  // Not the graphical installer, which comes first: it cannot be watched on a serial line.
  model: ({ kernel, initrds }) => /\/install[^/]*\/vmlinuz$/.test(kernel) && !initrds.some((path) => path.includes("/gtk/")),
  checksums: "md5sum.txt",
};
