/**
 * Partitions of a disk by its GUID partition table (UEFI specification, section 5.3).
 * @module
 */
import { type Part, type Reader, slice, u64 } from "./view.ts";

const sector = 512;

/** Recognises a disk by the signature of its first table. */
export const gpt: Reader = (view) => {
  const header = view.read(sector, 92);
  if (header.length < 92 || header.toString("latin1", 0, 8) !== "EFI PART") return undefined;
  const count = Math.min(header.readUInt32LE(80), 1024), size = header.readUInt32LE(84);
  if (size < 128 || size > 4096) return undefined;
  const table = view.read(u64(header, 72) * sector, count * size);
  const partitions = Array.from({ length: Math.floor(table.length / size) }, (_, index) => {
    const entry = table.subarray(index * size, (index + 1) * size);
    const start = u64(entry, 32) * sector, end = (u64(entry, 40) + 1) * sector;
    const name = entry.toString("utf16le", 56, 128).split("\0")[0]!;
    return { used: entry.subarray(0, 16).some((byte) => byte !== 0), start, end, name: `partition ${index + 1}${name === "" ? "" : ` (${name})`}` };
  }).filter(({ used, start, end }) => used && end > start);
  return (offset): Part | undefined => {
    const found = partitions.find(({ start, end }) => offset >= start && offset < end);
    if (found !== undefined) return { name: found.name, view: slice(view, found.start, found.end - found.start), offset: offset - found.start };
    if (offset < sector) return { name: "boot sector" };
    if (offset < 34 * sector) return { name: "partition table" };
    return offset >= view.size - 33 * sector ? { name: "second partition table" } : undefined;
  };
};
