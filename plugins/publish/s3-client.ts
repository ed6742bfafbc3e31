/**
 * A client for object storage with S3's interface: the AWS SDK, loaded when something is published, and what its errors mean.
 * Knows nothing of what is published.
 * @module
 */
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { Agent } from "node:https";
import { busy, credentialsRefused, missingThere, packageMissing, placeFull, said, unexpectedAnswer, unreachable, writingDenied } from "./failure.ts";

/** The SDK's module. */
export type Sdk = typeof import("@aws-sdk/client-s3");

/** What the client is made from. */
export interface Access {
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly pathStyle: boolean;
  /** `undefined`: the SDK looks for them in its own ways. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string } | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** @throws {ImgtaskError} IMG3528 when the package is not installed. */
export async function loadSdk(): Promise<Sdk> {
  try {
    return await import("@aws-sdk/client-s3");
  } catch (error) {
    throw packageMissing("@aws-sdk/client-s3", error);
  }
}

/** The agent that goes through the proxy for an address, or `undefined`. @throws {ImgtaskError} IMG3528 */
export async function proxyAgent(address: URL, env: Readonly<Record<string, string | undefined>>): Promise<Agent | undefined> {
  const proxy = env[address.protocol === "https:" ? "https_proxy" : "http_proxy"];
  const host = address.hostname.toLowerCase();
  const direct = (env["no_proxy"] ?? "").toLowerCase().split(",").map((one) => one.trim().replace(/^\*?\./, ""));
  if (proxy === undefined || proxy === "" || direct.some((one) => one === "*" || (one !== "" && (host === one || host.endsWith(`.${one}`))))) return undefined;
  try {
    const { HttpsProxyAgent } = await import("https-proxy-agent");
    return new HttpsProxyAgent(proxy.includes("://") ? proxy : `http://${proxy}`) as unknown as Agent;
  } catch (error) {
    throw packageMissing("https-proxy-agent", error);
  }
}

/** A client. Its requests are signed with their content's SHA-256, which the server checks. */
export async function connect(sdk: Sdk, { region, endpoint, pathStyle, credentials, env }: Access): Promise<S3Client> {
  const agent = await proxyAgent(new URL(endpoint ?? `https://s3.${region}.amazonaws.com`), env);
  const config: S3ClientConfig = {
    region,
    forcePathStyle: pathStyle,
    // Bodies are whole parts with a checksum of their own; other servers do not understand streams with trailers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 30_000, requestTimeout: 300_000, ...(agent === undefined ? {} : { httpAgent: agent, httpsAgent: agent }) } as NonNullable<S3ClientConfig["requestHandler"]>,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
  };
  return new sdk.S3Client(config);
}

interface ServiceError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** HTTP status of a failed request, or `undefined` when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  return (error as ServiceError).$metadata?.httpStatusCode;
}

/** Name that the service gave an error. */
export function nameOf(error: unknown): string {
  return (error as ServiceError).name ?? "";
}

/** Tells what failed. */
export function failureOf(error: unknown, place: string): Error {
  if ((error as Error).name === "ImgtaskError" || (error as { code?: string }).code?.startsWith("IMG") === true) return error as Error;
  const { name = "", code, message = "" } = error as ServiceError;
  const status = statusOf(error);
  const details = { found: said(`${status ?? ""} ${name} ${message}`), cause: error };
  if (/^(InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|CredentialsProviderError|TokenRefreshRequired)$/.test(name) || status === 401) {
    return credentialsRefused(place, { ...details, hint: "Are key id and secret of the same pair, the region right, and the clock of this host?" });
  }
  if (/QuotaExceeded|InsufficientStorage|EntityTooLarge|XMinioStorageFull|NoSpace/.test(name) || status === 507 || status === 413) return placeFull(place, details);
  if (name === "AccessDenied" || status === 403) return writingDenied(place, { ...details, hint: "Publishing needs the rights to get, put, delete and list objects and multipart uploads below the prefix" });
  if (name === "NoSuchBucket") return missingThere(place, "the bucket", details);
  if (name === "NotImplemented" || status === 501) {
    return missingThere(place, "a feature of S3", { ...details, hint: "Servers that know no conditional requests need `conditional: false`, those without checksums `checksums: false`" });
  }
  if (/^(SlowDown|Throttling|RequestTimeout|InternalError|ServiceUnavailable|TooManyRequests)/.test(name) || (status !== undefined && (status >= 500 || status === 429))) return busy(place, details);
  if (status === undefined) return unreachable(place, { ...details, found: said(`${code ?? name} ${message}`) });
  return unexpectedAnswer(place, details);
}
