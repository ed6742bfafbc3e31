/**
 * What a disk image is, before a tool reads it: its format as declared or as its first bytes say, its size, and that it
 * does not make the tool read other files of the host.
 * Knows nothing of what is on the disk.
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";
import { ImgtaskError, type RunContext, tool, type Tool } from "../../lib/mod.ts";

/** Formats of images that are read. */
export type ImageFormat = "raw" | "qcow2" | "vmdk" | "vhdx" | "vpc";

/** What reads and writes disk images. */
export const qemuImg: Tool = tool("qemu-img", { packages: { apt: "qemu-utils", dnf: "qemu-img" } });

/**
 * @param declared the format as the user says; of a disk that was built here it is raw or qcow2.
 * @throws {ImgtaskError} IMG3142 for an image that refers to other files of the host.
 */
export async function inspect(path: string, declared: ImageFormat | null, { exec }: Pick<RunContext, "exec">): Promise<{ readonly format: ImageFormat; /** Bytes that a machine sees. */ readonly size: number }> {
  const head = Buffer.alloc(4);
  const fd = openSync(path, "r");
  try {
    readSync(fd, head, 0, 4, 0);
  } finally {
    closeSync(fd);
  }
  const format = declared ?? (head.readUInt32BE(0) === 0x514649fb ? "qcow2" : "raw");
  const { stdout } = await exec(["qemu-img", "info", "--output=json", "-f", format, path], { stdout: "capture" });
  const info = JSON.parse(stdout) as { readonly "virtual-size": number; readonly "backing-filename"?: string; readonly "format-specific"?: { readonly data?: { readonly "data-file"?: string; readonly extents?: readonly { readonly filename: string }[] } } };
  const other = info["backing-filename"] ?? info["format-specific"]?.data?.["data-file"] ?? info["format-specific"]?.data?.extents?.find(({ filename }) => filename !== path)?.filename;
  if (other === undefined) return { format, size: info["virtual-size"] };
  throw new ImgtaskError("IMG3142", "The disk image refers to another file", { expected: "an image that is whole by itself", found: JSON.stringify(other), hint: "Flatten it with `qemu-img convert` where that file is trusted" });
}
