/**
 * AlmaLinux: its releases, signing keys, and installers.
 * Knows nothing of how any of it is fetched or checked. No root file systems can be built of it yet.
 * @module
 */
import { type ChecksumList, defineDistro, type Distro, fit, type ImageMedia, type InstallerFits, type Keyring } from "../lib/mod.ts";
import { anaconda, architectures, type EnterpriseArch, type EnterpriseOptions, type EnterpriseRelease, rebuildNotices } from "./shared/enterprise-linux.ts";
import { imageOnMirrors } from "./shared/image.ts";

/** What AlmaLinux's installer media are asked by. */
export type AlmaInstaller = (options: EnterpriseOptions) => ImageMedia;

const installerOptions: InstallerFits<AlmaInstaller> = { version: fit.text, sha256: fit.text };

// Fingerprints: almalinux.org/security, and the package distribution-gpg-keys.
const keys: Keyring = {
  keys: [
    { fingerprint: "BF18AC2876178908D6E71267D36CB86CB86B3716", owner: "AlmaLinux OS 9", from: "2022-01-18" },
    { fingerprint: "EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572", owner: "AlmaLinux OS 10", from: "2024-07-11" },
  ],
  url: "https://repo.almalinux.org/almalinux/RPM-GPG-KEY-AlmaLinux-9",
  env: "IMGTASK_ALMA_KEYRING",
};

// BSD form, clearsigned.
const list: ChecksumList = { file: "CHECKSUM", form: "bsd", algorithm: "sha256", signature: { kind: "clearsigned" } };

const mirrorEnv = "IMGTASK_ALMA_IMAGE_MIRROR";
const mirrors = ["https://repo.almalinux.org/almalinux"];

/** Each release has a key and a file of its own, which signs its images and the metadata of its repositories. */
const keysOf = (release: string): Keyring => ({ ...keys, url: `https://repo.almalinux.org/almalinux/RPM-GPG-KEY-AlmaLinux-${release}` });

/**
 * AlmaLinux.
 *
 * `IMGTASK_ALMA_IMAGE_MIRROR` names a mirror of `repo.almalinux.org/almalinux`, `IMGTASK_ALMA_KEYRING` a file with the release's signing key.
 *
 * @example
 * ```ts
 * const media = download("alma", alma.installer({ release: "9", arch: "x86_64", edition: "minimal" }));
 * const trusted = verify("alma", { media, trust: alma.keys });
 * ```
 */
export const alma: Distro<"alma", EnterpriseRelease, EnterpriseArch, AlmaInstaller> = defineDistro({
  name: "alma",
  title: "AlmaLinux",
  releases: { "9": { version: "9" }, "10": { version: "10" } },
  architectures,
  editions: ["boot", "minimal", "dvd"],
  keys,
  notices: ({ release, arch }) => rebuildNotices(release, arch, { env: mirrorEnv, mirrors, keys: keysOf(release), link: `https://errata.almalinux.org/${release}/{dashed}.html` }),
  installerOptions,
  installer({ release, arch, edition = "boot", version = release, sha256 }) {
    return imageOnMirrors({
      distro: "alma",
      release,
      arch,
      architecture: arch,
      edition,
      ...anaconda,
      name: `AlmaLinux-{version}-${arch}-${edition}.iso`,
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
