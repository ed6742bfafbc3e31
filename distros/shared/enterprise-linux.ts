/**
 * What Rocky Linux, AlmaLinux, CentOS Stream, Fedora and RHEL have in common: architectures, the installer Anaconda, and the
 * ISO images of the rebuilds. Knows nothing of how any of it is fetched or checked.
 * @module
 */

import type { Keyring, NoticeSource } from "../../lib/mod.ts";

/** Architectures, by their names in imagefiles; these distributions call them the same. */
export type EnterpriseArch = "x86_64" | "aarch64";

/** {@linkcode EnterpriseArch} → the distributions' own names. */
export const architectures: Readonly<Record<EnterpriseArch, string>> = { x86_64: "x86_64", aarch64: "aarch64" };

/** Releases of the rebuilds: the major version; the newest minor one is taken unless `version` names one. */
export type EnterpriseRelease = "9" | "10";

/** Editions: `boot` installs from the network, `minimal` and `dvd` from the medium. */
export type EnterpriseEdition = "boot" | "minimal" | "dvd";

/** What the installer media of a rebuild are asked by. */
export interface EnterpriseOptions {
  readonly release: EnterpriseRelease;
  readonly arch: EnterpriseArch;
  /** @default "boot" */
  readonly edition?: EnterpriseEdition;
  /** A minor release, as `9.6`. @default the newest that the mirror has */
  readonly version?: string;
  /** SHA-256 of the image: no other one is taken. @default the signed list's */
  readonly sha256?: string;
}

/** Repositories that the releases of the rebuilds have in common and that notices are published in. */
const repositories: readonly string[] = ["BaseOS", "AppStream"];

/**
 * Where a rebuild publishes its notices: in the metadata of its repositories, on the mirrors of its images.
 *
 * @param place environment variable and mirrors of its images, keys that sign the metadata, and the page of a notice.
 */
export function rebuildNotices(release: string, arch: string, place: { readonly env: string; readonly mirrors: readonly string[]; readonly keys: Keyring; readonly link: string }): NoticeSource {
  return { format: "updateinfo", ...place, repositories: repositories.map((name) => `${release}/${name}/${arch}/os`) };
}

/** What `anaconda` reads, and how its media boot. */
export const anaconda: { readonly answers: "kickstart"; readonly layout: "anaconda" } = { answers: "kickstart", layout: "anaconda" };
