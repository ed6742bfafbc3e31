/**
 * Cuts pinned keys out of files that hold more: what gpgv is given holds these keys and no others.
 * Computes fingerprints itself (RFC 9580, section 5.5.4). Pure; knows nothing of signatures.
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { type Keyring, packageFile, type PinnedKey } from "../../lib/mod.ts";

/** One packet of OpenPGP: its tag, where its body begins, and where it ends. */
export interface Packet {
  readonly tag: number;
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/**
 * Splits bytes into packets.
 * @returns `undefined` when they are anything else than whole packets with definite lengths.
 */
export function packets(bytes: Buffer): readonly Packet[] | undefined {
  const found: Packet[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at, header = bytes[at++]!;
    if ((header & 0x80) === 0) return undefined;
    const tag = (header & 0x40) !== 0 ? header & 0x3f : (header >> 2) & 0x0f;
    let length: number;
    if ((header & 0x40) !== 0) {
      const first = bytes[at++];
      if (first === undefined) return undefined;
      if (first < 192) length = first;
      else if (first < 224 && at < bytes.length) length = ((first - 192) << 8) + bytes[at++]! + 192;
      else if (first === 255 && at + 4 <= bytes.length) {
        length = bytes.readUInt32BE(at);
        at += 4;
      } else return undefined;
    } else {
      const size = [1, 2, 4, 0][header & 3]!;
      if (size === 0 || at + size > bytes.length) return undefined;
      length = bytes.readUIntBE(at, size);
      at += size;
    }
    if (at + length > bytes.length) return undefined;
    found.push({ tag, start, body: at, end: at + length });
    at += length;
  }
  return found;
}

/** Fingerprint of a public-key packet, upper case; `undefined` for versions other than 4 and 6. */
function fingerprintOf(body: Buffer): string | undefined {
  const prefix = Buffer.alloc(body[0] === 6 ? 5 : 3);
  if (body[0] === 4 && body.length < 0x10000) {
    prefix[0] = 0x99;
    prefix.writeUInt16BE(body.length, 1);
    return createHash("sha1").update(prefix).update(body).digest("hex").toUpperCase();
  }
  if (body[0] !== 6) return undefined;
  prefix[0] = 0x9b;
  prefix.writeUInt32BE(body.length, 1);
  return createHash("sha256").update(prefix).update(body).digest("hex").toUpperCase();
}

/** Bytes of a file of keys, armor removed; several armored blocks may follow each other. */
function dearmorKeys(bytes: Buffer): Buffer {
  if (bytes.length === 0 || (bytes[0]! & 0x80) !== 0) return bytes;
  const block = /-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[A-Za-z]+: [^\n]*\n)*\s*\n([A-Za-z0-9+/=\s]+?)\n(?:=[A-Za-z0-9+/]{4}[ \t]*\r?\n)?-----END PGP PUBLIC KEY BLOCK-----/g;
  return Buffer.concat([...bytes.toString("latin1").matchAll(block)].map((match) => Buffer.from(match[1]!.replace(/\s/g, ""), "base64")));
}

/** What a file of keys holds of those that are wanted. */
export interface Selection {
  /** A binary keyring of exactly the wanted keys that were found, in the order in which they are wanted. */
  readonly bytes: Buffer;
  /** Fingerprints of these. */
  readonly found: readonly string[];
}

/**
 * Takes the wanted keys out of a file of keys, by the fingerprint of the primary key.
 * Damaged files give no keys; nothing of what they say is believed: the fingerprint is the SHA-1 (version 4) or
 * SHA-256 (version 6) of the key itself, and gpgv checks that subkeys and user ids belong to it.
 *
 * @param file binary or armored.
 */
export function selectKeys(file: Buffer, wanted: readonly string[]): Selection {
  const bytes = dearmorKeys(file);
  const all = packets(bytes) ?? [];
  const keys = new Map<string, Buffer>();
  const starts = all.flatMap(({ tag }, index) => (tag === 6 ? [index] : []));
  for (const [which, index] of starts.entries()) {
    const first = all[index]!, next = starts[which + 1];
    const fingerprint = fingerprintOf(bytes.subarray(first.body, first.end));
    if (fingerprint === undefined || !wanted.includes(fingerprint) || keys.has(fingerprint)) continue;
    keys.set(fingerprint, bytes.subarray(first.start, next === undefined ? bytes.length : all[next]!.start));
  }
  const found = wanted.filter((fingerprint) => keys.has(fingerprint));
  return { bytes: Buffer.concat(found.map((fingerprint) => keys.get(fingerprint)!)), found };
}

/** The pinned keys that are trusted for lists of packages, or of images. */
export function keysFor(trust: Keyring, what: "archive" | "images"): readonly PinnedKey[] {
  return trust.keys.filter(({ signs }) => signs === undefined || signs === what);
}

/** The content of the files of keys that imgtask carries, or that are named by absolute path. */
export function carriedKeys(trust: Keyring): readonly Buffer[] {
  return (trust.files ?? []).map((file) => readFileSync(isAbsolute(file) ? file : packageFile(file)));
}

/** A keyring of the carried keys for one purpose, to hand to a program that takes all keys in it. */
export function keyringFor(trust: Keyring, what: "archive" | "images"): Buffer {
  const wanted = keysFor(trust, what).map(({ fingerprint }) => fingerprint);
  const seen = new Set<string>();
  return Buffer.concat(carriedKeys(trust).flatMap((file) => {
    const fresh = selectKeys(file, wanted.filter((one) => !seen.has(one)));
    for (const one of fresh.found) seen.add(one);
    return [fresh.bytes];
  }));
}
