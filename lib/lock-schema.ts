/**
 * What may stand in `imgtask.lock`, and how it is written. The file is edited by people and merges, so that what is wrong is
 * told with its place. Loaded only when there is such a file to read: never by a run with nothing to do.
 * @module
 */
import { z } from "zod";
import { ExitCode, ImgtaskError } from "./error.ts";
import { type LockEntry, lockFileName } from "./lock-entry.ts";

const version = 1;

// oxlint-disable-next-line no-control-regex
const text = z.string().regex(/^[^\x00-\x1f\x7f]{1,4096}$/, "a text without control characters");
const digest = z.string().regex(/^[0-9a-f]{64}$/, "64 hex digits, lower case");
const path = z.string().refine((value) => /^[\w.~+,=@:/-]{1,4096}$/.test(value) && !/^[a-z]+:/i.test(value) && value.split("/").every((part) => !["", ".", ".."].includes(part)), "a path below a mirror");

const list = z.strictObject({
  file: text.optional(),
  fingerprint: text.optional(),
  sha256: digest.optional(),
  signedAt: text.refine((value) => !Number.isNaN(Date.parse(value)), "a time, as 2026-11-21T08:00:00.000Z").optional(),
  userId: text.optional(),
  version: text.optional(),
});
const pin = z.strictObject({
  file: text.refine((value) => !value.includes("/"), "the name of a file"),
  path,
  size: z.number("a number of bytes").int("a number of bytes").nonnegative("a number of bytes").max(Number.MAX_SAFE_INTEGER, "a number of bytes").optional(),
  sha256: digest,
  version: text.optional(),
  list: list.optional(),
});
/** Without a pin: which list was accepted last. */
const unpinned = z.strictObject({ list: list.optional() });
const file = z.strictObject({ version: z.literal(version), media: z.record(z.string(), z.unknown()) });

type Path = readonly PropertyKey[];

/** Line and column, from 1, of a character. */
function placeOf(content: string, at: number): { readonly line: number; readonly column: number } {
  const before = content.slice(0, at).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

/** Where a value stands: keys are looked for one behind the other, each as JSON writes it. */
function find(content: string, keys: Path): number {
  let at = 0;
  for (const key of keys) {
    const next = content.indexOf(JSON.stringify(String(key)), at);
    if (next < 0) break;
    at = next;
  }
  return at;
}

function bad(code: string, message: string, where: { readonly content: string; readonly at: number; readonly path: string }, details: { readonly expected?: string; readonly found: string }): ImgtaskError {
  return new ImgtaskError(code, message, {
    ...details,
    hint: "Take the file from version control again, or remove it: the next run writes it anew",
    location: { file: where.path, ...placeOf(where.content, where.at) },
    exitCode: ExitCode.usage,
  });
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 80);
}

function valueAt(value: unknown, keys: Path): unknown {
  return keys.reduce<unknown>((one, key) => (typeof one === "object" && one !== null ? (one as Readonly<Record<PropertyKey, unknown>>)[key] : undefined), value);
}

/** What a field must be: the schema's own words, or zod's of a type. */
function expectedOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") return "no other field";
  return issue.code === "invalid_type" && !issue.message.startsWith("a ") ? `a ${issue.expected}` : issue.message;
}

function toEntry(id: string, value: unknown, content: string, where: string): LockEntry {
  const isPinned = typeof value === "object" && value !== null && Object.keys(value).some((key) => key !== "list");
  const result = (isPinned ? pin : unpinned).safeParse(value);
  if (result.success) return result.data as LockEntry;
  const issue = result.error.issues[0]!;
  const keys: Path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
  const name = keys.join(".");
  throw bad("IMG2651", `${lockFileName} says something impossible of "${id}"`, { content, at: find(content, ["media", id, ...keys]), path: where }, {
    expected: name === "" ? "a pin" : `${name}: ${expectedOf(issue)}`,
    found: name === "" ? shown(value) : `${name}: ${shown(valueAt(value, keys))}`,
  });
}

/**
 * Reads a lock file's text.
 *
 * @param where path of the file, for errors.
 * @throws {ImgtaskError} IMG2654 when it is no lock file, IMG2651 for an entry that is none; with line and column.
 */
export function parseLock(content: string, where: string = lockFileName): ReadonlyMap<string, LockEntry> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch (error) {
    const merge = /^(?:<{7}|={7}|>{7})/m.exec(content);
    const at = merge?.index ?? Number(/at position (\d+)/.exec((error as Error).message)?.[1] ?? content.length);
    throw bad("IMG2654", `${lockFileName} is no JSON`, { content, at, path: where }, { found: merge === null ? (error as Error).message : "a merge that was not finished" });
  }
  const result = file.safeParse(parsed);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    const keys: Path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
    throw bad("IMG2654", `${lockFileName} is none of this version of imgtask`, { content, at: find(content, keys), path: where }, {
      expected: `an object with "version": ${version} and "media"`,
      found: keys.length === 0 ? shown(parsed) : `${keys.join(".")}: ${shown(valueAt(parsed, keys))}`,
    });
  }
  return new Map(Object.entries(result.data.media).map(([id, value]) => [id, toEntry(id, value, content, where)]));
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The text of a lock file: sorted, one value a line. */
export function formatLock(entries: ReadonlyMap<string, LockEntry>): string {
  const sorted = (value: object, keys: readonly string[]): object => Object.fromEntries(keys.flatMap((key) => {
    const one = (value as Readonly<Record<string, unknown>>)[key];
    return one === undefined ? [] : [[key, isObject(one) ? sorted(one, Object.keys(list.shape)) : one]];
  }));
  const media = Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, entry]) => [id, sorted(toEntry(id, entry, "", lockFileName), Object.keys(pin.shape))]));
  return `${JSON.stringify({ version, media }, null, 2)}\n`;
}
