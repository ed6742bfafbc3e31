/**
 * `openstack()`: options that are refused, and what an image's header tells. Against real Keystone and Glance it is tried in
 * test/contract/publisher-places.test.ts and test/long/openstack.test.ts.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { secret } from "../../../lib/mod.ts";
import { openstack, type OpenstackOptions } from "../../../plugins/publish/openstack.ts";
import { smallestDisk } from "../../../plugins/publish/openstack-images.ts";

const scratch = mkdtempSync(join(tmpdir(), "imgtask-openstack-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

test("bad options are refused when they are declared, and no secret is shown", () => {
  const bad: readonly object[] = [
    { authUrl: "ftp://a" }, { authUrl: "http://localhost.example.org:5000" }, { endpoint: "http://127.0.0.1.example.org" }, { authUrl: "https://user:secret@a" }, { authUrl: "http://cloud.example.org:5000/v3" }, { endpoint: "http://glance.example.org" },
    { auth: { method: "basic" } }, { auth: { method: "none" } }, { auth: { method: "password", password: "the secret itself" } }, { auth: { method: "token", token: {} } },
    { region: "" }, { interface: "publicURL" }, { visibility: "all" }, { replace: true }, { name: "a/b" }, { name: "" }, { ca: "" }, { ca: {} },
    { properties: { imgtask_sha256: "x" } }, { properties: { visibility: "public" } }, { properties: { "hw-x": "y" } }, { properties: { hw_disk_bus: 1 } },
  ];
  for (const options of bad) {
    assert.throws(() => openstack(options as OpenstackOptions), (error: Error & { code: string }) => /^IMG2(?:520|040)$/.test(error.code) && !JSON.stringify(error).includes("secret itself") && !error.message.includes("secret itself"), JSON.stringify(options));
  }
  const { params, secrets } = openstack({ auth: { method: "password", user: "ci", project: "images" }, properties: { hw_firmware_type: "uefi" } });
  assert.deepEqual(params, { auth: "password", user: "ci", project: "images", visibility: "private", "property hw_firmware_type": "uefi" });
  assert.deepEqual(secrets, { openstackPassword: secret.env("OS_PASSWORD") });
  openstack({ auth: { method: "none" }, endpoint: "http://glance.example.org:9292" });
});

test("the smallest disk is told by a qcow2 image's header and the size of a raw one", () => {
  const path = join(scratch, "head");
  const head = Buffer.alloc(64);
  head.write("QFI\xfb", "latin1");
  head.writeUInt32BE(3, 4);
  head.writeBigUInt64BE(80n * 2n ** 30n + 1n, 24);
  writeFileSync(path, head);
  assert.equal(smallestDisk({ path, format: "qcow2", size: 64 }), 81);
  assert.equal(smallestDisk({ path, format: "raw", size: 2 ** 30 }), 1);
  assert.equal(smallestDisk({ path, format: "iso", size: 2 ** 30 }), 0);
});
