/**
 * JUnit XML and the screenshot: read back by programs that are not ours.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { pngOf } from "../../../plugins/test/png.ts";
import { junit, xml } from "../../../plugins/test/report.ts";

test("what XML cannot carry is made visible", () => {
  assert.equal(xml("a\x00\x1b[0m\x7f\ud800b\uffff<&>\"\r\t\n😀"), "a\\x00\\x1b[0m\\x7f\ufffdb\ufffd&lt;&amp;&gt;&quot;&#13;\t\n😀");
});

test("a report is well-formed whatever a guest printed, and is read back as it was", (context) => {
  const hostile = `]]> </failure> & "quoted" 'single' \x1b[31m\x00 line\nbreak`;
  const text = junit({
    target: "test:a&b",
    seconds: 1.5,
    console: [hostile, "</system-out>"],
    checks: [
      { name: hostile, outcome: "failed", code: "IMG3506", expected: hostile, found: hostile, seconds: 0.25 },
      { name: "fine", outcome: "passed", seconds: 1 },
      { name: "never reached", outcome: "skipped" },
    ],
  });
  assert.match(text, /<testsuite name="test:a&amp;b" tests="3" failures="1" errors="0" skipped="1" time="1.500">/);
  const script = `
import json, sys, xml.etree.ElementTree as e
suite = e.fromstring(sys.stdin.buffer.read())[0]
print(json.dumps([[c.get("name"), [[d.tag, d.text] for d in c]] for c in suite.findall("testcase")] + [suite.find("system-out").text]))`;
  const result = spawnSync("python3", ["-c", script], { input: text, encoding: "utf8" });
  if (result.error !== undefined) return context.skip("python3 is not installed");
  assert.equal(result.status, 0, result.stderr);
  const shown = hostile.replace("\x1b", "\\x1b").replace("\x00", "\\x00");
  assert.deepEqual(JSON.parse(result.stdout), [
    [shown, [["failure", `expected: ${shown}\nfound: ${shown}`]]],
    ["fine", []],
    ["never reached", [["skipped", null]]],
    `${shown}\n</system-out>`,
  ]);
});

test("a picture becomes a PNG with the same pixels", () => {
  const pixels = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30]);
  const png = pngOf(Buffer.concat([Buffer.from("P6\n2 2\n255\n"), pixels]));
  assert.equal(png.toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [2, 2]);
  const at = png.indexOf("IDAT");
  const rows = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
  assert.deepEqual([...rows], [0, ...pixels.subarray(0, 6), 0, ...pixels.subarray(6)]);
  assert.equal(png.toString("hex", png.length - 12), "0000000049454e44ae426082", "the end chunk has the checksum that the standard prints");
  assert.throws(() => pngOf(Buffer.from("P6\n2 2\n255\nxx")), RangeError);
  assert.throws(() => pngOf(Buffer.from("P5\n1 1\n255\nx")), RangeError);
});
