/**
 * The layouts of vendors' ISOs: where each has its menus, what its entries look like, which lists of checksums it
 * carries. A new one is a file like `layout-casper.ts` and an entry here; `test/contract/layout.test.ts` runs over it.
 * @module
 */
import type { IsoLayout } from "../../lib/mod.ts";
import { anaconda } from "./layout-anaconda.ts";
import { casper } from "./layout-casper.ts";
import { debianCd } from "./layout-debian-cd.ts";
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

/** All layouts. */
export const layouts: Readonly<Record<IsoLayout, Layout>> = Object.freeze({ "debian-cd": debianCd, casper, anaconda });
