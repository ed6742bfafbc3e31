/**
 * The SHA-256 of a file while its parts arrive in any order: each byte is hashed as soon as all before it are. What came
 * ahead waits in memory; what does not fit there, or was there before, is read from the file once. Knows no network.
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Coverage } from "./coverage.ts";

/** Bytes that may wait in memory: four pieces of a parallel transfer and as much again. */
const memory = 64 * 1024 ** 2;

/** Bytes read at a time. */
const block = 1024 ** 2;

/** Hashes a file that grows. */
export class PrefixHash {
  readonly #handle: FileHandle;
  readonly #landed: Coverage;
  readonly #hash: Hash = createHash("sha256");
  readonly #ahead = new Map<number, Buffer>();
  #waiting = 0;
  #position = 0;
  #reading: Promise<void> | undefined;
  #readBack = 0;

  /**
   * @param handle readable; holds what `landed` says, always.
   * @param landed is looked at, and not changed.
   */
  constructor(handle: FileHandle, landed: Coverage) {
    this.#handle = handle;
    this.#landed = landed;
  }

  /** Bytes that had to be read from the file again. */
  get readBack(): number {
    return this.#readBack;
  }

  /** Tells of bytes that were just written, and are part of `landed` now. */
  take(offset: number, bytes: Buffer): void {
    if (offset === this.#position && this.#reading === undefined) {
      this.#update(bytes);
    } else if (offset >= this.#position && this.#waiting + bytes.length <= memory) {
      this.#ahead.set(offset, bytes);
      this.#waiting += bytes.length;
    }
    this.#follow();
  }

  /** The digest of the first `size` bytes, 64 hex digits. They must all be there. Ends the hashing. */
  async digest(size: number): Promise<string> {
    while (this.#position < size) {
      this.#follow();
      if (this.#reading === undefined) throw new RangeError("not all bytes are there");
      await this.#reading;
    }
    return this.#hash.digest("hex");
  }

  /** Waits until nothing is being read. */
  async settle(): Promise<void> {
    await this.#reading?.catch(() => {});
  }

  #update(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#position += bytes.length;
  }

  #drain(): void {
    for (let next = this.#ahead.get(this.#position); next !== undefined; next = this.#ahead.get(this.#position)) {
      this.#ahead.delete(this.#position);
      this.#waiting -= next.length;
      this.#update(next);
    }
  }

  /** Reads what is on disk only. */
  #follow(): void {
    if (this.#reading !== undefined) return;
    this.#drain();
    if (this.#landed.prefix <= this.#position) return;
    this.#reading = this.#read().finally(() => (this.#reading = undefined));
    // Told by digest(), which waits for it.
    this.#reading.catch(() => {});
  }

  async #read(): Promise<void> {
    const buffer = Buffer.allocUnsafe(block);
    while (this.#landed.prefix > this.#position) {
      this.#drain();
      const most = Math.min(block, this.#landed.prefix - this.#position);
      if (most <= 0) break;
      const { bytesRead } = await this.#handle.read(buffer, 0, most, this.#position);
      if (bytesRead === 0) throw new Error("the file is shorter than it was");
      this.#update(buffer.subarray(0, bytesRead));
      this.#readBack += bytesRead;
      for (const [offset, bytes] of this.#ahead) {
        if (offset >= this.#position) continue;
        // Read from the file meanwhile, at least its beginning.
        this.#ahead.delete(offset);
        this.#waiting -= bytes.length;
      }
    }
  }
}
