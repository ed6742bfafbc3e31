/**
 * Bytes of a file on their way to a place, and how far they are. Knows no place.
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { PublishContext } from "../../lib/mod.ts";

/** A part of a file, or all of it. */
export interface Piece {
  readonly path: string;
  /** Bytes from its beginning. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** Reads it, 1 MiB at a time. */
export async function* read({ path, offset, size }: Piece, signal: AbortSignal): AsyncGenerator<Buffer> {
  if (size === 0) return;
  yield* createReadStream(path, { start: offset, end: offset + size - 1, highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>;
}

/** SHA-256 of it, as 64 hex digits. */
export async function digestOf(piece: Piece, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of read(piece, signal)) hash.update(chunk);
  return hash.digest("hex");
}

/** Reads it, and says how far it is. */
export async function* told(name: string, piece: Piece, { signal, progress }: Pick<PublishContext, "signal" | "progress">): AsyncGenerator<Buffer> {
  const started = Date.now();
  let bytes = 0;
  for await (const chunk of read(piece, signal)) {
    yield chunk;
    bytes += chunk.length;
    progress(`sending ${name}`, { bytes, total: piece.size, rate: Math.round((bytes * 1000) / Math.max(1, Date.now() - started)) });
  }
}
