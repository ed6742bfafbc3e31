/**
 * What must be known of a layout of vendors' ISOs. A type alone; the layouts there are stand in `layout.ts`.
 * @module
 */
import type { IsoLayout } from "../../lib/mod.ts";
import type { Boot } from "./menu.ts";

/** How a vendor lays out its ISOs. */
export interface Layout {
  readonly name: IsoLayout;
  /** Files by which it is known: each pattern must fit a path. */
  readonly marks: readonly RegExp[];
  /** Main configuration files of ISOLINUX; those that are there. */
  readonly isolinux: readonly string[];
  /** Menus of GRUB on the medium; those that are there. */
  readonly grub: readonly string[];
  /** Menus of GRUB on the EFI system partition, paths in lower case. @default none: it leads to those on the medium */
  readonly esp?: RegExp;
  /** The vendor's entry that the unattended one is made of: installs, shows text, checks no media. */
  readonly model: (boot: Boot) => boolean;
  /** Which list of checksums the medium has of its own files. */
  readonly checksums: "md5sum.txt" | ".treeinfo";
}
