/**
 * What the media of several distributions have in common: ids, and lists in the usual places.
 * Knows no distribution by name, and nothing of how any of it is fetched or checked.
 * @module
 */
import type { ChecksumList, ImageMedia, Keyring } from "../../lib/mod.ts";

/** `SHA256SUMS` as sha256sum writes it, with a detached signature beside it: Ubuntu, Kali and, as `.sign`, Debian. */
export function sha256sums(extension: "gpg" | "sign"): ChecksumList {
  return { file: "SHA256SUMS", form: "gnu", algorithm: "sha256", signature: { kind: "detached", file: `SHA256SUMS.${extension}` } };
}

/** Media of an image on mirrors. */
export function imageOnMirrors(options: {
  readonly distro: string;
  readonly release: string;
  readonly arch: string;
  /** As the distribution calls the architecture. */
  readonly architecture: string;
  readonly edition: string;
  readonly answers: ImageMedia["answers"];
  readonly layout: ImageMedia["layout"];
  readonly name: string;
  readonly version?: string;
  /** Environment variable that names a mirror. */
  readonly env: string;
  readonly mirrors: readonly string[];
  readonly directory: string;
  readonly list: ChecksumList;
  readonly keys: Keyring;
  readonly sha256?: string;
}): ImageMedia {
  const { distro, release, arch, architecture, edition, answers, layout, name, version, env, mirrors, directory, list, keys, sha256 } = options;
  return {
    kind: "iso",
    id: `${distro}-${release}-${edition}-${architecture}`,
    distro,
    release,
    arch,
    edition,
    answers,
    layout,
    image: { name, ...(version === undefined ? {} : { version }) },
    source: { kind: "mirror", env, mirrors, directory, list },
    keys,
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}
