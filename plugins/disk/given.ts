/**
 * The disk that a kind of this directory is given: one that was built here, or an image of a known format; and the
 * architecture that what is made of it keeps.
 * @module
 */
import { type Artifact, fit, type Input, type Source } from "../../lib/mod.ts";
import type { ImageFormat } from "./inspect.ts";

/** An image that was not built here, or is no plain disk. */
export interface ForeignImage {
  readonly image: Input | Source;
  /** Never guessed: an image may say of itself what it is not. */
  readonly format: ImageFormat;
  /** Architecture of the machine that it boots, as `"x86_64"`: without it, no test can boot what is made of it. */
  readonly arch?: string;
}

/** A disk, or an image of a known format that was not built here. */
export type DiskImage = Input<"disk"> | ForeignImage;

const foreign = fit.by("an image that says its format: { image: source(…), format: \"vhdx\" }", (value) =>
  fit.isObject(value) && typeof value["format"] === "string" && (fit.sourceHandle.fits(value["image"]) || fit.handle.fits(value["image"])));

/** What passes for a disk. */
export const diskFit: fit.Optional = fit.either(fit.made(["disk"], "a disk, as disk() gives it"), foreign);

/** What a disk made of another one says of its architecture: what that one said. */
export type ArchOf<From> = Pick<From, Extract<keyof From, "arch">>;

/** Image and declared format, as a recipe gets them; of a disk that was built here its first bytes say the format. */
export function givenImage(from: DiskImage): { readonly image: Input | Source; readonly format: ImageFormat | null } {
  return "image" in from ? { image: from.image, format: from.format } : { image: from, format: null };
}

/** A target with the architecture of the disk that it is made of. */
export function withArch<T extends { readonly outputs: { readonly out: Artifact } }, From extends DiskImage>(made: T, from: From): T & ArchOf<From> {
  const arch = "arch" in from ? from.arch : undefined;
  return Object.freeze({ ...made, ...(arch === undefined ? {} : { arch }) }) as unknown as T & ArchOf<From>;
}
