/**
 * Brings what notices are made of: small files into a directory, and what a connection alone vouches for.
 * Knows no format.
 * @module
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { ImgtaskError, type NoticeContext, type NoticeTrust } from "../../lib/mod.ts";
import { defaultLimits, type Limits } from "../download/limits.ts";
import { checkMirror } from "../download/mirror.ts";
import { page, transfer } from "../download/transfer.ts";
import { type Terms, termsOf } from "../download/wanted.ts";
import type { RepositoryFile } from "./updateinfo.ts";
import { malformed } from "./words.ts";

/** What asks for notices is given: as who downloads from the same servers, on the same terms. */
export type AskContext = NoticeContext & { /** @default the default limits, and no credentials */ readonly terms?: Terms };

/** Milliseconds that one file of notices may take, and without a byte of it. */
const patience = { time: 300_000, idle: 20_000 } as const;

/** The terms for one file of notices: nobody waits hours for them. */
function patient(context: AskContext): AskContext {
  const { limits = defaultLimits, logins = [] } = context.terms ?? {};
  const soon: Limits = { ...limits, time: Math.min(limits.time, patience.time), idle: Math.min(limits.idle, patience.idle) };
  return { ...context, terms: termsOf(soon, logins, context.signal, context.terms) };
}

/** The base URL that an environment variable names, or the usual one. */
export function baseOf(env: string, usual: string, context: Pick<NoticeContext, "env">): string {
  const named = context.env[env];
  return named === undefined || named === "" ? usual : checkMirror(named, env);
}

/** What the connection to an address vouches for. */
export function trustOfAddress(url: string): NoticeTrust {
  return url.startsWith("https:") ? "tls" : "none";
}

/** Brings a file whose digest nobody knows. */
export async function bring(url: string, name: string, limit: number, mirrorEnv: string, context: AskContext): Promise<string> {
  const file = join(context.tmp, name);
  await transfer({ url, file, limit, mirrorEnv }, patient(context));
  return file;
}

/** Brings a file that is text, and no page for people. */
export async function bringText(url: string, name: string, limit: number, mirrorEnv: string, context: AskContext): Promise<string> {
  const text = await readFile(await bring(url, name, limit, mirrorEnv, context), "utf8");
  if (/^\s*<(?:!doctype html|html)/i.test(text)) throw page(url, mirrorEnv, "an HTML page");
  return text;
}

/** Brings a file that a list names with its digest. */
export async function bringListed(url: string, name: string, { sha256, size }: RepositoryFile, limit: number, mirrorEnv: string, context: AskContext): Promise<string> {
  if (size > limit) throw malformed(url, `at most ${limit} bytes`, `${size} bytes`);
  const file = join(context.tmp, name);
  await transfer({ url, file, expected: { sha256, size }, mirrorEnv }, patient(context));
  return file;
}

const programs: Readonly<Record<string, readonly [string, ...string[]]>> = { xz: ["xz"], zst: ["zstd", "--quiet", "--force"], bz2: ["bzip2"] };

/**
 * The content of a compressed file, as it comes; by its name. What unpacks to more than the limit is refused.
 *
 * @throws {ImgtaskError} IMG4081.
 */
export async function unpacked(file: string, path: string, limit: number, context: AskContext): Promise<AsyncIterable<Buffer>> {
  const extension = /\.([a-z0-9]+)$/.exec(path)?.[1] ?? "";
  if (extension === "gz") return bounded(createReadStream(file).pipe(createGunzip()), path, limit);
  const program = programs[extension];
  if (program === undefined) {
    if (extension !== "xml") throw malformed(path, "a file of .xml, .gz, .xz, .zst or .bz2", `.${extension}`);
    return bounded(createReadStream(file), path, limit);
  }
  const plain = `${file}.plain`;
  // The limit on file sizes holds for standard output too, and ends the program.
  const { code } = await context.exec(["prlimit", `--fsize=${limit}`, ...program, "--decompress", "--stdout", "--", file], { stdout: { file: plain }, ok: Array.from({ length: 256 }, (_, one) => one) });
  if (code !== 0) throw malformed(path, `a file that unpacks to ${limit} bytes at most`, `${program[0]} ended with ${code}`);
  return bounded(createReadStream(plain), path, limit);
}

async function* bounded(stream: AsyncIterable<Buffer>, path: string, limit: number): AsyncIterable<Buffer> {
  let size = 0;
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > limit) throw malformed(path, `at most ${limit} bytes when it is unpacked`, "more");
      yield chunk;
    }
  } catch (error) {
    throw error instanceof ImgtaskError ? error : malformed(path, "a whole file", (error as Error).message);
  }
}

