/**
 * Files of an ISO 9660 image by the extents of its directories (ECMA-119, sections 8.4 and 9.1), with the long names of
 * Rock Ridge (IEEE P1282, entry NM).
 * @module
 */
import { type Part, type Reader, slice, type View } from "./view.ts";

const sector = 2048;

interface Extent {
  readonly path: string;
  readonly start: number;
  readonly size: number;
  readonly directory: boolean;
}

/** The name of Rock Ridge in a record's system use area, else that of ISO 9660 without its version. */
function nameOf(record: Buffer): string {
  const length = record[32]!;
  let name = "";
  for (let at = 33 + length + (length % 2 === 0 ? 1 : 0); at + 4 <= record.length; ) {
    const size = record[at + 2]!;
    if (size < 4 || at + size > record.length) break;
    if (record.toString("latin1", at, at + 2) === "NM" && size > 5) name += record.toString("utf8", at + 5, at + size);
    at += size;
  }
  return name === "" ? record.toString("latin1", 33, 33 + length).split(";")[0]! : name;
}

function* walk(view: View, directory: Extent, seen: Set<number>): Generator<Extent> {
  if (seen.has(directory.start) || directory.size > 64 * 1024 * 1024) return;
  seen.add(directory.start);
  const bytes = view.read(directory.start, directory.size);
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at]!;
    if (length < 34) {
      // Records do not cross sectors: the rest of one is filled with zeros.
      at = (Math.floor(at / sector) + 1) * sector;
      continue;
    }
    const record = bytes.subarray(at, at + length);
    at += length;
    if (record.length < 34 || (record[32] === 1 && record[33]! <= 1)) continue;
    const extent = {
      path: `${directory.path}/${nameOf(record)}`,
      start: record.readUInt32LE(2) * sector,
      size: record.readUInt32LE(10),
      directory: (record[25]! & 2) !== 0,
    };
    yield extent;
    if (extent.directory) yield* walk(view, extent, seen);
  }
}

/** Recognises an ISO by its primary volume descriptor. */
export const iso9660: Reader = (view) => {
  const descriptor = view.read(16 * sector, sector);
  if (descriptor.length < sector || descriptor[0] !== 1 || descriptor.toString("latin1", 1, 6) !== "CD001") return undefined;
  const root: Extent = { path: "", start: descriptor.readUInt32LE(156 + 2) * sector, size: descriptor.readUInt32LE(156 + 10), directory: true };
  const extents = [...walk(view, root, new Set())];
  return (offset): Part | undefined => {
    if (offset < 16 * sector) return { name: "boot records and partition table" };
    const within = ({ start, size }: Extent): boolean => offset >= start && offset < start + size;
    const file = extents.find((extent) => !extent.directory && within(extent));
    if (file !== undefined) return { name: file.path, view: slice(view, file.start, file.size), offset: offset - file.start };
    const directory = [root, ...extents].find((extent) => extent.directory && within(extent));
    if (directory !== undefined) return { name: `directory ${directory.path === "" ? "/" : directory.path}` };
    return offset < 32 * sector ? { name: "volume descriptors" } : undefined;
  };
};
