/**
 * What `imgtask.lock` says of media: an entry as data. Knows neither the file's form nor how it is read.
 * @module
 */

/** The signed list that vouched for media. */
export interface PinnedList {
  /** ISO 8601; of the signature. */
  readonly signedAt?: string;
  /** Version of the image that it named. */
  readonly version?: string;
  readonly file?: string;
  /** Of the signed text. */
  readonly sha256?: string;
  /** Fingerprint of the key that signed it. */
  readonly fingerprint?: string;
  readonly userId?: string;
}

/** Media that are pinned: exactly these bytes are taken. */
export interface Pin {
  /** Name of the file. */
  readonly file: string;
  /** Its path below a mirror. */
  readonly path: string;
  /** 64 hex digits, lower case. */
  readonly sha256: string;
  /** Bytes. @default the list does not say */
  readonly size?: number;
  /** The version in its name. @default none is in it */
  readonly version?: string;
  /** @default no list was accepted */
  readonly list?: PinnedList;
}

/** What the file says of media: a pin, or only which list was accepted last. */
export type LockEntry = Pin | { readonly list?: PinnedList };

/** Name of the lock file. */
export const lockFileName = "imgtask.lock";

/** Whether an entry pins media. */
export function isPin(entry: LockEntry | undefined): entry is Pin {
  return entry !== undefined && "sha256" in entry;
}
