/**
 * What provenance says an artifact was made of: media of both kinds with who vouched for them, and what no record tells of.
 * @module
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Lineage, Made } from "../../../lib/mod.ts";
import { behind, dependenciesOf, systemOf } from "../../../plugins/publish/origins.ts";
import { scratch } from "../../rig/scratch.ts";

const digest = (letter: string): string => letter.repeat(64);
const made = (target: string, out: string, manifest: Made["manifest"] = []): Made => ({ target, fingerprint: digest("f"), manifest, outputs: { out: { digest: out, size: 1 } }, started: 0, finished: 1000 });

test("an ISO's own digest, the list that names it and the key that signed the list", async (t) => {
  const note = join(scratch(t), "media.json");
  writeFileSync(note, JSON.stringify({
    kind: "iso", id: "ubuntu-noble-live-server-amd64", distro: "ubuntu", release: "noble", arch: "x86_64", edition: "live-server", name: "u.iso", version: "24.04.3",
    files: { "media.iso": { sha256: digest("a"), size: 9 } }, list: { file: "SHA256SUMS", sha256: digest("b") }, signature: { fingerprint: "AB", userId: "Ubuntu" }, pinned: true,
  }));
  const iso = made("iso:u", digest("1"), [["upstream inputs.from verify:u#out", digest("2")], ["upstream inputs.more gone:x#out", digest("3")], ["source inputs.a\\ b config/x y", `file 0644 ${digest("4")}`], ["source inputs.big big.img", `file 0644 sparse ${digest("5")}`]]);
  const lineage: Lineage = { made: [iso, made("verify:u", digest("2")), made("other:x", digest("9"))], unknown: [{ target: "gone:x", output: "out", digest: digest("3") }, { target: "else:y", output: "out", digest: digest("8") }], fileOf: async (_, path) => (path === "media.json" ? note : undefined) };
  const results = behind({ target: "iso:u", output: "out", digest: digest("1") }, lineage);
  assert.deepEqual(results.map(({ target }) => target), ["iso:u", "verify:u"]);
  assert.deepEqual(await systemOf(results, lineage), { os: { id: "ubuntu", version: "24.04.3", title: "ubuntu-noble-live-server-amd64" }, kernel: null });
  const found = await dependenciesOf(results, lineage, undefined);
  assert.match(found[0]!.uri!, /^pkg:npm\/imgtask@/);
  assert.deepEqual(found.slice(1), [
    { name: "ubuntu-noble-live-server-amd64", digest: { sha256: digest("a") }, annotations: { target: "verify:u", list: "SHA256SUMS", listSha256: digest("b"), signedBy: "AB", signer: "Ubuntu", pinned: true } },
    { name: "gone:x#out", digest: { sha256: digest("3") }, annotations: { recorded: false } },
    { name: "big.img", digest: { imgtaskBlocksSha256: digest("5") } },
    { name: "config/x y", digest: { sha256: digest("4") } },
  ]);
});
