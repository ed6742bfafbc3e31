/**
 * Kali Linux: its one release, archive, signing keys, what a bootable system needs, and installers.
 * Knows nothing of how any of it is fetched, checked or built.
 * @module
 */
import { type AptArchive, type AptDistro, defineDistro, fit, type ImageMedia, type InstallerFits, type Keyring, type Machine, type PackageSet, packageSet } from "../lib/mod.ts";
import { imageOnMirrors, sha256sums } from "./shared/image.ts";

/** Kali is released continuously; its images come out four times a year. */
export type KaliRelease = "rolling";

/** The supported architectures, by their names in imagefiles. */
export type KaliArch = "x86_64" | "aarch64";

/** Which image: `installer` has all packages of the default desktop, `netinst` takes them from the network. */
export type KaliEdition = "installer" | "netinst";

/** What Kali's installer media are asked by. */
export type KaliInstaller = (options: {
  readonly release: KaliRelease;
  readonly arch: KaliArch;
  /** @default "installer" */
  readonly edition?: KaliEdition;
  /** A quarterly image that the mirror still has under `current`, as `2025.3`. @default the newest */
  readonly version?: string;
  /** SHA-256 of the image: no other one is taken. @default the signed list's */
  readonly sha256?: string;
}) => ImageMedia;

const installerOptions: InstallerFits<KaliInstaller> = { version: fit.text, sha256: fit.text };

const architectures: Readonly<Record<KaliArch, string>> = { x86_64: "amd64", aarch64: "arm64" };
const names: Readonly<Record<KaliEdition, string>> = { installer: "installer", netinst: "installer-netinst" };

const archive: AptArchive = {
  mirrorEnv: "IMGTASK_KALI_MIRROR",
  defaultMirror: "http://http.kali.org/kali",
  origin: "Kali",
  label: "Kali",
};

// Fingerprints: kali.org/docs/introduction/download-images-securely and kali.org/blog/new-kali-archive-signing-key. The
// old key was lost, not stolen: what it signed until then is good.
const keys: Keyring = {
  keys: [
    { fingerprint: "827C8569F2518CC677FECA1AED65462EC8D5E4C5", owner: "Kali Linux Archive Automatic Signing Key (2025)", from: "2025-04-17", until: "2028-04-17" },
    { fingerprint: "44C6513A8E4FB3D30875F758ED444FF07D8D0BF6", owner: "Kali Linux Repository", from: "2012-03-05", until: "2025-04-18" },
  ],
  url: "https://archive.kali.org/archive-keyring.gpg",
  env: "IMGTASK_KALI_KEYRING",
};

/**
 * Kali Linux.
 *
 * `IMGTASK_KALI_MIRROR` names a mirror of the archive, `IMGTASK_KALI_IMAGE_MIRROR` names a mirror of `cdimage.kali.org`, `IMGTASK_KALI_KEYRING` a file with the signing keys, as
 * `/usr/share/keyrings/kali-archive-keyring.gpg` is one.
 *
 * @example
 * ```ts
 * const media = download("kali", kali.installer({ release: "rolling", arch: "x86_64", edition: "netinst" }));
 * const trusted = verify("kali", { media, trust: kali.keys });
 * ```
 */
export const kali: AptDistro<"kali", KaliRelease, KaliArch, KaliInstaller> & { readonly packages: { /** For `packages` of a machine: the large set of tools. */ readonly large: PackageSet } } = defineDistro({
  name: "kali",
  title: "Kali Linux",
  releases: { rolling: { version: "rolling", suites: [{ suite: "kali-rolling", components: ["main", "contrib", "non-free", "non-free-firmware"] }] } },
  architectures,
  archive,
  editions: ["installer", "netinst"],
  keys,
  bootPackages(arch: KaliArch, machine: Machine): readonly string[] {
    const network = machine.network !== "none" ? ["systemd-resolved"] : [];
    return [`linux-image-cloud-${architectures[arch]}`, "initramfs-tools", "systemd-sysv", "udev", ...network];
  },
  packages: { large: packageSet("kali large", { apt: ["kali-linux-large", "metasploit-framework"] }) },
  notices: () => ({ format: "none", why: "Kali publishes no security notices of its own: it rolls on with Debian testing" }),
  installerOptions,
  installer({ release, arch, edition = "installer", version, sha256 }) {
    return imageOnMirrors({
      distro: "kali",
      release,
      arch,
      architecture: architectures[arch],
      edition,
      answers: "preseed",
      layout: "debian-cd",
      name: `kali-linux-{version}-${names[edition]}-${architectures[arch]}.iso`,
      ...(version === undefined ? {} : { version }),
      env: "IMGTASK_KALI_IMAGE_MIRROR",
      mirrors: ["https://cdimage.kali.org", "https://kali.download/kali-images"],
      directory: "current",
      list: sha256sums("gpg"),
      keys,
      ...(sha256 === undefined ? {} : { sha256 }),
    });
  },
});
