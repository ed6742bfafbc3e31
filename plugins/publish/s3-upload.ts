/**
 * One file on its way into a bucket: whole in one request, or in parts that a later run can carry on with.
 * An object is there when its last request is answered, and not before. Knows nothing of other files.
 * @module
 */
import type { S3Client } from "@aws-sdk/client-s3";
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { changedMeanwhile, damagedOnTheWay } from "./failure.ts";
import { nameOf, type Sdk, statusOf } from "./s3-client.ts";

/** A file and the object that it becomes. */
export interface Upload {
  readonly key: string;
  readonly name: string;
  readonly path: string;
  readonly size: number;
  /** SHA-256, 64 hex digits. */
  readonly digest: string;
}

/** Where to, and what the server can do. */
export interface Bucket {
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly bucket: string;
  readonly place: string;
  /** Key in front of all others, with its `/`. */
  readonly prefix: string;
  readonly partSize: number;
  /** Whether it understands `If-None-Match`. */
  readonly conditional: boolean;
  /** Whether it computes SHA-256 of what it is sent. */
  readonly checksums: boolean;
  readonly signal: AbortSignal;
  log(line: string): void;
  progress(text: string): void;
}

/** Milliseconds after which an upload counts as abandoned: longer than any takes. */
const abandoned = 7 * 24 * 60 * 60 * 1000;
/** Parts on the way at one time; each is in memory. */
const atOnce = 4;
const mostParts = 10_000;

const checksumOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("base64");
const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");

/** What there is under a key. */
export async function lookUp({ sdk, client, bucket, signal }: Bucket, key: string): Promise<{ readonly size: number; readonly digest: string | undefined } | undefined> {
  try {
    const found = await client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal });
    return { size: found.ContentLength ?? -1, digest: found.Metadata?.["sha256"] };
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

const markers = ({ prefix }: Bucket): string => `${prefix}.imgtask/`;

/** Where it is written which unfinished upload is this file's: a list of uploads tells no digests. */
function markerOf(to: Bucket, { key, digest }: Upload): string {
  return `${markers(to)}${createHash("sha256").update(`${key}\0${digest}`).digest("hex")}.upload`;
}

interface Part {
  readonly PartNumber: number;
  readonly ETag: string;
  readonly ChecksumSHA256?: string;
}

interface Marker {
  readonly upload: string;
  readonly partSize: number;
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly began: number;
}

/** A marker, or `undefined` when there is none, or one of another form. */
async function readMarker({ sdk, client, bucket, signal }: Bucket, key: string): Promise<Marker | undefined> {
  try {
    const found = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal });
    const marker = JSON.parse((await found.Body?.transformToString()) ?? "{}") as Marker;
    return typeof marker.upload === "string" && typeof marker.key === "string" && typeof marker.began === "number" ? marker : undefined;
  } catch (error) {
    if (statusOf(error) === 404 || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface Arrived {
  readonly size: number;
  readonly etag: string;
  readonly checksum: string | undefined;
}

/** The upload of this very file that an earlier run began, with the parts that arrived. */
async function unfinished(to: Bucket, file: Upload, partSize: number): Promise<{ readonly id: string; readonly parts: Map<number, Arrived> } | undefined> {
  const { sdk, client, bucket, signal } = to;
  const marker = await readMarker(to, markerOf(to, file));
  if (marker === undefined || marker.key !== file.key || marker.partSize !== partSize) return undefined;
  const parts = new Map<number, Arrived>();
  try {
    for (let from: string | undefined; ; ) {
      const page = await client.send(new sdk.ListPartsCommand({ Bucket: bucket, Key: file.key, UploadId: marker.upload, PartNumberMarker: from }), { abortSignal: signal });
      for (const { PartNumber, ETag, Size, ChecksumSHA256 } of page.Parts ?? []) parts.set(PartNumber!, { etag: (ETag ?? "").replaceAll('"', ""), size: Size ?? -1, checksum: ChecksumSHA256 });
      if (page.IsTruncated !== true || page.NextPartNumberMarker === undefined) return { id: marker.upload, parts };
      from = page.NextPartNumberMarker;
    }
  } catch (error) {
    // It was completed or aborted.
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** Whether a part has these bytes: by SHA-256 where the server knows it, else by its tag, which is the MD5 where it is not encrypted. */
const isPart = (there: Arrived | undefined, bytes: Buffer): there is Arrived =>
  there !== undefined && there.size === bytes.length && (there.checksum === undefined ? there.etag === md5(bytes) : there.checksum === checksumOf(bytes));

/** Takes back uploads below the prefix that are a week old: their parts cost room that no list of objects shows. */
export async function abortAbandoned(to: Bucket): Promise<void> {
  const { sdk, client, bucket, signal, log } = to;
  for (let from: string | undefined; ; ) {
    const page = await client.send(new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: markers(to), ContinuationToken: from }), { abortSignal: signal });
    for (const { Key } of page.Contents ?? []) {
      const marker = Key?.endsWith(".upload") === true ? await readMarker(to, Key) : undefined;
      if (marker === undefined || Date.now() - marker.began < abandoned) continue;
      log(`removing an abandoned upload of ${marker.key}`);
      await client.send(new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key: marker.key, UploadId: marker.upload }), { abortSignal: signal }).catch((error: unknown) => {
        if (statusOf(error) !== 404) throw error;
      });
      await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key }), { abortSignal: signal });
    }
    if (page.IsTruncated !== true || page.NextContinuationToken === undefined) return;
    from = page.NextContinuationToken;
  }
}

/** Sends the content of a large file. The result makes the object appear. */
async function sendParts(to: Bucket, file: Upload): Promise<(fresh: boolean) => Promise<void>> {
  const { sdk, client, bucket, signal, log, progress, checksums } = to;
  const { key, size, digest } = file;
  const partSize = Math.max(to.partSize, Math.ceil(size / mostParts));
  const before = await unfinished(to, file, partSize);
  let id = before?.id;
  if (id === undefined) {
    const made = await client.send(
      new sdk.CreateMultipartUploadCommand({ Bucket: bucket, Key: key, Metadata: { sha256: digest }, ContentType: "application/octet-stream", ...(checksums ? { ChecksumAlgorithm: "SHA256" } : {}) }),
      { abortSignal: signal },
    );
    id = made.UploadId!;
    await client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: markerOf(to, file), Body: JSON.stringify({ upload: id, partSize, key, began: Date.now() } satisfies Marker) }), { abortSignal: signal });
  }
  const UploadId = id;
  const count = Math.ceil(size / partSize);
  const parts: Part[] = [];
  const whole = createHash("sha256");
  const handle = await open(file.path, "r");
  let kept = 0;
  try {
    const onTheWay = new Set<Promise<void>>();
    let failure: unknown;
    for (let number = 1; number <= count && failure === undefined; number++) {
      const bytes = Buffer.allocUnsafe(Math.min(partSize, size - (number - 1) * partSize));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, (number - 1) * partSize);
      if (bytesRead !== bytes.length) throw damagedOnTheWay(to.place, file.name, { found: "the file became shorter" });
      whole.update(bytes);
      const there = before?.parts.get(number);
      const checksum = checksums ? { ChecksumSHA256: checksumOf(bytes) } : {};
      if (isPart(there, bytes)) {
        kept++;
        parts.push({ PartNumber: number, ETag: `"${there.etag}"`, ...checksum });
        continue;
      }
      const sending = client.send(new sdk.UploadPartCommand({ Bucket: bucket, Key: key, UploadId, PartNumber: number, Body: bytes, ContentLength: bytes.length, ...checksum }), { abortSignal: signal }).then(
        ({ ETag }) => {
          parts.push({ PartNumber: number, ETag: ETag!, ...checksum });
          progress(`sending ${file.name}: ${Math.floor((parts.length / count) * 100)} %`);
        },
        (error: unknown) => void (failure ??= error),
      ).finally(() => onTheWay.delete(sending));
      onTheWay.add(sending);
      if (onTheWay.size >= atOnce) await Promise.race(onTheWay);
    }
    await Promise.all(onTheWay);
    if (failure !== undefined) throw failure as Error;
  } finally {
    await handle.close();
  }
  if (whole.digest("hex") !== digest) throw damagedOnTheWay(to.place, file.name, { found: "the file was changed while it was read" });
  if (kept > 0) log(`${file.name}: ${kept} of ${count} parts were there from an earlier run`);
  parts.sort((a, b) => a.PartNumber - b.PartNumber);
  return async (fresh) => {
    await client.send(
      new sdk.CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId, MultipartUpload: { Parts: parts }, ...(fresh ? { IfNoneMatch: "*" } : {}) }),
      { abortSignal: signal },
    );
    await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: markerOf(to, file) }), { abortSignal: signal });
  };
}

/** Makes a small file ready: it is one request, which makes the object appear. */
async function oneRequest({ sdk, client, bucket, signal, checksums, place }: Bucket, { key, name, path, digest }: Upload): Promise<(fresh: boolean) => Promise<void>> {
  const handle = await open(path, "r");
  const bytes = await handle.readFile().finally(() => handle.close());
  if (createHash("sha256").update(bytes).digest("hex") !== digest) throw damagedOnTheWay(place, name, { found: "the file was changed while it was read" });
  return async (fresh) => {
    await client.send(
      new sdk.PutObjectCommand({
        Bucket: bucket, Key: key, Body: bytes, ContentLength: bytes.length, Metadata: { sha256: digest }, ContentType: "application/octet-stream",
        ...(checksums ? { ChecksumSHA256: checksumOf(bytes) } : {}), ...(fresh ? { IfNoneMatch: "*" } : {}),
      }),
      { abortSignal: signal },
    );
  };
}

/**
 * Sends a file as far as it can go without being seen.
 *
 * @returns makes it appear. `fresh`: only if there is no object of that key.
 */
export async function prepare(to: Bucket, file: Upload): Promise<(fresh: boolean) => Promise<void>> {
  const appear = await (file.size <= to.partSize ? oneRequest(to, file) : sendParts(to, file));
  return async (fresh) => {
    try {
      await appear(fresh && to.conditional);
    } catch (error) {
      // 412: somebody made it meanwhile. 409: somebody is about to. 404 with that name: somebody completed or aborted this
      // very upload, or an answer was lost and the request was sent again.
      if (![409, 412].includes(statusOf(error) ?? 0) && !["PreconditionFailed", "NoSuchUpload"].includes(nameOf(error))) throw error;
      const there = await lookUp(to, file.key);
      if (there?.digest === file.digest && there.size === file.size) return;
      throw changedMeanwhile(to.place, { expected: `no object "${file.key}"`, found: "one with other bytes", cause: error });
    }
  };
}
