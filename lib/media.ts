/**
 * Media that a distribution publishes, as plain data: where they are, how they are listed and signed, whose keys
 * vouch for them, how they boot and which answers they read. Knows no distribution by name, and fetches nothing.
 * @module
 */
import type { Secret } from "./secret.ts";

/** What an installer reads its answers from: Debian's, Red Hat's (Anaconda), Ubuntu's (subiquity). */
export type AnswerFormat = "preseed" | "kickstart" | "autoinstall";

/**
 * How an ISO boots: `debian-cd` by ISOLINUX and GRUB on an EFI image, `casper` by GRUB alone with an appended EFI
 * partition, `anaconda` by GRUB (older ones by ISOLINUX) with `.treeinfo` and `inst.ks`.
 */
export type IsoLayout = "debian-cd" | "casper" | "anaconda";

/** An archive of packages in Debian's repository format. */
export interface AptArchive {
  /** Environment variable that names a mirror. */
  readonly mirrorEnv: string;
  /** Used when neither the variable nor the host's own apt configuration names a mirror. */
  readonly defaultMirror: string;
  /** Default mirrors of architectures that are in another place: canonical architecture → mirror. @default none are */
  readonly otherMirrors?: Readonly<Record<string, string>>;
  /** Value of `Origin:` by which this archive is recognised in the host's apt configuration. */
  readonly origin: string;
  /** Value of `Label:` beside it, where one origin has several archives. @default any */
  readonly label?: string;
}

/** A signing key that is trusted. */
export interface PinnedKey {
  /** Of the primary key: 40 or 64 hex digits, upper case. */
  readonly fingerprint: string;
  /** Whose it is, for people. @default unsaid */
  readonly owner?: string;
  /** Day (`2025-04-17`) from which on its signatures count. @default always */
  readonly from?: string;
  /** Last day on which its signatures count, whatever the key itself says. @default as the key says */
  readonly until?: string;
  /** What it is trusted for: lists of an archive of packages, or of images. @default both */
  readonly signs?: "archive" | "images";
}

/** Pinned signing keys of a distribution. Fingerprints are what is trusted; where the keys' bytes come from is not. */
export interface Keyring {
  /** Keys of OpenPGP that are accepted, and no others. */
  readonly keys: readonly PinnedKey[];
  /** Public keys of minisign that are accepted: 56 characters of base64 each. @default none */
  readonly minisign?: readonly string[];
  /**
   * Files that hold them: absolute, or relative to imgtask's own directory (`vendor/debian/….gpg`). Binary or armored.
   * @default none: imgtask carries no copy, `download` brings one along from `url`
   */
  readonly files?: readonly string[];
  /** Where the distribution publishes them, `https:`. Other keys in that file do not count. */
  readonly url?: string;
  /** Environment variable that names another file or URL with the keys. */
  readonly env?: string;
}

/** Where a distribution publishes notices of a release, and in which format. */
export type NoticeSource =
  /** None that a machine can read. */
  | { readonly format: "none"; readonly why: string }
  /** `updateinfo.xml` in the metadata of RPM repositories. Source: createrepo_c(8), and libsolv's reader. */
  | {
      readonly format: "updateinfo";
      /** Environment variable that names a mirror to use instead. */
      readonly env: string;
      readonly mirrors: readonly string[];
      /** Repositories below a mirror: the directories that hold `repodata/`. */
      readonly repositories: readonly string[];
      /** `repomd.xml` is signed, as `repomd.xml.asc` beside it, by keys that are published here. @default it is not signed */
      readonly keys?: Keyring;
      /** Page of a notice; `{id}` stands for its id, `{dashed}` for the same with `-` for `:`. */
      readonly link: string;
    }
  /** The lists of the Debian security tracker, and the security archive. */
  | {
      readonly format: "debian";
      readonly env: string;
      /** Base URL of the tracker's `data` directory. */
      readonly url: string;
      /** Lists below it: `DSA/list`. */
      readonly lists: readonly string[];
      /** As the lists call the release. */
      readonly codename: string;
      /** Where the fixed packages are, by a signed list. */
      readonly archive: { readonly archive: AptArchive; readonly suite: string; readonly component: string; readonly architecture: string };
      readonly link: string;
    }
  /** Ubuntu's notices as JSON, in pages. */
  | { readonly format: "usn"; readonly env: string; readonly url: string; readonly codename: string; readonly link: string }
  /** The index of CSAF documents of Red Hat's security data API. */
  | { readonly format: "redhat"; readonly env: string; readonly url: string; /** In releases of packages: `el9`. */ readonly tag: string; readonly link: string };

/** What all media have. */
export interface MediaBase {
  /** For people and file names: `debian-bookworm-netboot-amd64`. */
  readonly id: string;
  /** Name of the distribution: `debian`. */
  readonly distro: string;
  readonly release: string;
  /** Canonical architecture. */
  readonly arch: string;
  /** Format of the answers its installer reads. */
  readonly answers: AnswerFormat;
  /** Where security notices of its release are. @default nobody is asked */
  readonly notices?: NoticeSource;
}

/** Installer files that come in a package of a signed archive. */
export interface PackageMedia extends MediaBase {
  readonly kind: "package";
  readonly package: {
    readonly archive: AptArchive;
    readonly suite: string;
    readonly component: string;
    /** As the archive calls the architecture whose index lists it. */
    readonly architecture: string;
    readonly name: string;
  };
  /** Paths inside the package. */
  readonly files: { readonly kernel: string; readonly initrd: string };
}

/** Name of an image, of which the version may be open: the newest one that is listed is taken then. */
export interface ImageName {
  /** Name of the file. `{version}` stands for a version: numbers joined by `.` or `-`, and a letter perhaps. */
  readonly name: string;
  /**
   * What the version is, or begins with: `24.04` takes `24.04` and `24.04.3`, the latter first, and not `24.041`.
   * @default any
   */
  readonly version?: string;
}

/** How a list of checksums is signed. */
export type ListSignature =
  /** By OpenPGP, in a file of its own: `SHA256SUMS.gpg`. */
  | { readonly kind: "detached"; readonly file: string }
  /** By OpenPGP, around the list itself. */
  | { readonly kind: "clearsigned" }
  /** By minisign, prehashed and with `file:NAME` in the trusted comment: `SHA256SUMS.minisig`. */
  | { readonly kind: "minisign"; readonly file: string }
  /** Not at all: the list is good for finding the newest image only, and `sha256` must be given. */
  | { readonly kind: "none" };

/** A list of checksums beside the images. */
export interface ChecksumList {
  /** Name of the file, in the images' directory unless it begins with `../`. */
  readonly file: string;
  /** `HEX  NAME` as sha256sum prints it, or `SHA256 (NAME) = HEX`. */
  readonly form: "gnu" | "bsd";
  readonly algorithm: "sha256" | "sha512";
  readonly signature: ListSignature;
}

/** A directory of images on mirrors. */
export interface MirrorSource {
  readonly kind: "mirror";
  /** Environment variable that names a mirror to use instead: base URL, `http:`, `https:` or `file:`. */
  readonly env: string;
  /** Base URLs without a slash at the end; the first that answers is used, others for parts of the same file. */
  readonly mirrors: readonly string[];
  /** Directory of images and list below the mirror: `24.04`. */
  readonly directory: string;
  readonly list: ChecksumList;
}

/** A portal that gives images to customers, by their SHA-256: an OAuth 2.0 refresh token buys an access token. */
export interface PortalSource {
  readonly kind: "portal";
  /** Environment variable that names another base URL, as a relay of one's own. */
  readonly env: string;
  /** Where the refresh token is exchanged (`grant_type=refresh_token`), and as which client. */
  readonly exchange: { readonly url: string; readonly client: string };
  /** Asked with the access token; `{sha256}` stands for the digest. Answers with the address of the image. */
  readonly image: string;
  /** Where the refresh token is. */
  readonly token: Secret;
}

/** A file that the user has already. */
export interface FileSource {
  readonly kind: "file";
  /** Relative to the directory of the imagefile, or absolute. */
  readonly path: string;
}

/** Where an image comes from. */
export type ImageSource = MirrorSource | PortalSource | FileSource;

/** An installer's ISO image. */
export interface ImageMedia extends MediaBase {
  readonly kind: "iso";
  /** Which of the distribution's images: `live-server`, `netinst` … */
  readonly edition: string;
  readonly layout: IsoLayout;
  readonly image: ImageName;
  readonly source: ImageSource;
  /** Keys that sign the list. Unused where it is not signed. */
  readonly keys: Keyring;
  /**
   * SHA-256 of the image, lower case: no other one is taken, whatever a list says.
   * @default the signed list's. Without a signed list it must be given
   */
  readonly sha256?: string;
  /** Most bytes that an image may have. @default 16 GiB */
  readonly limit?: number;
}

/** Media that a distribution publishes, and how to know that they are genuine. */
export type Media = PackageMedia | ImageMedia;
