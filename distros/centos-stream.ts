/**
 * CentOS Stream: its releases and installers. Its lists of checksums are not signed, so that an imagefile must give the
 * SHA-256 of the image it means.
 * Knows nothing of how any of it is fetched or checked. No root file systems can be built of it yet.
 * @module
 */
import { defineDistro, type Distro, fit, type ImageMedia, type InstallerFits, type Keyring } from "../lib/mod.ts";
import { anaconda, architectures, type EnterpriseArch, type EnterpriseRelease } from "./shared/enterprise-linux.ts";
import { imageOnMirrors } from "./shared/image.ts";

/** Which image: `boot` installs from the network, `dvd` from the medium. */
export type CentosStreamEdition = "boot" | "dvd";

/** What the installer media of CentOS Stream are asked by. */
export type CentosStreamInstaller = (options: {
  readonly release: EnterpriseRelease;
  readonly arch: EnterpriseArch;
  /** @default "boot" */
  readonly edition?: CentosStreamEdition;
  /** SHA-256 of the image, from a place that is trusted: nothing else vouches for it. */
  readonly sha256: string;
  /** A compose, as `20250916.0`. @default the newest one, `latest` */
  readonly version?: string;
}) => ImageMedia;

const installerOptions: InstallerFits<CentosStreamInstaller> = { sha256: fit.needed(fit.text), version: fit.text };

// It signs packages, not lists. Fingerprint: centos.org/keys, and the package distribution-gpg-keys.
const keys: Keyring = {
  keys: [{ fingerprint: "99DB70FAE1D7CE227FB6488205B555B38483C65D", owner: "CentOS (CentOS Official Signing Key)", from: "2019-05-03" }],
  url: "https://www.centos.org/keys/RPM-GPG-KEY-CentOS-Official",
  env: "IMGTASK_CENTOS_STREAM_KEYRING",
};

/**
 * CentOS Stream. `IMGTASK_CENTOS_STREAM_IMAGE_MIRROR` names a mirror of `mirror.stream.centos.org`.
 *
 * @example
 * ```ts
 * const media = download("stream", centosStream.installer({ release: "9", arch: "x86_64", sha256: "0123…" }));
 * const trusted = verify("stream", { media, trust: centosStream.keys });
 * ```
 */
export const centosStream: Distro<"centos-stream", EnterpriseRelease, EnterpriseArch, CentosStreamInstaller> = defineDistro({
  name: "centos-stream",
  title: "CentOS Stream",
  releases: { "9": { version: "9" }, "10": { version: "10" } },
  architectures,
  editions: ["boot", "dvd"],
  keys,
  notices: () => ({ format: "none", why: "CentOS Stream publishes no errata: fixes come with the stream" }),
  installerOptions,
  installer({ release, arch, edition = "boot", sha256, version = "latest" }) {
    const name = `CentOS-Stream-${release}-${version}-${arch}-${edition === "dvd" ? "dvd1" : edition}.iso`;
    return imageOnMirrors({
      distro: "centos-stream",
      release,
      arch,
      architecture: arch,
      edition,
      ...anaconda,
      name,
      env: "IMGTASK_CENTOS_STREAM_IMAGE_MIRROR",
      mirrors: ["https://mirror.stream.centos.org"],
      directory: `${release}-stream/BaseOS/${arch}/iso`,
      list: { file: `${name}.SHA256SUM`, form: "bsd", algorithm: "sha256", signature: { kind: "none" } },
      keys,
      sha256,
    });
  },
});
