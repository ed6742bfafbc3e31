/**
 * The parts of a disk, each judged by a tool that is not ours: sfdisk, e2fsck, debugfs, grub-script-check.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { crc32c, fixTimes } from "../../../plugins/disk/ext4.ts";
import { menu, writeBiosBoot } from "../../../plugins/disk/grub.ts";
import { biosBoot, esp, identifiers, parseSize, partitionTable, rootSize, rootStart } from "../../../plugins/disk/layout.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-disk-"));
after(() => rmSync(base, { recursive: true, force: true }));
const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C", TZ: "UTC" };

function output(command: string, args: readonly string[], input = ""): string {
  const result = spawnSync(command, args, { encoding: "utf8", env, input });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

test("sizes are powers of two, and nonsense is refused", () => {
  assert.equal(parseSize("10G"), 10 * 1024 ** 3);
  assert.equal(parseSize("256M"), 256 * 1024 ** 2);
  for (const bad of ["", "10", "10g", "0G", "1.5G", "-1G", "255M", "1e3G", "99999G", " 10G"]) assert.throws(() => parseSize(bad), { code: "IMG2120" }, bad);
});

test("identifiers follow from the seed alone and are valid UUIDs", () => {
  const one = identifiers("disk:a"), again = identifiers("disk:a"), other = identifiers("disk:b");
  assert.deepEqual(one, again);
  const all = [...Object.values(one), ...Object.values(other)];
  assert.equal(new Set(all).size, all.length);
  for (const id of all) assert.match(id, /^([0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|[0-9a-f]{8})$/);
});

for (const boot of ["bios+uefi", "uefi", "bios"] as const) {
  test(`sfdisk accepts the table of a ${boot} disk and finds the root where we put it`, () => {
    const file = join(base, `${boot}.raw`), bytes = parseSize("1501M"), ids = identifiers(boot);
    writeFileSync(file, "");
    truncateSync(file, bytes);
    output("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", file], partitionTable(bytes, boot, ids, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"));
    assert.match(output("sfdisk", ["--verify", file]), /No errors detected/);
    const table = (JSON.parse(output("sfdisk", ["--json", file])) as { partitiontable: { id: string; partitions: { start: number; size: number; uuid: string; name: string }[] } }).partitiontable;
    assert.equal(table.id.toLowerCase(), ids.disk);
    assert.deepEqual(table.partitions.map(({ name }) => name), [...(boot === "uefi" ? [] : ["bios"]), ...(boot === "bios" ? [] : ["esp"]), "root"]);
    const root = table.partitions.at(-1)!;
    assert.deepEqual([root.start * 512, root.size * 512, root.uuid.toLowerCase()], [rootStart, rootSize(bytes), ids.rootPartition]);
    assert.ok(rootStart >= esp.start + esp.size && rootSize(bytes) % 1024 ** 2 === 0);
  });
}

test("CRC-32C is that of RFC 3720, without the last inversion", () => {
  assert.equal((crc32c(0xffffffff, Buffer.alloc(32)) ^ 0xffffffff) >>> 0, 0x8a9136aa);
  assert.equal((crc32c(0xffffffff, Buffer.from("123456789")) ^ 0xffffffff) >>> 0, 0xe3069283);
});

for (const features of ["metadata_csum,64bit", "^metadata_csum,^64bit", "metadata_csum,64bit,metadata_csum_seed"]) {
  test(`every inode gets the fixed time, and e2fsck agrees (${features})`, () => {
    const tree = join(base, "tree"), file = join(base, "root.ext4"), epoch = 1_700_000_000, offset = 1024 ** 2;
    rmSync(tree, { recursive: true, force: true });
    mkdirSync(join(tree, "directory"), { recursive: true });
    for (let index = 0; index < 200; index++) writeFileSync(join(tree, "directory", `file${index}`), "x".repeat(index * 50));
    writeFileSync(file, "");
    truncateSync(file, 200 * 1024 ** 2 + offset);
    output("mke2fs", ["-q", "-F", "-t", "ext4", "-O", features, "-E", `offset=${offset}`, "-d", tree, file, "200M"]);
    const changed = fixTimes(file, offset, epoch);
    assert.ok(changed >= 202, String(changed));
    output("e2fsck", ["-f", "-n", `${file}?offset=${offset}`]);
    for (const path of ["/", "/directory", "/directory/file199"]) {
      const stat = output("debugfs", ["-R", `stat ${path}`, `${file}?offset=${offset}`]);
      const times = [...stat.matchAll(/\b([acm]|cr)time: 0x([0-9a-f]+)(?::([0-9a-f]+))?/g)];
      assert.equal(times.length, 4, stat);
      for (const [text, , seconds, extra] of times) assert.deepEqual([Number.parseInt(seconds!, 16), Number.parseInt(extra ?? "0", 16)], [epoch, 0], `${path} ${text}`);
    }
  });
}

test("a file that is no ext4 file system is left alone", () => {
  const file = join(base, "zeros");
  writeFileSync(file, Buffer.alloc(4096));
  assert.throws(() => fixTimes(file, 0, 1), { code: "IMG3241" });
  assert.throws(() => fixTimes(file, 1024 ** 2, 1), { code: "IMG3241" });
  assert.deepEqual(readFileSync(file), Buffer.alloc(4096));
});

test("GRUB's own parser accepts the menu", () => {
  output("grub-script-check", [], menu("01234567-89ab-8cde-8f01-23456789abcd", "console=tty0 console=ttyS0,115200"));
});

test("BIOS boot records keep the partition table and name the sectors of core.img", () => {
  const disk = join(base, "bios.img"), boot = "/usr/lib/grub/i386-pc/boot.img", core = join(base, "core.img");
  output("grub-mkimage", ["-O", "i386-pc", "-o", core, "-p", "/boot/grub", "biosdisk", "part_gpt", "ext2"]);
  writeFileSync(disk, Buffer.alloc(4 * 1024 ** 2, 0xee));
  writeBiosBoot(disk, boot, core, biosBoot.start, biosBoot.size);
  const fd = openSync(disk, "r"), length = readFileSync(core).length;
  const master = Buffer.alloc(512), first = Buffer.alloc(512), after = Buffer.alloc(1);
  readSync(fd, master, 0, 512, 0);
  readSync(fd, first, 0, 512, biosBoot.start * 512);
  readSync(fd, after, 0, 1, biosBoot.start * 512 + length);
  closeSync(fd);
  assert.ok(master.subarray(440).every((byte) => byte === 0xee));
  assert.equal(master.readBigUInt64LE(0x5c), BigInt(biosBoot.start));
  assert.equal(first.readBigUInt64LE(0x1f4), BigInt(biosBoot.start + 1));
  assert.equal(first.readUInt16LE(0x1fc), Math.ceil(length / 512) - 1);
  assert.equal(after[0], 0xee);
  assert.throws(() => writeBiosBoot(disk, boot, core, biosBoot.start, 10), { code: "IMG3240" });
  assert.throws(() => writeBiosBoot(disk, core, core, biosBoot.start, biosBoot.size), { code: "IMG3240" });
});
