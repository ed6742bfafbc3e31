/**
 * Red Hat Enterprise Linux: its releases and installers. Images come from the customer portal with a token, or are a file
 * that the user has; Red Hat publishes their SHA-256 on the portal and signs no list of them, so that it must be given.
 * Knows nothing of how any of it is fetched or checked. No root file systems can be built of it yet.
 * @module
 */
import { checkOptions, defineDistro, type Distro, fit, type Fits, type ImageMedia, type ImageSource, type InstallerFits, type Keyring, type PackageSet, packageSet, type Secret } from "../lib/mod.ts";
import { anaconda, architectures, type EnterpriseArch, type EnterpriseRelease } from "./shared/enterprise-linux.ts";

/** Which image: `boot` installs from the network, `dvd` from the medium. */
export type RhelEdition = "boot" | "dvd";

/** Where an image of RHEL comes from. */
export type RhelOrigin =
  /** The customer portal, with an offline token of an account that has a subscription (access.redhat.com/management/api). */
  | { readonly token: Secret }
  /** A file, relative to the directory of the imagefile or absolute. */
  | { readonly file: string };

/** What RHEL's installer media are asked by. */
export type RhelInstaller = (options: {
  readonly release: EnterpriseRelease;
  readonly arch: EnterpriseArch;
  /** @default "boot" */
  readonly edition?: RhelEdition;
  /** SHA-256 of the image, as the customer portal shows it: which image it is, and what vouches for it. */
  readonly sha256: string;
  /** Credentials for the customer portal, or a file. */
  readonly from: RhelOrigin;
}) => ImageMedia;

const installerOptions: InstallerFits<RhelInstaller> = { sha256: fit.needed(fit.text), from: fit.needed(fit.by('{ token: secret.env("RHSM_OFFLINE_TOKEN") } or { file: "rhel.iso" }', fit.isObject)) };

// It signs packages, not images. Fingerprint: access.redhat.com/security/team/key, and the package distribution-gpg-keys.
const keys: Keyring = {
  keys: [{ fingerprint: "567E347AD0044ADE55BA8A5F199E2F91FD431D51", owner: "Red Hat, Inc. (release key 2)", from: "2009-10-22" }],
  url: "https://www.redhat.com/security/data/fd431d51.txt",
  env: "IMGTASK_RHEL_KEYRING",
};

const tokenFits: Fits<{ readonly token: Secret }> = { token: fit.needed(fit.secretHandle) };
const fileFits: Fits<{ readonly file: string }> = { file: fit.needed(fit.text) };

function sourceOf(origin: RhelOrigin): ImageSource {
  checkOptions('"from" of installer() of Red Hat Enterprise Linux', origin, "file" in origin ? fileFits : tokenFits);
  if ("file" in origin) return { kind: "file", path: origin.file };
  return {
    kind: "portal",
    env: "IMGTASK_RHEL_PORTAL",
    exchange: { url: "https://sso.redhat.com/auth/realms/redhat-external/protocol/openid-connect/token", client: "rhsm-api" },
    image: "https://api.access.redhat.com/management/v1/images/{sha256}/download",
    token: origin.token,
  };
}

/**
 * Red Hat Enterprise Linux.
 *
 * @example
 * ```ts
 * const image = rhel.installer({
 *   release: "9", arch: "x86_64", edition: "dvd",
 *   sha256: "febcc1359fd68faceff82d7eed8d21016e022a17e9c74e0e3f9dc3a78816b2bb", // rhel-9.6-x86_64-dvd.iso
 *   from: { token: secret.env("RHSM_OFFLINE_TOKEN") },
 * });
 * const trusted = verify("rhel", { media: download("rhel", image), trust: rhel.keys });
 * ```
 */
export const rhel: Distro<"rhel", EnterpriseRelease, EnterpriseArch, RhelInstaller> & { readonly packages: { /** For `packages` of a machine: a firewall and the subscription. */ readonly server: PackageSet } } = defineDistro({
  name: "rhel",
  title: "Red Hat Enterprise Linux",
  releases: { "9": { version: "9" }, "10": { version: "10" } },
  architectures,
  editions: ["boot", "dvd"],
  keys,
  packages: { server: packageSet("rhel server", { dnf: ["firewalld", "subscription-manager"] }) },
  notices: ({ release }) => ({
    format: "redhat",
    env: "IMGTASK_RHEL_NOTICES",
    url: "https://access.redhat.com/hydra/rest/securitydata/csaf.json",
    tag: `el${release}`,
    link: "https://access.redhat.com/errata/{id}",
  }),
  installerOptions,
  installer({ release, arch, edition = "boot", sha256, from }) {
    return {
      kind: "iso",
      id: `rhel-${release}-${edition}-${arch}`,
      distro: "rhel",
      release,
      arch,
      edition,
      ...anaconda,
      image: { name: `rhel-{version}-${arch}-${edition}.iso`, version: release },
      source: sourceOf(from),
      keys,
      sha256,
    };
  },
});
