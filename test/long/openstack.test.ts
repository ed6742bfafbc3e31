/**
 * `openstack()` with real Keystone and Glance: ways to log in, what an image is told of, images of the name that are there
 * already, quotas, and remains of other runs. Here and not in the default run since the command lines of OpenStack take
 * seconds to start; what has to be installed, test/rig/openstack.ts says.
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import type { PublishContext, PublishedImage } from "../../lib/mod.ts";
import { openstack, type OpenstackOptions } from "../../plugins/publish/openstack.ts";
import { type Openstack, openstackMissing, startOpenstack } from "../rig/openstack.ts";

const scratch = mkdtempSync(join(tmpdir(), "imgtask-openstack-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

interface Bench {
  readonly cloud: Openstack;
  readonly t: { diagnostic(line: string): void };
  image(bytes: Buffer, about?: Partial<PublishedImage>): PublishedImage;
  /** Publishes with the builder's application credential, unless options say otherwise. */
  publish(images: readonly PublishedImage[], options?: OpenstackOptions, given?: Partial<PublishContext>): Promise<readonly { readonly name: string; readonly location: string; readonly uploaded: boolean }[]>;
}

let files = 0;
function benchOf(cloud: Openstack, t: Bench["t"]): Bench {
  return {
    cloud, t,
    image(bytes, about = {}) {
      const path = join(scratch, `image-${files++}`);
      writeFileSync(path, bytes);
      return {
        name: "debian-12", path, format: "raw", size: bytes.length, sha256: sha256(bytes), target: "disk:debian", output: "out", type: "disk",
        os: { id: "debian", version: "12", title: "Debian" }, kernel: null, arch: "x86_64", commit: { id: "f".repeat(40), dirty: true }, times: null, tests: ["test:debian"],
        untested: null, withoutSbom: null, signature: "untrusted comment: x\nRUQ\n", ...about,
      };
    },
    async publish(images, options = {}, given = {}) {
      const context = { log() {}, progress() {}, signal: new AbortController().signal, env: {}, tmp: scratch, project: scratch, secrets: { openstackSecret: cloud.builder.secret }, ...given } as unknown as PublishContext;
      return await openstack({ authUrl: cloud.authUrl, auth: { method: "application-credential", id: cloud.builder.id }, ...options }).publish(images, context);
    },
  };
}

const checks: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  async "what is known of an image are its properties, and the command line of OpenStack saves the same bytes"({ cloud, image, publish, t }) {
    const bytes = randomBytes(5 * 1024 * 1024);
    const [sent] = await publish([image(bytes)], { properties: { hw_firmware_type: "uefi" } });
    const [seen, ...more] = await cloud.seen();
    assert.equal(more.length, 0);
    const { name, status, visibility, disk_format, container_format, min_disk, size, os_hash_value } = seen!;
    assert.deepEqual({ name, status, visibility, disk_format, container_format, min_disk, size }, { name: "debian-12", status: "active", visibility: "private", disk_format: "raw", container_format: "bare", min_disk: 1, size: bytes.length });
    assert.equal(os_hash_value, createHash("sha512").update(bytes).digest("hex"));
    const properties = Object.fromEntries(Object.entries(seen!).filter(([key]) => /^(?:imgtask_|os_distro|os_version|architecture|hw_)/.test(key)));
    assert.deepEqual(properties, {
      imgtask_sha256: sha256(bytes), imgtask_target: "disk:debian", imgtask_commit: `${"f".repeat(40)}-dirty`, imgtask_signature: "untrusted comment: x\nRUQ\n",
      os_distro: "debian", os_version: "12", architecture: "x86_64", hw_firmware_type: "uefi",
    });
    assert.equal(sent!.location, `${cloud.imageUrl}/v2/images/${seen!.id}`);
    const copy = join(scratch, "copy");
    const env = {
      PATH: process.env["PATH"], HOME: scratch, OS_AUTH_TYPE: "v3applicationcredential", OS_AUTH_URL: `${cloud.authUrl}/v3`, OS_REGION_NAME: "one", OS_IDENTITY_API_VERSION: "3",
      OS_APPLICATION_CREDENTIAL_ID: cloud.builder.id, OS_APPLICATION_CREDENTIAL_SECRET: cloud.builder.secret,
    };
    // The relay in front of Glance is in this process.
    await promisify(execFile)("/usr/bin/python3", ["/usr/bin/openstack", "image", "save", "--file", copy, "debian-12"], { env });
    assert.ok(readFileSync(copy).equals(bytes));
    t.diagnostic(`openstack image save: ${bytes.length} bytes, the same`);
  },

  async "a password, a token, names of the environment, a region that is not there"({ cloud, image, publish }) {
    const one = image(randomBytes(1000));
    const login = { OS_AUTH_URL: `${cloud.authUrl}/v3/`, OS_USERNAME: "builder", OS_PROJECT_NAME: "images", OS_USER_DOMAIN_ID: "default", OS_REGION_NAME: "one", OS_INTERFACE: "publicURL" };
    const byPassword = async (env: object) => await openstack({ auth: { method: "password" } }).publish([one], { log() {}, progress() {}, signal: new AbortController().signal, env, project: scratch, secrets: { openstackPassword: `${cloud.password}\n` } } as unknown as PublishContext);
    assert.equal((await byPassword(login))[0]!.uploaded, true);
    const token = (await (await fetch(`${cloud.authUrl}/v3/auth/tokens`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ auth: { identity: { methods: ["application_credential"], application_credential: cloud.builder } } }) })).headers.get("x-subject-token"))!;
    assert.equal((await publish([one], { auth: { method: "token" } }, { secrets: { openstackToken: token } }))[0]!.uploaded, false);
    await assert.rejects(publish([one], { auth: { method: "token" } }, { secrets: { openstackToken: "gAAAAA-wrong" } }), { code: "IMG3521" });
    await assert.rejects(publish([one], { region: "two" }), { code: "IMG3524", found: "public in one" });
    await assert.rejects(publish([one], { interface: "internal" }), { code: "IMG3524" });
    await assert.rejects(byPassword({ ...login, OS_USERNAME: "" }), { code: "IMG3524", expected: "OS_USERNAME" });
    await assert.rejects(byPassword({ ...login, OS_AUTH_URL: "http://192.0.2.1:5000" }), { code: "IMG3540" });
    await assert.rejects(byPassword({ ...login, OS_AUTH_URL: "http://127.0.0.1:1" }), { code: "IMG5060" });
  },

  async "other bytes of the name are refused, hidden or deleted, and come back without being sent"({ cloud, image, publish }) {
    const [old, fresh] = [randomBytes(3000), randomBytes(3000)];
    await publish([image(old)]);
    await assert.rejects(publish([image(fresh)]), { code: "IMG3527", expected: `SHA-256 ${sha256(fresh)}` });
    assert.equal((await publish([image(fresh)], { replace: "hide" }))[0]!.uploaded, true);
    assert.deepEqual((await cloud.seen()).map(({ bytes }) => bytes), [fresh]);
    assert.equal((await publish([image(old)], { replace: "hide" }))[0]!.uploaded, false);
    assert.deepEqual((await cloud.seen()).map(({ bytes }) => bytes), [old]);
    const hidden = async (): Promise<number> => ((await cloud.ask(cloud.builder, "GET", "/v2/images?os_hidden=true")).data as { images: unknown[] }).images.length;
    assert.equal(await hidden(), 1);
    await publish([image(randomBytes(3000))], { replace: "delete" });
    assert.equal((await cloud.seen()).length, 1);
    assert.equal(await hidden(), 1);
    const again = randomBytes(3000);
    await publish([image(again)], { replace: "delete" });
    assert.equal((await publish([image(again)], { visibility: "shared", properties: { hw_disk_bus: "virtio" } }))[0]!.uploaded, false);
    assert.deepEqual((await cloud.seen()).map((one) => [one["visibility"], one["hw_disk_bus"]]), [["shared", "virtio"]]);
    await assert.rejects(publish([image(randomBytes(10), { name: "everybody" })], { visibility: "public" }), { code: "IMG3523" });
  },

  async "a public image of another project is not replaced, nor are unfinished images of others taken away"({ cloud, image, publish }) {
    const make = async (who: Openstack["builder"], fields: object, bytes?: Buffer): Promise<string> => {
      const { status, data } = await cloud.ask(who, "POST", "/v2/images", { name: "debian-12", disk_format: "raw", container_format: "bare", ...fields });
      assert.equal(status, 201, JSON.stringify(data));
      const { id } = data as { id: string };
      if (bytes !== undefined) assert.equal((await cloud.ask(who, "PUT", `/v2/images/${id}/file`, bytes, "application/octet-stream")).status, 204);
      return id;
    };
    const bytes = randomBytes(2000);
    const stranger = await make(cloud.builder, { os_hidden: true, imgtask_sending: "of another host", imgtask_sha256: sha256(bytes) }, bytes);
    assert.equal((await publish([image(bytes)]))[0]!.uploaded, true);
    assert.equal((await cloud.ask(cloud.builder, "GET", `/v2/images/${stranger}`)).status, 200);
    await cloud.empty();
    const foreign = await make(cloud.other, { visibility: "public" }, bytes);
    await assert.rejects(publish([image(randomBytes(2000))], { replace: "delete" }), { code: "IMG3527" });
    await assert.rejects(publish([image(bytes)], { replace: "delete" }), { code: "IMG3527" });
    assert.equal((await cloud.ask(cloud.other, "DELETE", `/v2/images/${foreign}`)).status, 204);
    // Somebody's promise of an image, without bytes, is in the list as well.
    await make(cloud.builder, {});
    await assert.rejects(publish([image(bytes)]), { code: "IMG3527" });
  },

  async "an image that is too large, and a run that is ended, leave nothing that is seen"({ cloud, image, publish }) {
    await assert.rejects(publish([image(randomBytes(65 * 1024 * 1024))]), { code: "IMG3522" });
    const listed = async (hidden: boolean): Promise<readonly object[]> => ((await cloud.ask(cloud.builder, "GET", `/v2/images?os_hidden=${hidden}`)).data as { images: object[] }).images;
    const all = async (): Promise<readonly object[]> => [...(await listed(false)), ...(await listed(true))];
    assert.deepEqual(await all(), []);
    const ending = new AbortController();
    cloud.relay.received();
    const half = cloud.relay.reached(10 * 1024 * 1024).then(() => ending.abort());
    const work = image(randomBytes(40 * 1024 * 1024));
    await assert.rejects(publish([work], {}, { signal: ending.signal }));
    await half;
    assert.deepEqual(await cloud.seen(), []);
    assert.equal((await publish([work]))[0]!.uploaded, true);
    assert.equal((await all()).length, 1, "what was left is cleaned up");
  },
};

const missing = openstackMissing();
test("Keystone and Glance", { skip: missing }, async (t) => {
  const directory = join(scratch, "cloud");
  mkdirSync(directory);
  const cloud = await startOpenstack(directory);
  try {
    for (const [name, body] of Object.entries(checks)) {
      await t.test(name, async (inner) => {
        await body(benchOf(cloud, inner)).finally(() => cloud.empty());
      });
    }
  } finally {
    await cloud.stop();
  }
});
