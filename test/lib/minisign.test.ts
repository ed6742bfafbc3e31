/**
 * minisign: what imgtask signs the real tool accepts, and the other way round; what is odd in any way is refused by name.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { blake2b } from "../../lib/blake2b.ts";
import { isImgtaskError } from "../../lib/error.ts";
import { parseSignature, prehash, sign, verifySignature } from "../../lib/minisign.ts";
import { generateKey, parsePublicKey, parseSecretKey, publicKeyFile } from "../../lib/minisign-key.ts";
import { scratch } from "../rig/scratch.ts";

/** Fast scrypt, for tests that are not about its cost. */
const limits = { operations: 32_768, memory: 16_777_216 };

function tool(directory: string, args: readonly string[], input = ""): { readonly ok: boolean; readonly text: string } {
  const { status, stdout, stderr, error } = spawnSync("minisign", args, { cwd: directory, input, encoding: "utf8" });
  // It may end without reading what it was given.
  if (status === null) throw error!;
  return { ok: status === 0, text: stdout + stderr };
}

function refused(code: string, act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(isImgtaskError(error), String(error));
    assert.equal(error.code, code);
    return error.found ?? error.message;
  }
  assert.fail(`accepted, expected ${code}`);
}

test("BLAKE2b with a short digest is what others compute", () => {
  const inputs = [0, 1, 3, 74, 127, 128].map((size) => randomBytes(size));
  const script = "import sys,hashlib\nfor line in sys.stdin:\n  n,h=line.split(',')\n  print(hashlib.blake2b(bytes.fromhex(h.strip()),digest_size=int(n)).hexdigest())";
  const lines = inputs.flatMap((bytes) => [20, 32, 64].map((length) => ({ bytes, length })));
  const theirs = execFileSync("python3", ["-c", script], { input: lines.map(({ bytes, length }) => `${length},${bytes.toString("hex")}`).join("\n"), encoding: "utf8" }).trim().split("\n");
  assert.deepEqual(lines.map(({ bytes, length }) => blake2b(bytes, length).toString("hex")), theirs);
  assert.equal(blake2b(inputs[3]!, 64).toString("hex"), createHash("blake2b512").update(inputs[3]!).digest("hex"));
  assert.throws(() => blake2b(new Uint8Array(129), 32), RangeError);
});

test("sizes from nothing to 3 MiB: ours by the tool, the tool's by us", { timeout: 120_000 }, async (t) => {
  const directory = scratch(t);
  tool(directory, ["-G", "-W", "-p", "their.pub", "-s", "their.key"]);
  const theirs = parsePublicKey(readFileSync(join(directory, "their.pub"), "utf8"));
  const ours = generateKey();
  writeFileSync(join(directory, "our.pub"), publicKeyFile(ours.publicKey));
  let round = 0;
  for (const size of [0, 1, 2, 63, 64, 65, 127, 128, 129, 1000, 4096, 65_535, 65_536, 1_000_000, 1_048_576, 1_048_577, 3_145_728]) {
    const bytes = randomBytes(size);
    writeFileSync(join(directory, "file"), bytes);
    writeFileSync(join(directory, "file.minisig"), sign({ prehash: prehash(bytes) }, ours, { trustedComment: `round ${size} ü` }));
    const seen = tool(directory, ["-V", "-H", "-p", "our.pub", "-m", "file"]);
    assert.ok(seen.ok && seen.text.includes(`round ${size} ü`), seen.text);
    tool(directory, ["-S", "-s", "their.key", "-m", "file", "-t", `theirs ${size}`]);
    const made = readFileSync(join(directory, "file.minisig"));
    assert.equal(verifySignature({ bytes }, made, [ours.publicKey, theirs]), `theirs ${size}`);
    tool(directory, ["-S", "-l", "-s", "their.key", "-m", "file", "-x", "file.old"]);
    const old = readFileSync(join(directory, "file.old"));
    assert.match(verifySignature({ bytes }, old, [theirs], { legacy: true, file: "file" }), /^timestamp:\d+\tfile:file$/);
    refused("IMG4034", () => verifySignature({ bytes }, old, [theirs]));
    // One byte more, or one bit flipped: refused by both.
    writeFileSync(join(directory, "file"), Buffer.concat([bytes, Buffer.from("x")]));
    assert.equal(tool(directory, ["-V", "-p", "their.pub", "-m", "file"]).ok, false);
    refused("IMG4032", () => verifySignature({ bytes: Buffer.concat([bytes, Buffer.from("x")]) }, made, [theirs]));
    round++;
  }
  t.diagnostic(`${round} sizes, each signed by both and verified by the other`);
});

/** Reads the tool's key, signs with it, and writes it anew; the tool accepts all of it. */
async function roundTrip(t: TestContext, text: string, publicText: string, password: string | undefined): Promise<void> {
  const directory = scratch(t);
  const key = await parseSecretKey(text).unlock(password);
  // The tool's comment leaves out leading zeros of the id.
  assert.equal(key.publicKey.text, publicText.split("\n")[1]);
  writeFileSync(join(directory, "file"), "content");
  writeFileSync(join(directory, "pub"), publicText);
  writeFileSync(join(directory, "file.minisig"), sign({ bytes: Buffer.from("content") }, key, { trustedComment: "c" }));
  assert.ok(tool(directory, ["-V", "-p", "pub", "-m", "file"]).ok);
  for (const again of [undefined, "", "pässwörd"]) {
    writeFileSync(join(directory, "key"), await key.file(again === undefined ? {} : { password: again, limits }));
    const { ok, text: said } = tool(directory, ["-S", "-s", "key", "-m", "file", ...(again === undefined ? ["-W"] : [])], `${again ?? ""}\n`);
    assert.ok(ok, said);
    assert.ok(tool(directory, ["-V", "-p", "pub", "-m", "file"]).ok);
    assert.equal((await parseSecretKey(readFileSync(join(directory, "key"), "utf8")).unlock(again)).publicKey.text, key.publicKey.text);
  }
}

test("the tool's secret keys: without password, with one, with an empty one", { timeout: 180_000 }, async (t) => {
  const directory = scratch(t);
  const read = (name: string): string => readFileSync(join(directory, name), "utf8");
  for (const [name, args, input, password] of [["plain", ["-W"], "", undefined], ["locked", [], "secret words\nsecret words\n", "secret words"], ["empty", [], "\n\n", ""]] as const) {
    assert.ok(tool(directory, ["-G", ...args, "-p", `${name}.pub`, "-s", `${name}.key`], input).ok);
    const key = parseSecretKey(read(`${name}.key`));
    assert.equal(key.encrypted, password !== undefined);
    await roundTrip(t, read(`${name}.key`), read(`${name}.pub`), password);
  }
  const code = (found: RegExp) => (error: unknown): boolean => isImgtaskError(error) && error.code === "IMG2029" && found.test(error.found ?? "");
  await assert.rejects(parseSecretKey(read("locked.key")).unlock("secret word"), code(/another password/));
  await assert.rejects(parseSecretKey(read("locked.key")).unlock(), code(/no password/));
});

test("scrypt's parameters follow from the limits as the tool has them", async (t) => {
  const directory = scratch(t);
  const key = generateKey();
  writeFileSync(join(directory, "file"), "content");
  const cases = [[1, 16_777_216], [32_768, 1_048_576], [100_000, 2_000_000], [524_288, 16_777_216], [1_048_576, 65_536], [4_000_000, 5_000_000], [262_144, 33_554_432]] as const;
  for (const [operations, memory] of cases) {
    writeFileSync(join(directory, "key"), await key.file({ password: "p", limits: { operations, memory } }));
    const { ok, text } = tool(directory, ["-S", "-s", "key", "-m", "file"], "p\n");
    assert.ok(ok, `${operations} operations, ${memory} bytes: ${text}`);
  }
  t.diagnostic(`${cases.length} pairs of limits`);
});

test("hostile signature files: each is refused by name", (t) => {
  const key = generateKey(), other = generateKey();
  const bytes = Buffer.from("content");
  const good = sign({ bytes }, key, { trustedComment: "timestamp:1\tfile:a.iso\thashed" });
  const [first, second, third, fourth] = good.trimEnd().split("\n") as [string, string, string, string];
  const lines = (...all: readonly string[]): string => `${all.join("\n")}\n`;
  const raw = Buffer.from(second, "base64"), global = Buffer.from(fourth, "base64");
  const base64 = (change: (copy: Buffer) => Buffer | void, from = raw): string => {
    const copy = Buffer.from(from);
    return (change(copy) ?? copy).toString("base64");
  };
  const accepted = verifySignature({ bytes }, good, [key.publicKey], { file: "a.iso" });
  assert.equal(accepted, "timestamp:1\tfile:a.iso\thashed");
  assert.equal(verifySignature({ bytes }, good.trimEnd(), [key.publicKey]), accepted, "the last line end may be missing");
  const sameId = parsePublicKey(base64((copy) => void Buffer.from(key.publicKey.text, "base64").copy(copy, 2, 2, 10), Buffer.from(other.publicKey.text, "base64")));
  assert.equal(verifySignature({ bytes }, good, [sameId, key.publicKey]), accepted, "another trusted key of the same id does not get in the way");
  const hostile: readonly (readonly [what: string, code: string, text: string | Uint8Array])[] = [
    ["nothing", "IMG4030", ""],
    ["one line", "IMG4030", lines(second)],
    ["three lines, as signify has no trusted comment", "IMG4030", lines(first, second, third)],
    ["a fifth line", "IMG4030", good + "x\n"],
    ["an empty line behind", "IMG4030", good + "\n"],
    ["an empty line in front", "IMG4030", "\n" + good],
    ["two signatures", "IMG4030", good + good],
    ["line ends of Windows", "IMG4030", good.replaceAll("\n", "\r\n")],
    ["a lone carriage return in the trusted comment", "IMG4030", lines(first, second, `${third}\rtrusted comment: forged`, fourth)],
    ["a carriage return in the untrusted comment", "IMG4030", lines(`${first}\rx`, second, third, fourth)],
    ["an escape sequence for terminals", "IMG4030", lines(first, second, `${third}\x1b[2K`, fourth)],
    ["a form feed", "IMG4030", lines(first, second, `${third}\f`, fourth)],
    ["a NUL", "IMG4030", lines(first, second, `${third}\0`, fourth)],
    ["a control character of 8 bits", "IMG4030", lines(first, second, `${third}\x9b`, fourth)],
    ["a line separator of Unicode", "IMG4030", lines(first, second, `${third}\u2028`, fourth)],
    ["a byte order mark", "IMG4030", Buffer.from(`\ufeff${good}`)],
    ["bytes that are no UTF-8", "IMG4030", Buffer.concat([Buffer.from(`${first}\n${second}\n${third}`), Buffer.from([0xff, 10]), Buffer.from(`${fourth}\n`)])],
    ["an untrusted comment of another name", "IMG4030", lines(first.replace("untrusted", "Untrusted"), second, third, fourth)],
    ["no trusted comment", "IMG4030", lines(first, second, third.replace("trusted comment: ", ""), fourth)],
    ["an untrusted comment of 1025 bytes", "IMG4030", lines(first.padEnd(1025, "x"), second, third, fourth)],
    ["a trusted comment of 8193 bytes", "IMG4030", lines(first, second, third.padEnd(8193, "x"), fourth)],
    ["73 bytes", "IMG4030", lines(first, base64((copy) => copy.subarray(0, 73)), third, fourth)],
    ["75 bytes", "IMG4030", lines(first, base64((copy) => Buffer.concat([copy, Buffer.from("x")])), third, fourth)],
    ["a global signature of 63 bytes", "IMG4030", lines(first, second, third, base64((copy) => copy.subarray(0, 63), global))],
    ["a global signature of 65 bytes", "IMG4030", lines(first, second, third, base64((copy) => Buffer.concat([copy, Buffer.from("x")]), global))],
    ["base64 with a space", "IMG4030", lines(first, ` ${second}`, third, fourth)],
    ["base64 of another alphabet", "IMG4030", lines(first, `${second.slice(0, 20)}-_${second.slice(22)}`, third, fourth)],
    ["base64 with bits behind its end", "IMG4030", lines(first, second, third, fourth.replace(/.==$/, (end) => `${end[0] === "B" ? "C" : "B"}==`))],
    ["base64 without padding", "IMG4030", lines(first, second.replace(/=+$/, ""), third, fourth)],
    ["an unknown algorithm", "IMG4030", lines(first, base64((copy) => void copy.write("eD")), third, fourth)],
    ["the old algorithm's name on a new signature", "IMG4034", lines(first, base64((copy) => void copy.write("Ed")), third, fourth)],
    ["another key's id", "IMG4031", lines(first, base64((copy) => void (copy[2]! ^= 1)), third, fourth)],
    ["another key", "IMG4031", sign({ bytes }, other, { trustedComment: "x" })],
    ["another key under the trusted id", "IMG4032", (() => {
      const [, forged, comment, end] = sign({ bytes }, other, { trustedComment: "x" }).split("\n") as [string, string, string, string];
      return lines(first, base64((copy) => void raw.copy(copy, 2, 2, 10), Buffer.from(forged, "base64")), comment, end);
    })()],
    ["a bit of the signature", "IMG4032", lines(first, base64((copy) => void (copy[10]! ^= 1)), third, fourth)],
    ["a bit of its other half", "IMG4032", lines(first, base64((copy) => void (copy[50]! ^= 1)), third, fourth)],
    ["a signature of nothing but zeros", "IMG4032", lines(first, base64((copy) => void copy.fill(0, 10)), third, fourth)],
    ["another trusted comment", "IMG4033", lines(first, second, third.replace("a.iso", "b.iso"), fourth)],
    ["a trusted comment with a space behind", "IMG4033", lines(first, second, `${third} `, fourth)],
    ["a bit of the global signature", "IMG4033", lines(first, second, third, base64((copy) => void (copy[3]! ^= 1), global))],
    ["the comment of another signature by the same key", "IMG4033", (() => {
      const [, , comment, end] = sign({ bytes: Buffer.from("other") }, key, { trustedComment: "x" }).split("\n") as [string, string, string, string];
      return lines(first, second, comment, end);
    })()],
    ["the signature of another file", "IMG4032", sign({ bytes: Buffer.from("other") }, key, { trustedComment: "timestamp:1\tfile:a.iso\thashed" })],
    ["a signature of a file of another name", "IMG4035", sign({ bytes }, key, { trustedComment: "timestamp:1\tfile:b.iso" })],
    ["a name that only begins so", "IMG4035", sign({ bytes }, key, { trustedComment: "timestamp:1\tfile:a.iso.old" })],
    ["a name in other words", "IMG4035", sign({ bytes }, key, { trustedComment: "this is file:a.iso" })],
    ["no name", "IMG4035", sign({ bytes }, key, { trustedComment: "timestamp:1" })],
  ];
  for (const [what, code, text] of hostile) {
    const found = refused(code, () => verifySignature({ bytes }, text, [key.publicKey], { file: "a.iso" }));
    assert.notEqual(found, "", what);
    // What is badly formed is refused before any key is looked at.
    if (code === "IMG4030") refused(code, () => parseSignature(text));
  }
  assert.ok(hostile.length >= 25);
  let flips = 0;
  for (let at = first.length + 1; at < good.length; at++) {
    for (let bit = 0; bit < 8; bit++, flips++) {
      const flipped = Buffer.from(good);
      flipped[at]! ^= 1 << bit;
      assert.throws(() => verifySignature({ bytes }, flipped, [key.publicKey]), (error) => isImgtaskError(error) && /^IMG403\d$/.test(error.code), `byte ${at}, bit ${bit}`);
    }
  }
  t.diagnostic(`${hostile.length} hostile signature files and ${flips} flipped bits: 0 accepted`);
});

test("hostile keys: each is refused by name", async (t) => {
  const key = generateKey();
  const text = key.publicKey.text;
  const raw = Buffer.from(text, "base64");
  const point = (hex: string): string => Buffer.concat([raw.subarray(0, 10), Buffer.from(hex, "hex")]).toString("base64");
  const publicKeys: readonly string[] = [
    "", "RW", text.slice(0, -1), `${text}A`, `${text} `, `x\n${text}`, `untrusted comment: x\n${text}\n\n`, `untrusted comment: x\r\n${text}`,
    Buffer.concat([Buffer.from("ED"), raw.subarray(2)]).toString("base64"), raw.subarray(0, 41).toString("base64"),
    point("00".repeat(32)), point(`01${"00".repeat(31)}`), point(`01${"00".repeat(30)}80`), point(`ec${"ff".repeat(31)}`), point(`ee${"ff".repeat(30)}7f`),
    point("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"), point("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
  ];
  for (const one of publicKeys) refused("IMG2028", () => parsePublicKey(one));
  assert.equal(parsePublicKey(`untrusted comment: x\n${text}\n`).id, key.id);
  const file = await key.file({ password: "p", limits });
  const secret = Buffer.from(file.split("\n")[1]!, "base64");
  const changed = (change: (copy: Buffer) => void): string => {
    const copy = Buffer.from(secret);
    change(copy);
    return copy.toString("base64");
  };
  const secretKeys: readonly string[] = [
    "", text, file.replaceAll("\n", "\r\n"), secret.subarray(1).toString("base64"), changed((copy) => void copy.write("ED")), changed((copy) => void copy.write("xx", 2)), changed((copy) => void copy.write("B3", 4)),
    changed((copy) => void copy.writeBigUInt64LE(1n << 60n, 38)), changed((copy) => void copy.writeBigUInt64LE(1n << 40n, 46)), changed((copy) => void copy.writeBigUInt64LE(0n, 46)),
  ];
  for (const one of secretKeys) refused("IMG2029", () => parseSecretKey(one));
  let damaged = 0;
  const plain = Buffer.from((await key.file()).split("\n")[1]!, "base64");
  for (const [bytes, password, first] of [[secret, "p", 6], [plain, undefined, 62]] as const) {
    for (let at = first; at < 126; at += 7, damaged++) {
      if (at >= 38 && at < 54) continue;
      const copy = Buffer.from(bytes);
      copy[at]! ^= 0x10;
      await assert.rejects(parseSecretKey(copy.toString("base64")).unlock(password), (error) => isImgtaskError(error) && error.code === "IMG2029", `byte ${at}`);
    }
  }
  t.diagnostic(`${publicKeys.length} public keys, ${secretKeys.length} secret keys and ${damaged} damaged ones: 0 accepted`);
});

test("a secret key shows nothing of itself", async () => {
  const key = generateKey();
  const seed = Buffer.from((await key.file()).split("\n")[1]!, "base64").subarray(62, 94);
  const shown = [inspect(key, { depth: 9, showHidden: true }), JSON.stringify(key), String(key)].join("\n");
  for (const form of ["hex", "base64", "latin1"] as const) assert.equal(shown.includes(seed.toString(form)), false, form);
});
