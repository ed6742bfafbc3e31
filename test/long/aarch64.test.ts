/**
 * A root file system and a disk of a foreign architecture, through the kernel's binfmt_misc and qemu-user.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { debian } from "../../distros/debian.ts";
import { machine } from "../../lib/mod.ts";
import { emulationOf } from "../../plugins/arch/mod.ts";
import { aarch64 } from "../../plugins/arch/aarch64.ts";
import { disk } from "../../plugins/disk/disk.ts";
import { esp } from "../../plugins/disk/layout.ts";
import { rootfs } from "../../plugins/rootfs/rootfs.ts";
import { runRecipe } from "../rig/recipe.ts";
import { existsSync } from "node:fs";

const missing = emulationOf(aarch64).flatMap((need) => (need.type === "host file" && !need.anyOf.some((path) => existsSync(path)) ? [need.name] : []));

test("an aarch64 disk from aarch64 packages", { skip: missing.length === 0 ? false : `no ${missing.join(", ")} on this host` }, async () => {
  // GRUB's modules for ARM are no package of a PC's; the image brings them.
  const lab = machine({ hostname: "arm", packages: ["openssh-server", "grub-efi-arm64-bin"], services: { enable: ["ssh"] } });
  const from = rootfs("arm", { distro: debian, release: "bookworm", arch: "aarch64", machine: lab });
  disk("arm", { from, format: "raw", size: "3G" });
  const root = await runRecipe("rootfs:arm");
  try {
    const program = spawnSync("tar", ["-xOf", root.outputs["out"]!, "./usr/bin/true"]).stdout;
    assert.equal(program.readUInt16LE(18), 0xb7, "an ELF program for AArch64");
    const made = await runRecipe("disk:arm", { "inputs.rootfs": root.outputs["out"]! });
    try {
      const loader = spawnSync("mtype", ["-i", `${made.outputs["out"]}@@${esp.start}`, "::/EFI/BOOT/BOOTAA64.EFI"], { maxBuffer: 1 << 26 }).stdout;
      const header = loader.readUInt32LE(0x3c);
      assert.equal(loader.toString("latin1", header, header + 4), "PE\0\0");
      assert.equal(loader.readUInt16LE(header + 4), 0xaa64);
      const table = spawnSync("sfdisk", ["--json", made.outputs["out"]!], { encoding: "utf8", env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` } }).stdout;
      assert.match(table, /B921B045-1DF0-41C3-AF44-4C6F280D3FAE/i);
    } finally {
      made.dispose();
    }
  } finally {
    root.dispose();
  }
});
