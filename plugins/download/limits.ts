/**
 * How much a download may take: of bytes, of time, and how slow it may be. Pure; measures nothing itself.
 * @module
 */
import { bytesOf, checkNames, ExitCode, ImgtaskError, type Size } from "../../lib/mod.ts";

/**
 * What ends a download. What came of an image until then is kept, and the next run goes on with it.
 * No part of the fingerprint: what came within other limits is as good.
 */
export interface DownloadLimits {
  /**
   * Most bytes of the image or package, `"4G"`. Lists say less, and then that counts. More is refused (IMG5005) before a byte
   * of it comes where the server announces it.
   * @default 16 GiB
   */
  readonly size?: Size;
  /** Milliseconds that one attempt may take altogether, waiting included (IMG5010). @default 24 hours */
  readonly time?: number;
  /** Milliseconds without a byte after which a connection is given up and another one made (IMG5006 after three). @default 60000 */
  readonly idle?: number;
  /** Bytes a second that a connection must bring on average over each period of `idle`, or it is given up. @default 100 */
  readonly rate?: Size;
}

/** Limits in bytes and milliseconds, all of them there. */
export interface Limits {
  /** `undefined`: the media's own, or 16 GiB. */
  readonly size: number | undefined;
  readonly time: number;
  readonly idle: number;
  readonly rate: number;
}

/** What holds unless an imagefile says otherwise. */
export const defaultLimits: Limits = { size: undefined, time: 24 * 3600_000, idle: 60_000, rate: 100 };

/** Node's timers count no further: 24.8 days. */
const longest = 2 ** 31 - 1;

/**
 * Limits of an imagefile, checked.
 *
 * @throws {ImgtaskError} IMG2656 for what is no size or time.
 */
export function limitsOf(limits: DownloadLimits = {}): Limits {
  const refuse = (name: string, expected: string, found: unknown): ImgtaskError =>
    new ImgtaskError("IMG2656", `Bad limit "${name}" of a download`, { expected, found: JSON.stringify(found) ?? String(found), exitCode: ExitCode.usage });
  const bytes = (name: "size" | "rate", least: number): number | undefined => {
    const given = limits[name];
    if (given === undefined) return defaultLimits[name];
    const value = bytesOf(given);
    if (value === undefined || value < least) throw refuse(name, `bytes, ${least} or more, or a text such as "4G"`, given);
    return value;
  };
  const time = (name: "time" | "idle"): number => {
    const given = limits[name] ?? defaultLimits[name];
    if (!Number.isInteger(given) || given < 1 || given > longest) throw refuse(name, `milliseconds, from 1 to ${longest}`, given);
    return given;
  };
  checkNames('"limits" of download()', limits, Object.keys(defaultLimits));
  return { size: bytes("size", 1), time: time("time"), idle: time("idle"), rate: bytes("rate", 0)! };
}

/** Tells whether a connection is too slow, from the times at which its bytes come. */
export class Pace {
  readonly #limits: Pick<Limits, "idle" | "rate">;
  #since: number;
  #bytes = 0;

  /** @param now milliseconds, as for {@linkcode note}. */
  constructor(limits: Pick<Limits, "idle" | "rate">, now: number) {
    this.#limits = limits;
    this.#since = now;
  }

  /** Notes bytes that came. @returns bytes a second of a period that was too slow; `undefined` while all is well. */
  note(bytes: number, now: number): number | undefined {
    this.#bytes += bytes;
    const passed = now - this.#since;
    if (passed < this.#limits.idle) return undefined;
    const rate = (this.#bytes * 1000) / passed;
    this.#since = now;
    this.#bytes = 0;
    return rate < this.#limits.rate ? rate : undefined;
  }
}
