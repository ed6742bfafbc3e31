/**
 * `imgtask.lock` beside the imagefile: which media `newest` stands for, by digest. Committed, so sorted, one value a line,
 * and read with mistrust. Knows no target and no network.
 * @module
 */
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ExitCode, ImgtaskError } from "./error.ts";

/** The signed list that vouched for media. */
export interface PinnedList {
  /** ISO 8601; of the signature. */
  readonly signedAt?: string;
  /** Version of the image that it named. */
  readonly version?: string;
  readonly file?: string;
  /** Of the signed text. */
  readonly sha256?: string;
  /** Fingerprint of the key that signed it. */
  readonly fingerprint?: string;
  readonly userId?: string;
}

/** Media that are pinned: exactly these bytes are taken. */
export interface Pin {
  /** Name of the file. */
  readonly file: string;
  /** Its path below a mirror. */
  readonly path: string;
  /** 64 hex digits, lower case. */
  readonly sha256: string;
  /** Bytes. @default the list does not say */
  readonly size?: number;
  /** The version in its name. @default none is in it */
  readonly version?: string;
  /** @default no list was accepted */
  readonly list?: PinnedList;
}

/** What the file says of media: a pin, or only which list was accepted last. */
export type LockEntry = Pin | { readonly list?: PinnedList };

/** Name of the lock file. */
export const lockFileName = "imgtask.lock";

const version = 1;
const fields = ["file", "path", "size", "sha256", "version", "list"] as const;
const listFields = ["file", "fingerprint", "sha256", "signedAt", "userId", "version"] as const;

/** Whether an entry pins media. */
export function isPin(entry: LockEntry | undefined): entry is Pin {
  return entry !== undefined && "sha256" in entry;
}

function bad(code: string, message: string, found: string): ImgtaskError {
  return new ImgtaskError(code, message, { found, hint: "Take the file from version control again, or remove it: the next run writes it anew", exitCode: ExitCode.usage });
}

function isText(value: unknown): value is string {
  // oxlint-disable-next-line no-control-regex
  return typeof value === "string" && value !== "" && value.length <= 4096 && !/[\x00-\x1f\x7f]/.test(value);
}

const isDigest = (value: unknown): boolean => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether a field of an entry may have a value. */
const checks: Readonly<Record<(typeof fields)[number], (value: unknown) => boolean>> = {
  file: (value) => isText(value) && !value.includes("/"),
  path: (value) => isText(value) && /^[\w.~+,=@:/-]+$/.test(value) && value.split("/").every((part) => !["", ".", ".."].includes(part)) && !/^[a-z]+:/i.test(value),
  size: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  sha256: isDigest,
  version: isText,
  list: (value) => isObject(value) && Object.entries(value).every(([key, one]) =>
    (listFields as readonly string[]).includes(key) && (key === "sha256" ? isDigest(one) : key === "signedAt" ? isText(one) && !Number.isNaN(Date.parse(one)) : isText(one))),
};

function toEntry(id: string, value: unknown): LockEntry {
  const entry = isObject(value) ? value : {};
  const needed: readonly string[] = fields.some((field) => field !== "list" && entry[field] !== undefined) ? ["file", "path", "sha256"] : [];
  const wrong = isObject(value) ? [...Object.keys(entry), ...needed].find((key) => !Object.hasOwn(checks, key) || !checks[key as keyof typeof checks](entry[key])) : "";
  if (wrong !== undefined) throw bad("IMG2651", `${lockFileName} says something impossible of "${id}"`, `${wrong}: ${(JSON.stringify(wrong === "" ? value : entry[wrong]) ?? "nothing").slice(0, 80)}`);
  return entry as unknown as LockEntry;
}

/**
 * Reads a lock file's text.
 *
 * @throws {ImgtaskError} IMG2654 when it is no lock file, IMG2651 for an entry that is none.
 */
export function parseLock(text: string): ReadonlyMap<string, LockEntry> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw bad("IMG2654", `${lockFileName} is no JSON`, /^(?:<{7}|={7}|>{7})/m.test(text) ? "a merge that was not finished" : (error as Error).message);
  }
  if (!isObject(parsed) || parsed["version"] !== version || !isObject(parsed["media"])) {
    throw bad("IMG2654", `${lockFileName} is none of this version of imgtask`, isObject(parsed) ? `version ${JSON.stringify(parsed["version"]) ?? "unknown"}` : "no object");
  }
  return new Map(Object.entries(parsed["media"]).map(([id, value]) => [id, toEntry(id, value)]));
}

/** The text of a lock file: sorted, one value a line. */
export function formatLock(entries: ReadonlyMap<string, LockEntry>): string {
  const sorted = (value: object, keys: readonly string[]): object => Object.fromEntries(keys.flatMap((key) => {
    const one = (value as Readonly<Record<string, unknown>>)[key];
    return one === undefined ? [] : [[key, isObject(one) ? sorted(one, listFields) : one]];
  }));
  const media = Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, entry]) => [id, sorted(toEntry(id, entry), fields)]));
  return `${JSON.stringify({ version, media }, null, 2)}\n`;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o644 });
  renameSync(`${path}.new`, path);
}

/** The lock file of a project. */
export class LockFile {
  readonly path: string;
  /** Holds how often each was pinned. */
  readonly counts: string;
  readonly #state: string;

  /**
   * @param directory of the imagefile.
   * @param state directory for how often something was pinned.
   */
  constructor(directory: string, state: string) {
    this.path = join(directory, lockFileName);
    this.#state = state;
    this.counts = join(state, "pinned");
  }

  /** All entries as the file is now; none when there is no file. */
  entries(): ReadonlyMap<string, LockEntry> {
    const text = readText(this.path);
    return text === undefined ? new Map() : parseLock(text);
  }

  /**
   * How often media were pinned here: what was resolved before the last time does not count any more when the pin is
   * gone. Losing the number may bring back an older result, never an unverified one.
   */
  times(id: string): number {
    const count = this.#times().get(id);
    return Number.isSafeInteger(count) ? count! : 0;
  }

  #times(): ReadonlyMap<string, number> {
    try {
      return new Map(Object.entries(JSON.parse(readText(this.counts) ?? "{}") as Readonly<Record<string, number>>));
    } catch {
      return new Map();
    }
  }

  /** Replaces some entries, and leaves the others. The file is whole at any moment. Only under the project's lock. */
  write(changes: ReadonlyMap<string, LockEntry>): void {
    const text = formatLock(new Map([...this.entries(), ...changes]));
    const times = new Map([...this.#times(), ...[...changes.keys()].map((id) => [id, this.times(id) + 1] as const)]);
    mkdirSync(this.#state, { recursive: true, mode: 0o700 });
    writeWhole(this.counts, JSON.stringify(Object.fromEntries(times)));
    let { path } = this;
    try {
      path = realpathSync(path);
    } catch {
      // None yet.
    }
    writeWhole(path, text);
  }
}
