/**
 * Debian: its releases, archives, signing keys, and what a bootable system and its installer need.
 * Knows nothing of how any of it is fetched, checked or built.
 * @module
 */
import { type AptArchive, type AptDistro, type AptRelease, checkNames, defineDistro, fit, type ImageMedia, type InstallerFits, type Keyring, type Machine, type PackageMedia } from "../lib/mod.ts";
import { imageOnMirrors, sha256sums } from "./shared/image.ts";

/** Code names of the supported releases, oldest first. */
export type DebianRelease = "bookworm" | "trixie";

/** The supported architectures, by their names in imagefiles. */
export type DebianArch = "x86_64" | "aarch64";

const archive: AptArchive = {
  mirrorEnv: "IMGTASK_DEBIAN_MIRROR",
  defaultMirror: "http://deb.debian.org/debian",
  origin: "Debian",
  label: "Debian",
};

const security: AptArchive = {
  mirrorEnv: "IMGTASK_DEBIAN_SECURITY_MIRROR",
  defaultMirror: "http://security.debian.org/debian-security",
  origin: "Debian",
  label: "Debian-Security",
};

const versions: Readonly<Record<DebianRelease, string>> = { bookworm: "12", trixie: "13" };
const architectures: Readonly<Record<DebianArch, string>> = { x86_64: "amd64", aarch64: "arm64" };

function release(name: DebianRelease): AptRelease {
  const components = ["main"];
  return {
    version: versions[name],
    suites: [
      { suite: name, components },
      { suite: `${name}-updates`, components },
      { suite: `${name}-security`, components, archive: security },
    ],
  };
}

/** Which media: `netboot` are kernel and initial RAM disk out of a package, `netinst` is the smallest ISO image. */
export type DebianEdition = "netboot" | "netinst";

const installerOptions: InstallerFits<(options: { readonly version?: string; readonly sha256?: string }) => ImageMedia> = { version: fit.text, sha256: fit.text };

interface DebianOptions {
  readonly release: DebianRelease;
  readonly arch: DebianArch;
}

/** What Debian's installer media are asked by. */
export interface DebianInstaller {
  /** The installer out of a package of the archive. */
  (options: DebianOptions & { readonly edition?: "netboot" }): PackageMedia;
  /** An ISO image; `version` is a point release that the mirror still has, as `13.1.0`, the newest where none is named. */
  (options: DebianOptions & { readonly edition: "netinst"; readonly version?: string; readonly sha256?: string }): ImageMedia;
}

/** Where images of a release are; those of the release before the newest move when there is a new one. */
const directories: Readonly<Record<DebianRelease, string>> = { bookworm: "archive/latest-oldstable", trixie: "release/current" };

const keys: Keyring = {
  files: ["vendor/debian/archive.gpg", "vendor/debian/images.gpg"],
  env: "IMGTASK_DEBIAN_KEYRING",
  keys: [
    { fingerprint: "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8", owner: "Archive Automatic Signing Key (12/bookworm)", until: "2031-01-19", signs: "archive" },
    { fingerprint: "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0", owner: "Security Archive Automatic Signing Key (12/bookworm)", until: "2031-01-19", signs: "archive" },
    { fingerprint: "4D64FEC119C2029067D6E791F8D2585B8783D481", owner: "Stable Release Key (12/bookworm)", until: "2031-01-21", signs: "archive" },
    { fingerprint: "04B54C3CDCA79751B16BC6B5225629DF75B188BD", owner: "Archive Automatic Signing Key (13/trixie)", until: "2035-03-28", signs: "archive" },
    { fingerprint: "5E04A1E3223A19A20706E20F9904613D4CCE68C6", owner: "Security Archive Automatic Signing Key (13/trixie)", until: "2035-03-28", signs: "archive" },
    { fingerprint: "41587F7DB8C774BCCF131416762F67A0B2C39DE4", owner: "Stable Release Key (13/trixie)", until: "2033-03-22", signs: "archive" },
    { fingerprint: "DF9B9C49EAA9298432589D76DA87E80D6294BE9B", owner: "Debian CD signing key", from: "2011-01-05", signs: "images" },
  ],
};

function netboot({ release, arch, ...others }: DebianOptions & { readonly edition?: "netboot" }): PackageMedia {
  // A digest would be that of an image.
  checkNames('Edition "netboot" of Debian GNU/Linux', others, ["edition"]);
  const version = versions[release];
  const architecture = architectures[arch];
  const directory = `usr/lib/debian-installer/images/${version}/${architecture}/text/debian-installer/${architecture}`;
  return {
    kind: "package",
    id: `debian-${release}-netboot-${architecture}`,
    distro: "debian",
    release,
    arch,
    package: { archive, suite: release, component: "main", architecture, name: `debian-installer-${version}-netboot-${architecture}` },
    files: { kernel: `${directory}/linux`, initrd: `${directory}/initrd.gz` },
    answers: "preseed",
  };
}

function netinst({ release, arch, version = versions[release], sha256 }: DebianOptions & { readonly version?: string; readonly sha256?: string }): ImageMedia {
  return imageOnMirrors({
    distro: "debian",
    release,
    arch,
    architecture: architectures[arch],
    edition: "netinst",
    answers: "preseed",
    layout: "debian-cd",
    name: `debian-{version}-${architectures[arch]}-netinst.iso`,
    version,
    env: "IMGTASK_DEBIAN_IMAGE_MIRROR",
    mirrors: ["https://cdimage.debian.org/cdimage"],
    directory: `${directories[release]}/${architectures[arch]}/iso-cd`,
    list: sha256sums("sign"),
    keys,
    ...(sha256 === undefined ? {} : { sha256 }),
  });
}

/**
 * Debian GNU/Linux.
 *
 * `IMGTASK_DEBIAN_MIRROR` names a mirror (`IMGTASK_DEBIAN_IMAGE_MIRROR` one of `cdimage.debian.org/cdimage`, and `IMGTASK_DEBIAN_SECURITY_MIRROR` one of the security archive); without
 * it the mirror of the host's own apt is used, and after that Debian's default one.
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const trusted = verify("debian", { media, trust: debian.keys });
 * ```
 */
export const debian: AptDistro<"debian", DebianRelease, DebianArch, DebianInstaller> = defineDistro({
  name: "debian",
  title: "Debian GNU/Linux",
  releases: { bookworm: release("bookworm"), trixie: release("trixie") },
  architectures,
  editions: ["netboot", "netinst"],
  archive,
  keys,
  bootPackages(arch: DebianArch, machine: Machine): readonly string[] {
    // networkd is part of systemd itself; only name resolution is a package of its own.
    const network = machine.network !== "none" ? ["systemd-resolved"] : [];
    return [`linux-image-cloud-${architectures[arch]}`, "systemd-sysv", "udev", ...network];
  },
  notices: ({ release, arch }: DebianOptions) => ({
    format: "debian",
    env: "IMGTASK_DEBIAN_NOTICES",
    url: "https://salsa.debian.org/security-tracker-team/security-tracker/-/raw/master/data",
    // Of releases that the LTS team cares for, in the second one.
    lists: ["DSA/list", "DLA/list"],
    codename: release,
    archive: { archive: security, suite: `${release}-security`, component: "main", architecture: architectures[arch] },
    link: "https://security-tracker.debian.org/tracker/{id}",
  }),
  installerOptions,
  installer: ((options: DebianOptions & { readonly edition?: DebianEdition }) =>
    options.edition === "netinst" ? netinst(options) : netboot({ ...options, edition: "netboot" })) as DebianInstaller,
});
