/**
 * Signed envelopes as of DSSE v1.0: a payload and what it is, signed together. Ed25519 by minisign keys. Pure: knows
 * nothing of what payloads say.
 * @module
 */
import { bytesOf, type PublicKey, type SecretKey } from "./minisign-key.ts";

/** An envelope of good form; nothing is verified yet. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Buffer;
  readonly signatures: readonly { readonly keyid: string; readonly sig: Buffer }[];
}

/** What is signed: each part behind its length, so that none can pass for another (PAE). No signature of a file by minisign can be one of this. */
export function preAuthentication(payloadType: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `), payload]);
}

/** The JSON of an envelope, in one line without a line break. */
export function seal(payloadType: string, payload: Uint8Array, key: SecretKey): string {
  const sig = key.sign(preAuthentication(payloadType, payload)).toString("base64");
  return JSON.stringify({ payload: Buffer.from(payload).toString("base64"), payloadType, signatures: [{ keyid: key.id, sig }] });
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads an envelope; `undefined` when it is none: other fields, base64 that is not canonical, no signature. */
export function parseEnvelope(text: string): Envelope | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || Object.keys(value).sort().join() !== "payload,payloadType,signatures") return undefined;
  const { payload, payloadType, signatures } = value;
  if (typeof payload !== "string" || typeof payloadType !== "string" || !Array.isArray(signatures) || signatures.length === 0 || signatures.length > 16) return undefined;
  const bytes = Buffer.from(payload, "base64");
  if (bytes.toString("base64") !== payload) return undefined;
  const read: { keyid: string; sig: Buffer }[] = [];
  for (const one of signatures as readonly unknown[]) {
    const sig = isRecord(one) && typeof one["sig"] === "string" ? bytesOf(one["sig"], 64) : undefined;
    if (!isRecord(one) || sig === undefined || Object.keys(one).some((key) => key !== "sig" && key !== "keyid")) return undefined;
    read.push({ keyid: typeof one["keyid"] === "string" ? one["keyid"] : "", sig });
  }
  return { payloadType, payload: bytes, signatures: read };
}

/** The key among those that are trusted which signed an envelope. Ids are hints: each key is tried. */
export function signerOf({ payloadType, payload, signatures }: Envelope, keys: readonly PublicKey[]): PublicKey | undefined {
  const message = preAuthentication(payloadType, payload);
  return keys.find((key) => signatures.some(({ sig }) => key.verifies(message, sig)));
}
