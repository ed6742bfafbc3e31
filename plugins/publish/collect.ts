/**
 * What stands at a place already and stays listed: a place may collect several publications. Whoever signs the list
 * vouches for every line of it, so lines are carried on only from a list that the same key signed.
 * @module
 */
import { type Checksum, ExitCode, ImgtaskError, parseChecksums, type PublicKey, type PublishContext, type Publisher, verifyMinisign } from "../../lib/mod.ts";
import { checksumsName } from "./names.ts";

function refuse(code: string, message: string, expected: string, found: string, hint: string): never {
  throw new ImgtaskError(code, message, { expected, found, hint, exitCode: ExitCode.refused });
}

function checkSigned(list: Uint8Array, signature: Uint8Array | undefined, key: PublicKey): void {
  const hint = "Publish to another place; or look at what is there, and sign its list with this key by `minisign -Sm`";
  const expected = `"${checksumsName}" signed by key ${key.id}, which is to vouch for what stands there already`;
  if (signature === undefined) refuse("IMG4190", "The list at the place is not signed, and this publication is", expected, "no signature", hint);
  try {
    verifyMinisign({ bytes: list }, signature, [key], { file: checksumsName });
  } catch (error) {
    refuse("IMG4190", "The list at the place is not one that this key signed", expected, (error as Error).message, hint);
  }
}

/**
 * Lines of the place's list that stay: of files that are there and that this publication does not bring.
 *
 * @param ours names that it brings
 * @param key by which the list must be signed, when this publication is signed
 * @throws {ImgtaskError} IMG4190 for a list that cannot be carried on, IMG4191 for one that would lose its signature
 */
export async function keptChecksums(to: Publisher, context: PublishContext, ours: ReadonlySet<string>, key: PublicKey | undefined): Promise<readonly Checksum[]> {
  if (to.read === undefined) return [];
  const list = await to.read(checksumsName, context);
  if (list === undefined) return [];
  const signature = await to.read(`${checksumsName}.minisig`, context);
  if (key === undefined && signature !== undefined) {
    refuse("IMG4191", "The list at the place is signed, and this publication is not", "publish() with `sign`", "no `sign`", "Without the key, all that stands there would lose its signature");
  }
  const lines = parseChecksums(Buffer.from(list).toString("utf8"));
  const others = (lines ?? []).filter(({ name }) => !ours.has(name));
  // A list of nothing but this publication's own files is replaced, whoever signed it: keys change.
  if (lines !== undefined && others.length === 0) return [];
  if (key !== undefined) checkSigned(list, signature, key);
  const there = await to.has?.(others.map(({ name }) => name), context);
  return others.filter(({ name }) => there === undefined || there.has(name));
}
