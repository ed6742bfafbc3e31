/**
 * Items of a content library, at VMware's own simulator, read back by VMware's own client: nothing twice, nothing half,
 * nothing of others changed. Without the simulator, what needs no server.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type ImageFormat, type PublishContext, type PublishedImage, type PublishedThere, secret } from "../../../lib/mod.ts";
import { membersOf } from "../../../plugins/publish/ova-members.ts";
import { serverOf } from "../../../plugins/publish/rest.ts";
import { vsphere, type VsphereOptions } from "../../../plugins/publish/vsphere.ts";
import { beginUpdate, changeItem, createItem, itemNamed, libraryNamed, logIn, sendFile } from "../../../plugins/publish/vsphere-api.ts";
import { startVcenter, type VcenterServer, vcenterMissing } from "../../rig/vcenter.ts";

const scratch = mkdtempSync(join(tmpdir(), "imgtask-vsphere-"));
const missing = vcenterMissing();
let server: VcenterServer;
before(async () => {
  if (missing === undefined) server = await startVcenter(mkdtempSync(join(scratch, "server-")));
});
after(async () => {
  await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
});
const atServer = (name: string, body: () => Promise<void>): void => void test(name, { skip: missing }, body);

let count = 0;
const sum = (bytes: string | Buffer): string => createHash("sha256").update(bytes).digest("hex");
function image(name: string, bytes: string | Buffer, format: ImageFormat = "iso", change: Partial<PublishedImage> = {}): PublishedImage {
  const path = join(scratch, String(count++));
  writeFileSync(path, bytes);
  return {
    name, path, format, type: format, size: Buffer.byteLength(bytes), sha256: sum(bytes), target: "iso:kali", output: "out", os: { id: "kali", version: "2026.3", title: "Kali" }, kernel: "6.12",
    arch: "x86_64", commit: { id: "0123abcd", dirty: true }, times: null, tests: [], untested: null, withoutSbom: null, ...change,
  };
}
const context = (secrets: Readonly<Record<string, string>>, log: string[] = []): PublishContext => ({
  exec: () => Promise.reject(new Error("no command")), log: (line) => void log.push(line), progress() {}, signal: new AbortController().signal, env: {}, secrets, tmp: scratch, project: scratch,
});
const options = (change: Partial<VsphereOptions> = {}): VsphereOptions => ({ url: server.url, ca: server.ca, library: server.library, credentials: { user: server.user }, ...change });
const bring = (images: readonly PublishedImage[], change: Partial<VsphereOptions> = {}, secrets: Readonly<Record<string, string>> = { vspherePassword: server.password }): Promise<readonly PublishedThere[]> =>
  vsphere(options(change)).publish(images, context(secrets));

function ova(disk: string, tarOptions: readonly string[] = [], order: readonly string[] = ["vm.ovf", "vm.mf", "vm-disk1.vmdk"]): Buffer {
  const place = mkdtempSync(join(scratch, "ova-"));
  const files: Record<string, string> = { "vm.ovf": `<Envelope>${disk.length}</Envelope>`, "vm.mf": "SHA256(vm.ovf)= 00\n", "vm-disk1.vmdk": disk };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(place, name), content);
  execFileSync("tar", ["-C", place, "--format=ustar", "-cf", join(place, "out"), ...tarOptions, ...order]);
  return readFileSync(join(place, "out"));
}

test("options that cannot be are refused, and never repeated where they could hold a password", () => {
  const good = { url: "https://vc.example.org", library: "images", credentials: { user: "a@b" } };
  assert.deepEqual(vsphere(good).takes, ["iso", "ova"]);
  assert.deepEqual(vsphere({ ...good, ca: "config/ca.pem" }).untracked?.reads, ["config/ca.pem"]);
  for (const change of [{ url: "http://vc.example.org" }, { url: "https://a:b@vc.example.org" }, { url: "https://vc.example.org/ui" }, { library: "" }, { ca: "" }, { credentials: {} }, { credentials: { user: "a:b" } }, { credentials: undefined }, { credentials: { user: "a@b", session: secret.env("S") } }]) {
    assert.throws(() => vsphere({ ...good, ...change } as VsphereOptions), { code: /^IMG2(?:520|040)$/ }, JSON.stringify(change));
  }
  assert.throws(() => vsphere({ ...good, credentials: { user: "a@b", password: "hunter2hunter2" } } as unknown as VsphereOptions), (error: Error & { found?: string }) => !JSON.stringify(error).includes("hunter2") && !error.message.includes("hunter2"));
});

test("the files of an OVA are found in it; what is no such archive is refused", async () => {
  const path = join(scratch, "a.ova");
  const whole = ova("a disk".repeat(1000));
  writeFileSync(path, whole);
  const members = await membersOf(path, "a.ova");
  assert.deepEqual(members.map(({ name, size }) => [name, size]), [["vm.ovf", 25], ["vm.mf", 19], ["vm-disk1.vmdk", 6000]]);
  for (const { name, offset, size } of members) assert.equal(whole.subarray(offset, offset + size).toString().slice(0, 6), { "vm.ovf": "<Envel", "vm.mf": "SHA256", "vm-disk1.vmdk": "a disk" }[name]);
  const flipped = Buffer.from(whole);
  flipped[124] = 0x39;
  for (const [what, bytes] of Object.entries({
    "cut in a header": whole.subarray(0, 700), "cut in a file": whole.subarray(0, 4000), "cut at its end": whole.subarray(0, 512 * 6), flipped, empty: Buffer.alloc(0), zeros: Buffer.alloc(1024), text: Buffer.alloc(2048, "text"),
    "the disk first": ova("x", [], ["vm-disk1.vmdk", "vm.ovf"]), "a path": ova("x", ["--transform=s,^,../,", "-P"]), "two of one name": ova("x", [], ["vm.ovf", "vm.ovf"]),
  })) {
    writeFileSync(path, bytes);
    await assert.rejects(membersOf(path, "a.ova"), { code: "IMG3552" }, what);
  }
});

atServer("an ISO and the files of an OVA become items that say what they are; a second time nothing is sent", async () => {
  const packed = ova("a disk".repeat(1000));
  const images = [image("iso-kali.iso", "an iso", "iso", { signature: "untrusted comment: x\nRUQ\n" }), image("convert-kali.ova", packed, "ova")];
  assert.deepEqual((await bring(images)).map(({ name, location, uploaded }) => [name, location, uploaded]), [
    ["iso-kali.iso", `vsphere://${new URL(server.url).host}/images/iso-kali.iso`, true], ["convert-kali.ova", `vsphere://${new URL(server.url).host}/images/convert-kali.ova`, true],
  ]);
  assert.equal(server.received(), 6 + 25 + 19 + 6000);
  const there = server.items();
  assert.deepEqual(Object.keys(there).sort(), ["convert-kali.ova", "iso-kali.iso"]);
  assert.deepEqual([there["iso-kali.iso"]!.type, there["convert-kali.ova"]!.type], ["iso", "ovf"]);
  assert.deepEqual(Object.entries(there["iso-kali.iso"]!.files).map(([name, bytes]) => [name, bytes.toString()]), [["iso-kali.iso", "an iso"]]);
  assert.deepEqual(Object.entries(there["convert-kali.ova"]!.files).map(([name, bytes]) => [name, bytes.length]), [["vm-disk1.vmdk", 6000], ["vm.mf", 19], ["vm.ovf", 25]]);
  assert.equal(there["iso-kali.iso"]!.description, `Published by imgtask\nsha256: ${sum("an iso")}\ntarget: iso:kali\nos: Kali (kali 2026.3)\narch: x86_64\nkernel: 6.12\ncommit: 0123abcd, changed\nuntrusted comment: x\nRUQ`);
  assert.match(there["convert-kali.ova"]!.description, new RegExp(`^sha256: ${sum(packed)}$`, "m"));
  assert.deepEqual((await bring(images)).map(({ uploaded }) => uploaded), [false, false]);
  assert.equal(server.received(), 0);
});

atServer("an item with other content is refused before anything is sent, or replaced where that was said", async () => {
  const before = server.items();
  await assert.rejects(bring([image("new.iso", "new"), image("iso-kali.iso", "other")]), { code: "IMG3527" });
  assert.equal(server.received(), 0);
  assert.deepEqual(server.items(), before);
  assert.deepEqual((await bring([image("iso-kali.iso", "other")], { replace: true })).map(({ uploaded }) => uploaded), [true]);
  const { "iso-kali.iso": now, ...others } = server.items();
  assert.equal(now!.files["iso-kali.iso"]!.toString(), "other");
  assert.deepEqual(others, { "convert-kali.ova": before["convert-kali.ova"] });
});

atServer("remains of a run that was killed are carried on where they are whole, and go where they are not; those of others stay", async () => {
  server.empty();
  const vcenter = await logIn(serverOf(options(), "it", context({})), server.user, server.password);
  const library = await libraryNamed(vcenter, server.library);
  const one = image("a.iso", "whole");
  await bring([one]);
  const { id, description } = server.items()["a.iso"]!;
  // As it is between two requests: whole, and not named yet.
  const own = `imgtask-${sum(JSON.stringify([hostname(), scratch, "a.iso"])).slice(0, 16)}`;
  await changeItem(vcenter, id, { name: `${own}-new` });
  const half = `imgtask-${sum(JSON.stringify([hostname(), scratch, "b.iso"])).slice(0, 16)}-new`;
  const broken = await createItem(vcenter, library, { name: half, type: "iso", description: "half" });
  await sendFile(vcenter, await beginUpdate(vcenter, broken), { name: "b.iso", size: 9, sha256: sum("something") }, async function* () { yield Buffer.from("something"); });
  await createItem(vcenter, library, { name: "imgtask-0123456789abcdef-new", type: "iso", description: "of another host" });
  server.received();
  assert.deepEqual((await bring([one, image("b.iso", "bytes of b")])).map(({ uploaded }) => uploaded), [true, true]);
  assert.equal(server.received(), 10);
  const there = server.items();
  assert.deepEqual(Object.keys(there).sort(), ["a.iso", "b.iso", "imgtask-0123456789abcdef-new"]);
  assert.deepEqual([there["a.iso"]!.id, there["a.iso"]!.description], [id, description]);
  assert.equal(there["b.iso"]!.files["b.iso"]!.toString(), "bytes of b");
  // Killed between the names of the old one and the new one.
  await changeItem(vcenter, id, { name: `${own}-old` });
  await bring([image("a.iso", "newer")]);
  assert.deepEqual(Object.keys(server.items()).sort(), ["a.iso", "b.iso", "imgtask-0123456789abcdef-new"]);
  assert.equal(server.items()["a.iso"]!.files["a.iso"]!.toString(), "newer");
});

atServer("what does not arrive as it was announced is not published, and leaves nothing", async () => {
  server.empty();
  await assert.rejects(bring([image("a.iso", "bytes", "iso", { sha256: sum("others") })]), { code: "IMG5061" });
  await assert.rejects(bring([image("a.iso", "bytes", "iso", { size: 4 })]), (error: Error & { code: string }) => /^IMG(?:3525|506[01])$/.test(error.code));
  assert.deepEqual(server.items(), {});
});

atServer("a session that somebody began is used and not ended; wrong ones, strangers and missing libraries are told", async () => {
  const { token } = await logIn(serverOf(options(), "it", context({})), server.user, server.password);
  const bySession = { credentials: { session: secret.env("S") } };
  for (const bytes of ["one", "two"]) await bring([image("s.iso", bytes)], { ...bySession, replace: true }, { vsphereSession: `${token}\n` });
  assert.notEqual(await itemNamed({ server: serverOf(options(), "it", context({})), token }, await libraryNamed({ server: serverOf(options(), "it", context({})), token }, "images"), "s.iso"), undefined);
  await assert.rejects(bring([image("s.iso", "x")], bySession, { vsphereSession: "0123456789" }), { code: "IMG3521" });
  await assert.rejects(bring([image("s.iso", "x")], { library: "none" }), { code: "IMG3524" });
  const plain = options();
  await assert.rejects(vsphere({ url: plain.url, library: plain.library, credentials: plain.credentials }).publish([image("s.iso", "x")], context({ vspherePassword: server.password })), { code: "IMG3550", exitCode: 3 });
  mkdirSync(join(scratch, "certificates"));
  await assert.rejects(bring([image("s.iso", "x")], { ca: "certificates" }), { code: "IMG3551" });
  await assert.rejects(bring([image("s.iso", "x")], { url: "https://localhost:1" }), { code: "IMG5060" });
});
