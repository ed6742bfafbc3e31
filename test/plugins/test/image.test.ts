/**
 * Images that a boot test is given: what the emulator is told of each format, and which are refused because they would
 * make it read other files of the host. Made by real qemu-img and tar.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Argv, ExecOptions } from "../../../lib/mod.ts";
import { type DiskType, inspectImage } from "../../../plugins/test/image.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-image-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string): string => join(directory, name);
const qemuImg = (...args: readonly string[]): void => void execFileSync("qemu-img", args, { stdio: "ignore" });

const context = {
  tmp: directory,
  async exec([command, ...args]: Argv, { stdout }: ExecOptions = {}) {
    const bytes = execFileSync(command, args);
    if (typeof stdout === "object") writeFileSync(stdout.file, bytes);
    return { code: 0, stdout: bytes.toString("utf8") };
  },
};
const inspect = (name: string, type: DiskType): ReturnType<typeof inspectImage> => inspectImage(file(name), type, context);

before(() => {
  const raw = Buffer.alloc(4 << 20);
  raw.writeUInt16LE(0xaa55, 510);
  raw.write("content", 1 << 20);
  writeFileSync(file("raw"), raw);
  const convert = (format: string, out: string, ...options: readonly string[]): void => qemuImg("convert", "-f", "raw", "-O", format, ...options, file("raw"), file(out));
  convert("qcow2", "qcow2");
  convert("vhdx", "vhdx");
  convert("vpc", "vhd", "-o", "subformat=fixed,force_size=on");
  convert("vmdk", "stream", "-o", "subformat=streamOptimized");
  mkdirSync(file("flat"));
  convert("vmdk", "flat/a.vmdk", "-o", "subformat=monolithicFlat");
  for (const name of ["disk1.vmdk", "disk2.vmdk"]) execFileSync("cp", [file("stream"), file(name)]);
  execFileSync("tar", ["-cf", file("ova"), "-C", directory, "disk1.vmdk"]);
  execFileSync("tar", ["-cf", file("two"), "-C", directory, "disk1.vmdk", "disk2.vmdk"]);
  execFileSync("tar", ["-P", "-cf", file("outside"), "--transform", "s,^,../,", "-C", directory, "disk1.vmdk"]);
});

test("each format is told by its target's type and looked for in its bytes", async () => {
  assert.deepEqual(await inspect("raw", "disk"), { path: file("raw"), format: "raw" });
  assert.deepEqual(await inspect("qcow2", "disk"), { path: file("qcow2"), format: "qcow2" });
  assert.deepEqual(await inspect("vhdx", "vhdx"), { path: file("vhdx"), format: "vhdx" });
  assert.deepEqual(await inspect("vhd", "vhd"), { path: file("vhd"), format: "vpc" });
  assert.deepEqual(await inspect("stream", "vmdk"), { path: file("stream"), format: "vmdk" });
  assert.deepEqual(await inspect("flat", "vmdk directory"), { path: file("flat/a.vmdk"), format: "vmdk" });
  const { path, format } = await inspect("ova", "ova");
  assert.equal(format, "vmdk");
  assert.ok(readFileSync(path).equals(readFileSync(file("stream"))));
});

/** The descriptor of a VMDK, changed in place. */
function edited(from: string, to: string, change: (text: string) => string): void {
  const bytes = readFileSync(file(from)), start = bytes.indexOf("# Disk DescriptorFile"), text = bytes.toString("latin1", start, start + 1024).split("\0")[0]!;
  const changed = Buffer.from(change(text), "latin1");
  const end = from === "stream" ? start + 20 * 512 : start + text.length;
  bytes.fill(0, start, end);
  writeFileSync(file(to), from === "stream" ? bytes.fill(changed, start, start + changed.length) : Buffer.concat([bytes.subarray(0, start), changed]));
}

test("what refers to other files, and what is something else, is refused", async () => {
  edited("stream", "parent", (text) => text.replace("parentCID=ffffffff", "parentCID=12345678\nparentFileNameHint=\"/etc/shadow\""));
  edited("stream", "hint", (text) => `${text}parentFileNameHint="/etc/shadow"\n`);
  edited("stream", "extents", (text) => `${text}RW 8 FLAT "/etc/shadow" 0\n`);
  const empty = readFileSync(file("stream"));
  empty.writeBigUInt64LE(0n, 12);
  writeFileSync(file("capacity"), empty);
  qemuImg("create", "-f", "qcow2", "-F", "raw", "-b", file("raw"), file("backed"));
  for (const [name, change] of [["absolute", (text: string) => text.replace('"a-flat.vmdk"', '"/etc/shadow"')], ["above", (text: string) => text.replace('"a-flat.vmdk"', '"../raw"')], ["device", (text: string) => text.replace(/^RW \d+ FLAT "a-flat.vmdk" 0$/m, "RW 8 VMFS /dev/vda")]] as const) {
    mkdirSync(file(name));
    edited("flat/a.vmdk", `${name}/a.vmdk`, change);
    writeFileSync(file(`${name}/a-flat.vmdk`), "");
  }
  mkdirSync(file("nothing"));
  const cases: readonly (readonly [string, DiskType, RegExp])[] = [
    ["parent", "vmdk", /another file/], ["hint", "vmdk", /another file/], ["extents", "vmdk", /another file/], ["capacity", "vmdk", /another file/], ["backed", "disk", /another file/],
    ["absolute", "vmdk directory", /another file/], ["above", "vmdk directory", /another file/], ["device", "vmdk directory", /another file/], ["nothing", "vmdk directory", /cannot be booted/],
    ["two", "ova", /cannot be booted/], ["outside", "ova", /cannot be booted/],
    ["raw", "vmdk", /cannot be booted/], ["raw", "vhdx", /cannot be booted/], ["raw", "vhd", /cannot be booted/], ["stream", "disk", /cannot be booted/], ["vhdx", "disk", /cannot be booted/], ["vhdx", "vmdk", /cannot be booted/],
  ];
  for (const [name, type, message] of cases) await assert.rejects(inspect(name, type), { code: "IMG3501", message }, `${name} as ${type}`);
});
