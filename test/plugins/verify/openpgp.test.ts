/**
 * Detached signatures, the status lines of gpgv, and the types that keep unverified media out.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Argv, ExecOptions } from "../../../lib/mod.ts";
import { debian } from "../../../distros/debian.ts";
import { download } from "../../../plugins/download/download.ts";
import { isOnlySignatures, verifyDetached } from "../../../plugins/verify/openpgp.ts";
import { accept, parseStatus, type Signer } from "../../../plugins/verify/status.ts";
import { verify } from "../../../plugins/verify/verify.ts";
import { type Keys, makeKeys } from "./archive.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-openpgp-test-"));
const file = join(base, "SHA256SUMS"), signature = join(base, "SHA256SUMS.sig");
let keys: Keys, key: string, other: string, keyring: string;

before(() => {
  keys = makeKeys(base);
  key = keys.make("Signer");
  other = keys.make("Other");
  keyring = keys.keyring([key, other]);
  writeFileSync(file, "0000  image.iso\n");
});
after(() => {
  keys.dispose();
  rmSync(base, { recursive: true, force: true });
});

const context = {
  tmp: base,
  exec: (argv: Argv, options: ExecOptions = {}) => {
    const done = spawnSync(argv[0], argv.slice(1), { encoding: "utf8", env: { ...process.env, ...options.env } });
    assert.ok((options.ok ?? [0]).includes(done.status!), done.stderr);
    return Promise.resolve({ code: done.status!, stdout: done.stdout });
  },
};

function check(bytes: Buffer | string, fingerprints: readonly string[] = [key]): Promise<Signer> {
  writeFileSync(signature, bytes);
  return verifyDetached({ path: file, name: "SHA256SUMS", signature }, { keyring, keys: fingerprints.map((fingerprint) => ({ fingerprint })) }, context);
}

const detach = (...args: string[]): Buffer => keys.gpg(["--local-user", key, ...args, "--detach-sign", "--output", "-", file]);

describe("a detached signature", () => {
  it("is accepted, binary and armored", async () => {
    assert.equal((await check(detach())).fingerprint, key);
    assert.equal((await check(detach("--armor"))).fingerprint, key);
    assert.equal((await check(detach("--armor", "--comment", "hello"))).userId, "Signer");
  });
  it("is accepted beside another one", async () => {
    assert.equal((await check(keys.gpg(["--local-user", other, "--local-user", key, "--detach-sign", "--output", "-", file]))).fingerprint, key);
  });
  it("is refused by a key that is not pinned", () => assert.rejects(check(detach(), [other]), { code: "IMG4003", exitCode: 3 }));
  it("is refused for another file", async () => {
    const made = detach();
    writeFileSync(file, "1111  image.iso\n");
    await assert.rejects(check(made), { code: "IMG4005", exitCode: 3 });
    writeFileSync(file, "0000  image.iso\n");
  });
  it("is refused when it is a message with a text of its own", async () => {
    await assert.rejects(check(keys.gpg(["--local-user", key, "--sign"], "evil")), { code: "IMG4001", exitCode: 3 });
    await assert.rejects(check(keys.gpg(["--local-user", key, "--armor", "--sign"], "evil")), { code: "IMG4001" });
    await assert.rejects(check(keys.gpg(["--local-user", key, "--clearsign"], "evil")), { code: "IMG4001" });
  });
  it("is refused when a text is appended to it", () => assert.rejects(check(Buffer.concat([detach(), keys.gpg(["--store"], "evil")])), { code: "IMG4001" }));
  it("is refused when it is empty, cut off, or no signature", async () => {
    await assert.rejects(check(""), { code: "IMG4001" });
    await assert.rejects(check(detach().subarray(0, -1)), { code: "IMG4001" });
    await assert.rejects(check("<html>"), { code: "IMG4001" });
  });
});

describe("signature packets", () => {
  it("are told from others", () => {
    assert.equal(isOnlySignatures(Buffer.from([0x88, 1, 0])), true);
    assert.equal(isOnlySignatures(Buffer.from([0xc2, 1, 0])), true);
    assert.equal(isOnlySignatures(Buffer.from([0xc2, 0xff, 0, 0, 0, 1, 0])), true);
    assert.equal(isOnlySignatures(Buffer.from([0xcb, 1, 0])), false, "literal data");
    assert.equal(isOnlySignatures(Buffer.from([0xc2, 0xe0, 0])), false, "a partial length");
    assert.equal(isOnlySignatures(Buffer.from([0x8b, 0])), false, "an indeterminate length");
    assert.equal(isOnlySignatures(Buffer.from([0xc2, 5, 0])), false, "too short");
    assert.equal(isOnlySignatures(Buffer.alloc(0)), false);
  });
});

describe("gpgv's status", () => {
  const pinned = "A".repeat(40);
  const valid = `[GNUPG:] VALIDSIG ${"B".repeat(40)} 2026-07-11 1783765031 0 4 0 1 8 01 ${pinned}`;
  it("is read one signature a block", () => {
    const blocks = parseStatus(`[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG ${"B".repeat(16)} A <a@b>\n${valid}\n[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG CC old\n`);
    assert.equal(blocks.length, 2);
    assert.deepEqual(blocks[0]?.valid, { primary: pinned, time: 1783765031, weak: false });
    assert.equal(blocks[0]?.bad, undefined);
    assert.equal(blocks[1]?.bad, "EXPKEYSIG");
  });
  it("is not believed outside of a block or the prefix", () => {
    assert.deepEqual(parseStatus(`[GNUPG:] GOODSIG AA A\n${valid}\ngpgv: [GNUPG:] NEWSIG\n`), []);
  });
  it("does not take a signature on a key for one on a document", () => {
    assert.equal(parseStatus(`[GNUPG:] NEWSIG\n${valid.replace(" 01 ", " 10 ")}`)[0]?.valid, undefined);
  });
  it("takes SHA-1 for weak", () => assert.equal(parseStatus(`[GNUPG:] NEWSIG\n${valid.replace(" 8 01 ", " 2 01 ")}`)[0]?.valid?.weak, true));
  const read = (text: string): Signer => accept(parseStatus(text), [{ fingerprint: pinned }], "x");
  const good = `[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG ${"B".repeat(16)} A\n${valid}\n`;
  it("is believed only when good, valid and not bad in one block", () => {
    assert.equal(read(good).signedAt, 1783765031);
    assert.equal(read(`${good}[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG ${"C".repeat(16)} 1 8 01 1783765031 9 -\n`).fingerprint, pinned);
    for (const word of ["BADSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"]) {
      assert.throws(() => read(`${good}[GNUPG:] ${word} ${"B".repeat(16)} A\n`), { code: word === "BADSIG" ? "IMG4005" : "IMG4004", exitCode: 3 }, word);
    }
    assert.throws(() => read(`[GNUPG:] NEWSIG\n${valid}\n`), { code: "IMG4003" }, "VALIDSIG alone");
    assert.throws(() => read(`[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG ${"B".repeat(16)} A\n`), { code: "IMG4003" }, "GOODSIG alone");
    assert.throws(() => read(`[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG BB A\n[GNUPG:] NEWSIG\n${valid}\n`), { code: "IMG4003" }, "in two blocks");
    assert.throws(() => read(good.replace(" 8 01 ", " 2 01 ")), { code: "IMG4006" }, "SHA-1");
    assert.throws(() => read(""), { code: "IMG4001" });
  });
  it("is shown without control characters", () => {
    assert.throws(() => read("[GNUPG:] NEWSIG\n[GNUPG:] BADSIG \x1b[2J A\n"), { found: "a bad signature by key ?[2J" });
    assert.equal(read(good.replace(" A\n", " A\x07\x1b[31m\n")).userId, "A??[31m");
  });
});

describe("the types", () => {
  it("take downloads of media and trusted keyrings only", () => {
    const media = download("types", debian.installer({ release: "bookworm", arch: "x86_64" }));
    const trusted = verify("types", { media, trust: debian.keys });
    const name: "verify:types" = trusted.name;
    assert.equal(name, "verify:types");
    assert.equal(trusted.media, media.media);
    assert.ok(Object.isFrozen(media) && Object.isFrozen(trusted));
    // @ts-expect-error What is verified already is no download.
    assert.throws(() => verify("types2", { media: trusted, trust: debian.keys }), { code: "IMG2040" });
    // @ts-expect-error A description of media is no download.
    assert.throws(() => verify("types3", { media: debian.installer({ release: "bookworm", arch: "x86_64" }), trust: debian.keys }));
    // @ts-expect-error Nobody is trusted by name.
    assert.throws(() => verify("types4", { media, trust: "debian" }), { code: "IMG2040" });
  });
  it("is checked with the gpgv of this host", () => assert.match(execFileSync("gpgv", ["--version"], { encoding: "utf8" }), /^gpgv/));
});
