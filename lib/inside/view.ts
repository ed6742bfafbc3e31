/**
 * What the readers of this directory read, and what they tell: which part of a file of some format a byte belongs to.
 * They only look, run no tool, and take nothing that they read for granted: a damaged file has no parts.
 * @module
 */

/** Bytes that can be read anywhere: a file, or a part of one. */
export interface View {
  /** Bytes. */
  readonly size: number;
  /** Reads up to `length` bytes; fewer at the end. */
  read(offset: number, length: number): Buffer;
}

/** The part that a byte belongs to. */
export interface Part {
  /** What it is called: `"partition 3 (root)"`, `"/etc/hostname"`. */
  readonly name: string;
  /** Its content, when something else may be within it. */
  readonly view?: View;
  /** Where in the content the byte is. */
  readonly offset?: number;
}

/** Tells the part of a byte; `undefined` for a byte that belongs to none. */
export type Locate = (offset: number) => Part | undefined;

/** Recognises a format; `undefined` when it is another. */
export type Reader = (view: View) => Locate | undefined;

/** A stretch of a view as a view of its own. */
export function slice(view: View, start: number, size: number): View {
  return { size, read: (offset, length) => view.read(start + offset, Math.max(0, Math.min(length, size - offset))) };
}

/** One number of eight bytes; what is beyond 2^53 fits no file. */
export function u64(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * 2 ** 32;
}
