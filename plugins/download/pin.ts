/**
 * What `imgtask.lock` holds of media: which media can be pinned, and whether a pin fits them. Pure.
 * @module
 */
import type { ImageMedia, Media, MirrorSource, Pin, RunContext } from "../../lib/mod.ts";
import { versionIn } from "./list.ts";

/** Whether which image it is stands open until a mirror is asked, so that the answer is pinned. */
export function isOpen(media: Media): media is ImageMedia & { readonly source: MirrorSource } {
  return media.kind === "iso" && media.source.kind === "mirror" && media.sha256 === undefined;
}

/** What is pinned of media. A pin that the imagefile no longer asks for, as of another version, does not count. */
export function pinnedOf(media: ImageMedia, context: Pick<RunContext, "pin">): Pin | undefined {
  const pin = context.pin?.entry;
  return pin !== undefined && isOpen(media) && versionIn(pin.file, media.image) !== undefined ? pin : undefined;
}

/** Path of an image below a mirror. */
export function pathOf(source: MirrorSource, name: string): string {
  return `${source.directory}/${name}`;
}
