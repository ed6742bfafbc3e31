/**
 * Asks a customer portal for the address of an image: a refresh token buys an access token (RFC 6749, section 6), and that
 * the address. Knows no portal by name; no token is logged or sent anywhere but to the portal.
 * @module
 */
import type { IncomingMessage } from "node:http";
import { ExitCode, ImgtaskError, type PortalSource, type RunContext } from "../../lib/mod.ts";
import { ask } from "./http.ts";
import { Interruption } from "./interruption.ts";
import { defaultLimits } from "./limits.ts";
import { checkMirror, printable } from "./mirror.ts";
import type { Terms } from "./wanted.ts";

type Context = Pick<RunContext, "env" | "signal" | "log"> & { readonly terms?: Terms };

const answerLimit = 1_000_000;

async function bodyOf(answer: IncomingMessage, host: string): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > answerLimit) throw new ImgtaskError("IMG5021", `${host} answered something else than was asked for`, { expected: `JSON of ${answerLimit} bytes at most`, found: "more" });
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Told by who asks.
  }
  return {};
}

/** One question; temporary failures are such. */
async function question(url: URL, headers: Readonly<Record<string, string>>, body: string | undefined, context: Context): Promise<IncomingMessage> {
  let answer: IncomingMessage;
  try {
    answer = await ask(url.href, headers, {
      env: context.env, signal: context.terms?.signal ?? context.signal, idle: (context.terms?.limits ?? defaultLimits).idle, logins: context.terms?.logins ?? [], ...(body === undefined ? {} : { body }),
    });
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    throw new ImgtaskError("IMG5001", `The portal cannot be reached: ${url.origin}`, { found: printable(error.message), exitCode: ExitCode.temporary, cause: error });
  }
  const status = answer.statusCode ?? 0;
  if (status < 400) return answer;
  answer.destroy();
  if (status >= 500 || status === 429) throw new ImgtaskError("IMG5001", `The portal cannot be reached: ${url.origin}`, { found: `the answer ${status}`, exitCode: ExitCode.temporary });
  throw new ImgtaskError("IMG5020", `${url.host} refuses the token, or has no such image for it`, {
    found: `the answer ${status}`,
    hint: "Is the token still valid (tokens expire after 30 days without use), has the account a subscription, and is the SHA-256 that of an image on the portal?",
  });
}

/** Another base for a portal's addresses; a token goes over a network encrypted or not at all. */
function placeOf(address: string, source: PortalSource, context: Context): URL {
  const url = new URL(address), named = context.env[source.env];
  if (named === undefined || named === "") return url;
  const base = new URL(checkMirror(named, source.env));
  if (base.protocol !== "https:" && !/^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(base.hostname)) {
    throw new ImgtaskError("IMG2105", `Bad portal in ${source.env}`, { expected: "an https: URL: a token is sent there", found: `"${printable(base.origin)}"`, exitCode: ExitCode.usage });
  }
  return new URL(`${base.href.replace(/\/$/, "")}${url.pathname}`);
}

/**
 * The address of an image, good for a short time. It is a secret itself: show it without its query.
 *
 * @param token the refresh token.
 * @throws {ImgtaskError} IMG5001 unreachable, IMG5020 refused, IMG5021 an answer that is none, IMG2105 a bad portal.
 */
export async function addressOnPortal(source: PortalSource, sha256: string, token: string, context: Context): Promise<{ readonly url: string; readonly name?: string }> {
  const exchange = placeOf(source.exchange.url, source, context);
  context.log(`portal: ${exchange.origin}`);
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id: source.exchange.client, refresh_token: token }).toString();
  const bought = await bodyOf(await question(exchange, { "content-type": "application/x-www-form-urlencoded", accept: "application/json" }, form, context), exchange.host);
  const access = bought["access_token"];
  if (typeof access !== "string" || !/^[\x21-\x7e]+$/.test(access)) {
    throw new ImgtaskError("IMG5021", `${exchange.host} answered something else than was asked for`, { expected: `"access_token" in JSON` });
  }
  const place = placeOf(source.image.replace("{sha256}", sha256), source, context);
  const answer = await question(place, { authorization: `Bearer ${access}`, accept: "application/json" }, undefined, context);
  const { location } = answer.headers;
  const { body } = await bodyOf(answer, place.host);
  const { href, filename } = (typeof body === "object" && body !== null ? body : {}) as { readonly href?: unknown; readonly filename?: unknown };
  const address = typeof href === "string" ? href : location;
  const url = address === undefined ? undefined : URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.hostname !== place.hostname)) {
    throw new ImgtaskError("IMG5021", `${place.host} answered something else than was asked for`, { expected: `"body.href" in JSON, an https: URL` });
  }
  return { url: url.href, ...(typeof filename === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(filename) ? { name: filename } : {}) };
}
