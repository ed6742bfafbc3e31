/**
 * Each vendor's image comes from a server in that vendor's own layout and is proven genuine: download, verify, media.json, log.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { alma } from "../../distros/alma.ts";
import { centosStream } from "../../distros/centos-stream.ts";
import { debian } from "../../distros/debian.ts";
import { fedora } from "../../distros/fedora.ts";
import { kali } from "../../distros/kali.ts";
import { rhel } from "../../distros/rhel.ts";
import { rocky } from "../../distros/rocky.ts";
import { ubuntu } from "../../distros/ubuntu.ts";
import { type ImageMedia, secret } from "../../lib/mod.ts";
import { download } from "../../plugins/download/download.ts";
import { type ImageManifest, verify } from "../../plugins/verify/verify.ts";
import { runRecipe } from "../rig/recipe.ts";
import { type VendorImage, type VendorServer, vendorServer } from "../rig/vendor-server.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-vendors-"));
const iso = join(base, "image.iso");
writeFileSync(iso, Buffer.alloc(300_000, "an image of sorts "));
let server: VendorServer;

const cases: readonly { readonly image: Omit<VendorImage, "iso">; readonly media: (sha256: string) => ImageMedia; readonly version?: string; readonly signed?: false }[] = [
  { image: { vendor: "ubuntu" }, media: () => ubuntu.installer({ release: "24.04", arch: "x86_64" }), version: "24.04.3" },
  { image: { vendor: "ubuntu", release: "22.04", version: "22.04.5", arch: "aarch64" }, media: () => ubuntu.installer({ release: "22.04", arch: "aarch64" }), version: "22.04.5" },
  { image: { vendor: "kali" }, media: () => kali.installer({ release: "rolling", arch: "x86_64", edition: "netinst" }), version: "2025.3" },
  { image: { vendor: "kali", edition: "installer", version: "2025.4", arch: "aarch64" }, media: () => kali.installer({ release: "rolling", arch: "aarch64" }), version: "2025.4" },
  { image: { vendor: "debian" }, media: () => debian.installer({ release: "trixie", arch: "x86_64", edition: "netinst" }), version: "13.1.0" },
  { image: { vendor: "debian", release: "bookworm", arch: "aarch64" }, media: () => debian.installer({ release: "bookworm", arch: "aarch64", edition: "netinst" }), version: "12.12.0" },
  { image: { vendor: "rocky" }, media: () => rocky.installer({ release: "9", arch: "x86_64" }), version: "9.6" },
  { image: { vendor: "rocky", release: "10", edition: "minimal" }, media: () => rocky.installer({ release: "10", arch: "x86_64", edition: "minimal" }), version: "10.6" },
  { image: { vendor: "alma" }, media: () => alma.installer({ release: "9", arch: "x86_64" }), version: "9.6" },
  { image: { vendor: "fedora" }, media: () => fedora.installer({ release: "44", arch: "x86_64" }) },
  { image: { vendor: "centos-stream" }, media: (sha256) => centosStream.installer({ release: "9", arch: "x86_64", sha256 }), signed: false },
  { image: { vendor: "rhel" }, media: (sha256) => rhel.installer({ release: "9", arch: "x86_64", sha256, from: { token: secret.env("RHSM_OFFLINE_TOKEN") } }), signed: false },
  { image: { vendor: "rhel", edition: "dvd" }, media: (sha256) => rhel.installer({ release: "9", arch: "x86_64", edition: "dvd", sha256, from: { file: iso } }), signed: false },
];

before(async () => {
  server = await vendorServer(cases.map(({ image }) => ({ ...image, iso })));
});
after(async () => {
  await server.close();
  rmSync(base, { recursive: true, force: true });
});

describe("media of", () => {
  for (const [index, { image, media, version, signed = true }] of cases.entries()) {
    const { vendor, edition, arch = "x86_64" } = image;
    it(`${vendor}${edition === undefined ? "" : `, ${edition}`} for ${arch}, are brought and genuine`, async (t) => {
      const what = media(server.digest(iso)), name = `vendor${index}`;
      const trust = { keys: server.trust.keys };
      const brought = download(name, what);
      verify(name, { media: brought, trust });
      const downloaded = await runRecipe(`download:${name}`, {}, { env: server.env, secrets: { token: server.token } });
      t.after(downloaded.dispose);
      const verified = await runRecipe(`verify:${name}`, { "inputs.media": downloaded.outputs["out"]! });
      t.after(verified.dispose);
      const out = verified.outputs["out"]!;
      assert.deepEqual(readdirSync(out).sort(), ["media.iso", "media.json"]);
      assert.ok(readFileSync(join(out, "media.iso")).equals(readFileSync(iso)));
      const manifest = JSON.parse(readFileSync(join(out, "media.json"), "utf8")) as ImageManifest;
      assert.equal(manifest.kind, "iso");
      assert.equal(manifest.distro, vendor);
      assert.equal(manifest.version, version);
      assert.equal(manifest.files["media.iso"].sha256, server.digest(iso));
      assert.equal(manifest.signature?.fingerprint, signed ? server.fingerprint : undefined);
      const log = readFileSync(join(verified.directory, "project/logs", readdirSync(join(verified.directory, "project/logs"))[0]!), "utf8");
      const line = log.split("\n").find((one) => one.includes(`verify:${name}`))!;
      for (const part of [server.digest(iso), "accepted", ...(signed ? [server.fingerprint] : [])]) assert.ok(line.includes(part), line);
      assert.equal(line.split(" | ").length, 9, line);
      for (const text of [log, downloaded.log(), verified.log()]) for (const hidden of [server.token, "access-token", "_auth_"]) assert.ok(!text.includes(hidden), hidden);
    });
  }
});
