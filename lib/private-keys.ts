/**
 * Private keys of `keypair()` in a state directory that others can write to: used again only when a trusted key
 * signed them. Otherwise one could be put there, and the next image would let its owner in.
 * @module
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sign, verifySignature } from "./minisign.ts";
import type { PublicKey, SecretKey } from "./minisign-key.ts";

/** Binds a signature to what it is for, and to the key's name. */
const comment = (name: string): string => `imgtask private key\tfile:${name}`;

/** Names of keys; what begins with a dot is none of a target. */
function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => !name.startsWith("."));
  } catch {
    // No keys.
    return [];
  }
}

function isSigned(directory: string, name: string, keys: readonly PublicKey[]): boolean {
  try {
    const signature = readFileSync(join(directory, ".signed", `${name}.minisig`));
    return verifySignature({ bytes: readFileSync(join(directory, name)) }, signature, keys) === comment(name);
  } catch {
    return false;
  }
}

/** Signs the keys that are not signed yet: after {@linkcode putAside}, all of them were made by this run. */
export function vouchFor(state: string, key: SecretKey): void {
  const directory = join(state, "keys");
  for (const name of namesIn(directory)) {
    // Anything else in its place is put aside by the next run.
    if (lstatSync(join(directory, name), { throwIfNoEntry: false })?.isFile() !== true || isSigned(directory, name, [key.publicKey])) continue;
    const signatures = join(directory, ".signed");
    mkdirSync(signatures, { recursive: true, mode: 0o700 });
    const text = sign({ bytes: readFileSync(join(directory, name)) }, key, { trustedComment: comment(name) });
    writeFileSync(join(signatures, "new"), text, { mode: 0o600 });
    renameSync(join(signatures, "new"), join(signatures, `${name}.minisig`));
  }
}

/**
 * Moves keys that no trusted key signed out of the way, to `.imgtask/keys/.untrusted/`.
 *
 * @returns their names
 */
export function putAside(state: string, keys: readonly PublicKey[]): readonly string[] {
  const directory = join(state, "keys");
  const unsigned = namesIn(directory).filter((name) => !isSigned(directory, name, keys));
  for (const name of unsigned) {
    mkdirSync(join(directory, ".untrusted"), { recursive: true, mode: 0o700 });
    renameSync(join(directory, name), join(directory, ".untrusted", `${Date.now()}-${name}`));
  }
  return unsigned;
}
