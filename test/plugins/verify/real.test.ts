/**
 * The real chain: Debian's own installer from the host's mirror, proven by Debian's own keys.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { debian } from "../../../distros/debian.ts";
import { download } from "../../../plugins/download/download.ts";
import { type PackageManifest, verify } from "../../../plugins/verify/verify.ts";
import { runRecipe } from "../../rig/recipe.ts";

it("Debian's installer comes from the mirror and is genuine", { timeout: 300_000 }, async () => {
  const media = download("real", debian.installer({ release: "bookworm", arch: "x86_64" }));
  verify("real", { media, trust: debian.keys });
  // The rig leaves the directory of a failed run behind for people to look at.
  const temporary = mkdtempSync(join(tmpdir(), "imgtask-real-test-"));
  process.env["TMPDIR"] = temporary;
  const downloaded = await runRecipe("download:real");
  const verified = await runRecipe("verify:real", { "inputs.media": downloaded.outputs["out"]! });
  try {
    const out = verified.outputs["out"]!;
    const manifest = JSON.parse(readFileSync(join(out, "media.json"), "utf8")) as PackageManifest;
    assert.ok(debian.keys.keys.some(({ fingerprint }) => fingerprint === manifest.signature.fingerprint));
    assert.equal(manifest.package.name, "debian-installer-12-netboot-amd64");
    assert.ok(manifest.package.size > 50_000_000);
    const kernel = readFileSync(join(out, "linux"));
    assert.equal(kernel.subarray(0x202, 0x206).toString(), "HdrS", "a Linux kernel's boot header");
    assert.deepEqual([...readFileSync(join(out, "initrd.gz")).subarray(0, 2)], [0x1f, 0x8b], "gzip");

    // The same bytes under the keys of somebody else are refused.
    verify("real-trixie", { media, trust: { ...debian.keys, keys: [{ fingerprint: "0".repeat(40) }] } });
    await assert.rejects(runRecipe("verify:real-trixie", { "inputs.media": downloaded.outputs["out"]! }), { code: "IMG4003", exitCode: 3 });
  } finally {
    downloaded.dispose();
    verified.dispose();
    rmSync(temporary, { recursive: true, force: true });
  }
});
