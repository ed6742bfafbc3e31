/**
 * Paths of an image, and an overlay: neither may leave the image through its symbolic links.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { spawnSync } from "node:child_process";
import { followInside, pathInside } from "../../../plugins/machine/inside.ts";
import { layOver } from "../../../plugins/machine/overlay.ts";

let base = "", root = "", overlay = "", outside = "";

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "imgtask-inside-"));
  [root, overlay, outside] = ["root", "overlay", "outside"].map((name) => join(base, name)) as [string, string, string];
  for (const path of [root, overlay, outside, join(root, "usr/lib"), join(root, "etc")]) mkdirSync(path, { recursive: true });
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test("absolute and relative links are followed inside the image", () => {
  symlinkSync("usr/lib", join(root, "lib"));
  symlinkSync("/usr/lib", join(root, "lib64"));
  assert.equal(pathInside(root, "/lib/a"), join(root, "usr/lib/a"));
  assert.equal(pathInside(root, "/lib64/a"), join(root, "usr/lib/a"));
  assert.equal(pathInside(root, "/lib64"), join(root, "lib64"), "the last part stays a link");
  assert.equal(followInside(root, "/lib64"), join(root, "usr/lib"));
});

test("no link leads out of the image", () => {
  symlinkSync(outside, join(root, "absolute"));
  symlinkSync("../../../../../../../../../../..", join(root, "etc/up"));
  assert.equal(pathInside(root, "/absolute/a"), join(root, outside, "a"));
  assert.equal(pathInside(root, "/etc/up/etc/passwd"), join(root, "etc/passwd"));
  assert.equal(pathInside(root, "/../../etc/passwd"), join(root, "etc/passwd"));
  assert.equal(followInside(root, "/etc/up"), root);
});

test("a loop of links is an error, not a hang", () => {
  symlinkSync("b", join(root, "a"));
  symlinkSync("a", join(root, "b"));
  assert.throws(() => pathInside(root, "/a/x"), { code: "IMG3201" });
  assert.throws(() => followInside(root, "/a"), { code: "IMG3201" });
});

test("an overlay keeps modes and links, goes through the image's directory links, and replaces files", () => {
  symlinkSync("usr/lib", join(root, "lib"));
  symlinkSync("/run/elsewhere", join(root, "etc/resolv.conf"));
  mkdirSync(join(overlay, "lib/tool"), { recursive: true, mode: 0o750 });
  mkdirSync(join(overlay, "etc"));
  writeFileSync(join(overlay, "lib/tool/run"), "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(join(overlay, "etc/secret"), "s", { mode: 0o600 });
  writeFileSync(join(overlay, "etc/resolv.conf"), "nameserver 192.0.2.1\n");
  symlinkSync("/etc/passwd", join(overlay, "etc/link"));
  layOver(root, overlay);
  assert.ok(lstatSync(join(root, "lib")).isSymbolicLink(), "the image's link is kept");
  assert.equal(statSync(join(root, "usr/lib/tool/run")).mode & 0o7777, 0o755);
  assert.equal(statSync(join(root, "usr/lib/tool")).mode & 0o7777, statSync(join(overlay, "lib/tool")).mode & 0o7777);
  assert.equal(statSync(join(root, "etc/secret")).mode & 0o7777, 0o600);
  assert.equal(readlinkSync(join(root, "etc/link")), "/etc/passwd");
  assert.ok(lstatSync(join(root, "etc/resolv.conf")).isFile(), "a file replaces a link and is not written through it");
});

test("an overlay does not write outside through a hostile link, and does not follow its own", () => {
  writeFileSync(join(outside, "target"), "untouched");
  symlinkSync(outside, join(root, "usr/lib/out"));
  mkdirSync(join(overlay, "usr/lib/out"), { recursive: true });
  writeFileSync(join(overlay, "usr/lib/out/target"), "written");
  symlinkSync(outside, join(overlay, "escape"));
  layOver(root, overlay);
  assert.equal(readFileSync(join(outside, "target"), "utf8"), "untouched");
  assert.equal(readFileSync(join(root, outside, "target"), "utf8"), "written");
  assert.equal(readlinkSync(join(root, "escape")), outside);
});

test("what an overlay cannot hold is refused by name", () => {
  spawnSync("mkfifo", [join(overlay, "pipe")]);
  assert.throws(() => layOver(root, overlay), { code: "IMG3220", message: /"\/pipe"/ });
  rmSync(join(overlay, "pipe"));
  writeFileSync(join(overlay, "etc"), "a file");
  assert.throws(() => layOver(root, overlay), { code: "IMG3220", message: /"\/etc"/ });
  rmSync(join(overlay, "etc"));
  writeFileSync(join(root, "etc/name"), "a file");
  mkdirSync(join(overlay, "etc/name"), { recursive: true });
  assert.throws(() => layOver(root, overlay), { code: "IMG3220", message: /"\/etc\/name"/ });
  assert.ok(!existsSync(join(root, "pipe")));
});
