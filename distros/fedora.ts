/**
 * Fedora Linux, edition Server: its releases, signing keys, and installers.
 * Knows nothing of how any of it is fetched or checked. No root file systems can be built of it yet.
 * @module
 */
import { defineDistro, type Distro, fit, type ImageMedia, type InstallerFits, type Keyring } from "../lib/mod.ts";
import { anaconda, architectures, type EnterpriseArch } from "./shared/enterprise-linux.ts";
import { imageOnMirrors } from "./shared/image.ts";

/** Supported releases, oldest first. */
export type FedoraRelease = "43" | "44";

/** Which image: `netinst` installs from the network, `dvd` from the medium. */
export type FedoraEdition = "netinst" | "dvd";

/** What Fedora's installer media are asked by. */
export type FedoraInstaller = (options: {
  readonly release: FedoraRelease;
  readonly arch: EnterpriseArch;
  /** @default "netinst" */
  readonly edition?: FedoraEdition;
  /** SHA-256 of the image: no other one is taken. @default the signed list's */
  readonly sha256?: string;
}) => ImageMedia;

const installerOptions: InstallerFits<FedoraInstaller> = { sha256: fit.text };

/** Composes that became the releases; they are in the names of lists and images. */
const composes: Readonly<Record<FedoraRelease, string>> = { "43": "43-1.6", "44": "44-1.7" };

// Fingerprints: fedoraproject.org/security, and the package distribution-gpg-keys. Each release has a key of its own.
const keys: Keyring = {
  keys: [
    { fingerprint: "C6E7F081CF80E13146676E88829B606631645531", owner: "Fedora (43)", from: "2024-08-10" },
    { fingerprint: "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6", owner: "Fedora (44)", from: "2025-01-14" },
  ],
  url: "https://fedoraproject.org/fedora.gpg",
  env: "IMGTASK_FEDORA_KEYRING",
};

const mirrorEnv = "IMGTASK_FEDORA_IMAGE_MIRROR";
const mirrors = ["https://download.fedoraproject.org/pub/fedora/linux", "https://dl.fedoraproject.org/pub/fedora/linux"];

/**
 * Fedora Linux, edition Server.
 *
 * `IMGTASK_FEDORA_IMAGE_MIRROR` names a mirror of `dl.fedoraproject.org/pub/fedora/linux`, `IMGTASK_FEDORA_KEYRING` a file with
 * the signing keys.
 *
 * @example
 * ```ts
 * const media = download("fedora", fedora.installer({ release: "44", arch: "x86_64" }));
 * const trusted = verify("fedora", { media, trust: fedora.keys });
 * ```
 */
export const fedora: Distro<"fedora", FedoraRelease, EnterpriseArch, FedoraInstaller> = defineDistro({
  name: "fedora",
  title: "Fedora Linux",
  releases: { "43": { version: "43" }, "44": { version: "44" } },
  architectures,
  editions: ["netinst", "dvd"],
  keys,
  // The metadata of its repositories is not signed.
  notices: ({ release, arch }) => ({
    format: "updateinfo",
    env: mirrorEnv,
    mirrors,
    repositories: [`updates/${release}/Everything/${arch}`],
    link: "https://bodhi.fedoraproject.org/updates/{id}",
  }),
  installerOptions,
  installer({ release, arch, edition = "netinst", sha256 }) {
    const compose = composes[release];
    return imageOnMirrors({
      distro: "fedora",
      release,
      arch,
      architecture: arch,
      edition,
      ...anaconda,
      name: `Fedora-Server-${edition}-${arch}-${compose}.iso`,
      env: mirrorEnv,
      mirrors,
      directory: `releases/${release}/Server/${arch}/iso`,
      list: { file: `Fedora-Server-${compose}-${arch}-CHECKSUM`, form: "bsd", algorithm: "sha256", signature: { kind: "clearsigned" } },
      keys,
      ...(sha256 === undefined ? {} : { sha256 }),
    });
  },
});
