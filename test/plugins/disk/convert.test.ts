/**
 * Disks in other formats, each judged by tools that are not ours: qemu-img check and compare, tar, virt-v2v, xmllint.
 * Equal content gives equal bytes, whenever it is made.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { source } from "../../../lib/mod.ts";
import { convert, type ConvertOptions } from "../../../plugins/disk/convert.ts";
import { ovf } from "../../../plugins/disk/ovf.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-convert-"));
after(() => rmSync(base, { recursive: true, force: true }));
const raw = join(base, "disk.raw");

function run(command: string, ...args: readonly string[]): string {
  const result = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

before(() => {
  writeFileSync(raw, "");
  run("truncate", "-s", "96M", raw);
  // Data in several places, some of it not compressible.
  const noise = Buffer.concat(Array.from({ length: 40_000 }, (_, index) => createHash("sha256").update(String(index)).digest()));
  writeFileSync(join(base, "noise"), noise);
  for (const seek of [0, 17, 63]) run("dd", `if=${join(base, "noise")}`, `of=${raw}`, "bs=1M", `seek=${seek}`, "conv=notrunc", "status=none");
});

const image = { image: source("disk.raw"), format: "raw" } as const;
const make = (options: ConvertOptions, file = raw): Promise<RecipeRun> => {
  convert("lab", options);
  return runRecipe("convert:lab", { "inputs.image": file });
};

/** Digest of a file, or of all files of a directory. */
function digest(path: string): string {
  if (!path.endsWith("/")) return createHash("sha256").update(readFileSync(path)).digest("hex");
  return readdirSync(path).sort().map((name) => `${name} ${digest(join(path, name))}`).join("\n");
}

const formats: readonly (readonly [string, ConvertOptions, string | undefined])[] = [
  ["qcow2", { from: image, format: "qcow2" }, "qcow2"],
  ["qcow2, compressed", { from: image, format: "qcow2", compress: true }, "qcow2"],
  ["raw", { from: image, format: "raw" }, "raw"],
  ["vmdk, streamOptimized", { from: image, format: "vmdk" }, "vmdk"],
  ["vmdk, monolithicFlat", { from: image, format: "vmdk", subformat: "monolithicFlat" }, undefined],
  ["vhdx", { from: image, format: "vhdx" }, "vhdx"],
  ["vhd", { from: image, format: "vhd" }, "vpc"],
  ["ova", { from: image, format: "ova", cpus: 2, memory: 1024 }, undefined],
];
for (const [what, options, format] of formats) {
  test(`${what}: the same content as the disk, and the same bytes at another time`, async () => {
    const first = await make(options);
    await sleep(1100);
    const second = await make(options);
    try {
      const flat = options.format === "vmdk" && options.subformat === "monolithicFlat";
      const tail = flat ? "/" : "";
      assert.equal(digest(first.outputs["out"]! + tail), digest(second.outputs["out"]! + tail));
      let file = first.outputs["out"]!, type = format ?? "vmdk";
      if (flat) {
        assert.deepEqual(readdirSync(file).sort(), ["lab-flat.vmdk", "lab.vmdk"]);
        file = join(file, "lab.vmdk");
        assert.match(readFileSync(file, "latin1"), /^createType="monolithicFlat"$[^]*^RW \d+ FLAT "lab-flat\.vmdk" 0$[^]*^ddb\.adapterType = "lsilogic"$/m);
      }
      if (options.format === "ova") {
        run("tar", "-xf", file, "-C", base);
        file = join(base, "lab-disk1.vmdk");
      }
      run("qemu-img", "compare", "-f", "raw", "-F", type, raw, file);
      if (["qcow2", "vmdk", "vhdx"].includes(type) && !flat) assert.match(run("qemu-img", "check", "-f", type, file), /No errors/);
      const info = JSON.parse(run("qemu-img", "info", "--output=json", "-f", type, file)) as { "virtual-size": number };
      assert.equal(info["virtual-size"], 96 * 2 ** 20);
      type = "";
    } finally {
      first.dispose();
      second.dispose();
    }
  });
}

test("another target of the same content has other identifiers", async () => {
  convert("other", { from: image, format: "vhdx" });
  const [one, other] = [await make({ from: image, format: "vhdx" }), await runRecipe("convert:other", { "inputs.image": raw })];
  try {
    assert.notEqual(digest(one.outputs["out"]!), digest(other.outputs["out"]!));
  } finally {
    one.dispose();
    other.dispose();
  }
});

test("an OVA holds descriptor, manifest and disk in this order, and others can read it", async (t) => {
  const made = await make({ from: image, format: "ova", cpus: 3, memory: 1536, firmware: "efi" });
  try {
    const out = made.outputs["out"]!;
    const lines = run("tar", "--numeric-owner", "-tvf", out).trim().split("\n");
    assert.deepEqual(lines.map((line) => line.split(/\s+/).at(-1)), ["lab.ovf", "lab.mf", "lab-disk1.vmdk"]);
    for (const line of lines) assert.match(line, /^-rw-r--r-- 0\/0 .* 2023-11-14 /);
    const directory = mkdtempSync(join(base, "ova-"));
    run("tar", "-xf", out, "-C", directory);
    for (const [, file, sum] of readFileSync(join(directory, "lab.mf"), "utf8").matchAll(/^SHA256\((.+)\)= ([0-9a-f]{64})$/gm)) assert.equal(digest(join(directory, file!)), sum, file);
    assert.match(readFileSync(join(directory, "lab.ovf"), "utf8"), /ovf:capacity="100663296"/);
    assert.match(readFileSync(join(directory, "lab.ovf"), "utf8"), new RegExp(`ovf:size="${readFileSync(join(directory, "lab-disk1.vmdk")).length}"`));
    assert.match(readFileSync(join(directory, "lab.ovf"), "utf8"), /<rasd:ResourceSubType>VirtualSCSI<[^]*<rasd:ResourceSubType>VmxNet3</);
    assert.match(ovf({ name: "x", cpus: 1, memory: 64, firmware: "bios", devices: "generic", disk: { file: "x", size: 1, capacity: 2 } }), /<rasd:ResourceSubType>lsilogic<[^]*<rasd:ResourceSubType>E1000</);
    if (spawnSync("virt-v2v", ["--version"]).error !== undefined) {
      t.diagnostic("virt-v2v is not installed: the OVA was read by tar and qemu-img only");
      return;
    }
    // virt-v2v checks the manifest and reads the descriptor; it converts nothing here.
    const seen = spawnSync("virt-v2v", ["-i", "ova", out, "--print-source"], { encoding: "utf8", env: { ...process.env, LIBGUESTFS_BACKEND: "direct" } });
    assert.equal(seen.status, 0, seen.stdout + seen.stderr);
    assert.match(seen.stdout, /source name: lab/);
    assert.match(seen.stdout, /memory: 1610612736/);
    assert.match(seen.stdout, /nr vCPUs: 3/);
    assert.match(seen.stdout, /firmware: uefi/i);
  } finally {
    made.dispose();
  }
});

test("whatever a machine is called, the descriptor stays well-formed", () => {
  const name = `a<b>&"c'\n]]>`;
  const text = ovf({ name, cpus: 1, memory: 64, firmware: "bios", devices: "vmware", disk: { file: `${name}.vmdk`, size: 1, capacity: 2 } });
  const parsed = spawnSync("python3", ["-c", "import sys, xml.etree.ElementTree as E; r = E.fromstring(sys.stdin.buffer.read()); print(r.find('{*}VirtualSystem').get('{http://schemas.dmtf.org/ovf/envelope/1}id'), end='')"], { input: text, encoding: "utf8" });
  assert.equal(parsed.stdout, name, parsed.stderr);
});

test("an image that refers to a file of the host is refused, and so is a machine that cannot be", async () => {
  const file = join(base, "backed.qcow2");
  run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", file, "96M");
  const original = console.error;
  console.error = () => {};
  try {
    await assert.rejects(make({ from: { image: source("x"), format: "qcow2" }, format: "raw" }, file), { code: "IMG3142" });
  } finally {
    console.error = original;
  }
  for (const bad of [{ cpus: 0 }, { cpus: 1.5 }, { memory: 1 }]) assert.throws(() => convert("bad", { from: image, format: "ova", ...bad }), { code: "IMG2172" });
});
