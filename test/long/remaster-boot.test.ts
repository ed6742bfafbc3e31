/**
 * Every layout of vendors' ISOs, remastered, started by BIOS and by UEFI, as a CD and as a stick: the kernel is told
 * where the answers are, and the running installer finds them there with the bytes that were put there.
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { answersTree, expected, remasterIn, shapes, startFrom } from "../rig/remastered.ts";
import { type Shape, VendorIsos } from "../rig/vendor-iso.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-remaster-boot-"));
after(() => rmSync(directory, { recursive: true, force: true }));

let vendors: VendorIsos;
before(() => {
  vendors = new VendorIsos(directory);
});

for (const shape of Object.keys(shapes) as Shape[]) {
  for (const firmware of ["bios", "uefi"] as const) {
    for (const as of ["cd", "stick"] as const) {
      test(`${shape}: by ${firmware === "bios" ? "BIOS" : "UEFI"} from a ${as}`, { timeout: 600_000 }, async (t) => {
        const work = mkdtempSync(join(directory, `${shape}-`));
        const tree = join(work, "tree");
        mkdirSync(tree);
        answersTree(tree, shape);
        const image = await remasterIn(work, { image: vendors.iso(shape), tree, out: join(work, "out.iso") });
        const start = Date.now();
        await startFrom(image, { firmware, as }, work, expected(shape, tree));
        t.diagnostic(`answers found ${((Date.now() - start) / 1000).toFixed(0)} s after power-on`);
        rmSync(work, { recursive: true });
      });
    }
  }
}
