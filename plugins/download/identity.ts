/**
 * Whether two answers of servers speak of the same bytes: by size and validators (RFC 9110, 8.8). Pure.
 * @module
 */
import type { IncomingHttpHeaders } from "node:http";

/** What a server says of the file it has. */
export interface Identity {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Strong entity tag, with its quotes. */
  readonly etag?: string;
  /** Only when it is strong enough to tell versions apart. */
  readonly lastModified?: string;
}

/** A modification time is a strong validator when the answer is at least a second younger (RFC 9110, 8.8.2.2). */
function strongTime(headers: IncomingHttpHeaders): string | undefined {
  const modified = headers["last-modified"];
  if (modified === undefined) return undefined;
  const age = Date.parse(headers.date ?? "") - Date.parse(modified);
  return age >= 1000 ? modified : undefined;
}

/** What the headers of an answer say of a file of `size` bytes. A weak entity tag tells nothing of bytes. */
export function identityOf(headers: IncomingHttpHeaders, size: number): Identity {
  const { etag } = headers, lastModified = strongTime(headers);
  return {
    size,
    ...(etag === undefined || !/^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag) ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
  };
}

/** What `If-Range` may carry; `undefined` when the server named nothing strong. */
export function validatorOf({ etag, lastModified }: Identity): string | undefined {
  return etag ?? lastModified;
}

/** Whether bytes of both may stand in one file: the same size, and the same validator of the stronger kind that both have. */
export function sameFile(one: Identity, other: Identity): boolean {
  if (one.size !== other.size) return false;
  if (one.etag !== undefined && other.etag !== undefined) return one.etag === other.etag;
  return one.lastModified !== undefined && one.lastModified === other.lastModified;
}
