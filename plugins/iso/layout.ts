/**
 * The layouts of vendors' ISOs: where each has its menus, what its entries look like, which lists of checksums it
 * carries. A new one is a file like `layout-casper.ts` and an entry here; `test/contract/layout.test.ts` runs over it.
 * @module
 */
import type { IsoLayout } from "../../lib/mod.ts";
import { anaconda } from "./layout-anaconda.ts";
import { casper } from "./layout-casper.ts";
import { debianCd } from "./layout-debian-cd.ts";
import type { Layout } from "./layout-type.ts";

/** All layouts. */
export const layouts: Readonly<Record<IsoLayout, Layout>> = Object.freeze({ "debian-cd": debianCd, casper, anaconda });
