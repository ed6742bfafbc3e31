/**
 * What stands at a place already and stays listed: a place may collect several publications. Whoever signs the list
 * vouches for every line of it, so lines are carried on only from a list that the same key signed.
 * @module
 */
import {
  type Checksum, checksumsName, ExitCode, type FilePublisher, ImgtaskError, manifestName, parseChecksums, parseManifest, type PublicKey, type PublishContext, type PublishedArtifact, verifyMinisign,
} from "../../lib/mod.ts";
import { createHash } from "node:crypto";

function refuse(code: string, message: string, expected: string, found: string, hint: string): never {
  throw new ImgtaskError(code, message, { expected, found, hint, exitCode: ExitCode.refused });
}

const hint = "Publish to another place; or look at what is there, and sign its list with this key by `minisign -Sm`";

function checkSigned(list: Uint8Array, signature: Uint8Array | undefined, key: PublicKey): void {
  const expected = `"${checksumsName}" signed by key ${key.id}, which is to vouch for what stands there already`;
  if (signature === undefined) refuse("IMG4190", "The list at the place is not signed, and this publication is", expected, "no signature", hint);
  try {
    verifyMinisign({ bytes: list }, signature, [key], { file: checksumsName });
  } catch (error) {
    refuse("IMG4190", "The list at the place is not one that this key signed", expected, (error as Error).message, hint);
  }
}

/** What stays listed. */
export interface Kept {
  readonly checksums: readonly Checksum[];
  readonly artifacts: readonly PublishedArtifact[];
}

const nothing: Kept = { checksums: [], artifacts: [] };

/**
 * What the place's list and manifest tell of files that are there and that this publication does not bring.
 *
 * @param ours names that it brings
 * @param key by which the list must be signed, when this publication is signed
 * @throws {ImgtaskError} IMG4190 for a list that cannot be carried on, IMG4191 for one that would lose its signature
 */
export async function keptAt(to: FilePublisher, context: PublishContext, ours: ReadonlySet<string>, key: PublicKey | undefined): Promise<Kept> {
  if (to.read === undefined) return nothing;
  const list = await to.read(checksumsName, context);
  if (list === undefined) return nothing;
  const signature = await to.read(`${checksumsName}.minisig`, context);
  if (key === undefined && signature !== undefined) {
    refuse("IMG4191", "The list at the place is signed, and this publication is not", "publish() with `sign`", "no `sign`", "Without the key, all that stands there would lose its signature");
  }
  const lines = parseChecksums(Buffer.from(list).toString("utf8"));
  const others = (lines ?? []).filter(({ name }) => !ours.has(name));
  // A list of nothing but this publication's own files is replaced, whoever signed it: keys change.
  if (lines !== undefined && others.length === 0) return nothing;
  if (key !== undefined) checkSigned(list, signature, key);
  const there = await to.has?.(others.map(({ name }) => name), context);
  const checksums = others.filter(({ name }) => there === undefined || there.has(name));
  const content = await to.read(manifestName, context);
  const digest = content === undefined ? undefined : createHash("sha256").update(content).digest("hex");
  const vouched = digest !== undefined && lines?.find(({ name }) => name === manifestName)?.sha256 === digest;
  if (key !== undefined && content !== undefined && !vouched) refuse("IMG4190", "The manifest at the place is not the one of its signed list", `"${manifestName}" as listed in "${checksumsName}"`, "other bytes", hint);
  const manifest = vouched ? parseManifest(Buffer.from(content!).toString("utf8")) : undefined;
  const names = new Map(checksums.map(({ name, sha256 }) => [name, sha256]));
  return { checksums, artifacts: (manifest?.artifacts ?? []).filter(({ name, sha256 }) => names.get(name) === sha256) };
}
