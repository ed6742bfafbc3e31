/**
 * Debian: its releases, archives, signing keys, and what a bootable system and its installer need.
 * Knows nothing of how any of it is fetched, checked or built.
 * @module
 */
import { type AptArchive, type AptDistro, type AptRelease, defineDistro, type Machine, type PackageMedia } from "../lib/mod.ts";

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

/** What Debian's installer media are asked by. */
export type DebianInstaller = (options: { readonly release: DebianRelease; readonly arch: DebianArch }) => PackageMedia;

/**
 * Debian GNU/Linux.
 *
 * `IMGTASK_DEBIAN_MIRROR` names a mirror (and `IMGTASK_DEBIAN_SECURITY_MIRROR` one of the security archive); without
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
  editions: ["netboot"],
  archive,
  keys: {
    files: ["vendor/debian/archive.gpg"],
    keys: [
      { fingerprint: "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8", owner: "Archive Automatic Signing Key (12/bookworm)", until: "2031-01-19", signs: "archive" },
      { fingerprint: "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0", owner: "Security Archive Automatic Signing Key (12/bookworm)", until: "2031-01-19", signs: "archive" },
      { fingerprint: "4D64FEC119C2029067D6E791F8D2585B8783D481", owner: "Stable Release Key (12/bookworm)", until: "2031-01-21", signs: "archive" },
      { fingerprint: "04B54C3CDCA79751B16BC6B5225629DF75B188BD", owner: "Archive Automatic Signing Key (13/trixie)", until: "2035-03-28", signs: "archive" },
      { fingerprint: "5E04A1E3223A19A20706E20F9904613D4CCE68C6", owner: "Security Archive Automatic Signing Key (13/trixie)", until: "2035-03-28", signs: "archive" },
      { fingerprint: "41587F7DB8C774BCCF131416762F67A0B2C39DE4", owner: "Stable Release Key (13/trixie)", until: "2033-03-22", signs: "archive" },
    ],
  },
  bootPackages(arch: DebianArch, machine: Machine): readonly string[] {
    // networkd is part of systemd itself; only name resolution is a package of its own.
    const network = machine.network === "dhcp" ? ["systemd-resolved"] : [];
    return [`linux-image-cloud-${architectures[arch]}`, "systemd-sysv", "udev", ...network];
  },
  installer(options: { readonly release: DebianRelease; readonly arch: DebianArch }): PackageMedia {
    const version = versions[options.release];
    const architecture = architectures[options.arch];
    const directory = `usr/lib/debian-installer/images/${version}/${architecture}/text/debian-installer/${architecture}`;
    return {
      kind: "package",
      id: `debian-${options.release}-netboot-${architecture}`,
      distro: "debian",
      release: options.release,
      arch: options.arch,
      package: {
        archive,
        suite: options.release,
        component: "main",
        architecture,
        name: `debian-installer-${version}-netboot-${architecture}`,
      },
      files: { kernel: `${directory}/linux`, initrd: `${directory}/initrd.gz` },
      answers: "preseed",
    };
  },
});
