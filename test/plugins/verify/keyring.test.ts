/**
 * Of a file of keys, exactly the pinned ones are taken; gpg says what is in the result.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { debian } from "../../../distros/debian.ts";
import { packageFile } from "../../../lib/mod.ts";
import { keyringFor, packets, selectKeys } from "../../../plugins/verify/keyring.ts";
import { randomFrom } from "../../rig/random.ts";

const home = mkdtempSync(join(tmpdir(), "imgtask-keyring-"));
after(() => rmSync(home, { recursive: true, force: true }));

/** Primary fingerprints that gpg finds. */
function fingerprints(keyring: Buffer): readonly string[] {
  const listed = execFileSync("gpg", ["--homedir", home, "--batch", "--show-keys", "--with-colons"], { input: keyring, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] });
  return [...listed.matchAll(/^pub:.*\n(?:.*\n)*?fpr:+([0-9A-F]+):/gm)].map((match) => match[1]!);
}

const archive = readFileSync(packageFile("vendor/debian/archive.gpg"));
const all = fingerprints(archive);
const [first, second, third] = all as [string, string, string];

describe("the pinned keys", () => {
  it("are taken out of a file, and no others", () => {
    assert.equal(all.length, 6);
    const { bytes, found } = selectKeys(archive, [third, "0".repeat(40), first]);
    assert.deepEqual(found, [third, first]);
    assert.deepEqual(fingerprints(bytes), [third, first]);
  });
  it("are found in armor, also in several blocks", () => {
    const armored = (which: string): string => execFileSync("gpg", ["--homedir", home, "--batch", "--no-default-keyring", "--keyring", packageFile("vendor/debian/archive.gpg"), "--armor", "--export", which], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const text = Buffer.from(`A preface\n${armored(first)}\nand\n${armored(second)}`);
    assert.deepEqual(fingerprints(selectKeys(text, [first, second]).bytes), [first, second]);
    assert.deepEqual(selectKeys(text, [third]).found, []);
  });
  it("are not a subkey's fingerprint, and not what is written beside a key", () => {
    const subkey = /^sub:.*\nfpr:+([0-9A-F]+):/m.exec(execFileSync("gpg", ["--homedir", home, "--batch", "--show-keys", "--with-colons"], { input: archive, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] }))![1]!;
    assert.deepEqual(selectKeys(archive, [subkey]).found, []);
  });
  it("are none in a file of which a byte was changed in the key", () => {
    const [packet] = packets(archive)!;
    for (const at of [packet!.body + 1, packet!.body + 30, packet!.end - 1]) {
      const broken = Buffer.from(archive);
      broken[at]! ^= 1;
      assert.deepEqual(selectKeys(broken, [first]).found, [], String(at));
    }
  });
  it("are those of a purpose", () => {
    const images = fingerprints(keyringFor(debian.keys, "images"));
    assert.deepEqual(images, ["DF9B9C49EAA9298432589D76DA87E80D6294BE9B"]);
    assert.deepEqual([...fingerprints(keyringFor(debian.keys, "archive"))].sort(), [...all].sort());
  });
  it("are looked for in anything without a fault", (t) => {
    const next = randomFrom(11);
    let whole = 0;
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(archive.subarray(0, Math.floor(next() * 4000)));
      for (let flips = 0; flips < 4 && bytes.length > 0; flips++) bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
      if (packets(bytes) !== undefined) whole++;
      for (const found of selectKeys(bytes, all).found) assert.ok(all.includes(found));
    }
    t.diagnostic(`3000 damaged files, ${whole} of them whole packets`);
  });
});
