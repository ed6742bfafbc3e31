/**
 * Real installer media for tests: Debian's netboot package, as apt fetches it, in a cache of this machine.
 * @module
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { output, type PackageMedia, type Target, target } from "../../../lib/mod.ts";
import { debian } from "../../../distros/debian.ts";
import type { Verified } from "../../../plugins/verify/verify.ts";

/** What the media are. */
export const media: PackageMedia = debian.installer({ release: "bookworm", arch: "x86_64" });

/** A target of the kind that `verify()` declares, without its download. */
export function verified<const Name extends string>(name: Name, of: PackageMedia = media): Verified<Name, PackageMedia> {
  const declared = target(`verify:${name}`, { outputs: { out: output("tree", "verified media") }, run: () => {} });
  return { ...declared, media: of } satisfies Target & { media: PackageMedia };
}

/** Directory with `linux` and `initrd.gz`, fetched once a machine and user. */
export function verifiedTree(): string {
  const cache = join(tmpdir(), `imgtask-test-media-${userInfo().uid}-${media.id}`);
  if (existsSync(cache)) return cache;
  const directory = mkdtempSync(join(tmpdir(), "imgtask-test-media-"));
  try {
    execFileSync("apt-get", ["download", "-qq", media.package.name], { cwd: directory, stdio: ["ignore", "ignore", "inherit"] });
    const deb = readdirSync(directory).find((name) => name.endsWith(".deb"))!;
    execFileSync("dpkg-deb", ["-x", deb, "x"], { cwd: directory });
    copyFileSync(join(directory, "x", media.files.kernel), join(directory, "linux"));
    copyFileSync(join(directory, "x", media.files.initrd), join(directory, "initrd.gz"));
    rmSync(join(directory, "x"), { recursive: true });
    rmSync(join(directory, deb));
    // Whole or not at all, also when two tests come here at once.
    try {
      renameSync(directory, cache);
    } catch (error) {
      if (!existsSync(cache)) throw error;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return cache;
}
