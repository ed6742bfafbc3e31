/**
 * Conditions and abandoned uploads, at a real server: OpenStack Swift, which knows `If-None-Match` where a multipart upload
 * is completed. Of whole objects it ignores the condition; Ceph's gateway, which knows it there, takes a cluster to run and
 * was asked by hand.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadSdk } from "../../../plugins/publish/s3-client.ts";
import { carryOut, type Order } from "../../rig/publish-child.ts";
import { startSwift, type Swift, swiftMissing } from "../../rig/swift.ts";

const skip = swiftMissing();
const scratch = mkdtempSync(join(tmpdir(), "imgtask-s3-"));
const big = 6 * 1024 * 1024;
let swift: Swift;

before(async () => {
  for (const name of ["tmp", "project", "swift"]) mkdirSync(join(scratch, name));
  if (skip === undefined) swift = await startSwift(join(scratch, "swift"));
});
after(async () => {
  if (skip === undefined) await swift.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function order(name: string, content: Buffer, more: object = {}): Order {
  const path = join(scratch, `${name}-${content[0]}`);
  writeFileSync(path, content);
  const options = {
    bucket: swift.bucket, endpoint: swift.endpoint, partSize: 5 * 1024 * 1024, checksums: false,
    credentials: { accessKeyId: { type: "secret", from: "environment", name: "ID" }, secretAccessKey: { type: "secret", from: "environment", name: "KEY" } }, ...more,
  };
  const module = new URL("../../../plugins/publish/s3.ts", import.meta.url).href;
  return { module, factory: "s3", options, secrets: { s3AccessKeyId: swift.accessKeyId, s3SecretAccessKey: swift.secretAccessKey }, env: {}, files: [{ name, path }], scratch };
}

const thereAs = (name: string): Buffer => {
  swift.s3cmd("get", "--force", `s3://${swift.bucket}/${name}`, join(scratch, "copy"));
  return swift.s3cmd("ls", `s3://${swift.bucket}/${name}`);
};

test("a multipart object that somebody else made meanwhile is not replaced: the server refuses it by If-None-Match", { skip }, async () => {
  const [ours, theirs] = [Buffer.alloc(big, "o"), Buffer.from("theirs")];
  writeFileSync(join(scratch, "theirs"), theirs);
  let meanwhile = (): void => void swift.s3cmd("put", join(scratch, "theirs"), `s3://${swift.bucket}/race.iso`);
  // Said after it was looked at, and before anything is sent.
  const log = (line: string): void => void (line === "sending race.iso" && (meanwhile(), (meanwhile = () => {})));
  await assert.rejects(carryOut(order("race.iso", ours), log), { code: "IMG5063" });
  assert.match(thereAs("race.iso").toString(), / 6  s3:/);

  // The same bytes made by somebody else: nothing is wrong.
  meanwhile = () => {};
  await carryOut(order("same.iso", ours));
  await carryOut(order("same.iso", ours));
});

test("without the condition, somebody else's object would have been replaced", { skip }, async () => {
  let meanwhile = (): void => void swift.s3cmd("put", join(scratch, "theirs"), `s3://${swift.bucket}/loose.iso`);
  const log = (line: string): void => void (line === "sending loose.iso" && (meanwhile(), (meanwhile = () => {})));
  await carryOut(order("loose.iso", Buffer.alloc(big, "o"), { conditional: false }), log);
  assert.match(thereAs("loose.iso").toString(), new RegExp(` ${big}  s3:`));
});

test("a server that does not know the condition is told by name, and nothing is published", { skip }, async () => {
  await assert.rejects(carryOut(order("small.iso", Buffer.from("small"))), { code: "IMG3524", hint: /conditional: false/ });
  assert.equal(swift.s3cmd("ls", `s3://${swift.bucket}/small.iso`).toString(), "");
});

test("what was published as immutable is not replaced", { skip }, async () => {
  await carryOut(order("fixed.iso", Buffer.alloc(big, "1"), { immutable: true }));
  await assert.rejects(carryOut(order("fixed.iso", Buffer.alloc(big, "2"), { immutable: true })), { code: "IMG3527" });
});

test("an upload that is a week old is taken back with its parts; a younger one is not", { skip }, async () => {
  const sdk = await loadSdk();
  const client = new sdk.S3Client({
    region: "us-east-1", endpoint: swift.endpoint, forcePathStyle: true, credentials: { accessKeyId: swift.accessKeyId, secretAccessKey: swift.secretAccessKey },
    requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED",
  });
  const Bucket = swift.bucket;
  const week = 7 * 24 * 60 * 60 * 1000;
  for (const [name, age] of [["old", week + 1000], ["young", week / 2]] as const) {
    const Key = `aged/${name}.iso`;
    const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key }));
    await client.send(new sdk.UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: Buffer.from("part") }));
    await client.send(new sdk.PutObjectCommand({ Bucket, Key: `aged/.imgtask/${name}.upload`, Body: JSON.stringify({ upload: UploadId, partSize: 5, key: Key, began: Date.now() - age }) }));
  }
  const uploads = async (): Promise<readonly (string | undefined)[]> => ((await client.send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix: "aged/" }))).Uploads ?? []).map(({ Key }) => Key).sort();
  assert.deepEqual(await uploads(), ["aged/old.iso", "aged/young.iso"]);
  await carryOut(order("a.iso", Buffer.alloc(big, "3"), { prefix: "aged/" }));
  assert.deepEqual(await uploads(), ["aged/young.iso"]);
  assert.doesNotMatch(swift.s3cmd("ls", `s3://${Bucket}/aged/.imgtask/`).toString(), /old|a\.iso/);
  client.destroy();
});
