/**
 * The ISO, started by the firmware of an emulated machine until Debian's installer says that it read the answers.
 * From CD by BIOS, and from a stick by UEFI: between them every boot record of the image is used.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { machine } from "../../lib/mod.ts";
import { archOf } from "../../plugins/arch/mod.ts";
import { customize } from "../../plugins/customize/customize.ts";
import { iso } from "../../plugins/iso/iso.ts";
import { verified, verifiedTree } from "../plugins/iso/media.ts";
import { type RecipeRun, runRecipe } from "../rig/recipe.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-iso-boot-"));
const runs: RecipeRun[] = [];
after(() => {
  for (const run of runs) run.dispose();
  rmSync(directory, { recursive: true, force: true });
});

const arch = archOf("x86_64");
let image = "";
before(async () => {
  const from = customize("boot", { media: verified("boot"), machine: machine({ hostname: "boot" }) });
  iso("boot", { from, timeout: 1 });
  const tree = await runRecipe("customize:boot", { "inputs.media": verifiedTree() });
  runs.push(tree);
  const built = await runRecipe("iso:boot", { "inputs.from": tree.outputs["out"]! });
  runs.push(built);
  image = built.outputs["out"]!;
});

/** Starts a machine until its serial line says that the answers were read. No disk: nothing can be installed. */
async function boots(name: string, drive: readonly string[]): Promise<void> {
  const serial = join(directory, `${name}.serial`);
  const qemu = spawn(arch.qemu.system.name, [
    "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-display", "none", "-no-reboot", "-monitor", "none",
    "-nic", "none", "-serial", `file:${serial}`, ...drive,
  ], { stdio: ["ignore", "ignore", "inherit"] });
  const text = (): string => (existsSync(serial) ? readFileSync(serial, "latin1") : "");
  const deadline = Date.now() + 570_000;
  try {
    while (!text().includes("IMGTASK_PRESEED_READ")) {
      assert.equal(qemu.exitCode, null, `qemu ended: ${text().slice(-2000)}`);
      assert.ok(Date.now() < deadline, `not seen: ${text().slice(-2000)}`);
      await sleep(200);
    }
  } finally {
    qemu.kill("SIGKILL");
  }
}

test("by BIOS from a CD", { timeout: 600_000 }, async () => {
  await boots("bios", ["-cdrom", image]);
});

test("by UEFI from a stick", { timeout: 600_000 }, async () => {
  const { code, vars } = arch.qemu.firmware;
  const index = code.anyOf.findIndex((path) => existsSync(path));
  const store = join(directory, "vars.fd");
  copyFileSync(vars.anyOf[index]!, store);
  await boots("uefi", [
    "-drive", `if=pflash,format=raw,readonly=on,file=${code.anyOf[index]!}`,
    "-drive", `if=pflash,format=raw,file=${store}`,
    "-drive", `file=${image},format=raw,snapshot=on`,
  ]);
});
