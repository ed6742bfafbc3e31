/**
 * Requests to the interface of a place over HTTP: streamed with their length, through a proxy where one is named, with
 * authorities of the place's own. What an answer means is its caller's to say; that none came is said here.
 * Knows no place.
 * @module
 */
import { readFileSync } from "node:fs";
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import { resolve } from "node:path";
import { rootCertificates } from "node:tls";
import { pipeline } from "node:stream/promises";
import { ExitCode, fit, type Fits, ImgtaskError, type PublishContext, type Source } from "../../lib/mod.ts";
import { badOption, said, unexpectedAnswer, unreachable } from "./failure.ts";
import { proxyAgent } from "./s3-client.ts";

/** A server, and on whose behalf it is asked. */
export interface Server {
  /** For people: `vCenter vc.example.org`. */
  readonly place: string;
  /** `https://HOST[:PORT]` */
  readonly base: string;
  /** Certificates that are trusted, PEM; `undefined`: those that Node.js trusts. */
  readonly ca: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** What is sent. */
export interface Body {
  readonly type: string;
  /** Bytes. */
  readonly length: number;
  readonly content: string | (() => AsyncIterable<Uint8Array>);
}

/** What came back. */
export interface Reply {
  readonly status: number;
  /** The text beside the status, where some servers say what is wrong. */
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Milliseconds without a byte after which a request ends. */
const idle = 120_000;
/** An answer is a description, never an image. */
const longest = 16 * 1024 * 1024;

const untrusted = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/;

/** Options of a place's address, as its publisher is given them. */
export interface ServerOptions {
  /** `https://HOST[:PORT]` */
  readonly url: string;
  /** Certificates, PEM, of authorities that are trusted beside those of Node.js: `source("config/ca.pem")`. @default none */
  readonly ca?: Source | string;
}

/** A file with certificates: a handle, or its path. */
export const caFit: fit.Optional = fit.either(fit.sourceHandle, fit.by("the path of a file with certificates", fit.text.fits));
/** Of each option what it is. */
export const serverFits: Fits<ServerOptions> = { url: fit.needed(fit.text), ca: caFit };

/** Refuses an address that would send credentials in the clear, or that is none. @throws {ImgtaskError} IMG2520 */
export function checkServer({ url, ca }: ServerOptions, publisher: string): void {
  if (!/^https:\/\/[^/@?#\s]+\/?$/.test(url) || !URL.canParse(url)) throw badOption(publisher, "url", url, "an https URL without path, user and password");
  if (ca === "") throw badOption(publisher, "ca", ca, 'source("config/ca.pem") or the path of such a file');
}

/** The path of the file with the certificates, or `undefined`. */
export function caPath({ ca }: ServerOptions): string | undefined {
  return typeof ca === "object" ? ca.path : ca;
}

/** The server of a place. @throws {ImgtaskError} IMG3551 when the file with certificates cannot be read. */
export function serverOf(options: ServerOptions, place: string, { env, signal, project }: Pick<PublishContext, "env" | "signal" | "project">): Server {
  const path = caPath(options);
  let own: string | undefined;
  try {
    own = path === undefined ? undefined : readFileSync(resolve(project, path), "utf8");
  } catch (error) {
    throw new ImgtaskError("IMG3551", `The certificates for ${place} cannot be read: "${path}"`, { found: said((error as Error).message), cause: error, exitCode: ExitCode.prerequisite });
  }
  if (own !== undefined && !own.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ImgtaskError("IMG3551", `The certificates for ${place} cannot be read: "${path}"`, { expected: "certificates in PEM", exitCode: ExitCode.prerequisite });
  }
  return { place, base: options.url.replace(/\/$/, ""), ca: own === undefined ? undefined : [...rootCertificates, own], env, signal };
}

/**
 * Sends a request and reads the answer, whatever its status; redirects are not followed.
 *
 * @throws {ImgtaskError} IMG5060 when no answer came, IMG3550 for a certificate that is not trusted, IMG3525 for an endless answer.
 */
export async function send(server: Server, method: string, address: string, headers: Readonly<Record<string, string>>, body?: Body): Promise<Reply> {
  const { place, env, signal, ca } = server;
  const url = new URL(address);
  const agent = await proxyAgent(url, env);
  let text = "";
  let answer: IncomingMessage;
  try {
    const sending = (url.protocol === "https:" ? https : http).request(url, {
      method,
      signal,
      ...(ca === undefined ? {} : { ca: [...ca] }),
      ...(agent === undefined ? {} : { agent }),
      headers: { "user-agent": "imgtask", accept: "application/json", ...headers, ...(body === undefined ? {} : { "content-type": body.type, "content-length": body.length }) },
    });
    sending.setTimeout(idle, () => sending.destroy(new Error(`nothing came for ${idle / 1000} s`)));
    const answered = new Promise<IncomingMessage>((resolve, reject) => sending.once("response", resolve).on("error", reject));
    answered.catch(() => {});
    // A server may answer, and hang up, before it has all: then the answer counts.
    let failed: unknown;
    if (typeof body?.content === "function") await pipeline(body.content, sending).catch((error: unknown) => (failed = error));
    else sending.end(body?.content);
    answer = await answered.catch((error: unknown) => Promise.reject(failed instanceof ImgtaskError ? failed : error));
    answer.setEncoding("utf8");
    for await (const chunk of answer) {
      text += chunk as string;
      if (text.length > longest) throw unexpectedAnswer(place, { expected: `${longest} bytes at most`, found: "more" });
    }
  } catch (error) {
    if (signal.aborted || error instanceof ImgtaskError) throw error;
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (untrusted.test(code)) {
      throw new ImgtaskError("IMG3550", `${place} has a certificate that is not trusted: nothing was sent`, {
        found: said(`${code} ${message}`), hint: 'Name its authority: ca: source("config/ca.pem")', cause: error, exitCode: ExitCode.refused,
      });
    }
    throw unreachable(place, { found: said(`${code} ${message}`), cause: error });
  }
  return { status: answer.statusCode ?? 0, reason: answer.statusMessage ?? "", headers: answer.headers, text };
}

/** A value as JSON, to be sent. */
export function json(value: unknown): Body {
  const content = JSON.stringify(value);
  return { type: "application/json", length: Buffer.byteLength(content), content };
}

/** Reads an answer as JSON. @throws {ImgtaskError} IMG3525 */
export function parsed(place: string, { text }: Reply): unknown {
  try {
    return text.trim() === "" ? undefined : (JSON.parse(text) as unknown);
  } catch (error) {
    throw unexpectedAnswer(place, { expected: "JSON", found: said(text), cause: error });
  }
}
