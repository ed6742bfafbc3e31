/**
 * What a place to publish to must offer: one that holds files, or one that holds images, as clouds do. Interfaces only.
 * Knows no place by name.
 * @module
 */
import type { PublishedArtifact } from "./publication.ts";
import type { Secrets } from "./secret.ts";
import type { RunContext, Untracked } from "./target.ts";
import type { Requirement } from "./tool.ts";

/** A file to be published. */
export interface PublishedFile {
  /** Its name at the place, `/` between parts: made of names that are safe everywhere. */
  readonly name: string;
  /** Where its bytes are now. */
  readonly path: string;
}

/** Formats of images: `raw` is a disk byte for byte, `vmdk` the stream-optimized one, `vhd` the fixed one. */
export type ImageFormat = "iso" | "qcow2" | "raw" | "vmdk" | "vhdx" | "vhd" | "ova";

/** An image to be published, and what is told of it: all that its entry in `manifest.json` would say. */
export interface PublishedImage extends PublishedFile, Omit<PublishedArtifact, "documents"> {
  /** Without `/`. */
  readonly name: string;
  readonly format: ImageFormat;
  /** Text of the `.minisig` of its bytes, where the publication is signed. */
  readonly signature?: string;
}

/** What a publisher is given of the run. */
export type PublishContext = Pick<RunContext, "exec" | "log" | "progress" | "signal" | "env" | "tmp" | "project"> & {
  /** Values of the publisher's secrets, by its names for them. */
  readonly secrets: Readonly<Record<string, string>>;
};

/** What is at a place, by the name it was given under. */
export interface PublishedThere {
  readonly name: string;
  /** Where: a path, a URL or what its users call it. */
  readonly location: string;
  /** Whether its bytes were sent now. */
  readonly uploaded: boolean;
}

/** What is known of a place before anything is published. Publishing the same twice must change nothing. */
interface Destination {
  readonly name: string;
  /** What it publishes to, as JSON: part of the fingerprint, so never a secret. */
  readonly params: Readonly<Record<string, string | number | boolean>>;
  readonly tools: readonly Requirement[];
  readonly env: readonly string[];
  /** Handles to its secrets. @default none */
  readonly secrets?: Secrets;
  /** The place, where it is one of this host, and how it is reached. @default nothing */
  readonly untracked?: Untracked;
  /** File URL of the publisher's module: `import.meta.url`. */
  readonly module: string;
  /**
   * The name of an artifact at the place, where that is another one, as in a layout by date. Pure.
   * @default the name
   */
  nameOf?(artifact: {
    readonly name: string;
    /** The target that made it: `iso:kali`. */
    readonly target: string;
    /** When it was made, milliseconds since 1970. */
    readonly time: number;
  }): string;
}

/** A place that holds files: artifacts, and the documents about them. */
export interface FilePublisher extends Destination {
  readonly takes?: undefined;
  /** Whether the place has no directories: then no name has a `/`. @default false */
  readonly flat?: boolean;
  /**
   * A small file of the place, or `undefined` when there is none. A place with this method collects: lists that stand
   * there are carried on. Without it, each publication replaces them.
   */
  read?(name: string, context: PublishContext): Promise<Uint8Array | undefined>;
  /** Those of some names that are at the place. Goes with {@linkcode FilePublisher.read}. */
  has?(names: readonly string[], context: PublishContext): Promise<ReadonlySet<string>>;
  /**
   * Makes the files readable at the place under their names: all of a file or nothing of it. None is readable before
   * those in front of it are: what vouches for others comes last. What is there with the same bytes is not sent.
   * @returns what is there now, by name.
   */
  publish(files: readonly PublishedFile[], context: PublishContext): Promise<readonly PublishedThere[]>;
}

/**
 * A place that holds images, from which machines are started: it is given no documents. Of what is told of an image it
 * keeps the SHA-256 at least, where anybody who sees the image can read it.
 */
export interface ImagePublisher extends Destination {
  /** What it can start from; other artifacts are refused when the target is declared. */
  readonly takes: readonly ImageFormat[];
  /**
   * Makes the images usable at the place under their names: all of an image or nothing of it, and never two of one name.
   * What is there with the same bytes is not sent.
   * @returns what is there now, by name.
   */
  publish(images: readonly PublishedImage[], context: PublishContext): Promise<readonly PublishedThere[]>;
}

/** A place that finished artifacts are published to. */
export type Publisher = FilePublisher | ImagePublisher;
