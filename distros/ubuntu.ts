/**
 * Ubuntu: its LTS releases, archive, signing keys, what a bootable system needs, and the server's installer.
 * Knows nothing of how any of it is fetched, checked or built.
 * @module
 */
import { type AptArchive, type AptDistro, type AptRelease, defineDistro, fit, type ImageMedia, type InstallerFits, type Keyring, type Machine, type PackageSet, packageSet } from "../lib/mod.ts";
import { imageOnMirrors, sha256sums } from "./shared/image.ts";

/** Supported LTS releases, oldest first. */
export type UbuntuRelease = "22.04" | "24.04" | "26.04";

/** The supported architectures, by their names in imagefiles. */
export type UbuntuArch = "x86_64" | "aarch64";

/** Which image: the server's installer. */
export type UbuntuEdition = "live-server";

/** What Ubuntu's installer media are asked by. */
export type UbuntuInstaller = (options: {
  readonly release: UbuntuRelease;
  readonly arch: UbuntuArch;
  /** @default "live-server" */
  readonly edition?: UbuntuEdition;
  /** A point release, as `24.04.2`. @default the newest that the mirror has */
  readonly version?: string;
  /** SHA-256 of the image: no other one is taken. @default the signed list's */
  readonly sha256?: string;
}) => ImageMedia;

const installerOptions: InstallerFits<UbuntuInstaller> = { version: fit.text, sha256: fit.text };

const architectures: Readonly<Record<UbuntuArch, string>> = { x86_64: "amd64", aarch64: "arm64" };

/** As the archive and the security notices call the releases. */
const codenames: Readonly<Record<UbuntuRelease, string>> = { "22.04": "jammy", "24.04": "noble", "26.04": "resolute" };

const archive: AptArchive = {
  mirrorEnv: "IMGTASK_UBUNTU_MIRROR",
  defaultMirror: "http://archive.ubuntu.com/ubuntu",
  // All but amd64 and i386.
  otherMirrors: { aarch64: "http://ports.ubuntu.com/ubuntu-ports" },
  origin: "Ubuntu",
  label: "Ubuntu",
};

function release(version: UbuntuRelease): AptRelease {
  const name = codenames[version];
  const components = ["main", "universe"];
  return { version, suites: [name, `${name}-updates`, `${name}-security`].map((suite) => ({ suite, components })) };
}

// Fingerprints: documentation.ubuntu.com/security (image verification), Linux Mint's mintstick, which pins both.
const keys: Keyring = {
  keys: [
    { fingerprint: "843938DF228D22F7B3742BC0D94AA3F0EFE21092", owner: "Ubuntu CD Image Automatic Signing Key (2012)", from: "2012-05-11", signs: "images" },
    // Fingerprints of the archive's: changelog and bug 1881278 of ubuntu-keyring, and what debootstrap prints of jammy and noble.
    { fingerprint: "F6ECB3762474EDA9D21B7022871920D1991BC93C", owner: "Ubuntu Archive Automatic Signing Key (2018)", from: "2018-09-17", signs: "archive" },
    { fingerprint: "790BC7277767219C42C86F933B4FE6ACC0B21F32", owner: "Ubuntu Archive Automatic Signing Key (2012)", from: "2012-05-11", signs: "archive" },
  ],
  url: "https://archive.ubuntu.com/ubuntu/project/ubuntu-archive-keyring.gpg",
  env: "IMGTASK_UBUNTU_KEYRING",
};

/** Where images are: amd64 on the mirrors of releases, all others on the image server, in another order of directories. */
function place(release: string, arch: UbuntuArch): { readonly mirrors: readonly string[]; readonly directory: string } {
  return arch === "x86_64"
    ? { mirrors: ["https://releases.ubuntu.com", "https://mirrors.kernel.org/ubuntu-releases"], directory: release }
    : { mirrors: ["https://cdimage.ubuntu.com/releases"], directory: `${release}/release` };
}

/**
 * Ubuntu.
 *
 * `IMGTASK_UBUNTU_MIRROR` names a mirror of the archive, `IMGTASK_UBUNTU_IMAGE_MIRROR` names a mirror of `releases.ubuntu.com` (for `aarch64` of `cdimage.ubuntu.com/releases`),
 * `IMGTASK_UBUNTU_KEYRING` a file with the signing key, as `/usr/share/keyrings/ubuntu-archive-keyring.gpg` is one.
 *
 * @example
 * ```ts
 * const media = download("ubuntu", ubuntu.installer({ release: "24.04", arch: "x86_64" }));
 * const trusted = verify("ubuntu", { media, trust: ubuntu.keys });
 * ```
 */
export const ubuntu: AptDistro<"ubuntu", UbuntuRelease, UbuntuArch, UbuntuInstaller> & { readonly packages: { /** For `packages` of a machine: a firewall and snaps. */ readonly server: PackageSet } } = defineDistro({
  name: "ubuntu",
  title: "Ubuntu",
  releases: { "22.04": release("22.04"), "24.04": release("24.04"), "26.04": release("26.04") },
  architectures,
  archive,
  editions: ["live-server"],
  keys,
  bootPackages(_arch: UbuntuArch, machine: Machine, release: UbuntuRelease): readonly string[] {
    // Before 24.04 resolved is in the package systemd.
    const network = machine.network !== "none" && release !== "22.04" ? ["systemd-resolved"] : [];
    return ["linux-image-virtual", "initramfs-tools", "systemd-sysv", "udev", ...network];
  },
  packages: { server: packageSet("ubuntu server", { apt: ["ufw", "snapd"] }) },
  notices: ({ release }) => ({
    format: "usn",
    env: "IMGTASK_UBUNTU_NOTICES",
    url: "https://ubuntu.com/security/notices.json",
    codename: codenames[release as UbuntuRelease],
    link: "https://ubuntu.com/security/notices/{id}",
  }),
  installerOptions,
  installer({ release, arch, edition = "live-server", version = release, sha256 }) {
    return imageOnMirrors({
      distro: "ubuntu",
      release,
      arch,
      architecture: architectures[arch],
      edition,
      answers: "autoinstall",
      layout: "casper",
      name: `ubuntu-{version}-${edition}-${architectures[arch]}.iso`,
      version,
      env: "IMGTASK_UBUNTU_IMAGE_MIRROR",
      ...place(release, arch),
      list: sha256sums("gpg"),
      keys,
      ...(sha256 === undefined ? {} : { sha256 }),
    });
  },
});
