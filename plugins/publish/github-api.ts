/**
 * The six requests of GitHub's REST API that a release needs. Files are streamed with their length, through a proxy
 * where one is named: what Node's `fetch()` cannot do. Knows no order of things.
 * @module
 */
import { createReadStream } from "node:fs";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { pipeline } from "node:stream/promises";
import { busy, credentialsRefused, missingThere, said, unexpectedAnswer, unreachable, writingDenied } from "./failure.ts";
import { proxyAgent } from "./s3-client.ts";

/** An asset, as far as it is looked at. */
export interface Asset {
  readonly id: number;
  readonly name: string;
  /** `uploaded`, or `starter` while it is incomplete. */
  readonly state: string;
  readonly size: number;
  /** `sha256:…`, once it is complete. */
  readonly digest?: string | null;
}

/** A release, as far as it is looked at. */
export interface Release {
  readonly id: number;
  readonly tag_name: string;
  readonly draft: boolean;
  readonly html_url: string;
  /** A template: `https://…/assets{?name,label}`. */
  readonly upload_url: string;
}

/** Where the API is, and who asks. */
export interface Api {
  /** Base URL, without `/` at the end. */
  readonly base: string;
  readonly token: string;
  readonly place: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

interface Body {
  readonly type: string;
  readonly length: number;
  readonly text?: string;
  readonly file?: string;
}

/** Milliseconds without a byte after which a request ends. */
const idle = 120_000;

/** Sends a request; redirects are not followed. @returns the JSON of an answer with one of the statuses, or `undefined` without content. */
async function request<T>(api: Api, method: string, address: string, statuses: readonly number[], body?: Body): Promise<{ readonly status: number; readonly data: T }> {
  const url = new URL(address);
  const { place } = api;
  const agent = await proxyAgent(url, api.env);
  let answer: IncomingMessage;
  let text = "";
  try {
    const sending = (url.protocol === "https:" ? https : http).request(url, {
      method,
      signal: api.signal,
      ...(agent === undefined ? {} : { agent }),
      headers: {
        "user-agent": "imgtask",
        accept: "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
        authorization: `Bearer ${api.token}`,
        ...(body === undefined ? {} : { "content-type": body.type, "content-length": body.length }),
      },
    });
    sending.setTimeout(idle, () => sending.destroy(new Error(`nothing came for ${idle / 1000} s`)));
    const answered = new Promise<IncomingMessage>((resolve, reject) => sending.once("response", resolve).on("error", reject));
    answered.catch(() => {});
    // A server may answer, and hang up, before it has all: then the answer counts.
    if (body?.file !== undefined) await pipeline(createReadStream(body.file, { highWaterMark: 1 << 20 }), sending).catch(() => {});
    else sending.end(body?.text);
    answer = await answered;
    answer.setEncoding("utf8");
    for await (const chunk of answer) text += chunk as string;
  } catch (error) {
    if (api.signal.aborted) throw error;
    throw unreachable(place, { found: said(`${(error as NodeJS.ErrnoException).code ?? ""} ${(error as Error).message}`), cause: error });
  }
  const status = answer.statusCode ?? 0;
  if (statuses.includes(status)) {
    try {
      return { status, data: (text === "" ? undefined : JSON.parse(text)) as T };
    } catch (error) {
      throw unexpectedAnswer(place, { expected: "JSON", found: said(text), cause: error });
    }
  }
  let message = text;
  try {
    const { message: told, errors } = JSON.parse(text) as { message?: string; errors?: unknown };
    message = `${told ?? ""}${errors === undefined ? "" : ` ${JSON.stringify(errors)}`}`;
  } catch {
    // A page of a proxy.
  }
  const found = said(`${status} ${message}`);
  if (status === 401) throw credentialsRefused(place, { found, hint: "Is the token whole, and not expired?" });
  if (status === 429 || (status === 403 && (answer.headers["x-ratelimit-remaining"] === "0" || answer.headers["retry-after"] !== undefined))) throw busy(place, { found });
  if (status === 403) throw writingDenied(place, { found, hint: 'The token needs the permission "Contents: write" for this repository' });
  if (status === 404) throw missingThere(place, "what was asked for, or hides it from this token", { found, hint: 'Is the name right, and has the token the permission "Contents: write"?' });
  if (status >= 500) throw busy(place, { found });
  throw unexpectedAnswer(place, { expected: `status ${statuses.join(" or ")}`, found });
}

const json = (value: unknown): Body => {
  const text = JSON.stringify(value);
  return { type: "application/json", length: Buffer.byteLength(text), text };
};

/** All pages of a list. */
async function list<T>(api: Api, path: string): Promise<readonly T[]> {
  const all: T[] = [];
  for (let page = 1; ; page++) {
    const { data } = await request<readonly T[]>(api, "GET", `${api.base}${path}?per_page=100&page=${page}`, [200]);
    all.push(...data);
    if (data.length < 100) return all;
  }
}

/** Releases with a tag, drafts too: these have no tag that could be asked for. */
export async function releasesOf(api: Api, repository: string, tag: string): Promise<readonly Release[]> {
  return (await list<Release>(api, `/repos/${repository}/releases`)).filter((one) => one.tag_name === tag);
}

export async function createDraft(api: Api, repository: string, fields: Readonly<Record<string, string | boolean>>): Promise<Release> {
  return (await request<Release>(api, "POST", `${api.base}/repos/${repository}/releases`, [201], json({ ...fields, draft: true }))).data;
}

export async function makePublic(api: Api, repository: string, id: number): Promise<Release> {
  return (await request<Release>(api, "PATCH", `${api.base}/repos/${repository}/releases/${id}`, [200], json({ draft: false }))).data;
}

export async function assetsOf(api: Api, repository: string, release: number): Promise<readonly Asset[]> {
  return await list<Asset>(api, `/repos/${repository}/releases/${release}/assets`);
}

export async function removeAsset(api: Api, repository: string, asset: number): Promise<void> {
  await request(api, "DELETE", `${api.base}/repos/${repository}/releases/assets/${asset}`, [204, 404]);
}

export async function uploadAsset(api: Api, release: Release, name: string, file: string, size: number): Promise<Asset> {
  const address = `${release.upload_url.replace(/\{[^}]*\}$/, "")}?name=${encodeURIComponent(name)}`;
  return (await request<Asset>(api, "POST", address, [201], { type: "application/octet-stream", length: size, file })).data;
}
