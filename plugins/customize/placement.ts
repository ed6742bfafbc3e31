/**
 * Where an installer looks for its answers on a medium of each layout, and how its kernel is told of them.
 * Data; knows neither answer formats nor boot loaders.
 * @module
 */
import type { IsoLayout } from "../../lib/mod.ts";
import { payloadDirectory as directory } from "./payload.ts";

/** How the answers are found. */
export interface Placement {
  /** Directory on the medium where the answers' files are, with a slash behind it; empty for the medium's root. */
  readonly root: string;
  /** Where the running installer sees the machine's payload: absolute path of a directory. */
  readonly payload: string;
  /** Its place on the medium, or in the initial file system; relative. */
  readonly directory: string;
  /** Words for the kernel's command line; `{volume}` stands for the label of the medium. */
  readonly arguments: readonly string[];
  /** An initial file system of its own carries answers and payload; else both lie on the medium. */
  readonly initrd?: string;
}

/** By layout. */
export const placements: Readonly<Record<IsoLayout, Placement>> = Object.freeze({
  // In a second initial file system: questions that come before the medium is mounted are answered, too.
  "debian-cd": { root: "", directory, payload: `/${directory}`, arguments: ["auto=true", "priority=critical"], initrd: "preseed.cpio" },
  // The medium is mounted on /cdrom. https://canonical-subiquity.readthedocs-hosted.com: "Providing autoinstall configuration"
  casper: { root: "nocloud/", directory, payload: `/cdrom/${directory}`, arguments: ["autoinstall", "ds=nocloud;s=/cdrom/nocloud/"] },
  // The medium is mounted on /run/install/repo. Anaconda's "Boot options": inst.ks
  anaconda: { root: "", directory, payload: `/run/install/repo/${directory}`, arguments: ["inst.ks=hd:LABEL={volume}:/ks.cfg"] },
});
