/**
 * The kind `iso`, around the real installer: its boot records and files as other tools see them, and equal bytes.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { machine } from "../../../lib/mod.ts";
import { registry } from "../../../lib/target.ts";
import { customize } from "../../../plugins/customize/customize.ts";
import { grubConfig, isolinuxConfig, kernelArguments } from "../../../plugins/iso/boot-menu.ts";
import { iso } from "../../../plugins/iso/iso.ts";
import { archOf } from "../../../plugins/arch/mod.ts";
import { debian } from "../../../distros/debian.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";
import { verified, verifiedTree } from "./media.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-iso-"));
const runs: RecipeRun[] = [];
after(() => {
  for (const run of runs) run.dispose();
  rmSync(directory, { recursive: true, force: true });
});

async function run(name: string, paths: Record<string, string>): Promise<RecipeRun> {
  const one = await runRecipe(name, paths);
  runs.push(one);
  return one;
}

let tree = "";
let image = "";
const from = customize("real", { media: verified("real"), machine: machine({ hostname: "real" }) });
before(async () => {
  tree = (await run("customize:real", { "inputs.media": verifiedTree() })).outputs["out"]!;
  iso("real", { from });
  image = (await run("iso:real", { "inputs.from": tree })).outputs["out"]!;
});

/** What xorriso prints about an image; it says the rest on standard error. */
function xorriso(...args: readonly string[]): string {
  return execFileSync("xorriso", ["-indev", image, ...args], { stdio: ["ignore", "pipe", "ignore"] }).toString();
}

function digest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

test("it boots by BIOS and by UEFI, from CD and from a stick", () => {
  const torito = xorriso("-report_el_torito", "plain");
  assert.match(torito, /boot img :\s+1\s+BIOS\s+y\s+none/);
  assert.match(torito, /boot img :\s+2\s+UEFI\s+y\s+none/);
  assert.match(torito, /img path :\s+1\s+\/isolinux\/isolinux\.bin/);
  assert.match(torito, /boot-info-table isohybrid-suitable/);
  const area = xorriso("-report_system_area", "plain");
  assert.match(area, /System area summary: MBR isohybrid .*GPT/);
  // An EFI system partition that overlaps with nothing.
  assert.match(area, /GPT type GUID\s+:\s+2\s+28732ac11ff8d211ba4b00a0c93ec93b/);
  const spans = [...area.matchAll(/GPT start and size :\s+\d+\s+(\d+)\s+(\d+)/g)].map(([, start, size]) => [Number(start), Number(start) + Number(size)] as const);
  assert.ok(spans.length >= 2);
  for (const [index, [start]] of spans.entries()) if (index > 0) assert.ok(start >= spans[index - 1]![1], "partitions overlap");
  assert.match(execFileSync("file", ["-b", image]).toString(), /^ISO 9660 CD-ROM filesystem data \(DOS\/MBR boot sector\) 'REAL' \(bootable\)|DOS\/MBR boot sector.*|ISO 9660/);
});

test("the GPT is one that sfdisk reads, and the ESP holds GRUB where firmware looks", () => {
  const { partitiontable } = JSON.parse(execFileSync("sfdisk", ["--json", image], { stdio: ["ignore", "pipe", "ignore"] }).toString()) as {
    partitiontable: { label: string; partitions: { start: number; size: number; type: string }[] };
  };
  assert.equal(partitiontable.label, "gpt");
  const esp = partitiontable.partitions.find(({ type }) => type === "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")!;
  const listed = execFileSync("mdir", ["-/", "-b", "-i", `${image}@@${esp.start * 512}`, "::"]).toString().trim().split("\n");
  assert.deepEqual(listed, ["::/EFI/", "::/EFI/BOOT/", "::/EFI/BOOT/BOOTX64.EFI"]);
  const loader = execFileSync("mtype", ["-i", `${image}@@${esp.start * 512}`, "::/EFI/BOOT/BOOTX64.EFI"], { maxBuffer: 2 ** 24 });
  assert.equal(loader.subarray(0, 2).toString(), "MZ");
});

test("it carries the checksum of the medium, which tells a damaged copy", () => {
  execFileSync("checkisomd5", [image], { stdio: "ignore" });
  const bytes = readFileSync(image), copy = join(directory, "damaged.iso");
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(copy, bytes);
  assert.throws(() => execFileSync("checkisomd5", [copy], { stdio: "ignore" }), { status: 1 });
  rmSync(copy);
});

test("its files are the installer's, owned by root, with the time of SOURCE_DATE_EPOCH", () => {
  const listed = xorriso("-find", "/", "-exec", "lsdl").trim().split("\n");
  assert.ok(listed.length > 12, listed.join("\n"));
  for (const line of listed) assert.match(line, /^[de-]r.xr?.*\s+\d+ 0\s+0\s+\d+ Nov 1[45]  ?2023 '|^[e-]r--r--r--\s+\d+ 0\s+0\s+\d+ Nov 1[45]  ?2023 '/, line);
  for (const path of ["install/vmlinuz", "install/initrd.gz", "preseed.cfg", "preseed.cpio"]) {
    execFileSync("xorriso", ["-osirrox", "on", "-indev", image, "-extract", `/${path}`, join(directory, "file")], { stdio: "ignore" });
    assert.equal(digest(join(directory, "file")), digest(join(tree, path)), path);
    rmSync(join(directory, "file"));
  }
  assert.match(xorriso("-pvd_info"), /Volume Id\s+: REAL\n/);
});

test("two builds at different times are byte-equal, another target's image is told apart", async () => {
  // Clocks in FAT count in steps of two seconds.
  await new Promise((resolve) => setTimeout(resolve, 2100));
  const zone = process.env["TZ"];
  process.env["TZ"] = "Asia/Tokyo";
  const umask = process.umask(0o077);
  const again = await run("iso:real", { "inputs.from": tree }).finally(() => {
    process.umask(umask);
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  });
  assert.equal(digest(again.outputs["out"]!), digest(image));
  iso("other", { from, volume: "REAL" });
  const other = await run("iso:other", { "inputs.from": tree });
  assert.notEqual(digest(other.outputs["out"]!), digest(image));
});

test("menus start by themselves, with the answers in a second initrd", () => {
  const menu = { arch: archOf("x86_64"), console: "serial+vga", timeout: 3, title: "Install x" } as const;
  const append = "auto=true priority=critical --- console=tty0 console=ttyS0,115200";
  assert.match(isolinuxConfig(menu), /^DEFAULT install\n/m);
  assert.match(isolinuxConfig(menu), /^TIMEOUT 30$/m);
  assert.match(isolinuxConfig(menu), new RegExp(`^ {2}APPEND initrd=/install/initrd\\.gz,/preseed\\.cpio ${append}`, "m"));
  assert.match(isolinuxConfig({ ...menu, timeout: 0 }), /^TIMEOUT 1$/m);
  assert.match(grubConfig(menu), new RegExp(`^ {2}linux /install/vmlinuz ${append}`, "m"));
  assert.match(grubConfig(menu), /^ {2}initrd \/install\/initrd\.gz \/preseed\.cpio$/m);
  assert.match(grubConfig(menu), /^set timeout=3$/m);
  assert.deepEqual(kernelArguments({ ...menu, console: "vga" }), ["auto=true", "priority=critical", "---", "console=tty0"]);
  assert.doesNotMatch(grubConfig({ ...menu, console: "vga" }) + isolinuxConfig({ ...menu, console: "vga" }), /serial/i);
  assert.equal(kernelArguments({ arch: archOf("aarch64"), console: "serial" }).at(-1), "console=ttyAMA0,115200");
  assert.doesNotMatch(grubConfig({ ...menu, arch: archOf("aarch64") }), /serial --unit/);
  execFileSync("grub-script-check", [], { input: grubConfig(menu) });
});

test("declared: path, architecture, volume name, and refusals", () => {
  const declaration = (name: string) => registry().targets.findLast((one) => one.declaration.name === name)!.declaration;
  const one = iso("lab-12.5", { from });
  assert.equal(one.arch, "x86_64");
  assert.equal(one.outputs.out.path, "artifacts/iso/lab-12.5.iso");
  assert.equal((declaration("iso:lab-12.5").params as { volume: string }).volume, "LAB_12_5");
  for (const volume of ["", "small", "A B", "X".repeat(33), "Ä"]) assert.throws(() => iso("no", { from, volume }), { code: "IMG2401" }, volume);
  assert.throws(() => iso("x".repeat(33), { from }), { code: "IMG2401" });
  for (const timeout of [-1, 1.5, 601, Number.NaN]) assert.throws(() => iso("no", { from, timeout }), { code: "IMG2402" });
  const arm = customize("arm", { media: verified("arm", debian.installer({ release: "bookworm", arch: "aarch64" })), machine: machine({ hostname: "arm" }) });
  assert.equal(iso("arm", { from: arm }).arch, "aarch64");
  const tools = declaration("iso:arm").tools.map(({ name }) => name);
  assert.equal(tools.includes("ISOLINUX"), false);
  assert.equal(tools.includes("GRUB for UEFI on aarch64"), true);
});
