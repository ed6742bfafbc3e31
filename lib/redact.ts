/**
 * Finds secrets in bytes and text, in the forms in which programs write them, and puts `***` in their place.
 * Knows neither targets nor where secrets come from.
 * @module
 */

/** What stands where a secret stood. */
export const mask = "***";

/** Bytes that a secret must have, or it would be found where it is not. */
export const shortestSecret = 8;

/** The part of a base64 text that is the same whatever stands before and behind, for each of the three ways to begin. */
function base64Cores(bytes: Buffer): readonly string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64").replace(/=+$/, "");
    const begin = [0, 2, 3][shift]!;
    const rest = (shift + bytes.length) % 3;
    return text.slice(begin, rest === 0 ? undefined : -1);
  });
}

const ansi: Readonly<Record<string, string>> = { "\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\v": "\\v" };

/** The ways to write a value that are searched for, by name. */
export function formsOf(value: string): Readonly<Record<string, readonly string[]>> {
  const bytes = Buffer.from(value);
  const hex = bytes.toString("hex");
  const base64 = base64Cores(bytes);
  const json = JSON.stringify(value).slice(1, -1);
  const percent = encodeURIComponent(value);
  const strict = percent.replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
  // Of URLs, of forms, with slashes left alone: programs differ in which characters they escape.
  const styles = [percent, strict, new URLSearchParams({ v: value }).toString().slice(2)].flatMap((text) => [text, text.replaceAll("%2F", "/"), encodeURI(value)]);
  const urls = styles.flatMap((text) => [text, text.replaceAll("%20", "+"), text.replaceAll("+", "%20"), text.replaceAll("~", "%7E")]);
  const lower = (text: string): string => text.replace(/%[0-9A-F]{2}/g, (one) => one.toLowerCase());
  const unicode = json.replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const escaped = value.replace(/[^A-Za-z0-9_@%+=:,./\n-]/gu, "\\$&");
  return {
    plain: [value, value.replaceAll("\n", "\r\n"), ...value.split(/\r?\n/).filter((line) => Buffer.byteLength(line) >= shortestSecret)],
    base64,
    base64url: base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
    hex: [hex],
    "HEX": [hex.toUpperCase()],
    percent: [...urls, ...urls.map(lower), hex.replace(/../g, "%$&"), hex.toUpperCase().replace(/../g, "%$&")],
    json: [json, unicode, json.replaceAll("/", "\\/"), JSON.stringify(json).slice(1, -1)],
    shell: [value.replaceAll("'", `'\\''`), value.replaceAll("'", `'"'"'`), value.replace(/[\\'\n\r\t\f\v]/g, (one) => ansi[one]!), escaped, value.replace(/["$`\\]/g, "\\$&")],
    reversed: [[...value].reverse().join("")],
  };
}

/** Secrets, made ready for the search. */
export class Secretive {
  /** Longest first. */
  readonly #patterns: readonly Buffer[];
  readonly longest: number;

  constructor(values: Iterable<string>) {
    const all = new Set<string>();
    for (const value of values) for (const form of Object.values(formsOf(value)).flat()) if (Buffer.byteLength(form) >= shortestSecret) all.add(form);
    this.#patterns = [...all].map((text) => Buffer.from(text)).sort((a, b) => b.length - a.length);
    this.longest = this.#patterns[0]?.length ?? 0;
  }

  /** Whether a secret stands in the bytes. */
  isIn(bytes: Buffer): boolean {
    return this.#patterns.some((pattern) => bytes.includes(pattern));
  }

  /** Where secrets stand, merged, in order. */
  #places(bytes: Buffer): readonly (readonly [number, number])[] {
    const found: [number, number][] = [];
    for (const pattern of this.#patterns) for (let at = bytes.indexOf(pattern); at >= 0; at = bytes.indexOf(pattern, at + 1)) found.push([at, at + pattern.length]);
    found.sort((a, b) => a[0] - b[0]);
    const merged: [number, number][] = [];
    for (const one of found) {
      const last = merged.at(-1);
      if (last !== undefined && one[0] <= last[1]) last[1] = Math.max(last[1], one[1]);
      else merged.push(one);
    }
    return merged;
  }

  /** Where what may be the beginning of a secret begins: the rest is still to come. */
  #open(bytes: Buffer): number {
    let open = bytes.length;
    for (const pattern of this.#patterns) {
      const from = Math.max(0, bytes.length - pattern.length + 1);
      for (let at = bytes.indexOf(pattern[0]!, from); at >= 0 && at < open; at = bytes.indexOf(pattern[0]!, at + 1)) {
        if (bytes.subarray(at).equals(pattern.subarray(0, bytes.length - at))) open = at;
      }
    }
    return open;
  }

  /** Bytes without secrets; with `partly`, also how many at the end must wait for what follows. */
  clean(bytes: Buffer, partly = false): { readonly bytes: Buffer; readonly rest: Buffer } {
    const places = this.#places(bytes);
    let end = partly ? this.#open(bytes) : bytes.length;
    // What is found to the end may go on: a longer form of it, or another that overlaps.
    for (const [begin, stop] of places) if (begin < end && stop > end) end = begin;
    const parts: Buffer[] = [];
    let at = 0;
    for (const [begin, stop] of places) {
      if (stop > end) break;
      parts.push(bytes.subarray(at, begin), Buffer.from(mask));
      at = stop;
    }
    return { bytes: Buffer.concat([...parts, bytes.subarray(at, end)]), rest: Buffer.from(bytes.subarray(end)) };
  }

  /** Text without secrets. */
  text(text: string): string {
    return this.longest === 0 ? text : this.clean(Buffer.from(text)).bytes.toString("utf8");
  }
}

/** Cleans a stream: holds back no more than the length of the longest secret. */
export class Redactor {
  readonly #secretive: Secretive;
  readonly #write: (bytes: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(secretive: Secretive, write: (bytes: Buffer) => void) {
    this.#secretive = secretive;
    this.#write = write;
  }

  push(chunk: Buffer | string): void {
    const { bytes, rest } = this.#secretive.clean(Buffer.concat([this.#rest, Buffer.from(chunk as Buffer)]), true);
    this.#rest = rest;
    if (bytes.length > 0) this.#write(bytes);
  }

  /** Writes what was held back. */
  end(): void {
    const { bytes } = this.#secretive.clean(this.#rest);
    this.#rest = Buffer.alloc(0);
    if (bytes.length > 0) this.#write(bytes);
  }
}

/** Values that this process has seen, for whatever it says from then on. */
const known = new Set<string>();
const listeners = new Set<(value: string) => void>();
let everything = new Secretive([]);

/** Keeps values out of all that this process says until it ends. */
export function protect(values: Iterable<string>): void {
  for (const value of values) {
    if (known.has(value)) continue;
    known.add(value);
    for (const listener of listeners) listener(value);
  }
  everything = new Secretive(known);
}

/** Is told every protected value; for a CI system that hides them too. */
export function onProtected(listener: (value: string) => void): void {
  listeners.add(listener);
  known.forEach(listener);
}

/** Text without any protected value. */
export function redact(text: string): string {
  return everything.text(text);
}
