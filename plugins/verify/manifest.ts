/**
 * What `media.json` says of media that were proven genuine. Plain data; knows not how that is done.
 * @module
 */
import type { Entry } from "../download/release.ts";

/** Who vouches for media. */
export interface SignatureNote {
  /** Fingerprint of the primary key, or id of a minisign key. */
  readonly fingerprint: string;
  readonly userId: string;
  /** ISO 8601; when the signature does not say, absent. */
  readonly signedAt?: string;
}

/** `media.json` of installer files out of a package. */
export interface PackageManifest {
  readonly kind: "package";
  readonly id: string;
  readonly distro: string;
  readonly release: string;
  /** Canonical architecture. */
  readonly arch: string;
  readonly package: { readonly name: string; readonly version: string; readonly sha256: string; readonly size: number };
  /** By name in the tree. */
  readonly files: Readonly<Record<"linux" | "initrd.gz", Entry>>;
  readonly signature: SignatureNote;
  /** Date of the signed list that vouches for all of it, ISO 8601. */
  readonly date: string;
}

/** `media.json` of an ISO image. */
export interface ImageManifest {
  readonly kind: "iso";
  readonly id: string;
  readonly distro: string;
  readonly release: string;
  readonly arch: string;
  readonly edition: string;
  /** Name that the distribution gave it: `ubuntu-24.04.3-live-server-amd64.iso`. */
  readonly name: string;
  /** The version in that name, where one was open. */
  readonly version?: string;
  /** By name in the tree. */
  readonly files: Readonly<Record<"media.iso", Entry>>;
  /** The list that vouches for it; none where only a digest was given. */
  readonly list?: { readonly file: string; readonly sha256: string };
  /** Who signed that list; none where it was not signed and a digest was given. */
  readonly signature?: SignatureNote;
  /** Whether the image has the digest that the imagefile or the lock file names. */
  readonly pinned: boolean;
}

/** Content of `media.json`. */
export type MediaManifest = PackageManifest | ImageManifest;
