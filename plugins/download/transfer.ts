/**
 * Brings one file from one or several mirrors to disk: in parallel parts when it is large, hashed while it is written, never
 * longer than announced, resumed after a cut and by the next run. Knows nothing of archives and of what the bytes mean;
 * the bytes are not to be trusted yet.
 * @module
 */
import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ExitCode, ImgtaskError, type RunContext } from "../../lib/mod.ts";
import { type Asked, readHead, shortBody, Unfit } from "./answer.ts";
import type { Span } from "./coverage.ts";
import { allFailed, differs, gaveUp, type Subject, tooLong, tooSlow } from "./failure.ts";
import { get } from "./http.ts";
import { sameFile, validatorOf } from "./identity.ts";
import { Interruption } from "./interruption.ts";
import { defaultLimits, type Limits, Pace } from "./limits.ts";
import { Mirror } from "./mirrors.ts";
import { printable, redact } from "./mirror.ts";
import { Partial } from "./partial.ts";
import { Agents } from "./proxy.ts";
import { Rate } from "./rate.ts";
import type { Brought, Terms, Transfer } from "./wanted.ts";

export { page } from "./failure.ts";
export type { Brought, DownloadContext, Transfer } from "./wanted.ts";

type Context = Pick<RunContext, "env" | "signal" | "progress" | "log"> & { /** @default the default limits, without an end, and no credentials */ readonly terms?: Terms };

const mebibyte = 1024 ** 2;

/**
 * Brings a file.
 *
 * Bytes stand in one file only when servers vouch by strong validators that they belong together. A mirror with another
 * size or validator is put aside, and serves only when there is no other, from the first byte. When the digest is wrong, and
 * the bytes came in several answers, they come once more from one mirror at a time: one that is wrong by itself is out.
 *
 * @returns digest and size of what was written, and what it took.
 * @throws {ImgtaskError} IMG5001 unreachable, IMG5002 truncated, IMG5003 something else than the file, IMG5004 not
 * there, IMG5005 more bytes than announced, IMG5006 stalled, IMG5007 bad redirect, IMG5009 bad certificate, IMG5010 too
 * slow, IMG5011 no mirror gave it, IMG5014 bad credentials, IMG4020 other bytes than expected.
 */
export async function transfer(what: Transfer, context: Context): Promise<Brought> {
  await rm(what.file, { force: true });
  const kept = what.kept === undefined || what.expected === undefined || what.expected.size < mebibyte ? undefined : { directory: what.kept, sha256: what.expected.sha256 };
  const partial = await Partial.open(what.file, kept);
  const session = new Session(what, context, partial);
  try {
    return await session.bring();
  } finally {
    session.close();
    await partial.close();
  }
}

class Session {
  readonly #what: Transfer;
  readonly #context: Context;
  readonly #partial: Partial;
  readonly #mirrors: readonly Mirror[];
  readonly #limit: number;
  readonly #agents = new Agents();
  readonly #rate = new Rate();
  readonly #signal: AbortSignal;
  readonly #limits: Limits;
  #shown = 0;
  #fetched = 0;
  /** Who gave the answers whose bytes are in the file. */
  #givers: Mirror[] = [];
  /** Bytes of an earlier run are in the file. */
  #resumed: boolean;
  /** Several connections write at once. */
  #parallel = false;
  /** Mirrors are not to be mixed any more. */
  #alone = false;
  /** Is called when it is known what all answers must agree with. */
  #known = (): void => {};

  constructor(what: Transfer, context: Context, partial: Partial) {
    this.#what = what;
    this.#context = context;
    this.#partial = partial;
    this.#limits = { ...(context.terms?.limits ?? defaultLimits), ...(what.idle === undefined ? {} : { idle: what.idle }) };
    this.#limit = Math.min(what.expected?.size ?? Infinity, what.limit ?? Infinity);
    const common = { mirrorEnv: what.mirrorEnv, limit: this.#limit, ...(what.limitHint === undefined ? {} : { limitHint: what.limitHint }), ...(what.expected === undefined ? {} : { expected: what.expected }) };
    this.#mirrors = [...new Set([what.url, ...(what.mirrors ?? [])])].map((url) => new Mirror({ url, ...common }));
    this.#signal = context.terms?.signal ?? context.signal;
    this.#resumed = partial.found > 0;
  }

  close(): void {
    this.#agents.close();
  }

  get #logins(): Terms["logins"] {
    return this.#context.terms?.logins ?? [];
  }

  async bring(): Promise<Brought> {
    const { expected, file } = this.#what;
    const { found } = this.#partial;
    if (expected !== undefined && expected.size > this.#limit) throw tooLong(this.#mirrors[0]!.subject, `${expected.size} bytes, as the list says`);
    if (found > 0) this.#log(`going on with ${found} bytes of an earlier run`);
    for (let rounds = 0; ; rounds++) {
      await this.#fill();
      const sha256 = await this.#partial.digest();
      const size = this.#partial.landed.prefix;
      if (expected === undefined || sha256 === expected.sha256) {
        await this.#partial.finish(file);
        return { sha256, size, fetched: this.#fetched, found, readBack: this.#partial.readBack };
      }
      // Bytes of several answers may have belonged to several files: then it is nobody's fault yet.
      const mixed = this.#resumed || this.#givers.length > 1;
      const mirror = this.#givers[0] ?? this.#mirrors[0]!;
      if (!mixed || this.#alone) mirror.failed(differs(mirror.subject, sha256), size, false);
      this.#alone ||= mixed;
      await this.#restart();
      const [next] = this.#usable();
      if (next === undefined || rounds > this.#mirrors.length + 1) throw this.#failure();
      this.#context.log(`${redact(mirror.url)}: the file is damaged, starting again${next === mirror ? "" : ` from ${redact(next.url)}`}`);
    }
  }

  /** Brings whatever is missing. */
  async #fill(): Promise<void> {
    for (let restarts = 0; ; restarts++) {
      try {
        if (this.#isWide()) await this.#wide();
        else await this.#narrow();
        return;
      } catch (error) {
        if (this.#context.signal.aborted) throw new ImgtaskError("IMG3004", `The download of ${redact(this.#what.url)} was ended because the run was`, { exitCode: ExitCode.interrupted });
        if (this.#context.terms?.deadline.aborted === true) throw tooSlow(this.#what.url, this.#partial.landed.bytes, this.#limits.time / 1000, this.#partial.isKept);
        if (!(error instanceof Unfit) || restarts > this.#mirrors.length + 2) throw error instanceof Unfit ? this.#failure() : error;
        this.#log(`${error.message}, starting again`);
        await this.#restart();
      }
    }
  }

  async #restart(): Promise<void> {
    await this.#partial.restart();
    this.#givers = [];
    this.#resumed = false;
    for (const mirror of this.#mirrors) {
      mirror.aside = false;
      mirror.identity = undefined;
    }
  }

  #log(text: string): void {
    this.#context.log(`${redact(this.#what.url)}: ${text}`);
  }

  #failure(): ImgtaskError {
    const errors = this.#mirrors.flatMap(({ error }) => (error === undefined ? [] : [error]));
    if (errors.length === 0) errors.push(gaveUp(this.#mirrors[0]!.subject, this.#partial.landed.bytes, new Interruption("cut", "the file was another one each time"), this.#mirrors.length + 3));
    return allFailed(basename(this.#what.file), errors);
  }

  #usable(): readonly Mirror[] {
    const usable = this.#mirrors.filter((mirror) => mirror.usable);
    return this.#alone ? usable.slice(0, 1) : usable;
  }

  /** Whether the file comes in parallel parts. */
  #isWide(): boolean {
    const { expected, segments = 4, wide = 32 * mebibyte } = this.#what;
    const [first] = this.#usable().filter(({ ranges }) => ranges !== false);
    return expected !== undefined && segments > 1 && expected.size >= wide && first !== undefined && !first.url.startsWith("file:");
  }

  /** The next mirror to ask, after one that just failed. */
  #after(failed: Mirror | undefined, candidates: readonly Mirror[]): Mirror | undefined {
    if (failed === undefined) return candidates[0];
    const at = this.#mirrors.indexOf(failed);
    return candidates.find((mirror) => this.#mirrors.indexOf(mirror) > at) ?? candidates[0];
  }

  /** Throws when nobody is left to ask: for good, or for the bytes that are there. */
  #nobody(): never {
    if (this.#mirrors.some(({ aside, error }) => aside && error === undefined)) throw new Unfit("the file is another one now");
    throw this.#failure();
  }

  /** Waits after a failure before the same mirror is asked again. */
  async #pause(mirror: Mirror, next: Mirror | undefined): Promise<void> {
    if (next !== undefined && next !== mirror && next.idle < mirror.idle) return;
    await sleep((this.#what.backoff ?? 500) * 2 ** Math.max(0, mirror.idle - 1), undefined, { signal: this.#signal }).catch(() => {});
  }

  /** Notes why an attempt failed. Errors that no other mirror cures are thrown on. */
  #note(mirror: Mirror, error: unknown, before: number): void {
    if (this.#signal.aborted) throw error;
    if (error instanceof Unfit) {
      mirror.aside = true;
      if (error.rangeless) mirror.ranges = false;
      this.#context.log(`${redact(mirror.url)}: ${error.message}`);
      return;
    }
    if (!(error instanceof Interruption) && !(error instanceof ImgtaskError)) throw error;
    const { bytes } = this.#partial.landed;
    mirror.failed(error, bytes, bytes > before);
    if (mirror.error === undefined) this.#context.log(`${redact(mirror.url)}: ${printable(error.message)} after ${bytes} bytes, trying again`);
    else if (this.#mirrors.length > 1) this.#context.log(`${redact(mirror.url)}: ${printable(error.message)}, not asked any more`);
    if (this.#alone && mirror.error !== undefined && this.#usable().length > 0) throw new Unfit("the rest would come from another mirror");
  }

  /** One connection at a time, to the end of the file. */
  async #narrow(): Promise<void> {
    let last: Mirror | undefined;
    while (this.#partial.landed.bytes === 0 || this.#rest() !== undefined) {
      const before = this.#partial.landed.bytes;
      if (before > 0 && (this.#partial.identity === undefined || validatorOf(this.#partial.identity) === undefined)) await this.#restart();
      const mirror = this.#after(last, this.#usable()) ?? this.#nobody();
      try {
        if (mirror.url.startsWith("file:")) await this.#copy(mirror);
        else await this.#request(mirror, this.#rest(), this.#signal);
        mirror.succeeded();
        if (this.#rest() === undefined) return;
        last = undefined;
      } catch (error) {
        this.#note(mirror, error, before);
        last = mirror;
        if (error instanceof Interruption && mirror.error === undefined) await this.#pause(mirror, this.#after(mirror, this.#usable()));
      }
    }
  }

  /** What a single connection should bring next; `undefined` when nothing is missing. */
  #rest(): Span | undefined {
    const size = this.#what.expected?.size ?? this.#size;
    return this.#partial.landed.gap(size ?? Infinity, Infinity);
  }

  /** Size of a file of which no list says it, once it came to its end. */
  #size: number | undefined;

  /** Several connections, each of which brings one part after the other. */
  async #wide(): Promise<void> {
    const { segments = 4, piece = 8 * mebibyte, expected } = this.#what;
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#signal, stop.signal]);
    const taken = new Map<number, Span>();
    const failures: unknown[] = [];
    const work = async (id: number): Promise<void> => {
      let last: Mirror | undefined;
      while (!signal.aborted) {
        const span = this.#partial.landed.with(taken.values()).gap(expected!.size, piece);
        if (span === undefined) return;
        const able = this.#usable().filter(({ ranges, url }) => ranges !== false && !url.startsWith("file:"));
        const mirror = this.#after(last, able);
        if (mirror === undefined) {
          if (this.#usable().length > 0) throw new Unfit("no mirror that is left gives parts of the file");
          this.#nobody();
        }
        taken.set(id, span);
        const before = this.#partial.landed.bytes;
        try {
          await this.#request(mirror, span, signal);
          mirror.succeeded();
          last = undefined;
        } catch (error) {
          if (signal.aborted) throw error;
          this.#note(mirror, error, before);
          last = mirror;
          if (error instanceof Interruption && mirror.error === undefined) await this.#pause(mirror, this.#after(mirror, able));
        } finally {
          taken.delete(id);
        }
      }
    };
    const start = (id: number): Promise<void> =>
      work(id).catch((error: unknown) => {
        // The first one ends the others.
        failures.push(error);
        stop.abort();
      });
    const known = new Promise<void>((resolve) => (this.#known = resolve));
    this.#parallel = true;
    const first = start(0);
    if (this.#partial.identity === undefined) await Promise.race([known, first]);
    await Promise.all([first, ...Array.from({ length: segments - 1 }, (_, index) => start(index + 1))]);
    this.#parallel = false;
    if (failures.length > 0) throw failures[0];
  }

  /** Asks for a part, or all; returns when it is there. */
  async #request(mirror: Mirror, span: Span | undefined, signal: AbortSignal): Promise<void> {
    const what = this.#what;
    const size = what.expected?.size ?? Infinity;
    const [from, to] = span ?? [0, 0];
    const whole = from === 0 && to === size;
    const headers: Record<string, string> = {};
    const identity = mirror.identity ?? this.#partial.identity;
    const validator = identity === undefined || from === 0 && this.#partial.landed.bytes === 0 ? undefined : validatorOf(identity);
    if (!whole) headers["range"] = `bytes=${from}-${to === size ? "" : to - 1}`;
    if (!whole && validator !== undefined) headers["if-range"] = validator;
    const answer = await get(mirror.url, headers, {
      env: this.#context.env, signal, idle: this.#limits.idle, logins: this.#logins, ...(to === size || span === undefined ? {} : { agents: this.#agents }),
    });
    try {
      const begin = await this.#accept(mirror, answer, { from, to, whole, validator, login: this.#logins.some(({ origin }) => origin === new URL(mirror.url).origin) });
      await this.#store(answer, mirror.subject, begin, answer.statusCode === 200 ? this.#limit : Math.min(to, this.#limit));
      const length = answer.headers["content-length"];
      if (!answer.complete && (length !== undefined || answer.headers["transfer-encoding"] !== undefined)) throw new Interruption("cut", "the connection was cut");
      const { prefix } = this.#partial.landed;
      if (what.expected === undefined) this.#size = prefix;
      else if (answer.statusCode === 200 && prefix < size) throw shortBody(mirror.subject, answer, prefix);
    } finally {
      answer.destroy();
    }
  }

  /** Looks at the head of an answer; tells where its body begins in the file. */
  async #accept(mirror: Mirror, answer: IncomingMessage, asked: Asked): Promise<number> {
    const partial = this.#partial;
    const standing = { identity: partial.identity, bytes: partial.landed.bytes };
    const { type, identity } = readHead(mirror.subject, answer, asked, standing);
    if (type === "part") {
      mirror.ranges = true;
    } else if (!asked.whole) {
      // Another version is no reason to ask for none of its parts.
      if (standing.identity === undefined || sameFile(identity, standing.identity)) mirror.ranges = false;
      if (this.#parallel || (standing.bytes > 0 && this.#usable().length > 1)) throw new Unfit("the server gave the whole file, and not the part that is missing");
      if (standing.bytes > 0) await this.#restart();
    }
    partial.identity = type === "part" ? (partial.identity ?? identity) : identity;
    mirror.identity = identity;
    this.#givers.push(mirror);
    this.#known();
    return type === "part" ? asked.from : 0;
  }

  async #store(body: AsyncIterable<Buffer>, subject: Subject, from: number, to: number): Promise<void> {
    let at = from;
    const pace = new Pace(this.#limits, Date.now());
    try {
      for await (const chunk of body) {
        this.#fetched += chunk.length;
        const slow = pace.note(chunk.length, Date.now());
        if (at + chunk.length > to) throw to < this.#limit ? new Interruption("cut", "the server sent more than it was asked for") : tooLong(subject, "more bytes, the transfer was ended");
        await this.#partial.write(at, chunk);
        at += chunk.length;
        this.#show();
        if (slow !== undefined) throw new Interruption("slow", `${Math.round(slow)} bytes a second came, over ${this.#limits.idle / 1000} s`);
      }
    } catch (error) {
      if (error instanceof ImgtaskError || error instanceof Interruption || this.#signal.aborted) throw error;
      const { code, syscall } = error as NodeJS.ErrnoException;
      if (syscall === "write" && code !== "ECONNRESET" && code !== "EPIPE") throw error;
      throw new Interruption("cut", "the connection was cut", error);
    }
  }

  #show(): void {
    const now = Date.now();
    if (now - this.#shown < 200) return;
    this.#shown = now;
    const total = this.#what.expected?.size;
    const { bytes } = this.#partial.landed;
    this.#rate.note(bytes, now);
    this.#context.progress(basename(this.#what.file), { bytes, rate: this.#rate.rate, ...(total === undefined ? {} : { total }) });
  }

  async #copy(mirror: Mirror): Promise<void> {
    const path = fileURLToPath(mirror.url);
    const status = await stat(path).catch(() => undefined);
    if (status === undefined || !status.isFile()) {
      throw new ImgtaskError("IMG5004", `${mirror.url} is not there`, { expected: "a file", hint: `${this.#what.mirrorEnv} names another mirror` });
    }
    if (this.#partial.landed.bytes > 0) await this.#restart();
    this.#givers.push(mirror);
    await this.#store(createReadStream(path, { signal: this.#signal }), mirror.subject, 0, this.#limit);
    const { prefix } = this.#partial.landed;
    if (this.#what.expected !== undefined && prefix < this.#what.expected.size) throw shortBody(mirror.subject, undefined, prefix);
    this.#size = prefix;
  }
}
