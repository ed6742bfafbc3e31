/**
 * What holds for every layout of vendors' ISOs: remastered, its boot records and entries are kept, one entry more comes
 * first and starts by itself, its lists of checksums are true, the checksum of the medium is right, and the same is
 * made in another place and on another day. One is started by BIOS, one by UEFI; `test/long` starts all.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { layouts } from "../../plugins/iso/layout.ts";
import { type Medium, readMedium, takeEfi } from "../../plugins/iso/medium.ts";
import type { RunContext } from "../../lib/target.ts";
import { readIso } from "../../plugins/sbom/medium.ts";
import { answersTree, digestOf, expected, remasterIn, shapes, startFrom } from "../rig/remastered.ts";
import { labels, type Shape, VendorIsos } from "../rig/vendor-iso.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-layout-"));
after(() => rmSync(directory, { recursive: true, force: true }));

let vendors: VendorIsos;
before(() => {
  vendors = new VendorIsos(directory);
});

const exec = (argv: readonly string[]): Promise<{ code: number; stdout: string }> =>
  Promise.resolve({ code: 0, stdout: execFileSync(argv[0]!, argv.slice(1), { encoding: "utf8", maxBuffer: 2 ** 26, stdio: ["ignore", "pipe", "ignore"] }) });

const look = (image: string): Promise<Medium> => readMedium(image, { exec, tmp: directory } as unknown as RunContext);

/** A file of an ISO. */
function fileOf(image: string, path: string): Buffer {
  const to = join(mkdtempSync(join(directory, "file-")), "file");
  execFileSync("xorriso", ["-osirrox", "on", "-indev", image, "-extract", path, to], { stdio: "ignore" });
  chmodSync(to, 0o600);
  return readFileSync(to);
}

/** What xorriso says of boot records, without places and checksums, which must differ. */
function records(image: string): string {
  const report = (...args: string[]): string => execFileSync("xorriso", ["-indev", image, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const torito = report("-report_el_torito", "plain").replaceAll(/\s+\d+\s+\d+$/gm, "");
  const area = report("-report_system_area", "plain").split("\n").map((line) => line.replace(/^((?:MBR|GPT|APM|System area|Partition)[^:]*:).*$/, (all, head: string) => (/type GUID|summary|partition name|MBR partition|options/i.test(head) ? all.replace(/\s+\d+\s+\d+$/, "") : head)));
  // The space that xorriso puts behind an image is a partition where it is large enough.
  return torito + area.filter((line) => !/^ISO image size|^GPT partition (flags|name|GUID)|^GPT partname|^GPT start|^GPT type GUID +: +3 |^PVD/.test(line)).join("\n");
}

for (const shape of Object.keys(shapes) as Shape[]) {
  const layout = layouts[shapes[shape].layout];
  describe(`${shape} (${layout.name})`, () => {
    let vendor = "", image = "", tree = "", work = "";
    before(async () => {
      work = mkdtempSync(join(directory, `${shape}-`));
      tree = join(work, "tree");
      mkdirSync(tree);
      answersTree(tree, shape);
      vendor = vendors.iso(shape);
      image = await remasterIn(work, { image: vendor, tree, out: join(work, "out.iso") });
    });

    it("keeps boot records, label and files of the vendor's", async () => {
      assert.equal(records(image), records(vendor));
      const [was, is] = [await look(vendor), await look(image)];
      assert.equal(is.volume, labels[shape]);
      assert.equal(is.joliet, was.joliet);
      const added = [...is.files.keys()].filter((path) => !was.files.has(path));
      assert.deepEqual([...was.files.keys()].filter((path) => !is.files.has(path)), []);
      assert.deepEqual(added.sort(), [`/${shapes[shape].answers}`, ...(shape === "debian" ? ["/preseed.cpio"] : [])].sort());
      assert.equal(was.efi?.partition?.number, is.efi?.partition?.number);
    });

    it("tells the vendor's packages, before and after", async () => {
      const tell = (path: string): Promise<unknown> => readIso(path, "iso:x", () => true, { exec: exec as unknown as RunContext["exec"], tmp: mkdtempSync(join(directory, "sbom-")) }).then(({ packages, system, coverage }) => ({ packages, system, coverage }), (error: { code: string }) => error.code);
      const was = await tell(vendor);
      assert.deepEqual(await tell(image), was);
      if (shape === "fedora") assert.equal(was, "IMG3582", "a medium that installs from the network");
      else assert.ok((was as { packages: readonly unknown[] }).packages.length >= 3, JSON.stringify(was));
    });

    it("starts an entry of its own by itself, in every menu, and keeps the vendor's", async () => {
      const medium = await look(image);
      const menus = layout.grub.filter((path) => medium.files.has(path)).map((path) => [fileOf(vendor, path).toString(), fileOf(image, path).toString()] as const);
      if (layout.esp !== undefined) {
        const [from, to] = [join(work, "vendor-esp"), join(work, "esp")];
        takeEfi(await look(vendor), (await look(vendor)).efi!, from);
        takeEfi(medium, medium.efi!, to);
        const text = (esp: string): string => execFileSync("mtype", ["-i", esp, "::/EFI/BOOT/grub.cfg"], { encoding: "utf8" });
        menus.push([text(from), text(to)]);
        // What the medium says of itself as a file is what firmware boots.
        assert.equal(createHash("sha256").update(readFileSync(to)).digest("hex"), createHash("sha256").update(fileOf(image, "/images/efiboot.img")).digest("hex"));
      }
      for (const [was, is] of menus) {
        execFileSync("grub-script-check", [], { input: is });
        assert.match(is, /\nset default=imgtask\nset timeout_style=menu\nset timeout=1\n$/);
        const titles = (text: string): readonly string[] => [...text.matchAll(/^[ \t]*(?:menuentry|submenu)\s.*$/gm)].map(([line]) => line);
        assert.deepEqual(titles(is).slice(1), titles(was));
        assert.match(titles(is)[0]!, /--id imgtask \{$/);
      }
      for (const path of layout.isolinux.filter((one) => medium.files.has(one))) {
        const text = fileOf(image, path).toString();
        assert.match(text, /^serial 0 115200\n/);
        assert.match(text, /\nlabel imgtask\n\tmenu label [^\n]+\n\tmenu default\n\tkernel [^\n]+\n\tappend initrd=[^\n]+\n/);
        assert.match(text, /\ntimeout 10\nontimeout imgtask\n$/);
        assert.equal([...text.matchAll(/^\s*menu default/gm)].length, 1);
        // Debian's begins to speak when nobody presses a key.
        if (medium.files.has("/isolinux/spkgtk.cfg")) assert.doesNotMatch(fileOf(image, "/isolinux/spkgtk.cfg").toString(), /ontimeout|autoboot|timeout/);
      }
    });

    it("has true lists of checksums, and a true checksum of itself", () => {
      execFileSync("checkisomd5", [image], { stdio: "ignore" });
      const list = fileOf(image, `/${layout.checksums}`).toString();
      const entries = layout.checksums === "md5sum.txt"
        ? [...list.matchAll(/^([0-9a-f]{32}) {2}\.(\/.+)$/gm)].map(([, digest, path]) => ["md5", path!, digest!] as const)
        : [...list.matchAll(/^(\S+) = sha256:([0-9a-f]{64})$/gm)].map(([, path, digest]) => ["sha256", `/${path!}`, digest!] as const);
      assert.ok(entries.length >= 4);
      const changed = /grub|isolinux|answers|preseed|efiboot|nocloud|ks\.cfg|treeinfo/;
      for (const [algorithm, path, digest] of entries.filter(([, path]) => changed.test(path) && !/i386-pc/.test(path))) {
        assert.equal(createHash(algorithm).update(fileOf(image, path)).digest("hex"), digest, path);
      }
      if (layout.checksums === "md5sum.txt") assert.ok(entries.some(([, path]) => path === `/${shapes[shape].answers}`));
      // One flipped bit in the answers is seen.
      const bytes = readFileSync(image);
      const at = bytes.indexOf(readFileSync(join(tree, shapes[shape].answers)));
      bytes[at]! ^= 1;
      writeFileSync(join(work, "flipped.iso"), bytes);
      assert.throws(() => execFileSync("checkisomd5", [join(work, "flipped.iso")], { stdio: "ignore" }));
      rmSync(join(work, "flipped.iso"));
    });

    it("is the same in another directory and on another day", async () => {
      const other = mkdtempSync(join(tmpdir(), "imgtask-layout-other-place-"));
      after(() => rmSync(other, { recursive: true, force: true }));
      const again = await remasterIn(other, { image: vendor, tree, out: join(other, "again.iso") }, [
        // It would change the times of files as well.
        "env", "NO_FAKE_STAT=1", "faketime", "2031-02-03 04:05:06",
      ]);
      assert.equal(digestOf(again), digestOf(image));
    });

    it("takes another label, with all that refers to it", async () => {
      const renamed = await remasterIn(work, { image: vendor, tree, out: join(work, "renamed.iso"), volume: "LAB-2026" });
      const medium = await look(renamed);
      assert.equal(medium.volume, "LAB-2026");
      for (const path of [...layout.grub, ...layout.isolinux].filter((one) => medium.files.has(one))) {
        const text = fileOf(renamed, path).toString();
        if (layout.name === "anaconda") assert.match(text, /hd:LABEL=LAB-2026/);
        assert.equal(text.includes(labels[shape]), false, path);
      }
      rmSync(renamed);
    });

    if (shape === "debian" || shape === "ubuntu") {
      const start = shape === "debian" ? { firmware: "bios", as: "cd" } as const : { firmware: "uefi", as: "stick" } as const;
      it(`starts by ${start.firmware.toUpperCase()} as a ${start.as}, and the installer finds the answers`, { timeout: 600_000 }, async () => {
        await startFrom(image, start, work, expected(shape, tree));
      });
    }
  });
}

it("media that are laid out in another way, or are none, are refused", async () => {
  const work = mkdtempSync(join(directory, "bad-"));
  const tree = join(work, "tree");
  mkdirSync(tree);
  answersTree(tree, "el9");
  await assert.rejects(remasterIn(work, { image: vendors.iso("ubuntu"), tree, out: join(work, "a.iso") }), { code: "IMG3451" });
  writeFileSync(join(work, "noise"), Buffer.alloc(100_000, 5));
  await assert.rejects(remasterIn(work, { image: join(work, "noise"), tree, out: join(work, "b.iso") }), { code: "IMG3450" });
});
