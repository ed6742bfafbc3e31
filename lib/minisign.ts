/**
 * minisign's signatures: reads and writes what the tool `minisign` writes and reads, and is stricter in what it takes.
 * Pure: opens no file. Keys are in minisign-key.ts.
 * @module
 */
import { createHash } from "node:crypto";
import { ExitCode, ImgtaskError } from "./error.ts";
import { bytesOf, idOf, isPlain, type PublicKey, type SecretKey } from "./minisign-key.ts";

/** Bytes that were signed, or the BLAKE2b-512 of them, for what is too big to be held. */
export type Signed = { readonly bytes: Uint8Array } | { readonly prehash: Uint8Array };

/** The four lines of a signature file, of good form; nothing is verified yet. */
export interface Signature {
  /** Id of the key that is said to have signed. */
  readonly keyId: string;
  /** The old form, over the bytes themselves instead of their BLAKE2b-512. */
  readonly legacy: boolean;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  readonly trustedComment: string;
  /** 64 bytes over signature and trusted comment. */
  readonly global: Uint8Array;
}

const untrusted = "untrusted comment: ", trusted = "trusted comment: ";
const untrustedLength = 1024, trustedLength = 8192;

function malformed(found: string): never {
  throw new ImgtaskError("IMG4030", "Not a minisign signature", { expected: "four lines, as `minisign -S` writes them", found, exitCode: ExitCode.refused });
}

function refuse(code: string, message: string, details: { readonly expected?: string; readonly found?: string; readonly hint?: string } = {}): never {
  throw new ImgtaskError(code, message, { ...details, exitCode: ExitCode.refused });
}

/** What {@linkcode sign} signs of some content: its BLAKE2b-512. */
export function prehash(bytes: Uint8Array): Buffer {
  return createHash("blake2b512").update(bytes).digest();
}

/**
 * Reads a signature file.
 *
 * @throws {ImgtaskError} IMG4030
 */
export function parseSignature(content: string | Uint8Array): Signature {
  let text: string;
  try {
    text = typeof content === "string" ? content : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    malformed("bytes that are no UTF-8");
  }
  const lines = (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
  if (lines.length !== 4) malformed(`${lines.length} line${lines.length === 1 ? "" : "s"}`);
  const [first, second, third, fourth] = lines as [string, string, string, string];
  if (!lines.every(isPlain)) malformed("control characters");
  if (!first.startsWith(untrusted)) malformed(`a first line without "${untrusted}"`);
  if (!third.startsWith(trusted)) malformed(`a third line without "${trusted}"`);
  if (Buffer.byteLength(first) > untrustedLength || Buffer.byteLength(third) > trustedLength) malformed("a comment that is too long");
  const signature = bytesOf(second, 74), global = bytesOf(fourth, 64);
  if (signature === undefined) malformed("a second line that is no base64 of 74 bytes");
  if (global === undefined) malformed("a fourth line that is no base64 of 64 bytes");
  const algorithm = signature.toString("latin1", 0, 2);
  if (algorithm !== "ED" && algorithm !== "Ed") malformed("another algorithm");
  return { keyId: idOf(signature.subarray(2, 10)), legacy: algorithm === "Ed", signature: signature.subarray(10), trustedComment: third.slice(trusted.length), global };
}

/** What is asked of a signature beyond that it is one. */
export interface VerifyOptions {
  /** Takes the old form as well, which needs all bytes at once. @default false */
  readonly legacy?: boolean;
  /** The name that the trusted comment must give as `file:NAME`: minisign itself does not look at it. */
  readonly file?: string;
}

/**
 * Verifies a signature against keys that are trusted.
 *
 * @returns the trusted comment
 * @throws {ImgtaskError} IMG4030 … IMG4035: bad form, key not trusted, other content, other comment, old form, other file
 */
export function verifySignature(signed: Signed, content: string | Uint8Array, keys: readonly PublicKey[], options: VerifyOptions = {}): string {
  const { keyId, legacy, signature, trustedComment, global } = parseSignature(content);
  if (legacy && (options.legacy !== true || !("bytes" in signed))) {
    refuse("IMG4034", "A minisign signature of the old form, over the bytes themselves", { expected: "one over their BLAKE2b-512", hint: "Sign anew with minisign 0.8 or later, without -l" });
  }
  // Ids are names that anybody may take: two trusted keys may share one.
  const candidates = keys.filter(({ id }) => id === keyId);
  if (candidates.length === 0) refuse("IMG4031", "Signed by a minisign key that is not trusted", { expected: keys.map(({ id }) => id).join(", "), found: keyId });
  const message = legacy && "bytes" in signed ? signed.bytes : "bytes" in signed ? prehash(signed.bytes) : signed.prehash;
  const signer = candidates.find((key) => key.verifies(message, signature));
  if (signer === undefined) refuse("IMG4032", "The content is not what was signed", { expected: `content signed by ${keyId}` });
  if (!signer.verifies(Buffer.concat([signature, Buffer.from(trustedComment)]), global)) refuse("IMG4033", "The trusted comment is not the one that was signed");
  if (options.file !== undefined && !trustedComment.split("\t").includes(`file:${options.file}`)) {
    refuse("IMG4035", "The signature is of a file of another name", { expected: `file:${options.file} in the trusted comment`, found: trustedComment });
  }
  return trustedComment;
}

/** What a signature says beside the content. */
export interface SignOptions {
  /** One line, signed with the content. Name the file as `file:NAME`, between tabs. */
  readonly trustedComment: string;
  /** @default that it is one by imgtask */
  readonly untrustedComment?: string;
}

/** The text of a signature file. */
export function sign(signed: Signed, key: SecretKey, options: SignOptions): string {
  const message = "bytes" in signed ? prehash(signed.bytes) : signed.prehash;
  const signature = key.sign(message);
  const { trustedComment, untrustedComment = "signature by imgtask" } = options;
  const id = Buffer.from(key.id, "hex").reverse();
  const text = `${untrusted}${untrustedComment}\n${Buffer.concat([Buffer.from("ED"), id, signature]).toString("base64")}\n${trusted}${trustedComment}\n${key.sign(Buffer.concat([signature, Buffer.from(trustedComment)])).toString("base64")}\n`;
  parseSignature(text);
  return text;
}
