/**
 * Lays a directory of the host over an image: as root, modes as they are, never outside the image.
 * Knows nothing of machines.
 * @module
 */
import { chmodSync, copyFileSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { ImgtaskError } from "../../lib/mod.ts";
import { followInside, pathInside } from "./inside.ts";

/**
 * Lays everything below `source` over the image at `root`. Directories that the image has keep their mode and owner;
 * a directory of the overlay where the image has a link to one (`/lib`) goes where the link points, inside the image.
 * Everything else replaces what is there. New directories, files and links belong to root.
 *
 * @throws {ImgtaskError} IMG3220 for a device, socket or pipe, or a directory where the image has a file.
 */
export function layOver(root: string, source: string): void {
  const walk = (from: string, at: string): void => {
    for (const name of readdirSync(from).sort()) {
      const file = join(from, name);
      const path = `${at}/${name}`;
      const stat = lstatSync(file);
      if (stat.isDirectory()) {
        const there = followInside(root, path);
        const existing = lstatSync(there, { throwIfNoEntry: false });
        if (existing === undefined) {
          mkdirSync(there, { recursive: true });
          chmodSync(there, stat.mode & 0o7777);
        } else if (!existing.isDirectory()) {
          throw new ImgtaskError("IMG3220", `The overlay has a directory "${path}" where the image has a file`, { hint: `Rename it below "${source}"` });
        }
        walk(file, path);
        continue;
      }
      const there = pathInside(root, path);
      if (lstatSync(there, { throwIfNoEntry: false })?.isDirectory() === true) {
        throw new ImgtaskError("IMG3220", `The overlay has a file "${path}" where the image has a directory`, { hint: `Rename it below "${source}"` });
      }
      if (stat.isSymbolicLink()) {
        rmSync(there, { force: true });
        symlinkSync(readlinkSync(file), there);
      } else if (stat.isFile()) {
        rmSync(there, { force: true });
        copyFileSync(file, there);
        chmodSync(there, stat.mode & 0o7777);
      } else {
        throw new ImgtaskError("IMG3220", `The overlay has "${path}", which is neither file, directory nor symbolic link`);
      }
    }
  };
  walk(source, "");
}
