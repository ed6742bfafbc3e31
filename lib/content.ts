/**
 * What an output consists of, in few words: the digest of its bytes, and whether they are a program. Knows neither
 * where it is kept nor what made it.
 * @module
 */
import type { Digest } from "./digest.ts";

/** The content of an output: of a file its bytes and whether they may be executed, of a tree the list of its entries. */
export interface Content {
  readonly digest: Digest;
  /** Of a single file: whether it may be executed, the one bit of its mode that is kept. @default false */
  readonly executable?: true;
}

/** The part of something that is its content, and nothing else of it. */
export function contentOf({ digest, executable }: Content): Content {
  return executable === true ? { digest, executable } : { digest };
}

/** Names a content in manifests and messages: different contents have different names. */
export function contentName({ digest, executable }: Content): string {
  return executable === true ? `${digest} executable` : digest;
}
