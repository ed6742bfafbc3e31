/**
 * Reads the head of an HTTP answer to a request for a file or a part of it: what its body is, or why it is of no use.
 * Pure; takes no byte of the body.
 * @module
 */
import type { IncomingMessage } from "node:http";
import type { ImgtaskError } from "../../lib/mod.ts";
import { noEntry, notThere, page, type Subject, tooLong, tooShort } from "./failure.ts";
import { Interruption } from "./interruption.ts";
import { type Identity, identityOf, sameFile, validatorOf } from "./identity.ts";
import { printable } from "./mirror.ts";

/** What was asked for. */
export interface Asked {
  readonly from: number;
  /** Where it ends; `Infinity` when nobody knows. */
  readonly to: number;
  /** No range was asked for. */
  readonly whole: boolean;
  /** What `If-Range` carried. */
  readonly validator: string | undefined;
  /** Credentials were sent. */
  readonly login: boolean;
}

/** What the bytes that are there belong to. */
export interface Standing {
  readonly identity: Identity | undefined;
  /** How many there are. */
  readonly bytes: number;
}

/** What an answer's body is. */
export interface Content {
  /** `"part"`: what was asked for, or the beginning of it. `"whole"`: all of the file. */
  readonly type: "part" | "whole";
  readonly identity: Identity;
}

/** What a mirror has does not go with the bytes that are there. */
export class Unfit extends Error {
  /** The mirror gives no parts that could be put together. */
  readonly rangeless: boolean;
  constructor(message: string, rangeless = false) {
    super(message);
    this.rangeless = rangeless;
  }
}

function isHtml(answer: IncomingMessage): boolean {
  return /^text\/html\b/i.test(answer.headers["content-type"] ?? "");
}

/** The error for a body that is too short: truncated, or a page. */
export function shortBody(subject: Subject, answer: IncomingMessage | undefined, found: number): ImgtaskError {
  return answer !== undefined && isHtml(answer) ? page(subject.url, subject.mirrorEnv, "an HTML page") : tooShort(subject, found);
}

/** Refuses a size that is not the one of the list, before a single byte is taken. */
function checkSize(subject: Subject, answer: IncomingMessage, size: number): void {
  if (subject.expected !== undefined && size < subject.expected.size) throw shortBody(subject, answer, size);
  if (size > subject.limit) throw isHtml(answer) && subject.expected !== undefined ? shortBody(subject, answer, size) : tooLong(subject, `${size} bytes announced`);
}

/**
 * Tells what an answer holds.
 *
 * @throws {Interruption} when another attempt may do better.
 * @throws {Unfit} when its bytes must not stand beside those that are there.
 * @throws {ImgtaskError} IMG5002, IMG5003, IMG5004, IMG5005, IMG5014 when this mirror is of no use.
 */
export function readHead(subject: Subject, answer: IncomingMessage, asked: Asked, standing: Standing): Content {
  const status = answer.statusCode ?? 0;
  if (status === 206 && !asked.whole) return readPart(subject, answer, asked, standing);
  if (status === 416 && !asked.whole) throw new Unfit("the server has no such part of the file");
  if (status >= 500 || status === 429 || status === 408) throw new Interruption("unreachable", `the server answered ${status}`);
  const found = `${status} ${printable(answer.statusMessage ?? "")}`.trim();
  if ((status === 401 || status === 403) && asked.login) throw noEntry(subject, found);
  if (status !== 200) throw notThere(subject, found);
  const length = Number(answer.headers["content-length"] ?? NaN);
  if (Number.isFinite(length)) checkSize(subject, answer, length);
  return { type: "whole", identity: identityOf(answer.headers, Number.isFinite(length) ? length : (subject.expected?.size ?? -1)) };
}

function readPart(subject: Subject, answer: IncomingMessage, asked: Asked, { identity: known, bytes }: Standing): Content {
  const [first = -1, last = -1, total = -1] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers["content-range"] ?? "")?.slice(1).map(Number) ?? [];
  if (total >= 0 && bytes === 0) checkSize(subject, answer, total);
  if (first !== asked.from || last < first || last >= asked.to || (subject.expected !== undefined && total !== subject.expected.size)) {
    throw new Unfit("the server answered with another part of the file");
  }
  const identity = identityOf(answer.headers, total);
  const silent = validatorOf(identity) === undefined;
  if (known === undefined && silent) throw new Unfit("the server names no version of the file", true);
  // Where If-Range was honoured, the answer need not repeat all of what it stands for.
  if (known !== undefined && silent && asked.validator !== undefined) return { type: "part", identity: known };
  if (known !== undefined && !sameFile(identity, known)) throw new Unfit("the server has another version of the file");
  return { type: "part", identity };
}
