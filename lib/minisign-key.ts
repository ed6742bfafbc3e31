/**
 * minisign's keys: reads and writes the files that the tool `minisign` reads and writes, and nothing laxer. Secret keys
 * may be encrypted by a password. Pure: opens no file, and knows nothing of what is signed.
 * @module
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, scrypt, sign, timingSafeEqual, verify } from "node:crypto";
import { blake2b } from "./blake2b.ts";
import { ExitCode, ImgtaskError } from "./error.ts";

/** A public key. */
export interface PublicKey {
  /** Sixteen hex digits in capitals, as `minisign` shows it. Not bound to the key: a name, no proof. */
  readonly id: string;
  /** The second line of a public key file: 56 characters of base64, beginning with `RW`. */
  readonly text: string;
  /** Whether an Ed25519 signature of 64 bytes over some bytes is by this key. */
  verifies(bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** A secret key, ready to sign. Shows nothing of itself when it is printed. */
export interface SecretKey {
  readonly id: string;
  readonly publicKey: PublicKey;
  /** Ed25519 signature over some bytes: 64 bytes. */
  sign(bytes: Uint8Array): Buffer;
  /**
   * The text of a secret key file.
   *
   * @param options.password encrypts it; an empty one does, too
   * @param options.limits of scrypt, as libsodium counts them. @default what `minisign -G` takes: 1 GiB, seconds
   */
  file(options?: { readonly password?: string; readonly limits?: Limits }): Promise<string>;
}

/** A secret key as it was read, perhaps still encrypted. */
export interface LockedKey {
  readonly encrypted: boolean;
  /**
   * @throws {ImgtaskError} IMG2029 when the password is missing or wrong, or the key is damaged
   */
  unlock(password?: string): Promise<SecretKey>;
}

/** What scrypt may take: operations and bytes of memory. */
export interface Limits {
  readonly operations: number;
  readonly memory: number;
}

const usualLimits: Limits = { operations: 33_554_432, memory: 1_073_741_824 };
/** A key file that asks for more would be a way to stop a host. */
const mostLimits: Limits = { operations: 8 * usualLimits.operations, memory: 2 * usualLimits.memory };

const spki = Buffer.from("302a300506032b6570032100", "hex");
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** Points of small order, without the sign: under such a "key" anybody can sign. */
const weakPoints: ReadonlySet<string> = new Set([
  "00".repeat(32), `01${"00".repeat(31)}`, `ec${"ff".repeat(30)}7f`, `ed${"ff".repeat(30)}7f`, `ee${"ff".repeat(30)}7f`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);

function refusePublic(found: string): never {
  throw new ImgtaskError("IMG2028", "Not a minisign public key", { expected: `a file as minisign writes it, or its second line: "RW…", 56 characters`, found, exitCode: ExitCode.usage });
}

function refuseSecret(found: string, hint?: string): never {
  throw new ImgtaskError("IMG2029", "The minisign secret key cannot be used", { expected: "a file as `minisign -G` writes it", found, ...(hint === undefined ? {} : { hint }), exitCode: ExitCode.usage });
}

/** Bytes of base64 in its one canonical form; `undefined` otherwise. */
export function bytesOf(base64: string, length: number): Buffer | undefined {
  const bytes = Buffer.from(base64, "base64");
  return bytes.length === length && bytes.toString("base64") === base64 ? bytes : undefined;
}

/** Whether a line may stand in minisign's files: no control character but tabs, no line end of other systems. */
export function isPlain(line: string): boolean {
  return !/[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff]/.test(line);
}

/** The line of base64 of a key file: all of a text, or what follows its comment. */
function keyLine(text: string, refuse: (found: string) => never): string {
  const lines = (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
  if (lines.length > 2) refuse(`${lines.length} lines`);
  if (!lines.every(isPlain)) refuse("control characters");
  if (lines.length === 2 && !lines[0]!.startsWith("untrusted comment: ")) refuse(`no "untrusted comment: " in front`);
  return lines.at(-1)!;
}

export function idOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).reverse().toString("hex").toUpperCase();
}

function publicKeyOf(id: Buffer, point: Buffer): PublicKey {
  const bare = Buffer.from(point);
  bare[31]! &= 0x7f;
  if (weakPoints.has(bare.toString("hex"))) refusePublic("a key under which anybody can sign");
  let key: KeyObject;
  return {
    id: idOf(id),
    text: Buffer.concat([Buffer.from("Ed"), id, point]).toString("base64"),
    verifies(bytes, signature) {
      key ??= createPublicKey({ key: Buffer.concat([spki, point]), format: "der", type: "spki" });
      return verify(null, bytes, key, signature);
    },
  };
}

/**
 * Reads a public key.
 *
 * @param text of a public key file, or its second line
 * @throws {ImgtaskError} IMG2028
 */
export function parsePublicKey(text: string): PublicKey {
  const bytes = bytesOf(keyLine(text, refusePublic), 42);
  if (bytes === undefined) refusePublic("no base64 of 42 bytes");
  if (bytes.toString("latin1", 0, 2) !== "Ed") refusePublic("another algorithm");
  return publicKeyOf(bytes.subarray(2, 10), bytes.subarray(10));
}

/** The text of a public key file. */
export function publicKeyFile(key: PublicKey): string {
  return `untrusted comment: minisign public key ${key.id}\n${key.text}\n`;
}

const checksum = (id: Uint8Array, secret: Uint8Array): Buffer => blake2b(Buffer.concat([Buffer.from("Ed"), id, secret]), 32);

/** What scrypt makes of a password; its parameters follow from the limits as in libsodium. */
function stream(password: string, salt: Buffer, { operations, memory }: Limits): Promise<Buffer> {
  const power = (most: number): number => {
    let log = 1;
    while (log < 63 && 2 ** log <= most / 2) log++;
    return log;
  };
  const least = Math.max(operations, 32_768);
  const small = least < memory / 32;
  const N = 2 ** power(small ? Math.floor(least / 32) : Math.floor(memory / 1024));
  const p = small ? 1 : Math.floor(Math.min(Math.floor(least / 4 / N), 0x3fffffff) / 8);
  if (p < 1 || N < 2) refuseSecret("impossible limits of scrypt");
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 104, { N, r: 8, p, maxmem: 128 * 8 * (N + p + 4) }, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

const mix = (bytes: Buffer, with_: Buffer): Buffer => Buffer.from(bytes.map((byte, index) => byte ^ with_[index]!));

class Ed25519Key implements SecretKey {
  readonly id: string;
  readonly publicKey: PublicKey;
  readonly #id: Buffer;
  readonly #secret: Buffer;
  readonly #key: KeyObject;

  /** @param secret seed and public point, 64 bytes */
  constructor(id: Buffer, secret: Buffer) {
    this.#id = id;
    this.#secret = secret;
    this.#key = createPrivateKey({ key: Buffer.concat([pkcs8, secret.subarray(0, 32)]), format: "der", type: "pkcs8" });
    const point = createPublicKey(this.#key).export({ format: "der", type: "spki" }).subarray(spki.length);
    if (!timingSafeEqual(point, secret.subarray(32))) refuseSecret("a secret half that does not belong to the public one");
    this.id = idOf(id);
    this.publicKey = publicKeyOf(id, Buffer.from(point));
  }

  sign(bytes: Uint8Array): Buffer {
    return sign(null, bytes, this.#key);
  }

  async file({ password, limits = usualLimits }: { readonly password?: string; readonly limits?: Limits } = {}): Promise<string> {
    const salt = password === undefined ? Buffer.alloc(32) : randomBytes(32);
    const header = Buffer.alloc(54);
    header.write(password === undefined ? "Ed\0\0B2" : "EdScB2", "latin1");
    header.set(salt, 6);
    if (password !== undefined) {
      header.writeBigUInt64LE(BigInt(limits.operations), 38);
      header.writeBigUInt64LE(BigInt(limits.memory), 46);
    }
    // As the tool has it: without a password there is no checksum.
    const plain = Buffer.concat([this.#id, this.#secret, password === undefined ? Buffer.alloc(32) : checksum(this.#id, this.#secret)]);
    const body = password === undefined ? plain : mix(plain, await stream(password, salt, limits));
    return `untrusted comment: minisign encrypted secret key\n${Buffer.concat([header, body]).toString("base64")}\n`;
  }
}

/**
 * Reads a secret key.
 *
 * @param text of a secret key file, or its second line
 * @throws {ImgtaskError} IMG2029
 */
export function parseSecretKey(text: string): LockedKey {
  const bytes = bytesOf(keyLine(text, refuseSecret), 158);
  if (bytes === undefined) refuseSecret("no base64 of 158 bytes");
  const kdf = bytes.toString("latin1", 2, 4);
  if (bytes.toString("latin1", 0, 2) !== "Ed" || bytes.toString("latin1", 4, 6) !== "B2") refuseSecret("another algorithm");
  if (kdf !== "Sc" && kdf !== "\0\0") refuseSecret("another way to derive a key from a password");
  const encrypted = kdf === "Sc";
  const salt = bytes.subarray(6, 38), body = bytes.subarray(54);
  const operations = bytes.readBigUInt64LE(38), memory = bytes.readBigUInt64LE(46);
  if (encrypted && (operations > BigInt(mostLimits.operations) || memory > BigInt(mostLimits.memory) || memory < 32_768n)) refuseSecret("limits of scrypt beyond all use");
  return {
    encrypted,
    async unlock(password) {
      if (encrypted && password === undefined) refuseSecret("an encrypted key, and no password", "Set IMGTASK_RESULT_KEY_PASSWORD");
      const plain = encrypted ? mix(body, await stream(password!, salt, { operations: Number(operations), memory: Number(memory) })) : body;
      const id = plain.subarray(0, 8), secret = plain.subarray(8, 72), check = plain.subarray(72);
      const right = timingSafeEqual(check, checksum(id, secret));
      if (encrypted && !right) refuseSecret("another password, or a damaged key", "Look at IMGTASK_RESULT_KEY_PASSWORD");
      if (!encrypted && !right && !check.every((byte) => byte === 0)) refuseSecret("a damaged key");
      return new Ed25519Key(Buffer.from(id), Buffer.from(secret));
    },
  };
}

/** Makes a new key pair. */
export function generateKey(): SecretKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(pkcs8.length);
  return new Ed25519Key(randomBytes(8), Buffer.concat([seed, publicKey.export({ format: "der", type: "spki" }).subarray(spki.length)]));
}
