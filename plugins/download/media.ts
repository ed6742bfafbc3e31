/**
 * Whether a description of media is one: an imagefile may bring one of its own, for a mirror or a file of its own, and is
 * run without a type checker having read it. Knows no distribution by name.
 * @module
 */
import {
  type AptArchive, checkKeyring, checkOptions, type ChecksumList, fit, type Fits, type ImageMedia, type ImageName, type ImageSource, type Keyring, type ListSignature, type Media, type MediaBase, type PackageMedia,
} from "../../lib/mod.ts";

const base: Fits<MediaBase> = {
  id: fit.needed(fit.text),
  distro: fit.needed(fit.text),
  release: fit.needed(fit.text),
  arch: fit.needed(fit.text),
  answers: fit.needed(fit.word("preseed", "kickstart", "autoinstall")),
  notices: fit.record,
};
const packageFits: Fits<PackageMedia> = { ...base, kind: fit.needed(fit.word("package")), package: fit.needed(fit.record), files: fit.needed(fit.record) };
const inPackage: Fits<PackageMedia["package"]> = {
  archive: fit.needed(fit.record),
  suite: fit.needed(fit.text),
  component: fit.needed(fit.text),
  architecture: fit.needed(fit.text),
  name: fit.needed(fit.text),
};
const archiveFits: Fits<AptArchive> = { mirrorEnv: fit.needed(fit.text), defaultMirror: fit.needed(fit.text), otherMirrors: fit.record, origin: fit.needed(fit.text), label: fit.text };
const pathFits: Fits<PackageMedia["files"]> = { kernel: fit.needed(fit.text), initrd: fit.needed(fit.text) };

const imageFits: Fits<ImageMedia> = {
  ...base,
  kind: fit.needed(fit.word("iso")),
  edition: fit.needed(fit.text),
  layout: fit.needed(fit.word("debian-cd", "casper", "anaconda")),
  image: fit.needed(fit.record),
  source: fit.needed(fit.record),
  keys: fit.needed(fit.record),
  sha256: fit.by("64 hex digits, small letters, as sha256sum prints them", (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)),
  limit: fit.number,
};
const nameFits: Fits<ImageName> = { name: fit.needed(fit.text), version: fit.text };

type Kinds<Of extends { readonly kind: string }> = { readonly [Kind in Of["kind"]]: Fits<Extract<Of, { readonly kind: Kind }>> };
const sources: Kinds<ImageSource> = {
  mirror: { kind: fit.needed(fit.text), env: fit.needed(fit.text), mirrors: fit.needed(fit.texts), directory: fit.needed(fit.text), list: fit.needed(fit.record) },
  portal: { kind: fit.needed(fit.text), env: fit.needed(fit.text), exchange: fit.needed(fit.record), image: fit.needed(fit.text), token: fit.needed(fit.secretHandle) },
  file: { kind: fit.needed(fit.text), path: fit.needed(fit.text) },
};
const listFits: Fits<ChecksumList> = { file: fit.needed(fit.text), form: fit.needed(fit.word("gnu", "bsd")), algorithm: fit.needed(fit.word("sha256", "sha512")), signature: fit.needed(fit.record) };
const signatures: Kinds<ListSignature> = {
  detached: { kind: fit.needed(fit.text), file: fit.needed(fit.text) },
  clearsigned: { kind: fit.needed(fit.text) },
  minisign: { kind: fit.needed(fit.text), file: fit.needed(fit.text) },
  none: { kind: fit.needed(fit.text) },
};
const exchangeFits = { url: fit.needed(fit.text), client: fit.needed(fit.text) };
const keyringFits: Fits<Keyring> = { keys: fit.needed(fit.list), minisign: fit.texts, files: fit.texts, url: fit.text, env: fit.text };
const keyFits: Fits<Keyring["keys"][number]> = { fingerprint: fit.needed(fit.text), owner: fit.text, from: fit.text, until: fit.text, signs: fit.word("archive", "images") };

/** Checks a part whose `kind` says what it has. */
function checkKind(call: string, of: { readonly kind: string }, kinds: Readonly<Record<string, Readonly<Record<string, fit.Fit>>>>): void {
  checkOptions(call, { kind: of.kind }, { kind: fit.needed(fit.word(...Object.keys(kinds))) });
  checkOptions(call, of, kinds[of.kind]!);
}

/**
 * Refuses pinned keys that are none.
 *
 * @param call what people call it: `"trust" of verify("debian")`.
 * @throws {ImgtaskError} IMG2040, and IMG2104 where no key is pinned by its whole fingerprint.
 */
export function checkKeys(call: string, keyring: Keyring): void {
  checkOptions(call, keyring, keyringFits);
  for (const key of keyring.keys) checkOptions(`A key in ${call}`, key, keyFits);
  checkKeyring(`${call[0] === `"` ? "Option " : ""}${call}`, keyring);
}

/**
 * Refuses what is no description of media.
 *
 * @param call what people call it: `download("debian")`.
 * @throws {ImgtaskError} IMG2040
 */
export function checkMedia(call: string, media: Media): void {
  const what = (part?: string): string => `${part === undefined ? "Media" : `"${part}" in media`} of ${call}`;
  checkOptions(call, { media }, { media: fit.needed(fit.by("media, as debian.installer({ … }) gives them", fit.isObject)) });
  checkOptions(what(), { kind: media.kind }, { kind: fit.needed(fit.word("package", "iso")) });
  if (media.kind === "package") {
    checkOptions(what(), media, packageFits);
    checkOptions(what("package"), media.package, inPackage);
    checkOptions(what("archive"), media.package.archive, archiveFits);
    checkOptions(what("files"), media.files, pathFits);
    return;
  }
  checkOptions(what(), media, imageFits);
  checkOptions(what("image"), media.image, nameFits);
  checkOptions(what("keys"), media.keys, keyringFits);
  const { source } = media;
  checkKind(what("source"), source, sources);
  if (source.kind === "portal") checkOptions(what("exchange"), source.exchange, exchangeFits);
  if (source.kind !== "mirror") return;
  checkOptions(what("list"), source.list, listFits);
  checkKind(what("signature"), source.list.signature, signatures);
}
