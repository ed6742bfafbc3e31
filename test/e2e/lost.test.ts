/**
 * Somebody who is lost: a directory or imagefile that there is not is named, and not looked for elsewhere.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TestProject } from "../rig/project.ts";

test("a directory and an imagefile that there are not", async (t) => {
  const made = new TestProject({ "imagefile.ts": `export {};\n` });
  t.after(() => made.eject());
  for (const [args, message] of [
    [["list", "--imagefile", "other.ts"], /^error IMG2008: No imagefile "other\.ts"\n {2}expected a file at \/.*\/other\.ts\n/],
    [["list", "--imagefile", "."], /^error IMG2008: No imagefile "\."\n/],
    [["list", "-C", "nowhere"], /^error IMG2008: No directory "\/.*\/nowhere"\n/],
  ] as const) {
    const { code, stderr } = await made.imgtask(...args);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
});
