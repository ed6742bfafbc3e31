/**
 * Publishes to a bucket of object storage with S3's interface: AWS, MinIO, Ceph, OpenStack Swift …
 * Needs the package `@aws-sdk/client-s3`. Knows nothing of what the files are.
 * @module
 */
import { statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { checkOptions, fit, type Fits, type PublishContext, type FilePublisher, proxyVariables, type Secret, secret } from "../../lib/mod.ts";
import { sha256 } from "./digest.ts";
import { badOption, damagedOnTheWay, otherBytesThere } from "./failure.ts";
import { checkLayout, layoutFits, type LayoutOptions, nameOfIn } from "./layout.ts";
import { checkPublishedName } from "./names.ts";
import { connect, failureOf, loadSdk, statusOf } from "./s3-client.ts";
import { abortAbandoned, type Bucket, lookUp, prepare, type Upload } from "./s3-upload.ts";

/** What `s3()` takes. A bucket has no links, so there is no `latest`. */
export interface S3Options extends Pick<LayoutOptions, "build"> {
  readonly bucket: string;
  /** In front of all keys: `images/`. @default "" */
  readonly prefix?: string;
  /** @default "us-east-1", which most servers other than AWS expect */
  readonly region?: string;
  /** URL of a server other than AWS. */
  readonly endpoint?: string;
  /** Whether the bucket stands in the path of URLs instead of the host name. @default whether there is an endpoint */
  readonly pathStyle?: boolean;
  /**
   * Access keys; or `"chain"`: the SDK finds them as the AWS tools do (profile, single sign-on, role of the machine or
   * of the CI job). imgtask does not know these then, and cannot keep them out of logs.
   * @default those in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
   */
  readonly credentials?: "chain" | { readonly accessKeyId: Secret; readonly secretAccessKey: Secret; readonly sessionToken?: Secret };
  /** Whether objects that are there with other bytes are refused instead of replaced. @default false */
  readonly immutable?: boolean;
  /** Bytes of a part of a large file, 5 MiB at least. Four are in memory at a time. @default 16 MiB */
  readonly partSize?: number;
  /** Whether new objects are made by `If-None-Match: *`. Turn it off for servers that do not know it. @default true */
  readonly conditional?: boolean;
  /** Whether the server is asked to check SHA-256 of each part. Turn it off for servers that do not know it. @default true */
  readonly checksums?: boolean;
}

const smallestPart = 5 * 1024 * 1024;
/** The SDK asks whether it runs within Lambda. */
const environment = ["AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA"] as const;

const fits: Fits<S3Options> = {
  bucket: fit.needed(fit.text),
  prefix: fit.text,
  region: fit.text,
  endpoint: fit.text,
  pathStyle: fit.flag,
  credentials: fit.either(fit.word("chain"), fit.by("handles to secrets", fit.isObject)),
  immutable: fit.flag,
  partSize: fit.number,
  conditional: fit.flag,
  checksums: fit.flag,
  build: layoutFits.build,
};
const credentialFits: Fits<Exclude<S3Options["credentials"], "chain" | undefined>> = {
  accessKeyId: fit.needed(fit.secretHandle),
  secretAccessKey: fit.needed(fit.secretHandle),
  sessionToken: fit.secretHandle,
};

function check(options: S3Options): void {
  checkOptions("s3()", options, fits);
  const { bucket, prefix = "", endpoint, partSize, credentials, region } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$/.test(bucket)) throw badOption("s3", "bucket", bucket, "the name of a bucket");
  if (!/^(?:[A-Za-z0-9][A-Za-z0-9._+=-]*\/)*$/.test(prefix)) throw badOption("s3", "prefix", prefix, `"" or names, each with "/" behind it: "images/kali/"`);
  if (region !== undefined && !/^[a-z0-9-]+$/.test(region)) throw badOption("s3", "region", region, "the name of a region");
  if (endpoint !== undefined && (!/^https?:\/\/[^/@?#]+\/?$/.test(endpoint) || !URL.canParse(endpoint))) throw badOption("s3", "endpoint", endpoint, "an http or https URL without path, user and password");
  if (partSize !== undefined && (!Number.isInteger(partSize) || partSize < smallestPart || partSize > 2 ** 30)) throw badOption("s3", "partSize", partSize, "bytes, from 5 MiB to 1 GiB");
  if (credentials !== undefined && credentials !== "chain") checkOptions('"credentials" of s3()', credentials, credentialFits);
  checkLayout(options, "s3");
}

/**
 * Publishes to a bucket.
 *
 * Large files are sent in parts; a run that was interrupted goes on with those that arrived. Objects appear when all of
 * them have been sent, in the order in which the files were given, each whole. What is there with the same size and
 * SHA-256 (in the object's metadata) is not sent. While parts are on the way there is a small object below `.imgtask/`,
 * by which a later run finds them; what is a week old is taken back.
 *
 * @throws {ImgtaskError} IMG2520 for bad options; when it runs, IMG3521 for wrong credentials, IMG3522 and IMG3523 for a
 * bucket that is full or not writable, IMG3524 for what the server lacks, IMG3527 for an object that is not to be replaced,
 * IMG3528 without the SDK, IMG506x for the network.
 *
 * @example
 * ```ts
 * import { s3 } from "imgtask/plugins/publish/s3";
 *
 * publish("bucket", {
 *   artifacts: [kaliIso],
 *   tests: [kaliTest],
 *   to: s3({ bucket: "images", prefix: "nightly/", region: "eu-central-1", build: "2026-11-21" }),
 * });
 * ```
 */
export function s3(options: S3Options): FilePublisher {
  check(options);
  const { bucket, prefix = "", region = "us-east-1", endpoint, build, immutable = false, partSize = 16 * 1024 * 1024, conditional = true, checksums = true } = options;
  const credentials = options.credentials ?? { accessKeyId: secret.env("AWS_ACCESS_KEY_ID"), secretAccessKey: secret.env("AWS_SECRET_ACCESS_KEY") };
  const place = `bucket "${bucket}"${endpoint === undefined ? "" : ` of ${new URL(endpoint).host}`}`;
  const withBucket = async <T>({ env, secrets, signal, log, progress }: PublishContext, work: (to: Bucket) => Promise<T>): Promise<T> => {
    const sdk = await loadSdk();
    const { s3AccessKeyId = "", s3SecretAccessKey = "", s3SessionToken } = secrets;
    const keys = { accessKeyId: s3AccessKeyId, secretAccessKey: s3SecretAccessKey, ...(s3SessionToken === undefined ? {} : { sessionToken: s3SessionToken }) };
    const client = await connect(sdk, { region, endpoint, pathStyle: options.pathStyle ?? endpoint !== undefined, credentials: credentials === "chain" ? undefined : keys, env });
    try {
      return await work({ sdk, client, bucket, place, prefix, partSize, conditional, checksums, signal, log, progress });
    } catch (error) {
      throw signal.aborted ? error : failureOf(error, place);
    } finally {
      client.destroy();
    }
  };
  return Object.freeze({
    name: "s3",
    params: { bucket, prefix, region, immutable, ...(endpoint === undefined ? {} : { endpoint }), ...(build === undefined ? {} : { build }) },
    tools: [],
    env: environment,
    // The SDK's own settings; without "chain", no keys are taken from there.
    untracked: { env: proxyVariables, reads: [join(homedir(), ".aws")] },
    ...(credentials === "chain"
      ? {}
      : { secrets: { s3AccessKeyId: credentials.accessKeyId, s3SecretAccessKey: credentials.secretAccessKey, ...(credentials.sessionToken === undefined ? {} : { s3SessionToken: credentials.sessionToken }) } }),
    module: import.meta.url,
    ...nameOfIn(options),
    async read(name, context) {
      return await withBucket(context, async ({ sdk, client, signal }) => {
        try {
          const found = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: `${prefix}${name}` }), { abortSignal: signal });
          return await found.Body?.transformToByteArray();
        } catch (error) {
          if (statusOf(error) === 404 && (error as Error).name !== "NoSuchBucket") return undefined;
          throw error;
        }
      });
    },
    async has(names, context) {
      return await withBucket(context, async (to) => {
        const there: string[] = [];
        for (const name of names) if ((await lookUp(to, `${prefix}${name}`)) !== undefined) there.push(name);
        return new Set(there);
      });
    },
    async publish(files, context) {
      for (const { name } of files) checkPublishedName(name);
      const all: Upload[] = [];
      for (const { name, path } of files) all.push({ name, key: `${prefix}${name}`, path, size: statSync(path).size, digest: await sha256(path, context.signal) });
      return await withBucket(context, async (to) => {
        const waiting: { file: Upload; fresh: boolean; appear: (fresh: boolean) => Promise<void> }[] = [];
        const wanted: { file: Upload; fresh: boolean }[] = [];
        for (const file of all) {
          const there = await lookUp(to, file.key);
          if (there?.digest === file.digest && there.size === file.size) continue;
          if (there !== undefined && immutable) {
            throw otherBytesThere(place, file.name, { expected: `SHA-256 ${file.digest}`, found: there.digest ?? "an object without a digest", hint: "Publish under another build or prefix" });
          }
          wanted.push({ file, fresh: there === undefined });
        }
        if (wanted.length > 0) await abortAbandoned(to);
        for (const { file, fresh } of wanted) {
          context.log(`sending ${file.key}`);
          waiting.push({ file, fresh, appear: await prepare(to, file) });
        }
        for (const { appear, fresh } of waiting) await appear(fresh);
        for (const { file } of waiting) {
          const there = await lookUp(to, file.key);
          if (there?.digest !== file.digest || there.size !== file.size) throw damagedOnTheWay(place, file.name, { expected: `${file.size} bytes`, found: `${there?.size ?? "none"}` });
        }
        return all.map((file) => ({ name: file.name, location: `s3://${bucket}/${file.key}`, uploaded: wanted.some((one) => one.file === file) }));
      });
    },
  } satisfies FilePublisher);
}
