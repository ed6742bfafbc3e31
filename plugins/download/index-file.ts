/**
 * Chooses and unpacks the index of an archive, and chooses a package in it. `download` and `verify` must choose alike,
 * so both call this. Knows nothing of where the files come from or whether they are genuine.
 * @module
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { ExitCode, ImgtaskError, type PackageMedia, type RunContext } from "../../lib/mod.ts";
import { type Entry, findPackages, type IndexForm, indexForms, type PackageEntry, type ReleaseFile } from "./release.ts";

/** An index that a Release file lists. */
export interface ChosenIndex {
  readonly form: IndexForm;
  /** Path below `dists/SUITE/`. */
  readonly path: string;
  readonly entry: Entry;
  /** The same index uncompressed. */
  readonly plain: Entry;
}

/** The smallest form of the index of a component and architecture, or `undefined` when none is listed. */
export function chooseIndex(release: ReleaseFile, media: Pick<PackageMedia, "package">, forms: readonly IndexForm[] = indexForms): ChosenIndex | undefined {
  const directory = `${media.package.component}/binary-${media.package.architecture}`;
  const plain = release.files.get(`${directory}/Packages`);
  if (plain === undefined) return undefined;
  for (const form of forms) {
    const path = `${directory}/${form}`;
    const entry = release.files.get(path);
    if (entry !== undefined) return { form, path, entry, plain };
  }
  return undefined;
}

/**
 * Unpacks an index into the scratch directory. Never writes more than the Release file announces for it.
 *
 * @returns path of the uncompressed index.
 * @throws {ImgtaskError} IMG4020 when it does not unpack to the announced size.
 */
export async function unpackIndex(file: string, chosen: ChosenIndex, context: Pick<RunContext, "exec" | "tmp">): Promise<string> {
  if (chosen.form === "Packages") return file;
  const plain = join(context.tmp, "Packages");
  const damaged = (found: string): ImgtaskError =>
    new ImgtaskError("IMG4020", `The index ${chosen.path} was damaged or tampered with: it does not unpack to what the archive's list announces`, {
      expected: `${chosen.plain.size} bytes`,
      found,
      exitCode: ExitCode.refused,
    });
  if (chosen.form === "Packages.xz") {
    // The limit on file sizes holds for standard output too, and ends xz.
    const { code } = await context.exec(["prlimit", `--fsize=${chosen.plain.size}`, "xz", "--decompress", "--stdout", "--", file], { stdout: { file: plain }, ok: [0, 1, 2, 129, 153] });
    if (code !== 0) throw damaged(`xz ended with ${code}`);
  } else {
    const handle = await open(plain, "w", 0o644);
    let size = 0;
    try {
      await pipeline(createReadStream(file), createGunzip(), async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          size += chunk.length;
          if (size > chosen.plain.size) throw damaged("more bytes");
          await handle.write(chunk);
        }
      });
    } catch (error) {
      if (error instanceof ImgtaskError) throw error;
      throw damaged((error as Error).message);
    } finally {
      await handle.close();
    }
  }
  return plain;
}

/** The newest package of the wanted name and architecture, or `undefined`. */
export async function choosePackage(plain: string, media: PackageMedia, context: Pick<RunContext, "exec">): Promise<PackageEntry | undefined> {
  const { name, architecture } = media.package;
  let best: PackageEntry | undefined;
  for (const entry of await findPackages(plain, name)) {
    if (entry.architecture !== architecture && entry.architecture !== "all") continue;
    if (best !== undefined) {
      const { code } = await context.exec(["dpkg", "--compare-versions", entry.version, "gt", best.version], { ok: [0, 1] });
      if (code !== 0) continue;
    }
    best = entry;
  }
  return best;
}
