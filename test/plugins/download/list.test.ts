/**
 * Lists of checksums are read strictly, and the image that is meant is found in them.
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChecksumList } from "../../../lib/mod.ts";
import { compareImageVersions, findImage, parseList, scanList, versionIn } from "../../../plugins/download/list.ts";
import { randomFrom } from "../../rig/random.ts";

const gnu: ChecksumList = { file: "SHA256SUMS", form: "gnu", algorithm: "sha256", signature: { kind: "none" } };
const bsd: ChecksumList = { ...gnu, file: "CHECKSUM", form: "bsd" };
const [a, b] = ["a".repeat(64), "b".repeat(64)];

describe("a list", () => {
  it("is read in GNU form, text and binary", () => {
    assert.deepEqual(parseList(`${a}  x.iso\n${b} *y z.iso\n`, gnu), [{ name: "x.iso", digest: a }, { name: "y z.iso", digest: b }]);
    assert.deepEqual(parseList(`${a}  ./x.iso`, gnu), [{ name: "x.iso", digest: a }], "./ is a habit of some vendors");
  });
  it("is read in BSD form, with sizes, comments and other algorithms", () => {
    const text = `# made on a day\n# x.iso: 123 bytes\nSHA256 (x.iso) = ${a}\n\nSHA512 (x.iso) = ${b}${b}\n`;
    assert.deepEqual(parseList(text, bsd), [{ name: "x.iso", digest: a, size: 123 }]);
    assert.deepEqual(scanList(`<p>\n${text}garbage\n`, bsd), [{ name: "x.iso", digest: a, size: 123 }]);
  });
  const bad: readonly (readonly [string, string, ChecksumList])[] = [
    ["an empty line", `${a}  x.iso\n\n${b}  y.iso\n`, gnu],
    ["a directory", `${a}  dir/x.iso\n`, gnu],
    ["an escaped name", `\\${a}  x\\ny.iso\n`, gnu],
    ["capital letters", `${a.toUpperCase()}  x.iso\n`, gnu],
    ["one blank", `${a} x.iso\n`, gnu],
    ["the other form", `SHA256 (x.iso) = ${a}\n`, gnu],
    ["the other form", `${a}  x.iso\n`, bsd],
    ["a short digest", `SHA256 (x.iso) = ${a.slice(1)}\n`, bsd],
    ["a name with a parenthesis", `SHA256 (x.iso) = ${b} (y.iso) = ${a}\n`, bsd],
    ["a carriage return", `${a}  x.iso\r\n`, gnu],
  ];
  for (const [what, text, form] of bad) it(`with ${what} is refused (${form.form})`, () => assert.throws(() => parseList(text, form), { code: "IMG4043", exitCode: 3 }));
  it("may name a file twice, but not with two digests", () => {
    assert.equal(parseList(`${a}  x.iso\n${a} *x.iso\n`, gnu).length, 1);
    assert.throws(() => parseList(`${a}  x.iso\n${b}  x.iso\n`, gnu), { code: "IMG4044", exitCode: 3 });
  });
  it("never makes scanList throw, whatever is in it", () => {
    const next = randomFrom(7);
    const alphabet = `${a.slice(0, 8)} *()=#\n\r\t./\\<SHA256`;
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: Math.floor(next() * 120) }, () => alphabet[Math.floor(next() * alphabet.length)]).join("");
      assert.ok(Array.isArray(scanList(text, round % 2 === 0 ? gnu : bsd)));
    }
  });
});

describe("versions", () => {
  it("are ordered by their numbers, then letters", () => {
    const ordered = ["9", "9.2", "9.10", "10", "22.04", "22.04.5", "24.04", "24.04.1", "24.04.10", "2025.1", "2025.1a", "2025.1c", "2025.2", "2026.1"];
    for (const [i, x] of ordered.entries()) for (const [j, y] of ordered.entries()) assert.equal(Math.sign(compareImageVersions(x, y)), Math.sign(i - j), `${x} ${y}`);
    assert.ok(compareImageVersions("44-1.7", "44-1.10") < 0);
  });
  it("are found in names, and begin with what was asked for at a dot", () => {
    const name = "ubuntu-{version}-live-server-amd64.iso";
    for (const [file, expected] of [["24.04", "24.04"], ["24.04.3", "24.04.3"], ["24.041", undefined], ["24.0", undefined], ["24.04-beta", undefined], ["", undefined], ["../24.04", undefined]] as const) {
      assert.equal(versionIn(`ubuntu-${file}-live-server-amd64.iso`, { name, version: "24.04" }), expected, file);
    }
    assert.equal(versionIn("kali-linux-2025.1c-installer-amd64.iso", { name: "kali-linux-{version}-installer-amd64.iso" }), "2025.1c");
    assert.equal(versionIn("kali-linux-2025.1c-installer-purple-amd64.iso", { name: "kali-linux-{version}-installer-amd64.iso" }), undefined);
    assert.equal(versionIn("Rocky-9-latest-x86_64-boot.iso", { name: "Rocky-{version}-x86_64-boot.iso", version: "9" }), undefined);
    assert.equal(versionIn("x.iso", { name: "x.iso" }), "");
  });
  it("decide which image is the newest", () => {
    const listed = ["9.9", "9.10", "10.0"].map((version) => ({ name: `Rocky-${version}-x86_64-boot.iso`, digest: a }));
    assert.equal(findImage(listed, { name: "Rocky-{version}-x86_64-boot.iso", version: "9" })?.version, "9.10");
    assert.equal(findImage(listed, { name: "Rocky-{version}-x86_64-boot.iso", version: "9.9" })?.version, "9.9");
    assert.equal(findImage(listed, { name: "Rocky-{version}-aarch64-boot.iso" }), undefined);
  });
});
