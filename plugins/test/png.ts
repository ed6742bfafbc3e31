/**
 * Turns the picture that an emulator writes (binary PPM) into a PNG. Pure: bytes in, bytes out.
 * The emulator could write PNG itself only since QEMU 7.1, and only when it was built so.
 * @module
 */
import { deflateSync } from "node:zlib";

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(body.length + 8);
  frame.writeUInt32BE(data.length, 0);
  body.copy(frame, 4);
  frame.writeUInt32BE(crc(body), body.length + 4);
  return frame;
}

/**
 * @param ppm as of `P6`, eight bits a channel.
 * @throws {RangeError} for anything else.
 */
export function pngOf(ppm: Uint8Array): Buffer {
  const bytes = Buffer.from(ppm.buffer, ppm.byteOffset, ppm.byteLength);
  const head = /^P6\s+(?:#[^\n]*\s+)*(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 256));
  const width = Number(head?.[1]), height = Number(head?.[2]), start = head?.[0].length ?? 0;
  if (head === null || width === 0 || height === 0 || bytes.length - start < width * height * 3) throw new RangeError("not a whole P6 picture");
  const rows = Buffer.alloc(height * (width * 3 + 1)); // Each row begins with a filter byte: 0, none.
  for (let y = 0; y < height; y++) bytes.copy(rows, y * (width * 3 + 1) + 1, start + y * width * 3, start + (y + 1) * width * 3);
  const size = Buffer.alloc(13);
  size.writeUInt32BE(width, 0);
  size.writeUInt32BE(height, 4);
  size.set([8, 2, 0, 0, 0], 8); // Eight bits, RGB, and the only compression, filter and interlace there is use for.
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", size), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}
