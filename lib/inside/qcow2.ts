/**
 * The disk in a qcow2 file (QEMU's docs/interop/qcow2.txt): which byte of the machine's disk a byte of the file is.
 * Compressed clusters, encryption and files behind it are not looked into.
 * @module
 */
import type { Part, Reader, View } from "./view.ts";

const addressMask = 0x00ff_ffff_ffff_fe00n;

/** Where the clusters of the disk are in the file, by their number; 0 for none. */
function clusters(view: View, bits: number, l1Offset: number, l1Size: number): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  const perTable = 2 ** (bits - 3);
  const l1 = view.read(l1Offset, Math.min(l1Size, 1_048_576) * 8);
  for (let index = 0; index * 8 + 8 <= l1.length; index++) {
    const address = Number(l1.readBigUInt64BE(index * 8) & addressMask);
    if (address === 0) continue;
    const l2 = view.read(address, perTable * 8);
    for (let inner = 0; inner * 8 + 8 <= l2.length; inner++) {
      const entry = l2.readBigUInt64BE(inner * 8);
      // Bit 62: compressed; bit 0: all zeros.
      if ((entry >> 62n & 1n) === 1n || (entry & 1n) === 1n) continue;
      const cluster = Number(entry & addressMask);
      if (cluster !== 0) found.set(index * perTable + inner, cluster);
    }
  }
  return found;
}

/** Recognises a qcow2 file by its magic. */
export const qcow2: Reader = (view) => {
  const header = view.read(0, 104);
  if (header.length < 72 || header.readUInt32BE(0) !== 0x514649fb || header.readUInt32BE(20) < 9 || header.readUInt32BE(20) > 21) return undefined;
  const bits = header.readUInt32BE(20), size = Number(header.readBigUInt64BE(24)), cluster = 2 ** bits;
  const map = clusters(view, bits, Number(header.readBigUInt64BE(40)), header.readUInt32BE(36));
  const disk: View = {
    size,
    read(offset, length) {
      const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
      for (let done = 0; done < buffer.length; ) {
        const at = offset + done, number = Math.floor(at / cluster), within = at % cluster;
        const part = Math.min(cluster - within, buffer.length - done);
        const place = map.get(number);
        if (place !== undefined) view.read(place + within, part).copy(buffer, done);
        done += part;
      }
      return buffer;
    },
  };
  const places = new Map([...map].map(([number, place]) => [place, number]));
  return (offset): Part | undefined => {
    const number = places.get(Math.floor(offset / cluster) * cluster);
    return number === undefined ? { name: "tables of qcow2" } : { name: "disk", view: disk, offset: number * cluster + (offset % cluster) };
  };
};
