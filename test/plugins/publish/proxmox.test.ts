/**
 * Volumes of a storage of Proxmox VE, at a server in its shape that a second client, Debian's python3-proxmoxer, lists, fills and
 * empties too: named by what they are, compared by the server, nothing twice, nothing of others changed.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { type ImageFormat, type PublishContext, type PublishedImage, type PublishedThere } from "../../../lib/mod.ts";
import { proxmox, type ProxmoxOptions } from "../../../plugins/publish/proxmox.ts";
import { proxmoxMissing, type ProxmoxServer, startProxmox } from "../../rig/proxmox-server.ts";

const scratch = mkdtempSync(join(tmpdir(), "imgtask-proxmox-"));
let server: ProxmoxServer;
before(async () => void (server = await startProxmox(mkdtempSync(join(scratch, "server-")))));
beforeEach(() => {
  server.empty();
  server.received();
});
after(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

let count = 0;
const sum = (bytes: string | Buffer): string => createHash("sha256").update(bytes).digest("hex");
function image(name: string, bytes: string | Buffer, format: ImageFormat = "iso", change: Partial<PublishedImage> = {}): PublishedImage {
  const path = join(scratch, String(count++));
  writeFileSync(path, bytes);
  return {
    name, path, format, type: format, size: Buffer.byteLength(bytes), sha256: sum(bytes), target: "iso:kali", output: "out", os: null, kernel: null, arch: null, commit: null,
    times: null, tests: [], untested: null, withoutSbom: null, ...change,
  };
}
const bring = (images: readonly PublishedImage[], change: Partial<ProxmoxOptions> = {}, token: string = server.tokens.writer[1], signal: AbortSignal = new AbortController().signal): Promise<readonly PublishedThere[]> => {
  const context: PublishContext = { exec: () => Promise.reject(new Error("no command")), log() {}, progress() {}, signal, env: {}, secrets: { proxmoxToken: token }, tmp: scratch, project: scratch };
  return proxmox({ url: server.url, ca: server.ca, node: server.node, storage: server.storage, tokenId: server.tokens.writer[0], ...change }).publish(images, context);
};
const digits = (bytes: string | Buffer): string => sum(bytes).slice(0, 16);
const listed = async (content: string): Promise<object> => Object.fromEntries((JSON.parse(await server.client("list", content)) as { volid: string; size: number }[]).map(({ volid, size }) => [volid, size]));

test("options that cannot be are refused, and a token's secret is never repeated", () => {
  const good = { url: "https://pve.example.org:8006", node: "pve", storage: "local", tokenId: "images@pve!ci" };
  assert.deepEqual(proxmox(good).takes, ["iso", "ova", "qcow2", "raw", "vmdk"]);
  for (const change of [{ url: "http://pve:8006" }, { node: "a/b" }, { storage: "../x" }, { tokenId: "images@pve" }, { tokenId: "images@pve!ci=0123-secret" }, { token: "0123-secret" }]) {
    assert.throws(() => proxmox({ ...good, ...change } as ProxmoxOptions), (error: Error & { code: string }) => /^IMG2(?:520|040)$/.test(error.code) && !(JSON.stringify(error) + error.message).includes("0123-secret"), JSON.stringify(change));
  }
});

test("images become volumes whose names say what they are; a second time nothing is sent", { skip: proxmoxMissing() }, async () => {
  // Ends of lines at the end and marks within: what a reader of multipart text could take for its own.
  const disk = Buffer.concat([Buffer.alloc(3_000_000, "disk\r\n--imgtask-"), Buffer.from("\r\n")]);
  const images = [image("iso-kali.iso", "an iso\n"), image("disk-kali@2.qcow2", disk, "qcow2"), image("disk-kali.img", "raw", "raw"), image("vm.ova", "an ova\r", "ova"), image("vm.vmdk", "", "vmdk")];
  const there = [`local:iso/iso-kali-${digits("an iso\n")}.iso`, `local:import/disk-kali_2-${digits(disk)}.qcow2`, `local:import/disk-kali-${digits("raw")}.raw`, `local:import/vm-${digits("an ova\r")}.ova`, `local:import/vm-${digits("")}.vmdk`];
  assert.deepEqual(await bring(images), images.map(({ name }, index) => ({ name, location: there[index], uploaded: true })));
  assert.equal(server.received(), images.reduce((all, { size }) => all + size, 0));
  assert.deepEqual({ ...(await listed("iso")), ...(await listed("import")) }, Object.fromEntries(there.map((volid, index) => [volid, images[index]!.size])));
  for (const [name, bytes] of Object.entries(await server.files())) assert.ok(name.includes(`-${digits(bytes)}.`), name);
  assert.deepEqual((await bring(images)).map(({ uploaded }) => uploaded), images.map(() => false));
  assert.equal(server.received(), 0);
  assert.deepEqual(server.temporary(), []);
});

test("another image of a name stands beside the first, or in its place where that was said; volumes of others stay", { skip: proxmoxMissing() }, async () => {
  const foreign = join(scratch, "iso-kali-mine.iso"), other = join(scratch, `iso-kali-extra-${digits("x")}.iso`);
  for (const file of [foreign, other]) {
    writeFileSync(file, "of somebody else");
    assert.equal(await server.client("upload", "iso", file), "OK");
  }
  server.received();
  await bring([image("iso-kali.iso", "one")]);
  await bring([image("iso-kali.iso", "two")]);
  const names = async (): Promise<readonly string[]> => Object.keys(await server.files()).map((name) => name.slice("iso/".length)).sort();
  const foreigners = ["iso-kali-mine.iso", `iso-kali-extra-${digits("x")}.iso`];
  assert.deepEqual(await names(), [...foreigners, `iso-kali-${digits("one")}.iso`, `iso-kali-${digits("two")}.iso`].sort());
  await bring([image("iso-kali.iso", "three")], { replace: true });
  assert.deepEqual(await names(), [...foreigners, `iso-kali-${digits("three")}.iso`].sort());
  assert.equal(await server.client("delete", `local:iso/iso-kali-${digits("three")}.iso`), "OK");
  assert.deepEqual(await names(), [...foreigners].sort());
});

test("a volume that the server did not copy whole is sent again, and what does not arrive whole is not kept", async () => {
  const one = image("a.iso", "whole bytes");
  server.next.push("damage");
  await assert.rejects(bring([one]), { code: "IMG5061" });
  server.next.push("full");
  await assert.rejects(bring([one]), { code: "IMG3522" });
  server.next.push("fail");
  await assert.rejects(bring([one]), { code: "IMG5062" });
  await assert.rejects(bring([{ ...one, sha256: sum("others") }]), { code: "IMG5061" });
  assert.deepEqual([await server.files(), server.temporary()], [{}, []]);
  await bring([one]);
  // As a server that lost power left it.
  const [name] = Object.keys(await server.files());
  writeFileSync(server.pathOf(name!), "whole");
  assert.deepEqual((await bring([one])).map(({ uploaded }) => uploaded), [true]);
  assert.equal((await server.files())[name!]!.toString(), "whole bytes");
});

test("wrong tokens, storages, contents and a lack of room are told before a byte is sent", async () => {
  const one = image("a.iso", "bytes"), disk = image("a.qcow2", "bytes", "qcow2");
  await assert.rejects(bring([one], {}, "another-secret"), { code: "IMG3521" });
  await assert.rejects(bring([one], { tokenId: server.tokens.reader[0] }, server.tokens.reader[1]), { code: "IMG3523" });
  await assert.rejects(bring([one], { storage: "none" }), { code: "IMG3524" });
  await assert.rejects(bring([one], { node: "other" }), { code: "IMG3524" });
  const { content, available } = server.state;
  server.state.content = "iso,backup";
  await assert.rejects(bring([one, disk]), { code: "IMG3524", hint: /pvesm set local/ });
  Object.assign(server.state, { content, available: 4 });
  await assert.rejects(bring([one]), { code: "IMG3522" });
  server.state.available = available;
  await assert.rejects(bring([one], {}, server.tokens.writer[1], AbortSignal.abort()));
  await assert.rejects(bring([one], { url: "https://localhost:1" }), { code: "IMG5060" });
  assert.deepEqual(await server.files(), {});
});
