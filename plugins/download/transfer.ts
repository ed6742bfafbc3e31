/**
 * Brings one file from a mirror to disk: hashed while written, never longer than announced, resumed after a cut.
 * Knows nothing of archives and of what the bytes mean; the bytes are not to be trusted yet.
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ExitCode, ImgtaskError, type RunContext } from "../../lib/mod.ts";
import { get, Interruption } from "./http.ts";
import { printable, redact } from "./mirror.ts";
import type { Entry } from "./release.ts";

/** A file to bring. */
export interface Transfer {
  /** `http:`, `https:` or `file:` URL. */
  readonly url: string;
  /** Where the bytes go; made or overwritten. */
  readonly file: string;
  /** What a list says of it. Without it only `limit` holds. */
  readonly expected?: Entry;
  /** Most bytes that are taken. @default the expected size */
  readonly limit?: number;
  /** Environment variable that names another mirror, for the hint. */
  readonly mirrorEnv: string;
  /** Milliseconds without a byte after which the connection is given up. @default 60000 */
  readonly idle?: number;
  /** Milliseconds before the second attempt; doubled for each further one. @default 500 */
  readonly backoff?: number;
}

type Context = Pick<RunContext, "env" | "signal" | "progress" | "log">;

/** Attempts without a single new byte, and attempts altogether. */
const fruitless = 3, altogether = 20;

interface State {
  readonly handle: FileHandle;
  hash: Hash;
  written: number;
  /** Strong validator of what was written so far; without one there is no resuming. */
  validator: string | undefined;
  resumed: boolean;
}

/**
 * Brings a file.
 *
 * @returns digest and size of what was written.
 * @throws {ImgtaskError} IMG5001 unreachable, IMG5002 truncated, IMG5003 something else than the file, IMG5004 not
 * there, IMG5005 more bytes than announced, IMG5006 stalled, IMG5007 bad redirect, IMG5009 bad certificate,
 * IMG4020 other bytes than expected.
 */
export async function transfer(what: Transfer, context: Context): Promise<Entry> {
  const state: State = { handle: await open(what.file, "w", 0o644), hash: createHash("sha256"), written: 0, validator: undefined, resumed: false };
  try {
    for (let again = false; ; again = true) {
      await fill(what, state, context);
      const got = { sha256: state.hash.digest("hex"), size: state.written };
      if (what.expected === undefined || got.sha256 === what.expected.sha256) return got;
      if (!state.resumed || again) throw differs(what, got);
      // A partial answer may have belonged to another file: once more, from the first byte.
      context.log(`${redact(what.url)}: the resumed file is damaged, starting again`);
      await restart(state);
      state.resumed = false;
    }
  } finally {
    await state.handle.close();
  }
}

async function restart(state: State): Promise<void> {
  await state.handle.truncate(0);
  state.hash = createHash("sha256");
  state.written = 0;
  state.validator = undefined;
}

/** Repeats attempts until the file is there. */
async function fill(what: Transfer, state: State, context: Context): Promise<void> {
  let idle = 0, total = 0;
  for (;;) {
    const before = state.written;
    try {
      if (what.url.startsWith("file:")) await copy(what, state, context);
      else await attempt(what, state, context);
      return;
    } catch (error) {
      if (context.signal.aborted) throw new ImgtaskError("IMG3004", `The download of ${redact(what.url)} was ended because the run was`, { exitCode: ExitCode.interrupted });
      if (!(error instanceof Interruption)) throw error;
      idle = state.written > before ? 1 : idle + 1;
      total++;
      if (idle >= fruitless || total >= altogether) throw gaveUp(what, state, error, total);
      context.log(`${redact(what.url)}: ${printable(error.message)} after ${state.written} bytes, trying again`);
      await sleep((what.backoff ?? 500) * 2 ** (idle - 1), undefined, { signal: context.signal }).catch(() => {});
    }
  }
}

async function attempt(what: Transfer, state: State, context: Context): Promise<void> {
  if (state.written > 0 && state.validator === undefined) await restart(state);
  const headers: Record<string, string> = state.written === 0 ? {} : { range: `bytes=${state.written}-`, "if-range": state.validator! };
  const answer = await get(what.url, headers, { env: context.env, signal: context.signal, idle: what.idle ?? 60_000 });
  try {
    const status = answer.statusCode ?? 0;
    if (status === 206 && state.written > 0) {
      const start = /^bytes (\d+)-/.exec(answer.headers["content-range"] ?? "")?.[1];
      if (Number(start) !== state.written) {
        await restart(state);
        throw new Interruption("cut", "the server answered with another part of the file");
      }
      state.resumed = true;
    } else if (status === 200) {
      if (state.written > 0) await restart(state);
    } else if (status === 416 && state.written > 0) {
      await restart(state);
      throw new Interruption("cut", "the server has no such part of the file");
    } else if (status >= 500 || status === 429 || status === 408) {
      throw new Interruption("unreachable", `the server answered ${status}`);
    } else {
      throw new ImgtaskError("IMG5004", `${redact(what.url)} is not there`, {
        expected: "the answer 200",
        found: `${status} ${printable(answer.statusMessage ?? "")}`.trim(),
        hint: `Is the release still on this mirror? ${what.mirrorEnv} names another one`,
      });
    }
    checkLength(what, state, answer);
    const etag = answer.headers.etag;
    state.validator = etag !== undefined && etag.startsWith(`"`) ? etag : answer.headers["last-modified"];
    await store(what, state, answer, context);
    const length = answer.headers["content-length"];
    if (!answer.complete && (length !== undefined || answer.headers["transfer-encoding"] !== undefined)) throw new Interruption("cut", "the connection was cut");
    if (what.expected !== undefined && state.written < what.expected.size) throw short(what, state, answer);
  } finally {
    answer.destroy();
  }
}

/** Refuses by the announced length, before a single byte is taken. */
function checkLength(what: Transfer, state: State, answer: IncomingMessage): void {
  const length = Number(answer.headers["content-length"]);
  if (!Number.isFinite(length)) return;
  const total = state.written + length;
  if (what.expected !== undefined && total < what.expected.size) throw short(what, state, answer, total);
  if (total > limitOf(what)) {
    if (isHtml(answer)) throw short(what, state, answer, total);
    throw tooLong(what, `${total} bytes announced`);
  }
}

function isHtml(answer: IncomingMessage): boolean {
  return /^text\/html\b/i.test(answer.headers["content-type"] ?? "");
}

function limitOf(what: Transfer): number {
  return what.expected?.size ?? what.limit ?? 0;
}

async function store(what: Transfer, state: State, body: AsyncIterable<Buffer>, context: Context): Promise<void> {
  const started = Date.now(), offset = state.written;
  let shown = 0;
  try {
    for await (const chunk of body) {
      if (state.written + chunk.length > limitOf(what)) throw tooLong(what, "more bytes, the transfer was ended");
      await state.handle.write(chunk, 0, chunk.length, state.written);
      state.hash.update(chunk);
      state.written += chunk.length;
      const now = Date.now();
      if (now - shown < 200) continue;
      shown = now;
      const rate = (state.written - offset) / Math.max(1, now - started) / 1000;
      const of = what.expected === undefined ? "" : ` of ${megabytes(what.expected.size)}`;
      context.progress(`${megabytes(state.written)}${of} MB, ${rate.toFixed(rate < 10 ? 1 : 0)} MB/s`);
    }
  } catch (error) {
    if (error instanceof ImgtaskError || error instanceof Interruption || context.signal.aborted) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if ((error as NodeJS.ErrnoException).syscall === "write" && code !== "ECONNRESET" && code !== "EPIPE") throw error;
    throw new Interruption("cut", "the connection was cut", error);
  }
}

async function copy(what: Transfer, state: State, context: Context): Promise<void> {
  const path = fileURLToPath(what.url);
  const status = await stat(path).catch(() => undefined);
  if (status === undefined || !status.isFile()) {
    throw new ImgtaskError("IMG5004", `${what.url} is not there`, { expected: "a file", hint: `${what.mirrorEnv} names another mirror` });
  }
  if (state.written > 0) await restart(state);
  await store(what, state, createReadStream(path, { signal: context.signal }), context);
  if (what.expected !== undefined && state.written < what.expected.size) throw short(what, state, undefined);
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}

function differs(what: Transfer, got: Entry): ImgtaskError {
  return new ImgtaskError("IMG4020", `${redact(what.url)} was damaged or tampered with: its bytes are not those that the archive's list names`, {
    expected: `SHA-256 ${what.expected!.sha256}`,
    found: `SHA-256 ${got.sha256}`,
    hint: `A mirror in the middle of an update gives this too: try again, or name another one in ${what.mirrorEnv}`,
    exitCode: ExitCode.refused,
  });
}

function tooLong(what: Transfer, found: string): ImgtaskError {
  return new ImgtaskError("IMG5005", `${redact(what.url)} is longer than it may be`, { expected: `${limitOf(what)} bytes at most`, found });
}

function short(what: Transfer, state: State, answer: IncomingMessage | undefined, total = state.written): ImgtaskError {
  if (answer !== undefined && isHtml(answer)) return page(what.url, what.mirrorEnv, "an HTML page");
  return new ImgtaskError("IMG5002", `${redact(what.url)} is truncated`, {
    expected: `${what.expected!.size} bytes`,
    found: `${total} bytes`,
    hint: `Try again, or name another mirror in ${what.mirrorEnv}`,
  });
}

/** The error for an answer that is something else than the file, such as a login page. */
export function page(url: string, mirrorEnv: string, found: string): ImgtaskError {
  return new ImgtaskError("IMG5003", `${redact(url)} gave something else than the file`, {
    found,
    hint: `Is a login or error page in between? ${mirrorEnv} names another mirror, http_proxy and https_proxy a proxy`,
  });
}

function gaveUp(what: Transfer, state: State, error: Interruption, attempts: number): ImgtaskError {
  const found = `${printable(error.message)}, after ${attempts} attempts`;
  const details = { exitCode: ExitCode.temporary, cause: error } as const;
  const place = redact(what.url);
  if (error.reason === "unreachable") {
    return new ImgtaskError("IMG5001", `The mirror cannot be reached: ${place}`, {
      ...details,
      found,
      hint: `Check the network, or name another mirror: ${what.mirrorEnv}=URL`,
    });
  }
  const expected = what.expected === undefined ? "the whole file" : `${what.expected.size} bytes`;
  const hint = `Try again, or name another mirror in ${what.mirrorEnv}`;
  if (error.reason === "stalled") return new ImgtaskError("IMG5006", `${place} stalled`, { ...details, expected, found: `${state.written} bytes, then ${found}`, hint });
  return new ImgtaskError("IMG5002", `${place} is truncated: the connection was cut again and again`, { ...details, expected, found: `${state.written} bytes, ${found}`, hint });
}
