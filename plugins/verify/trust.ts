/**
 * Whether keys can vouch for media at all, as far as that is known before anything is fetched: who would learn it from the
 * signature has downloaded gigabytes by then. Pure; knows no distribution by name.
 * @module
 */
import { ExitCode, ImgtaskError, type Keyring, keyringOwner, type ListSignature, type Media } from "../../lib/mod.ts";
import { keysFor } from "./keyring.ts";

/** How what lists the media is signed. */
function signatureOf(media: Media): ListSignature["kind"] {
  if (media.kind === "package") return "clearsigned";
  return media.source.kind === "mirror" ? media.source.list.signature.kind : "none";
}

/** Whether a key is pinned both for the media, by who describes them, and by who trusts. */
function share(media: Media, trust: Keyring): boolean {
  return media.kind === "iso" && media.keys.keys.some(({ fingerprint }) => trust.keys.some((key) => key.fingerprint === fingerprint));
}

/**
 * Refuses the keys of a distribution for media of another one, and keys none of which is for what lists the media. Pinned keys of
 * one's own pass, whoever they are of: a mirror may sign anew.
 *
 * @param call what people call it: `verify("kali")`.
 * @throws {ImgtaskError} IMG2107
 */
export function checkTrust(call: string, media: Media, trust: Keyring): void {
  const refuse = (message: string, details: { readonly expected: string; readonly found: string; readonly hint?: string }): ImgtaskError => new ImgtaskError("IMG2107", message, { ...details, exitCode: ExitCode.usage });
  const owner = keyringOwner(trust);
  if (owner !== undefined && owner !== media.distro && !share(media, trust)) {
    throw refuse(`${call} trusts the keys of "${owner}" for media of "${media.distro}"`, {
      expected: `the keys of "${media.distro}", or pinned keys of one's own`,
      found: `the keys of "${owner}"`,
      hint: `If they do sign these media, pin them by fingerprint: trust: { keys: [{ fingerprint: "…" }] }`,
    });
  }
  const signature = signatureOf(media), purpose = media.kind === "package" ? "archive" : "images";
  const [what, count] = signature === "minisign" ? ["of minisign", (trust.minisign ?? []).length] : [`of OpenPGP that signs ${purpose === "archive" ? "an archive" : purpose}`, keysFor(trust, purpose).length];
  if (signature === "none" || count > 0) return;
  throw refuse(`${call} trusts no key that could sign "${media.id}"`, { expected: `a key ${what}`, found: trust.keys.length + (trust.minisign ?? []).length === 1 ? "one for something else" : "keys for something else" });
}
