/**
 * What is published beside images, by the real command line: accepted by tools that are not ours and by `imgtask
 * verify`, the same a second time, and refused in every field that is tampered with.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, createPublicKey, verify } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { preAuthentication, seal } from "../../lib/dsse.ts";
import { generateKey, type SecretKey } from "../../lib/minisign-key.ts";
import { prehash, sign } from "../../lib/minisign.ts";
import type { PublishedManifest } from "../../lib/publication.ts";
import { type Finding, verifyPublished } from "../../lib/verify-publication.ts";
import { type Publication, publication, relist } from "../rig/publication.ts";

const outer = mkdtempSync(join(tmpdir(), "imgtask-attest-"));
let made: Publication;
let names: readonly string[];

before(async () => {
  made = await publication(outer);
  const ran = await made.project.imgtask("run");
  assert.equal(ran.code, 0, ran.stderr);
  names = readdirSync(made.place, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(made.place, name)).isFile()).sort();
}, { timeout: 120_000 });
after(() => {
  made.project.eject();
  rmSync(outer, { recursive: true, force: true });
});

const read = (name: string): string => readFileSync(join(made.place, name), "utf8");
const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");
const statements = (name: string): readonly any[] => read(`attestations/${name}.intoto.jsonl`).trim().split("\n").map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, "base64").toString()));
/** The public key as others read it. */
const spki = (key: SecretKey): Buffer => Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(key.publicKey.text, "base64").subarray(10)]);

test("all documents are there, and nothing else", () => {
  assert.deepEqual(names, [
    "SHA256SUMS", "SHA256SUMS.minisig", "attestations/disk-x.qcow2.intoto.jsonl", "attestations/iso-x.iso.intoto.jsonl",
    "disk-x.qcow2", "disk-x.qcow2.cdx.json", "disk-x.qcow2.minisig", "disk-x.qcow2.spdx.json", "iso-x.iso", "iso-x.iso.minisig", "manifest.json",
  ]);
});

test("sha256sum and minisign accept them", () => {
  execFileSync("sha256sum", ["--check", "--strict", "--quiet", "SHA256SUMS"], { cwd: made.place });
  const listed = read("SHA256SUMS").trim().split("\n").map((line) => line.slice(66));
  assert.deepEqual(listed, names.filter((name) => !/minisig$|^SHA256SUMS/.test(name)));
  for (const name of ["SHA256SUMS", made.disk, made.iso]) execFileSync("minisign", ["-V", "-q", "-p", join(outer, "release.pub"), "-m", name], { cwd: made.place });
});

test("envelopes are signed as DSSE has it, by Node, openssl and securesystemslib", (t) => {
  let count = 0;
  for (const name of [made.disk, made.iso]) {
    for (const line of read(`attestations/${name}.intoto.jsonl`).trim().split("\n")) {
      const { payload, payloadType, signatures: [{ sig }] } = JSON.parse(line);
      assert.equal(payloadType, "application/vnd.in-toto+json");
      const bytes = Buffer.from(payload, "base64");
      const pae = Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${bytes.length} ${bytes.toString("latin1")}`, "latin1");
      assert.ok(preAuthentication(payloadType, bytes).equals(pae));
      const der = spki(made.key), signature = Buffer.from(sig, "base64");
      assert.ok(verify(null, pae, createPublicKey({ key: der, format: "der", type: "spki" }), signature));
      for (const [file, content] of [["pae", pae], ["sig", signature], ["key.der", der]] as const) writeFileSync(join(outer, file), content);
      execFileSync("openssl", ["pkeyutl", "-verify", "-pubin", "-inkey", "key.der", "-keyform", "DER", "-rawin", "-in", "pae", "-sigfile", "sig"], { cwd: outer });
      const script = `
import sys
from securesystemslib.signer import Signature, SSlibKey
key = SSlibKey(sys.argv[2], "ed25519", "ed25519", {"public": sys.argv[1]})
key.verify_signature(Signature(sys.argv[2], open(sys.argv[3], "rb").read().hex()), open(sys.argv[4], "rb").read())
`;
      const asked = spawnSync("/usr/bin/python3", ["-c", script, der.subarray(12).toString("hex"), made.key.id, join(outer, "sig"), join(outer, "pae")], { encoding: "utf8" });
      if (asked.status === 0) count++;
      else assert.match(asked.stderr, /No module named 'securesystemslib'/, asked.stderr);
    }
  }
  t.diagnostic(`${count} of 3 envelopes verified by securesystemslib, all 3 by node:crypto and openssl`);
});

test("the manifest tells system, kernel, commit, size, digest and times; provenance agrees and claims level 1", () => {
  const { artifacts } = JSON.parse(read("manifest.json")) as PublishedManifest;
  const [disk, iso] = artifacts as [PublishedManifest["artifacts"][number], PublishedManifest["artifacts"][number]];
  assert.deepEqual([disk.os, disk.kernel, disk.arch], [{ id: "debian", version: "12", title: "Debian GNU/Linux 12 (bookworm)" }, "6.1.0-9-cloud-amd64", "x86_64"]);
  assert.deepEqual([iso.os, iso.kernel], [{ id: "debian", version: "bookworm", title: "debian-bookworm-netboot-amd64" }, "6.1.0-9-amd64"]);
  for (const one of artifacts) {
    const bytes = readFileSync(join(made.place, one.name));
    assert.deepEqual([one.size, one.sha256, one.commit], [bytes.length, sha256(bytes), { id: made.commit, dirty: false }]);
    assert.ok(Date.parse(one.times!.started) <= Date.parse(one.times!.finished) && Date.now() - Date.parse(one.times!.finished) < 600_000);
  }
  assert.deepEqual([disk.tests, disk.untested, disk.withoutSbom], [["test:x"], null, null]);
  assert.deepEqual([iso.tests, iso.untested], [[], "the installer is tried by hand"]);
  assert.match(iso.withoutSbom!, /no database of packages/);

  const [provenance, tested] = statements(made.disk);
  const { buildDefinition, runDetails } = provenance.predicate;
  assert.deepEqual(provenance.subject, [{ name: made.disk, digest: { sha256: disk.sha256 } }]);
  assert.deepEqual(buildDefinition.externalParameters, { target: "disk:x", output: "out", directory: "", sourceDateEpoch: 1767225600 });
  const dependencies = buildDefinition.resolvedDependencies as { name: string; uri?: string; digest?: Record<string, string> }[];
  assert.deepEqual(dependencies[0], { name: "imagefile", uri: "git+https://git.example.org/images.git", digest: { gitCommit: made.commit }, annotations: { dirty: false, directory: "" } });
  const status = dependencies.find(({ name }) => name === "root/var/lib/dpkg/status")!;
  assert.equal(status.digest!["sha256"], sha256(made.project.read("root/var/lib/dpkg/status")));
  assert.ok(dependencies.some(({ name }) => name === "packages of rootfs:x"));
  assert.deepEqual(buildDefinition.internalParameters.steps.map(({ target }: { target: string }) => target), ["disk:x", "rootfs:x"]);
  assert.match(buildDefinition.internalParameters.steps[1].tools.tar, /^\d/);
  assert.equal(runDetails.builder.id, "urn:imgtask:builder:local");
  assert.equal(runDetails.metadata.imgtask_slsaBuildLevel, 1);
  assert.deepEqual([tested.predicateType, tested.predicate.result, tested.predicate.passedTests], ["https://in-toto.io/attestation/test-result/v0.1", "PASSED", ["test:x"]]);
  const media = statements(made.iso)[0].predicate.buildDefinition.resolvedDependencies.find(({ name }: { name: string }) => name === "debian-bookworm-netboot-amd64");
  assert.deepEqual([media.digest, media.annotations.signedBy, media.annotations.signedAt], [{ sha256: "ab".repeat(32) }, "A1".repeat(20), "2026-01-01T00:00:00.000Z"]);
});

test("a second run does nothing, a forced one sends nothing, and a new commit changes nothing by itself", { timeout: 120_000 }, async () => {
  const before = names.map((name) => [name, read(name)]);
  const times = names.map((name) => statSync(join(made.place, name)).mtimeMs);
  assert.match((await made.project.imgtask("run", "--json")).stdout, /"fresh"|"target fresh"|\[\]|\}/);
  const forced = await made.project.imgtask("run", "-f", "publish:release");
  assert.equal(forced.code, 0, forced.stderr);
  const log = made.project.read(".imgtask/logs/publish:release/latest.log");
  assert.doesNotMatch(log, /published to/);
  assert.equal(log.match(/was already at/g)?.length, names.length);
  assert.deepEqual(names.map((name) => [name, read(name)]), before);
  assert.deepEqual(names.map((name) => statSync(join(made.place, name)).mtimeMs), times);
});

test("the secret key and what is secret of the repository's address are nowhere", () => {
  const secret = readFileSync(join(outer, "release.key"), "utf8").split("\n")[1]!;
  let looked = 0;
  for (const directory of [made.project.directory]) {
    for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
      if (/^(?:node_modules|\.git)\b/.test(name) || !statSync(join(directory, name)).isFile()) continue;
      const text = readFileSync(join(directory, name), "latin1");
      assert.equal(text.includes(secret) || text.includes("hunter22"), false, name);
      looked++;
    }
  }
  assert.ok(looked > 20);
});

/** Changes JSON. */
function edit(place: string, name: string, change: (value: any) => void): void {
  const value = JSON.parse(readFileSync(join(place, name), "utf8"));
  change(value);
  writeFileSync(join(place, name), `${JSON.stringify(value, null, 2)}\n`);
}

const bundle = "attestations/disk-x.qcow2.intoto.jsonl";

/** Changes the statements of the disk, and seals them again by a key. */
function restate(place: string, key: SecretKey, change: (statements: any[]) => void, type = "application/vnd.in-toto+json"): void {
  const all = readFileSync(join(place, bundle), "utf8").trim().split("\n").map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, "base64").toString()));
  change(all);
  writeFileSync(join(place, bundle), all.map((one) => `${seal(type, Buffer.from(JSON.stringify(one)), key)}\n`).join(""));
}

/** Changes an envelope without signing it. */
function forge(place: string, change: (envelope: any) => void, line = 0): void {
  const lines = readFileSync(join(place, bundle), "utf8").trim().split("\n").map((text) => JSON.parse(text));
  change(lines[line]);
  writeFileSync(join(place, bundle), lines.map((one) => `${JSON.stringify(one)}\n`).join(""));
}

const payload = (change: (statement: any) => void) => (envelope: any): void => {
  const statement = JSON.parse(Buffer.from(envelope.payload, "base64").toString());
  change(statement);
  envelope.payload = Buffer.from(JSON.stringify(statement)).toString("base64");
};

const text = (place: string, name: string, from: string | RegExp, to: string): void => {
  const before = readFileSync(join(place, name), "utf8");
  const after_ = before.replace(from, to);
  assert.notEqual(after_, before, `${name} has ${String(from)}`);
  writeFileSync(join(place, name), after_);
};

const stranger = generateKey();
const resign = (place: string, name: string, key: SecretKey, comment: string): void =>
  writeFileSync(join(place, `${name}.minisig`), sign({ prehash: prehash(readFileSync(join(place, name))) }, key, { trustedComment: comment }));
const comment = (place: string, name: string): string => readFileSync(join(place, `${name}.minisig`), "utf8").split("\n")[2]!.slice("trusted comment: ".length);

/** What is tampered with, and one of the codes it must be refused with. `list`: what somebody does who can sign the list, so that the check behind it must see it. */
const tampered: readonly { readonly what: string; readonly code: string; readonly list?: "own key"; do(place: string): void }[] = [
  // The file and its signature.
  { what: "a byte of the file", code: "IMG4032", do: (place) => text(place, "disk-x.qcow2", "disk of", "Disk of") },
  { what: "a byte appended to the file", code: "IMG4105", list: "own key", do: (place) => writeFileSync(join(place, "disk-x.qcow2"), "x", { flag: "a" }) },
  { what: "the file cut short", code: "IMG4103", do: (place) => writeFileSync(join(place, "disk-x.qcow2"), readFileSync(join(place, "disk-x.qcow2")).subarray(0, 100)) },
  { what: "the file's signature removed", code: "IMG4100", do: (place) => rmSync(join(place, "disk-x.qcow2.minisig")) },
  { what: "the file's signature by another key", code: "IMG4031", do: (place) => resign(place, "disk-x.qcow2", stranger, comment(place, "disk-x.qcow2")) },
  { what: "the file's signature under the trusted key's id", code: "IMG4032", do(place) {
    const forged = Buffer.from(sign({ prehash: prehash(readFileSync(join(place, "disk-x.qcow2"))) }, stranger, { trustedComment: comment(place, "disk-x.qcow2") }).split("\n")[1]!, "base64");
    Buffer.from(made.key.id, "hex").reverse().copy(forged, 2);
    text(place, "disk-x.qcow2.minisig", /\n[^\n]+\n/, `\n${forged.toString("base64")}\n`);
  } },
  { what: "file name in the trusted comment", code: "IMG4033", do: (place) => text(place, "disk-x.qcow2.minisig", "file:disk-x.qcow2", "file:disk-y.qcow2") },
  { what: "time in the trusted comment", code: "IMG4033", do: (place) => text(place, "disk-x.qcow2.minisig", /timestamp:\d/, "timestamp:9") },
  { what: "digest in the trusted comment", code: "IMG4033", do: (place) => text(place, "disk-x.qcow2.minisig", /sha256:./, "sha256:z") },
  { what: "another digest, signed, in the comment", code: "IMG4103", do: (place) => resign(place, "disk-x.qcow2", made.key, `timestamp:1\tfile:disk-x.qcow2\tsha256:${"0".repeat(64)}\thashed`) },
  { what: "two files' signatures swapped", code: "IMG4032", do(place) {
    renameSync(join(place, "disk-x.qcow2.minisig"), join(place, "x"));
    renameSync(join(place, "iso-x.iso.minisig"), join(place, "disk-x.qcow2.minisig"));
    renameSync(join(place, "x"), join(place, "iso-x.iso.minisig"));
  } },
  { what: "two files swapped, with their signatures", code: "IMG4035", do(place) {
    for (const end of ["", ".minisig"]) {
      renameSync(join(place, `disk-x.qcow2${end}`), join(place, "x"));
      renameSync(join(place, `iso-x.iso${end}`), join(place, `disk-x.qcow2${end}`));
      renameSync(join(place, "x"), join(place, `iso-x.iso${end}`));
    }
  } },
  // The list.
  { what: "a line of the list", code: "IMG4032", do: (place) => text(place, "SHA256SUMS", /[0-9a-f](?=[0-9a-f]{63} {2}disk-x\.qcow2\n)/, "g") },
  { what: "a digit of the list", code: "IMG4032", do: (place) => text(place, "SHA256SUMS", /^[0-9a-f]{64}(?= {2}disk-x\.qcow2$)/m, "0".repeat(64)) },
  { what: "a name in the list", code: "IMG4032", do: (place) => text(place, "SHA256SUMS", "  disk-x.qcow2\n", "  disk-y.qcow2\n") },
  { what: "a line removed from the list", code: "IMG4101", do: (place) => text(place, "SHA256SUMS", /^[0-9a-f]{64} {2}disk-x\.qcow2\n/m, "") },
  { what: "a name twice in the list", code: "IMG4102", do: (place) => text(place, "SHA256SUMS", /^/, `${"0".repeat(64)}  disk-x.qcow2\n`) },
  { what: "the list removed", code: "IMG4100", do: (place) => rmSync(join(place, "SHA256SUMS")) },
  { what: "the list's signature removed", code: "IMG4100", do: (place) => rmSync(join(place, "SHA256SUMS.minisig")) },
  { what: "the list made anew, by another key", code: "IMG4031", do: (place) => relist(place, stranger) },
  { what: "the list's signature as that of another file", code: "IMG4035", do: (place) => resign(place, "SHA256SUMS", made.key, "timestamp:1\tfile:disk-x.qcow2\thashed") },
  // The manifest.
  { what: "a byte of the manifest", code: "IMG4103", do: (place) => text(place, "manifest.json", "6.1.0-9-cloud", "6.1.0-8-cloud") },
  { what: "the manifest removed", code: "IMG4100", do: (place) => rmSync(join(place, "manifest.json")) },
  { what: "size in the manifest", code: "IMG4105", list: "own key", do: (place) => edit(place, "manifest.json", (one) => one.artifacts[0].size++) },
  { what: "digest in the manifest", code: "IMG4105", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].sha256 = "0".repeat(64))) },
  { what: "name in the manifest", code: "IMG4105", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].name = "disk-y.qcow2")) },
  { what: "a name that leads out, in the manifest", code: "IMG4104", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].documents[1].name = "../x")) },
  { what: "a field more in the manifest", code: "IMG4104", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].safe = true)) },
  { what: "target in the manifest", code: "IMG4110", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].target = "disk:y")) },
  { what: "commit in the manifest", code: "IMG4110", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].commit.id = "1".repeat(40))) },
  { what: "dirty flag in the manifest", code: "IMG4110", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].commit.dirty = true)) },
  { what: "times in the manifest", code: "IMG4110", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].times.finished = "2020-01-01T00:00:00Z")) },
  { what: "tests in the manifest", code: "IMG4110", list: "own key", do: (place) => edit(place, "manifest.json", (one) => one.artifacts[0].tests.push("test:y")) },
  { what: "no attestations in the manifest", code: "IMG4100", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].documents = one.artifacts[0].documents.filter(({ kind }: any) => kind !== "attestations"))) },
  { what: "no SBOM in the manifest", code: "IMG4100", list: "own key", do: (place) => edit(place, "manifest.json", (one) => (one.artifacts[0].documents = one.artifacts[0].documents.filter(({ kind }: any) => kind !== "spdx"))) },
  // SBOMs.
  { what: "a version in the SPDX document", code: "IMG4103", do: (place) => edit(place, "disk-x.qcow2.spdx.json", (one) => (one.packages[1].versionInfo = "2.0")) },
  { what: "a package removed from the SPDX document", code: "IMG4103", do: (place) => edit(place, "disk-x.qcow2.spdx.json", (one) => one.packages.pop()) },
  { what: "a version in the CycloneDX document", code: "IMG4103", do: (place) => edit(place, "disk-x.qcow2.cdx.json", (one) => (one.components[0].version = "2.0")) },
  { what: "the SPDX document removed", code: "IMG4100", do: (place) => rmSync(join(place, "disk-x.qcow2.spdx.json")) },
  { what: "an SPDX document of another image", code: "IMG4106", list: "own key", do: (place) => edit(place, "disk-x.qcow2.spdx.json", (one) => (one.packages[0].checksums[0].checksumValue = "0".repeat(64))) },
  { what: "a CycloneDX document of another image", code: "IMG4106", list: "own key", do: (place) => edit(place, "disk-x.qcow2.cdx.json", (one) => (one.metadata.component.hashes[0].content = "0".repeat(64))) },
  { what: "an empty SPDX document", code: "IMG4106", list: "own key", do: (place) => edit(place, "disk-x.qcow2.spdx.json", (one) => (one.packages.length = 1)) },
  // Attestations: changed, and listed again by who has the key of the list and not of the statement.
  { what: "the attestations removed", code: "IMG4100", do: (place) => rmSync(join(place, bundle)) },
  { what: "a byte of the attestations", code: "IMG4103", do: (place) => text(place, bundle, /^\{/, "{ ") },
  { what: "digest of the statement's subject", code: "IMG4108", list: "own key", do: (place) => forge(place, payload((one) => (one.subject[0].digest.sha256 = "0".repeat(64)))) },
  { what: "name of the statement's subject", code: "IMG4108", list: "own key", do: (place) => forge(place, payload((one) => (one.subject[0].name = "x"))) },
  { what: "builder of the provenance", code: "IMG4108", list: "own key", do: (place) => forge(place, payload((one) => (one.predicate.runDetails.builder.id = "https://hosted.example.org"))) },
  { what: "digest of a dependency", code: "IMG4108", list: "own key", do: (place) => forge(place, payload((one) => (one.predicate.buildDefinition.resolvedDependencies[0].digest.gitCommit = "1".repeat(40)))) },
  { what: "level of the provenance", code: "IMG4108", list: "own key", do: (place) => forge(place, payload((one) => (one.predicate.runDetails.metadata.imgtask_slsaBuildLevel = 3))) },
  { what: "type of the payload", code: "IMG4107", list: "own key", do: (place) => forge(place, (one) => (one.payloadType = "text/plain")) },
  { what: "the envelope's signature", code: "IMG4108", list: "own key", do: (place) => forge(place, (one) => (one.signatures[0].sig = Buffer.alloc(64, 1).toString("base64"))) },
  { what: "no signature in the envelope", code: "IMG4107", list: "own key", do: (place) => forge(place, (one) => (one.signatures = [])) },
  { what: "a field more in the envelope", code: "IMG4107", list: "own key", do: (place) => forge(place, (one) => (one.more = 1)) },
  { what: "result of the tests", code: "IMG4108", list: "own key", do: (place) => forge(place, payload((one) => one.predicate.passedTests.push("test:y")), 1) },
  { what: "statements sealed by another key", code: "IMG4108", list: "own key", do: (place) => restate(place, stranger, () => {}) },
  { what: "statements of another file", code: "IMG4109", list: "own key", do: (place) => writeFileSync(join(place, bundle), readFileSync(join(place, "attestations/iso-x.iso.intoto.jsonl"))) },
  // Sealed again by the right key: what is inside must agree.
  { what: "a second subject, sealed", code: "IMG4109", list: "own key", do: (place) => restate(place, made.key, ([one]) => one.subject.push({ name: "x", digest: { sha256: "0" } })) },
  { what: "no provenance, sealed", code: "IMG4107", list: "own key", do: (place) => restate(place, made.key, (all) => all.shift()) },
  { what: "no test result, sealed", code: "IMG4110", list: "own key", do: (place) => restate(place, made.key, (all) => all.pop()) },
  { what: "a failed test, sealed", code: "IMG4110", list: "own key", do: (place) => restate(place, made.key, (all) => (all[1].predicate.result = "FAILED")) },
  { what: "another kind of build, sealed", code: "IMG4110", list: "own key", do: (place) => restate(place, made.key, ([one]) => (one.predicate.buildDefinition.buildType = "urn:x")) },
  { what: "an unknown parameter, sealed", code: "IMG4110", list: "own key", do: (place) => restate(place, made.key, ([one]) => (one.predicate.buildDefinition.externalParameters.flags = "-x")) },
  { what: "level 3, sealed", code: "IMG4110", list: "own key", do: (place) => restate(place, made.key, ([one]) => (one.predicate.runDetails.metadata.imgtask_slsaBuildLevel = 3)) },
  { what: "another predicate, sealed", code: "IMG4107", list: "own key", do: (place) => restate(place, made.key, ([one]) => (one.predicateType = "https://example.org/x")) },
  { what: "another form of statement, sealed", code: "IMG4107", list: "own key", do: (place) => restate(place, made.key, ([one]) => (one._type = "https://in-toto.io/Statement/v0.1")) },
  { what: "another type of payload, sealed", code: "IMG4107", list: "own key", do: (place) => restate(place, made.key, () => {}, "text/plain") },
];

async function findings(change?: (place: string) => void, file: string = made.disk, key: SecretKey = made.key): Promise<readonly Finding[]> {
  const place = join(outer, "copy");
  rmSync(place, { recursive: true, force: true });
  cpSync(made.place, place, { recursive: true });
  change?.(place);
  return verifyPublished(join(place, file), [key.publicKey]);
}

test("untouched files are proven; so are their copies without the other's files", async () => {
  for (const file of [made.disk, made.iso]) assert.deepEqual((await findings(undefined, file)).filter(({ outcome }) => outcome !== "ok"), []);
  const alone = await findings((place) => ["iso-x.iso", "iso-x.iso.minisig", "attestations/iso-x.iso.intoto.jsonl"].forEach((name) => rmSync(join(place, name))));
  assert.deepEqual(alone.filter(({ outcome }) => outcome !== "ok"), []);
  const linked = await findings((place) => {
    mkdirSync(join(place, "latest"));
    symlinkSync("../disk-x.qcow2", join(place, "latest/disk.qcow2"));
  }, "latest/disk.qcow2");
  assert.deepEqual(linked.filter(({ outcome }) => outcome !== "ok"), [], "by a link to the latest build");
  // Nothing but the list is written anew: what follows is refused for what was done to it.
  assert.deepEqual((await findings((place) => relist(place, made.key))).filter(({ outcome }) => outcome !== "ok"), []);
  assert.deepEqual((await findings((place) => {
    restate(place, made.key, () => {});
    relist(place, made.key);
  })).filter(({ outcome }) => outcome !== "ok"), []);
});

test("every field that is tampered with is refused, and named", { timeout: 120_000 }, async (t) => {
  let refused = 0;
  for (const one of tampered) {
    const found = await findings((place) => {
      one.do(place);
      if (one.list === "own key") relist(place, made.key);
    });
    const codes = found.filter(({ outcome }) => outcome !== "ok").map(({ code }) => code);
    assert.ok(codes.includes(one.code), `${one.what}: ${one.code} among ${codes.join(", ") || "nothing refused"}`);
    refused++;
  }
  const other = await findings(undefined, made.disk, stranger);
  assert.ok(other.some(({ code }) => code === "IMG4031"), "a key that signed nothing");
  t.diagnostic(`${refused + 1} of ${tampered.length + 1} tampered fields refused`);
});

test("the command: 0 when proven, 3 when not, 2 without a key; data for programs; nothing is asked of a network", { timeout: 120_000 }, async () => {
  const { project, place, disk } = made;
  const file = join(place, disk), pub = join(outer, "release.pub");
  const good = await project.start(["verify", file, join(place, made.iso), "--key", pub], { cwd: outer, prefix: ["unshare", "--net", "--map-root-user"] }).finished;
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /disk-x\.qcow2: proven\n( {2}ok .*\n)+.*iso-x\.iso: proven/);
  const byEnvironment = await project.start(["verify", file, "--json"], { env: { IMGTASK_PUBLISHER_KEYS: made.key.publicKey.text } }).finished;
  assert.deepEqual([byEnvironment.code, JSON.parse(byEnvironment.stdout).files[0].verified], [0, true]);
  const wrong = await project.imgtask("verify", file, "--key", stranger.publicKey.text);
  assert.equal(wrong.code, 3);
  assert.match(wrong.stdout, /NOT proven: \d+ of \d+ checks failed[^]*refused .*IMG4031/);
  const copy = join(outer, "cli");
  cpSync(place, copy, { recursive: true });
  rmSync(join(copy, "manifest.json"));
  const missing = await project.imgtask("verify", join(copy, disk), "-q", "--key", pub);
  assert.equal(missing.code, 3);
  assert.match(missing.stdout, /missing {2}manifest\.json: IMG4100/);
  assert.doesNotMatch(missing.stdout, /^ {2}ok/m);
  for (const [argv, code] of [[["verify", file], "IMG2701"], [["verify", file, "--key", "nowhere.pub"], "IMG2702"], [["verify", "--key", pub], "IMG2703"], [["verify", "nothing", "--key", pub], "IMG2703"], [["verify", place, "--key", pub], "IMG2703"]] as const) {
    const refused = await project.imgtask(...argv);
    assert.deepEqual([refused.code, refused.stderr.includes(code)], [2, true], `${argv.join(" ")}: ${refused.stderr}`);
  }
});
