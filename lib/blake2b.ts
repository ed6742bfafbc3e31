/**
 * BLAKE2b (RFC 7693) of at most one block with a digest shorter than 64 bytes: what minisign guards its secret keys
 * with. Node has the 64-byte form only, and a shorter digest is not the beginning of a longer one.
 * @module
 */

const initial: readonly bigint[] = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];

/** Which words of the message each round mixes in, in hex. */
const schedule: readonly string[] = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d", "2c6a0b834d75fe19",
  "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0", "0123456789abcdef", "ea489fd61c02b753",
];

/** Columns, then diagonals. */
const places: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

const word = (value: bigint): bigint => BigInt.asUintN(64, value);
const turn = (value: bigint, bits: bigint): bigint => word((value >> bits) | (value << (64n - bits)));

/**
 * Digest of up to 128 bytes.
 *
 * @param length of the digest in bytes, 1 to 64
 */
export function blake2b(bytes: Uint8Array, length: number): Buffer {
  if (bytes.length > 128) throw new RangeError("One block only");
  const block = Buffer.alloc(128);
  block.set(bytes);
  const message = Array.from({ length: 16 }, (_, index) => block.readBigUInt64LE(index * 8));
  const state = [...initial];
  state[0]! ^= 0x01010000n ^ BigInt(length);
  const v = [...state, ...initial];
  v[12]! ^= BigInt(bytes.length);
  v[14] = word(~v[14]!);
  for (const round of schedule) {
    places.forEach(([a, b, c, d], index) => {
      const x = message[Number.parseInt(round[2 * index]!, 16)]!, y = message[Number.parseInt(round[2 * index + 1]!, 16)]!;
      v[a] = word(v[a]! + v[b]! + x);
      v[d] = turn(v[d]! ^ v[a]!, 32n);
      v[c] = word(v[c]! + v[d]!);
      v[b] = turn(v[b]! ^ v[c]!, 24n);
      v[a] = word(v[a]! + v[b]! + y);
      v[d] = turn(v[d]! ^ v[a]!, 16n);
      v[c] = word(v[c]! + v[d]!);
      v[b] = turn(v[b]! ^ v[c]!, 63n);
    });
  }
  const digest = Buffer.alloc(64);
  state.forEach((value, index) => digest.writeBigUInt64LE(value ^ v[index]! ^ v[index + 8]!, index * 8));
  return digest.subarray(0, length);
}
