/**
 * Signatures of published files, by minisign keys. Declares where the key is; the value comes when files are published.
 * @module
 */
import { checkOptions, ExitCode, fit, type Fits, ImgtaskError, isImgtaskError, parseSecretKey, type Secret, type SecretKey, type Secrets, signMinisign } from "../../lib/mod.ts";
import type { Digests } from "./digest.ts";

/** How published files are signed. */
export interface Signer {
  readonly scheme: "minisign";
  /** Names are the publication's own. */
  readonly secrets: Secrets;
  /** Bytes of memory that unlocking the key takes. */
  readonly memory: number;
}

/** Where the key is. */
export interface MinisignOptions {
  /** A secret key as `minisign -G` writes it: `secret.file("/root/release.key")`, or `secret.env("RELEASE_KEY")` with the content. */
  readonly key: Secret;
  /** Its password, 8 bytes or more. @default none: the key was made with `minisign -G -W` */
  readonly password?: Secret;
}

const fits: Fits<MinisignOptions> = { key: fit.needed(fit.secretHandle), password: fit.secretHandle };

/**
 * Signs by a minisign key. A key with a password takes 1 GiB of memory and some seconds to unlock.
 *
 * @example
 * ```ts
 * publish("release", { artifacts, tests, to, sign: minisign({ key: secret.file("/root/release.key"), password: secret.env("RELEASE_PASSWORD") }) });
 * ```
 */
export function minisign(options: MinisignOptions): Signer {
  checkOptions("minisign()", options, fits);
  const { key, password } = options;
  const secrets = { signingKey: key, ...(password === undefined ? {} : { signingPassword: password }) };
  return Object.freeze({ scheme: "minisign", secrets: Object.freeze(secrets), memory: password === undefined ? 0 : 1_200_000_000 });
}

/**
 * The key of a signer, ready to sign.
 *
 * @throws {ImgtaskError} IMG3581 when it cannot be used
 */
export async function openKey(secrets: Readonly<Record<string, string | undefined>>): Promise<SecretKey> {
  try {
    return await parseSecretKey(secrets["signingKey"]!).unlock(secrets["signingPassword"]);
  } catch (error) {
    const found = isImgtaskError(error) ? error.found : undefined;
    throw new ImgtaskError("IMG3581", "The key that is to sign published files cannot be used", {
      expected: "a secret key as `minisign -G` writes it, and its password if it has one",
      ...(found === undefined ? {} : { found }),
      hint: "minisign({ key, password }) says where they are",
      exitCode: ExitCode.usage,
    });
  }
}

/** What a signature says of the file beside its bytes: minisign itself does not look at the name. */
export function trustedComment(name: string, sha256: string, seconds: number): string {
  return `timestamp:${seconds}\tfile:${name.split("/").at(-1)!}\tsha256:${sha256}\thashed`;
}

/** The text of a file's `.minisig`. @param seconds since 1970, for the comment */
export function signatureOf(name: string, digests: Digests, key: SecretKey, seconds: number): string {
  return signMinisign({ prehash: digests.blake2b512 }, key, { trustedComment: trustedComment(name, digests.sha256, seconds), untrustedComment: `signature by imgtask with key ${key.id}` });
}
