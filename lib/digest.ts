/**
 * SHA-256 digests of bytes, files and canonical JSON. Knows no cache.
 * @module
 */
import { createHash, hash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open } from "node:fs/promises";

declare const digestBrand: unique symbol;

/** A SHA-256 digest: 64 hex digits, small letters. */
export type Digest = string & { readonly [digestBrand]: "sha256" };

/** Whether a string has the form of a digest. */
export function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

/** Digest of bytes or of text as UTF-8. */
export function digestOf(content: string | Uint8Array): Digest {
  return hash("sha256", content, "hex") as Digest;
}

const bufferSize = 4 * 1024 * 1024;

/** Digest of a file's content, read once in pieces of 4 MiB; gives way to other work between them. */
export async function digestFile(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  const handle = await open(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(Math.min(bufferSize, Math.max(4096, (await handle.stat()).size)));
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
  return hash.digest("hex") as Digest;
}

/** As {@linkcode digestFile}, without giving way: for small files on the warm path. */
export function digestFileSync(path: string): Digest {
  const hash = createHash("sha256");
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(Math.min(bufferSize, Math.max(4096, fstatSync(fd).size)));
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex") as Digest;
}

/** JSON with the keys of every object in code unit order, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item === undefined ? null : item)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/**
 * Digest of an environment variable that may hold a secret, for caches that notice another value: of no use without the
 * salt, and another one in each cache. `"unset"` when there is none.
 */
export function saltedDigest(salt: string, name: string, value: string | undefined): string {
  return value === undefined ? "unset" : digestOf(`${salt}\0${name}\0${value}`);
}
