/**
 * The list of directories: what is taken, and how each bad line is refused.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ImgtaskError } from "../../../lib/mod.ts";
import { parseDirectories, withParents } from "../../../plugins/dirs/parse.ts";

test("the repository's own list has 600 directories", () => {
  const url = new URL("../../../config/directories.txt", import.meta.url);
  const paths = parseDirectories(readFileSync(url, "utf8"), "config/directories.txt");
  assert.equal(paths.length, 600);
  assert.equal(new Set(paths.map((path) => path.split("/")[0])).size, 10);
  assert.deepEqual([...new Set(paths.map((path) => path.split("/")[1]))], ["prod", "stage", "dev"]);
});

test("comments, blank lines, white space around a line, CRLF, a byte order mark and duplicates", () => {
  const text = "\ufeff# teams\r\n\r\nalpha/prod\r\n  beta prod \n\t# indented comment\nalpha/prod\ngrüße/日本\nc#d";
  assert.deepEqual(parseDirectories(text, "x"), ["alpha/prod", "beta prod", "grüße/日本", "c#d"]);
  assert.deepEqual(parseDirectories("", "x"), []);
});

test("the longest paths and parts that Linux takes are taken, one byte more is not", () => {
  const part = "p".repeat(255);
  const longest = [...Array<string>(15).fill(part), "q".repeat(254), "r"].join("/");
  assert.equal(Buffer.byteLength(longest), 4096);
  assert.deepEqual(parseDirectories(longest, "x"), [longest]);
  assert.throws(() => parseDirectories(`${longest}r`, "x"), { code: "IMG2201" });
  assert.throws(() => parseDirectories(`${part}p`, "x"), { code: "IMG2201" });
  // 128 characters, but 256 bytes.
  assert.throws(() => parseDirectories("ü".repeat(128), "x"), { code: "IMG2201", found: "256 bytes" });
});

const bad: readonly [what: string, line: string, found: RegExp][] = [
  ["absolute", "/etc", /absolute/],
  ["parent", "a/../b", /"\.\."/],
  ["only parent", "..", /"\.\."/],
  ["self", "./a", /"\."/],
  ["empty part", "a//b", /empty part/],
  ["slash at the end", "a/", /empty part/],
  ["tab inside", "a\tb", /U\+0009 at column 2/],
  ["NUL", "a\0b", /U\+0000/],
  ["escape sequence", "a\u001b[31mb", /U\+001B/],
  ["CR inside", "a\rb", /U\+000D/],
  ["C1 control", "a\u009bb", /U\+009B/],
  ["line separator", "a\u2028b", /U\+2028/],
  ["backslash at the end", "a\\", /backslash/],
  ["not UTF-8", Buffer.from([0x61, 0xff]).toString("utf8"), /bytes that are not/],
];

for (const [what, line, found] of bad) {
  test(`refused, naming the line: ${what}`, () => {
    assert.throws(() => parseDirectories(`# comment\ngood\n${line}\n`, "config/list.txt"), (error: unknown) => {
      assert.ok(error instanceof ImgtaskError);
      assert.equal(error.code, "IMG2201");
      assert.equal(error.exitCode, 2);
      assert.match(error.message, /config\/list\.txt:3$/);
      assert.deepEqual(error.location, { file: "config/list.txt", line: 3 });
      assert.match(error.found ?? "", found);
      assert.ok(error.expected);
      // Shown to people on terminals: nothing but printable ASCII.
      assert.match(error.message, /^[\x20-\x7e]+$/);
      return true;
    });
  });
}

test("parents come once, and before their children", () => {
  assert.deepEqual(withParents(["b/c/d", "a", "b/e", "b-/x"]), ["a", "b", "b-", "b-/x", "b/c", "b/c/d", "b/e"]);
});
