/**
 * Members of a tar archive (POSIX.1-1988 ustar, and GNU's long names), as the tars are that imgtask and mmdebstrap write.
 * @module
 */
import { type Part, type Reader, slice } from "./view.ts";

const block = 512;

function octal(field: Buffer): number {
  // GNU tar writes sizes of 8 GiB and more in binary, with the highest bit set.
  if ((field[0]! & 0x80) !== 0) return Number(BigInt(`0x${field.toString("hex")}`) & ((1n << 63n) - 1n));
  const text = field.toString("latin1").replaceAll("\0", "").trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : 0;
}

const text = (field: Buffer): string => field.toString("utf8").split("\0")[0]!;

/** Recognises a tar by the magic of its first member. */
export const tar: Reader = (view) => {
  if (view.read(257, 5).toString("latin1") !== "ustar") return undefined;
  return (wanted): Part | undefined => {
    let long: string | undefined;
    for (let at = 0; at + block <= view.size; ) {
      const header = view.read(at, block);
      if (header.toString("latin1", 257, 262) !== "ustar") return undefined;
      const size = octal(header.subarray(124, 136));
      const type = String.fromCharCode(header[156]!);
      const end = at + block + Math.ceil(size / block) * block;
      const prefix = text(header.subarray(345, 500));
      const name = long ?? (prefix === "" ? text(header.subarray(0, 100)) : `${prefix}/${text(header.subarray(0, 100))}`);
      if (wanted < at + block) return { name: `header of ${name}` };
      if (wanted < end) return { name, view: slice(view, at + block, size), offset: wanted - at - block };
      long = type === "L" ? text(view.read(at + block, Math.min(size, 65_536))) : undefined;
      at = end;
    }
    return undefined;
  };
};
