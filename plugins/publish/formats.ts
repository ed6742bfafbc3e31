/**
 * Which format of image an artifact is, told when it is declared: by its type, and a disk by the end of its path.
 * Pure: opens no file.
 * @module
 */
import { type Artifact, ExitCode, type ImageFormat, type ImagePublisher, ImgtaskError, type Input } from "../../lib/mod.ts";
import { artifactOf } from "./names.ts";

/** Types of artifacts that have one format. */
const ofType: Readonly<Record<string, ImageFormat>> = { iso: "iso", vmdk: "vmdk", vhdx: "vhdx", vhd: "vhd", ova: "ova" };
/** Ends of a disk's path. */
const ofDisk: Readonly<Record<string, ImageFormat>> = { qcow2: "qcow2", raw: "raw", img: "raw" };

/** The format of an image, or `undefined` of what is none. */
export function formatOf({ type, path = "" }: Pick<Artifact, "type" | "path">): ImageFormat | undefined {
  return type === "disk" ? ofDisk[/\.([a-z0-9]+)$/.exec(path)?.[1] ?? ""] : ofType[type];
}

/**
 * The formats of artifacts for a place that holds images.
 *
 * @throws {ImgtaskError} IMG2521 for one that it does not take.
 */
export function formatsFor(to: ImagePublisher, artifacts: readonly Input[]): readonly ImageFormat[] {
  return artifacts.map(artifactOf).map((artifact) => {
    const format = formatOf(artifact);
    if (format !== undefined && to.takes.includes(format)) return format;
    throw new ImgtaskError("IMG2521", `${to.name}() does not take "${artifact.target}"`, {
      expected: `an image as ${to.takes.join(", ")}`,
      found: format ?? `"${artifact.type}"${artifact.type === "disk" ? ` whose path ends neither in ".qcow2" nor ".raw"` : ""}`,
      hint: "convert() makes other formats of a disk; files as such are published to directory(), ssh(), s3(), github() or lfs()",
      exitCode: ExitCode.usage,
    });
  });
}
