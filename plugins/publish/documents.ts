/**
 * The documents about published artifacts, in the order in which they become visible: signatures, then the list of
 * checksums with its own signature, which vouches for all. Deterministic: the same artifacts and the same key give the
 * same bytes, so that publishing again sends nothing.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { formatChecksums, type Publisher, type PublishContext, type SecretKey } from "../../lib/mod.ts";
import { keptChecksums } from "./collect.ts";
import { type Digests, digests } from "./digest.ts";
import { checksumsName } from "./names.ts";
import { signatureOf } from "./sign.ts";

/** A document on its way. */
export interface Document extends Digests {
  /** At the place. */
  readonly name: string;
  readonly path: string;
}

/** An artifact that documents are about. */
interface Subject extends Digests {
  readonly name: string;
  readonly target: string;
}

/** Makes the documents about artifacts, below the run's scratch directory. */
export async function documentsOf(artifacts: readonly Subject[], to: Publisher, context: PublishContext & { readonly epoch: number }, key: SecretKey | undefined): Promise<readonly Document[]> {
  const written: Document[] = [];
  const write = async (name: string, text: string): Promise<Document> => {
    const path = join(context.tmp, "documents", name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    const document = { name, path, ...(await digests(path, context.signal, key !== undefined)) };
    written.push(document);
    return document;
  };
  const sign = async (subject: Digests & { readonly name: string }): Promise<void> => {
    if (key !== undefined) await write(`${subject.name}.minisig`, signatureOf(subject.name, subject, key, context.epoch));
  };
  for (const artifact of artifacts) await sign(artifact);
  const kept = await keptChecksums(to, context, new Set(artifacts.map(({ name }) => name)), key?.publicKey);
  await sign(await write(checksumsName, formatChecksums([...artifacts, ...kept])));
  return written;
}
