/**
 * Rocky Linux: its releases, signing keys, and installers.
 * Knows nothing of how any of it is fetched or checked. No root file systems can be built of it yet.
 * @module
 */
import { type ChecksumList, defineDistro, type Distro, fit, type ImageMedia, type InstallerFits, type Keyring } from "../lib/mod.ts";
import { anaconda, architectures, type EnterpriseArch, type EnterpriseOptions, type EnterpriseRelease, rebuildNotices } from "./shared/enterprise-linux.ts";
import { imageOnMirrors } from "./shared/image.ts";

/** What Rocky Linux's installer media are asked by. */
export type RockyInstaller = (options: EnterpriseOptions) => ImageMedia;

const installerOptions: InstallerFits<RockyInstaller> = { version: fit.text, sha256: fit.text };

// Fingerprints: rockylinux.org/resources/gpg-key-info, and the package distribution-gpg-keys.
const keys: Keyring = {
  keys: [
    { fingerprint: "21CB256AE16FC54C6E652949702D426D350D275D", owner: "Rocky Enterprise Software Foundation - Release key 2022", from: "2022-05-09" },
    { fingerprint: "FC226859C0860BF0DDB95B085B106C736FEDFC85", owner: "Release Engineering (Rocky Linux 10)", from: "2025-05-19" },
  ],
  url: "https://dl.rockylinux.org/pub/rocky/RPM-GPG-KEY-Rocky-9",
  env: "IMGTASK_ROCKY_KEYRING",
};

// BSD form, with a comment that tells the size; the signature is a file of its own (`CHECKSUM.sig` before Rocky Linux 9).
const list: ChecksumList = { file: "CHECKSUM", form: "bsd", algorithm: "sha256", signature: { kind: "detached", file: "CHECKSUM.asc" } };

const mirrorEnv = "IMGTASK_ROCKY_IMAGE_MIRROR";
const mirrors = ["https://download.rockylinux.org/pub/rocky", "https://dl.rockylinux.org/pub/rocky"];

/** Each release has a key and a file of its own, which signs its images and the metadata of its repositories. */
const keysOf = (release: string): Keyring => ({ ...keys, url: `https://dl.rockylinux.org/pub/rocky/RPM-GPG-KEY-Rocky-${release}` });

/**
 * Rocky Linux.
 *
 * `IMGTASK_ROCKY_IMAGE_MIRROR` names a mirror of `download.rockylinux.org/pub/rocky`, `IMGTASK_ROCKY_KEYRING` a file with the release's signing key.
 *
 * @example
 * ```ts
 * const media = download("rocky", rocky.installer({ release: "9", arch: "x86_64", edition: "minimal" }));
 * const trusted = verify("rocky", { media, trust: rocky.keys });
 * ```
 */
export const rocky: Distro<"rocky", EnterpriseRelease, EnterpriseArch, RockyInstaller> = defineDistro({
  name: "rocky",
  title: "Rocky Linux",
  releases: { "9": { version: "9" }, "10": { version: "10" } },
  architectures,
  editions: ["boot", "minimal", "dvd"],
  keys,
  notices: ({ release, arch }) => rebuildNotices(release, arch, { env: mirrorEnv, mirrors, keys: keysOf(release), link: "https://errata.rockylinux.org/{id}" }),
  installerOptions,
  installer({ release, arch, edition = "boot", version = release, sha256 }) {
    return imageOnMirrors({
      distro: "rocky",
      release,
      arch,
      architecture: arch,
      edition,
      ...anaconda,
      name: `Rocky-{version}-${arch}-${edition === "dvd" && release === "10" ? "dvd1" : edition}.iso`,
      version,
      env: mirrorEnv,
      mirrors,
      directory: `${release}/isos/${arch}`,
      list,
      keys: keysOf(release),
      ...(sha256 === undefined ? {} : { sha256 }),
    });
  },
});
