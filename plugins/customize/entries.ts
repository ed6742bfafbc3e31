/**
 * What a machine description says by names of host files, as entries of an archive: an overlay, lists of directories.
 * Reads the host; knows nothing of where the archive goes.
 * @module
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";
import { parseDirectories, withParents } from "../dirs/parse.ts";
import type { ReadyMachine } from "../machine/passwords.ts";
import type { TarEntry } from "./tar.ts";

/** The directories of a machine's lists, those above before those below, with owners by name. */
export function listedDirectories(machine: Pick<ReadyMachine, "directories">, origins: readonly string[]): TarEntry[] {
  return machine.directories.flatMap(({ list, under, mode, owner, group }, index) => {
    const below = withParents(parseDirectories(readFileSync(list, "utf8"), origins[index] ?? list));
    const top = under.slice(1);
    return [top, ...below.map((path) => `${top}/${path}`)].map((path): TarEntry => ({ path, mode, owner, group, is: "directory" }));
  });
}

/**
 * The content of a host directory, owned by root, with the modes of the host; directories before what is in them.
 *
 * @throws {ImgtaskError} IMG2315 for a device, socket or pipe.
 */
export function overlayEntries(directory: string, below = ""): TarEntry[] {
  return readdirSync(join(directory, below)).sort().flatMap((name): TarEntry[] => {
    const path = below === "" ? name : `${below}/${name}`;
    const host = join(directory, path);
    const stats = lstatSync(host);
    const mode = stats.mode & 0o7777;
    if (stats.isDirectory()) return [{ path, mode, is: "directory" }, ...overlayEntries(directory, path)];
    if (stats.isSymbolicLink()) return [{ path, mode: 0o777, is: { link: readlinkSync(host) } }];
    if (stats.isFile()) return [{ path, mode, is: { file: readFileSync(host) } }];
    throw new ImgtaskError("IMG2315", `"${path}" of the overlay is no file, directory or symbolic link`, {
      hint: "Sockets, pipes and devices belong to the running system: leave them out of the overlay",
      exitCode: ExitCode.usage,
    });
  });
}
