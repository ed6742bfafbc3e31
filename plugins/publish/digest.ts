/**
 * Digests of files of any size. Knows nothing of what they are.
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

/** SHA-256 of a file as 64 hex digits; reads in pieces of 1 MiB and gives way to other work between them. */
export async function sha256(path: string, signal: AbortSignal): Promise<string> {
  return (await digests(path, signal)).sha256;
}

/** What is told of a file's bytes. */
export interface Digests {
  /** Bytes. */
  readonly size: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** 64 bytes; empty unless it was asked for. */
  readonly blake2b512: Buffer;
}

/** Reads a file once. @param signed whether its BLAKE2b-512 is wanted, which minisign signs. @default false */
export async function digests(path: string, signal: AbortSignal, signed = false): Promise<Digests> {
  const sha = createHash("sha256");
  const blake = signed ? createHash("blake2b512") : undefined;
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal }) as AsyncIterable<Buffer>) {
    sha.update(chunk);
    blake?.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: sha.digest("hex"), blake2b512: blake?.digest() ?? Buffer.alloc(0) };
}
