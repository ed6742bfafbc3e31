/**
 * `verify` against archives that somebody broke on purpose: it refuses, says which attack it was, and leaves nothing.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ImgtaskError, type Keyring, type Media } from "../../../lib/mod.ts";
import { download } from "../../../plugins/download/download.ts";
import { type PackageManifest, verify } from "../../../plugins/verify/verify.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";
import { initrd, kernel, type Keys, makeDeb, makeKeys, media, noise, release, sha256, stanza, xz } from "./archive.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-verify-test-"));
const index = "main/binary-amd64/Packages";
const utc = (offset: number): string => new Date(Date.now() + offset * 1000).toUTCString().replace("GMT", "UTC");
let keys: Keys, pinned: string, other: string, expired: string, ancient: string, revoked: string, rsa: string, deb: Buffer, keyring: string;
let count = 0;
const in2020 = ["--faked-system-time", "20200601T000000!"];
const savedTmp = process.env["TMPDIR"];

before(() => {
  keys = makeKeys(base);
  pinned = keys.make("Pinned");
  other = keys.make("Other");
  expired = keys.make("Expired", { time: "20200101T000000", expire: "1y" });
  ancient = keys.make("Ancient", { time: "20200101T000000" });
  revoked = keys.make("Revoked");
  rsa = keys.make("Rsa", { algorithm: "rsa2048" });
  deb = makeDeb(base);
  keyring = keys.keyring([pinned, other, expired, ancient, revoked, rsa]);
});
after(() => {
  keys.dispose();
  process.env["TMPDIR"] = savedTmp;
  if (savedTmp === undefined) delete process.env["TMPDIR"];
  rmSync(base, { recursive: true, force: true });
});

/** What a download may hold; every part can be replaced. */
interface Parts {
  readonly deb?: Buffer;
  /** Signed size and digest are of this one. */
  readonly listedDeb?: Buffer;
  readonly packages?: string;
  readonly fields?: Readonly<Record<string, string | undefined>>;
  readonly signers?: readonly string[];
  readonly signArgs?: readonly string[];
  readonly listed?: (files: Record<string, Buffer>) => Record<string, Buffer>;
  /** Content of `imgtask.lock`, but for its version. */
  readonly lock?: object;
  readonly inRelease?: (signed: string, text: string) => string | Buffer;
  readonly release?: (text: string) => string;
  readonly index?: (bytes: Buffer) => Buffer;
  readonly media?: Media;
  readonly trust?: Partial<Keyring>;
}

async function run(parts: Parts = {}): Promise<{ result?: RecipeRun; error?: ImgtaskError; left: readonly string[] }> {
  const name = `case${count++}`;
  const root = join(base, name), tree = join(root, "media"), temporary = join(root, "tmp");
  mkdirSync(tree, { recursive: true });
  mkdirSync(temporary);
  const packages = Buffer.from(parts.packages ?? `Package: aaa\nVersion: 1\n\n${stanza(parts.listedDeb ?? parts.deb ?? deb)}\nPackage: zzz\n`);
  const packed = xz(packages);
  const files: Record<string, Buffer> = { [index]: packages, [`${index}.xz`]: packed };
  let text = release((parts.listed ?? ((all) => all))(files), parts.fields);
  text = (parts.release ?? ((same) => same))(text);
  const signed = keys.clearsign(text, parts.signers ?? [pinned], parts.signArgs);
  const broken = (parts.inRelease ?? ((same) => same))(signed, text);
  if (parts.inRelease !== undefined && parts.signers?.[0] !== revoked) assert.notEqual(broken, signed, "the case breaks something");
  writeFileSync(join(tree, "InRelease"), broken);
  writeFileSync(join(tree, "Packages.xz"), (parts.index ?? ((same) => same))(packed));
  writeFileSync(join(tree, "package.deb"), parts.deb ?? deb);
  verify(name, { media: download(name, parts.media ?? media), trust: { files: [keyring], keys: [{ fingerprint: pinned }], ...parts.trust } });
  process.env["TMPDIR"] = temporary;
  const complain = console.error;
  console.error = () => {}; // The rig prints logs of failures, which are expected here.
  const outputs = (): string[] => readdirSync(temporary).flatMap((one) => readdirSync(join(temporary, one, "out")));
  try {
    const result = await runRecipe(`verify:${name}`, { "inputs.media": tree }, { prepare: (project) => (parts.lock === undefined ? undefined : writeFileSync(join(project, "imgtask.lock"), JSON.stringify({ version: 1, ...parts.lock }))) });
    return { result, left: outputs() };
  } catch (error) {
    assert.ok(error instanceof ImgtaskError, String((error as Error).stack));
    return { error, left: outputs() };
  } finally {
    console.error = complain;
  }
}

async function refusal(code: string, pattern: RegExp, parts: Parts): Promise<ImgtaskError> {
  const { error, left } = await run(parts);
  assert.ok(error !== undefined, "it was accepted");
  assert.equal(error.code, code, `${error.message}; found ${error.found}`);
  assert.equal(error.exitCode, 3);
  assert.match(error.message, pattern);
  assert.ok(error.expected !== undefined && error.found !== undefined, "says what was expected and found");
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(`${error.message}${error.expected}${error.found}`, /[\x00-\x1f\x7f]/);
  assert.deepEqual(left, [], "nothing is left in the output");
  return error;
}

async function refused(code: string, pattern: RegExp, parts: Parts): Promise<void> {
  await refusal(code, pattern, parts);
}

describe("verify accepts", () => {
  it("a good archive, and says what it is", async () => {
    const { result, error } = await run();
    assert.equal(error, undefined);
    const out = result!.outputs["out"]!;
    assert.deepEqual(readdirSync(out).sort(), ["initrd.gz", "linux", "media.json"]);
    assert.ok(readFileSync(join(out, "linux")).equals(kernel));
    assert.ok(readFileSync(join(out, "initrd.gz")).equals(initrd));
    const manifest = JSON.parse(readFileSync(join(out, "media.json"), "utf8")) as PackageManifest;
    assert.equal(manifest.id, media.id);
    assert.deepEqual(manifest.package, { name: "installer-netboot", version: "1.0", sha256: sha256(deb), size: deb.length });
    assert.deepEqual(manifest.files.linux, { sha256: sha256(kernel), size: kernel.length });
    assert.equal(manifest.signature.fingerprint, pinned);
    assert.equal(statSync(join(out, "linux")).mtimeMs, 1_700_000_000_000);
    assert.equal(statSync(join(out, "linux")).mode & 0o777, 0o644);
    assert.equal(existsSync(join(base, "SCRIPT-RAN")), false);
  });
  it("the same bytes under another umask", async () => {
    const saved = process.umask(0o077);
    try {
      const { result } = await run();
      for (const file of ["linux", "initrd.gz", "media.json"]) assert.equal(statSync(join(result!.outputs["out"]!, file)).mode & 0o777, 0o644);
      assert.equal(statSync(result!.outputs["out"]!).mode & 0o777, 0o755);
    } finally {
      process.umask(saved);
    }
  });
  it("a list that another key signed too", async () => assert.equal((await run({ signers: [other, pinned] })).error, undefined));
  it("a list that an expired key signed too", async () => {
    const { error } = await run({ signers: [expired, ancient], signArgs: in2020, trust: { keys: [{ fingerprint: expired }, { fingerprint: ancient }] } });
    assert.equal(error, undefined);
  });
  it("an old date", async () => assert.equal((await run({ fields: { Date: "Sat, 11 Jul 2015 10:16:37 UTC" } })).error, undefined));
  it("a Valid-Until to come", async () => assert.equal((await run({ fields: { "Valid-Until": utc(3600) } })).error, undefined));
  it("the suite by its other name", async () => {
    assert.equal((await run({ media: { ...media, package: { ...media.package, suite: "stable" } } })).error, undefined);
  });
  it("the newest of several versions", async () => {
    const newest = makeDeb(base, { version: "1.10" });
    const { result } = await run({ deb: newest, packages: [stanza(deb, { Version: "1.2" }), stanza(newest, { Version: "1.10" }), stanza(deb, { Version: "1.9" })].join("\n") });
    assert.equal((JSON.parse(readFileSync(join(result!.outputs["out"]!, "media.json"), "utf8")) as PackageManifest).package.version, "1.10");
  });
});

describe("verify refuses a signature", () => {
  it("by a key that nobody knows", async () => {
    const stranger = keys.make("Stranger");
    const error = await refusal("IMG4003", /another key/, { signers: [stranger] });
    assert.match(error.found!, new RegExp(stranger.slice(-16)));
    assert.match(error.expected!, new RegExp(pinned));
  });
  it("by a key in the keyring that is not pinned", () => refused("IMG4003", /another key/, { signers: [other] }));
  it("by an expired key", () => refused("IMG4004", /no longer valid/, { signers: [expired], signArgs: in2020, trust: { keys: [{ fingerprint: expired }] } }));
  it("that has expired itself", () => refused("IMG4004", /no longer valid/, { signers: [ancient], signArgs: [...in2020, "--default-sig-expire", "1d"], trust: { keys: [{ fingerprint: ancient }] } }));
  it("by a revoked key", () => {
    let file = "";
    return refused("IMG4004", /no longer valid/, {
      signers: [revoked],
      inRelease: (signed) => {
        keys.revoke(revoked);
        writeFileSync((file = join(base, "revoked.gpg")), keys.gpg(["--export", revoked]));
        return signed;
      },
      trust: { keys: [{ fingerprint: revoked }], get files() { return [file === "" ? join(base, "revoked.gpg") : file]; } },
    });
  });
  it("with SHA-1", () => refused("IMG4006", /weak digest/, { signers: [rsa], signArgs: ["--digest-algo", "SHA1", "--allow-weak-digest-algos"], trust: { keys: [{ fingerprint: rsa }] } }));
  it("on a text that was changed", () => refused("IMG4005", /changed after it was signed/, { inRelease: (signed) => signed.replace("Label: Testing", "Label: Tasting") }));
  it("that is not there", () => refused("IMG4001", /not signed/, { inRelease: (_, text) => text }));
  it("that was cut off", () => refused("IMG4001", /signature is missing/i, { inRelease: (signed) => signed.slice(0, signed.indexOf("-----BEGIN PGP SIGNATURE")) }));
  it("that is an empty shell", () => refused("IMG4001", /no usable signature/, { inRelease: (signed) => signed.replace(/(SIGNATURE-----\n\n)[\s\S]*(\n-----END)/, "$1$2") }));
  it("of an inline message instead of a clearsigned one", () => refused("IMG4001", /not signed/, { inRelease: (_, text) => keys.gpg(["--local-user", pinned, "--armor", "--sign"], text) }));
});

describe("verify refuses around the signed text", () => {
  it("text before it", () => refused("IMG4002", /before the signed message/, { inRelease: (signed) => `Suite: evil\n${signed}` }));
  it("an empty line before it", () => refused("IMG4002", /before the signed message/, { inRelease: (signed) => `\n${signed}` }));
  it("text after it", () => refused("IMG4002", /after the signature/, { inRelease: (signed) => `${signed}Suite: evil\n` }));
  it("a second message", () => refused("IMG4002", /more than one message|after the signature/, { inRelease: (signed) => `${signed}${signed}` }));
  it("a message in the message", () => refused("IMG4002", /more than one message/, { inRelease: (signed) => signed.replace("Label:", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nLabel:") }));
  it("a form feed", () => refused("IMG4002", /control characters/, { inRelease: (signed) => signed.replace("Label:", "\fLabel:") }));
  it("a NUL", () => refused("IMG4002", /control characters/, { inRelease: (signed) => signed.replace("Label:", "\0Label:") }));
  it("headers that change the meaning", () => refused("IMG4002", /unknown headers/, { inRelease: (signed) => signed.replace(/^Hash: .*$/m, "$&\nNotDashEscaped: yes") }));
  it("text in the headers", () => refused("IMG4002", /unknown headers/, { inRelease: (signed) => signed.replace(/^Hash: .*$/m, "Suite: evil\n$&") }));
  it("text inside the signature", () => refused("IMG4002", /inside the signature/, { inRelease: (signed) => signed.replace("SIGNATURE-----\n", "SIGNATURE-----\nSuite: wheel, evil\n") }));
});

describe("verify refuses a list", () => {
  it("that is older than the one accepted last", () => refused("IMG4047", /older than the list that was accepted last/, { lock: { media: { [media.id]: { list: { signedAt: new Date(Date.now() + 86_400_000).toISOString() } } } } }));
  it("of another suite", async () => {
    const error = await refusal("IMG4010", /another suite/, { fields: { Suite: "unstable", Codename: "sid" } });
    assert.match(error.found!, /sid/);
  });
  it("of another archive", () => refused("IMG4010", /another archive/, { fields: { Origin: "Elsewhere" } }));
  it("of another archive of the same origin", () => refused("IMG4010", /same origin/, { fields: { Label: "Testing-Security" } }));
  it("from the future", () => refused("IMG4012", /future/, { fields: { Date: utc(60) } }));
  it("that is no longer valid", () => refused("IMG4011", /no longer valid/, { fields: { "Valid-Until": utc(-60) } }));
  it("with a Valid-Until that nobody can read", () => refused("IMG4013", /Valid-Until/, { fields: { "Valid-Until": "tomorrow" } }));
  it("without a date", () => refused("IMG4013", /date/, { fields: { Date: undefined } }));
  it("without SHA-256", () => refused("IMG4013", /SHA-256/, { release: (text) => text.replace("SHA256:", "SHA1:") }));
  it("that does not name the index", () => refused("IMG4014", /vouches for no index/, { listed: (files) => ({ "main/binary-arm64/Packages.xz": files[`${index}.xz`]! }) }));
});

describe("verify refuses an index", () => {
  it("that was changed", () => refused("IMG4020", /tampered/, { index: (bytes) => Buffer.from(bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte))) }));
  it("that was truncated", () => refused("IMG4020", /truncated/, { index: (bytes) => bytes.subarray(0, -4) }));
  it("of another, also good, archive", () => refused("IMG4020", /tampered|truncated/, { index: () => xz(stanza(noise(100))) }));
  it("that unpacks to more than announced", () => refused("IMG4020", /does not unpack/, { listed: (files) => ({ ...files, [index]: Buffer.alloc(10) }) }));
  it("without the package", () => refused("IMG4021", /no package "installer-netboot"/, { packages: "Package: other\n" }));
  it("with the package for another architecture", () => refused("IMG4021", /no package/, { packages: stanza(Buffer.alloc(1), { Architecture: "arm64" }) }));
  it("with a path out of the mirror", () => refused("IMG4021", /bad file name/, { packages: stanza(Buffer.alloc(1), { Filename: "pool/../../etc/passwd" }) }));
  it("with a weak digest only", () => refused("IMG4021", /bad SHA-256/, { packages: stanza(Buffer.alloc(1), { SHA256: "", MD5sum: "d41d8cd98f00b204e9800998ecf8427e" }) }));
});

describe("verify refuses a package", () => {
  it("that was changed", () => refused("IMG4020", /tampered/, { listedDeb: deb, get deb() { return Buffer.from(deb.map((byte, at) => (at === 5000 ? byte ^ 1 : byte))); } }));
  it("that was truncated", () => refused("IMG4020", /truncated/, { get listedDeb() { return deb; }, get deb() { return deb.subarray(0, -1); } }));
  it("that something was added to", () => refused("IMG4020", /longer/, { get listedDeb() { return deb; }, get deb() { return Buffer.concat([deb, Buffer.from("x")]); } }));
  it("that holds another version", () => refused("IMG4022", /another one/, { get packages() { return stanza(deb, { Version: "2.0" }); } }));
  it("that holds another package", () => refused("IMG4022", /another one/, { deb: makeDeb(base, { name: "evil" }) }));
  it("without the kernel", () => refused("IMG4022", /lacks the installer's linux/, { deb: makeDeb(base, { without: "linux" }) }));
  it("with a link to a file of this host", () => refused("IMG4022", /lacks the installer's initrd/, { deb: makeDeb(base, { link: true }) }));
});
