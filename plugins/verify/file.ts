/**
 * Compares files with what a verified list says of them. Knows nothing of lists and signatures.
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";
import { printable } from "../download/mirror.ts";
import type { Entry } from "../download/release.ts";

/** The error for something that is refused; `found` may be of foreign origin. */
export function refuse(code: string, message: string, expected: string, found: string): ImgtaskError {
  return new ImgtaskError(code, message, { expected, found: printable(found), exitCode: ExitCode.refused });
}

/** SHA-256 and size of a file. */
export async function digest(file: string): Promise<Entry> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest("hex"), size };
}

/** Refuses a file that is not what a verified list says. */
export async function checkFile(file: string, expected: Entry, what: string): Promise<void> {
  const size = (await stat(file).catch(() => undefined))?.size;
  if (size === undefined) throw refuse("IMG4020", `${what} is missing`, `${expected.size} bytes`, "no file");
  if (size < expected.size) throw refuse("IMG4020", `${what} is truncated`, `${expected.size} bytes`, `${size} bytes`);
  if (size > expected.size) throw refuse("IMG4020", `${what} was tampered with: it is longer than the signed list says`, `${expected.size} bytes`, `${size} bytes`);
  const { sha256 } = await digest(file);
  if (sha256 !== expected.sha256) throw refuse("IMG4020", `${what} was damaged or tampered with: its bytes are not those of the signed list`, `SHA-256 ${expected.sha256}`, `SHA-256 ${sha256}`);
}
