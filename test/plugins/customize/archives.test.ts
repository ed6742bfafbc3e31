/**
 * The archives that travel to an installer: read back by cpio, by the kernel's rules, and by GNU tar.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { cpio } from "../../../plugins/customize/cpio.ts";
import { tar, type TarEntry } from "../../../plugins/customize/tar.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-archives-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const epoch = 1_700_000_000;

test("cpio lists what is in it, with owner, mode and time", () => {
  const archive = cpio([
    { path: "d", mode: 0o755 },
    { path: "d/five", mode: 0o640, content: Buffer.from("12345") },
    { path: "empty", mode: 0o644, content: Buffer.alloc(0) },
  ], epoch);
  const listed = execFileSync("cpio", ["-itv", "--quiet", "--numeric-uid-gid"], { input: archive, env: { ...process.env, TZ: "UTC", LC_ALL: "C" } });
  assert.deepEqual(listed.toString().trim().split("\n").map((line) => line.replaceAll(/ +/g, " ")), [
    "drwxr-xr-x 2 0 0 0 Nov 14 2023 d",
    "-rw-r----- 1 0 0 5 Nov 14 2023 d/five",
    "-rw-r--r-- 1 0 0 0 Nov 14 2023 empty",
  ]);
  assert.equal(execFileSync("cpio", ["-i", "--quiet", "--to-stdout", "d/five"], { input: archive }).toString(), "12345");
  // The kernel wants every header at a multiple of 4.
  for (let at = 0, found = 0; (at = archive.indexOf("070701", at)) !== -1; at++, found++) assert.equal(at % 4, 0, `header ${found}`);
});

test("a time beyond 32 bits is a bug, not a wrapped number", () => {
  assert.throws(() => cpio([{ path: "d", mode: 0o755 }], 2 ** 32), { code: "IMG9000" });
});

const long = `${"n".repeat(150)}/${"m".repeat(200)}`;
const entries: readonly TarEntry[] = [
  { path: "d", mode: 0o1777, is: "directory" },
  { path: "d/file", mode: 0o4755, is: { file: Buffer.alloc(1000, "x") } },
  { path: "d/link", mode: 0o777, is: { link: "../somewhere else" } },
  { path: "d/longlink", mode: 0o777, is: { link: "t".repeat(300) } },
  { path: "n".repeat(150), mode: 0o755, is: "directory" },
  { path: long, mode: 0o644, is: { file: Buffer.from("long") } },
  { path: "grüße", mode: 0o600, owner: "4242", group: "daemon", is: { file: Buffer.from("") } },
];

test("GNU tar unpacks every kind of entry without a warning", () => {
  const args = ["--extract", "--preserve-permissions", "--no-same-owner", "--directory", directory];
  const stderr = execFileSync("tar", [...args, "--file", "-"], { input: tar(entries, epoch), stdio: ["pipe", "pipe", "pipe"] });
  assert.equal(stderr.toString(), "");
  const mode = (path: string): number => lstatSync(join(directory, path)).mode & 0o7777;
  assert.equal(mode("d"), 0o1777);
  assert.equal(mode("d/file"), 0o4755);
  assert.equal(readFileSync(join(directory, "d/file"), "utf8"), "x".repeat(1000));
  assert.equal(readlinkSync(join(directory, "d/link")), "../somewhere else");
  assert.equal(readlinkSync(join(directory, "d/longlink")), "t".repeat(300));
  assert.equal(readFileSync(join(directory, long), "utf8"), "long");
  assert.equal(lstatSync(join(directory, "d/file")).mtimeMs, epoch * 1000);
});

test("GNU tar reads owners by name, and numeric ones as numbers", () => {
  const listed = execFileSync("tar", ["--list", "--verbose", "--file", "-"], { input: tar(entries, epoch), env: { ...process.env, LC_ALL: "C.UTF-8" } }).toString();
  assert.match(listed, /^drwxrwxrwt root\/root .* d\/$/m);
  assert.match(listed, /^-rw------- 4242\/daemon .* (grüße|gr\\303)/m);
});

test("what the format has no room for is refused", () => {
  const file = { path: "f", mode: 0o644, is: { file: Buffer.alloc(0) } };
  assert.throws(() => tar([{ ...file, owner: "u".repeat(32) }], epoch), { code: "IMG2314" });
  assert.throws(() => tar([{ ...file, group: "2097152" }], epoch), { code: "IMG2314" });
  tar([{ ...file, owner: "u".repeat(31), group: "2097151" }], epoch);
});

test("the same entries give the same bytes", () => {
  assert.deepEqual(tar(entries, epoch), tar(structuredClone(entries), epoch));
});
