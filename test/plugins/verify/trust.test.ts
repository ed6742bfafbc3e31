/**
 * Whose keys `verify()` takes for which media, when it is declared: those of another distribution are refused before
 * anything is fetched, an organisation's own pass.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { alma } from "../../../distros/alma.ts";
import { centosStream } from "../../../distros/centos-stream.ts";
import { debian } from "../../../distros/debian.ts";
import { fedora } from "../../../distros/fedora.ts";
import { kali } from "../../../distros/kali.ts";
import { rhel } from "../../../distros/rhel.ts";
import { rocky } from "../../../distros/rocky.ts";
import { ubuntu } from "../../../distros/ubuntu.ts";
import { type ImageMedia, keyringOwner, type Keyring, type Media } from "../../../lib/mod.ts";
import { download } from "../../../plugins/download/download.ts";
import { verify } from "../../../plugins/verify/verify.ts";

const x86 = { arch: "x86_64" } as const, sha256 = "0".repeat(64);
const all = [
  [alma, alma.installer({ release: "9", ...x86 })], [centosStream, centosStream.installer({ release: "9", ...x86, sha256 })],
  [debian, debian.installer({ release: "bookworm", ...x86 })], [debian, debian.installer({ release: "trixie", ...x86, edition: "netinst" })],
  [fedora, fedora.installer({ release: "44", ...x86 })], [kali, kali.installer({ release: "rolling", ...x86 })],
  [rhel, rhel.installer({ release: "9", ...x86, sha256, from: { file: "rhel.iso" } })], [rocky, rocky.installer({ release: "9", ...x86 })], [ubuntu, ubuntu.installer({ release: "24.04", ...x86 })],
] as const;

let count = 0;
const trusting = (media: Media, trust: Keyring): void => {
  const name = `trust${count++}`;
  verify(name, { media: download(name, media), trust });
};

test("each distribution's own keys for its media, and of no other one", (t) => {
  let refused = 0;
  for (const [own, media] of all) {
    for (const [other] of all) {
      if (other === own) assert.doesNotThrow(() => trusting(media, other.keys), media.id);
      else {
        assert.throws(() => trusting(media, other.keys), { code: "IMG2107", exitCode: 2, message: new RegExp(`trusts the keys of "${other.name}" for media of "${own.name}"$`), hint: /by fingerprint/ });
        refused++;
      }
    }
  }
  t.diagnostic(`${refused} pairs refused`);
});

test("keys of one's own pass, also those of a distribution's that are pinned anew", () => {
  const [, media] = all[5];
  const fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567";
  for (const trust of [{ keys: [{ fingerprint }] }, { keys: [{ fingerprint }], files: ["/etc/keys.gpg"] }, { ...debian.keys }, { ...debian.keys, keys: [...debian.keys.keys, { fingerprint }] }]) {
    assert.equal(keyringOwner(trust), undefined);
    assert.doesNotThrow(() => trusting(media, trust));
  }
});

test("media of one's own that name the keys they are signed with may be trusted by the keyring which has these", () => {
  const media: ImageMedia = { ...all[5][1], id: "house-1", distro: "house" };
  assert.doesNotThrow(() => trusting(media, kali.keys));
  assert.throws(() => trusting(media, debian.keys), { code: "IMG2107" });
});

test("keys that are for something else than what lists the media", () => {
  const [, image] = all[5], [, medium] = all[2];
  const [{ fingerprint }] = kali.keys.keys as readonly [{ readonly fingerprint: string }];
  assert.throws(() => trusting(image, { keys: [{ fingerprint, signs: "archive" }] }), { code: "IMG2107", message: /trusts no key that could sign "kali-rolling-installer-amd64"$/, expected: "a key of OpenPGP that signs images" });
  assert.throws(() => trusting(medium, { keys: [{ fingerprint, signs: "images" }] }), { code: "IMG2107", expected: "a key of OpenPGP that signs an archive" });
  assert.ok(image.source.kind === "mirror");
  const minisigned: ImageMedia = { ...image, source: { ...image.source, list: { ...image.source.list, signature: { kind: "minisign", file: "SHA256SUMS.minisig" } } } };
  assert.throws(() => trusting(minisigned, { keys: [{ fingerprint }] }), { code: "IMG2107", expected: "a key of minisign" });
  assert.doesNotThrow(() => trusting(minisigned, { keys: [], minisign: ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"] }));
});

test("whose keys they are is no part of what is pinned", () => {
  assert.equal(keyringOwner(debian.keys), "debian");
  assert.deepEqual(JSON.parse(JSON.stringify(debian.keys)), debian.keys);
  assert.ok(Object.isFrozen(debian.keys));
});
