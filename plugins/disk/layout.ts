/**
 * Where things are on a disk, and what they are called: sizes, partitions, and identifiers that follow from the name.
 * Pure: knows no file and no tool.
 * @module
 */
import { createHash } from "node:crypto";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";

export const mebibyte: number = 1024 * 1024;
export const sector = 512;

/** First sector and size of the BIOS boot partition: between the table and the first whole mebibyte. */
export const biosBoot: { readonly start: number; readonly size: number } = { start: 34, size: 2048 - 34 };

/** Bytes. */
export const esp: { readonly start: number; readonly size: number } = { start: mebibyte, size: 64 * mebibyte };

/** First byte of the root partition. */
export const rootStart: number = esp.start + esp.size;

/** How a disk starts. */
export type Boot = "bios+uefi" | "uefi" | "bios";

/**
 * Bytes of a size such as `"10G"` or `"1500M"`; powers of two.
 *
 * @throws {ImgtaskError} IMG2120 for anything else, and for less than 256 MiB.
 */
export function parseSize(size: string): number {
  const match = /^([1-9]\d{0,6})([GM])$/.exec(size);
  const bytes = match === null ? 0 : Number(match[1]) * (match[2] === "G" ? 1024 : 1) * mebibyte;
  if (bytes >= 256 * mebibyte && bytes <= 16 * 1024 ** 4) return bytes;
  throw new ImgtaskError("IMG2120", `Bad disk size ${JSON.stringify(size)}`, {
    expected: `a whole number with G or M (powers of two), from "256M" to "16384G"`,
    exitCode: ExitCode.usage,
  });
}

/** Identifiers of a disk and what is on it. */
export interface Identifiers {
  readonly disk: string;
  readonly biosPartition: string;
  readonly espPartition: string;
  readonly rootPartition: string;
  readonly rootFilesystem: string;
  readonly directoryHash: string;
  /** FAT volume id: 8 hex digits. */
  readonly espVolume: string;
}

/** Identifiers that depend on nothing but `seed`: the same input gives the same disk, other input another. */
export function identifiers(seed: string): Identifiers {
  const uuid = (what: string): string => {
    const hex = createHash("sha256").update(`${seed}\0${what}`).digest("hex");
    // Version 8 of RFC 9562: a UUID of the application's own making.
    const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  };
  return {
    disk: uuid("disk"),
    biosPartition: uuid("bios partition"),
    espPartition: uuid("esp partition"),
    rootPartition: uuid("root partition"),
    rootFilesystem: uuid("root filesystem"),
    directoryHash: uuid("directory hash"),
    espVolume: uuid("esp volume").slice(0, 8),
  };
}

/** The input of `sfdisk` for a disk of `bytes`. */
export function partitionTable(bytes: number, boot: Boot, ids: Identifiers, rootType: string): string {
  const last = Math.floor(bytes / sector) - 34;
  const end = Math.floor((last + 1) / 2048) * 2048;
  const lines = ["label: gpt", `label-id: ${ids.disk}`, "unit: sectors", `first-lba: ${boot === "uefi" ? 2048 : biosBoot.start}`];
  if (boot !== "uefi") {
    lines.push(`start=${biosBoot.start}, size=${biosBoot.size}, type=21686148-6449-6E6F-744E-656564454649, uuid=${ids.biosPartition}, name="bios"`);
  }
  if (boot !== "bios") {
    lines.push(`start=${esp.start / sector}, size=${esp.size / sector}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=${ids.espPartition}, name="esp"`);
  }
  lines.push(`start=${rootStart / sector}, size=${end - rootStart / sector}, type=${rootType}, uuid=${ids.rootPartition}, name="root"`);
  return `${lines.join("\n")}\n`;
}

/** Bytes of the root partition of a disk of `bytes`: up to the last whole mebibyte before the second table. */
export function rootSize(bytes: number): number {
  return Math.floor((bytes / sector - 33) / 2048) * mebibyte - rootStart;
}
