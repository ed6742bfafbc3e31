/**
 * Words of notices that strangers wrote: what is kept of them, and in which form. Pure.
 * @module
 */
import { ExitCode, ImgtaskError, type NoticePackage, type Severity } from "../../lib/mod.ts";
import { printable } from "../download/mirror.ts";

/** Notices that are not what their format says, or too many of them. */
export function malformed(what: string, expected: string, found: string): ImgtaskError {
  return new ImgtaskError("IMG4081", `Security notices cannot be trusted: ${printable(what)} is damaged`, { expected, found: printable(found.slice(0, 200)), exitCode: ExitCode.refused });
}

/** Most notices of one place; the largest have 20,000. */
export const mostNotices = 100_000;

/** An id that is safe to show and to put into an address. */
export function idOf(text: string): string | undefined {
  const id = text.trim();
  return /^[A-Za-z][A-Za-z0-9._:-]{2,80}$/.test(id) ? id : undefined;
}

/** One line without control characters; `undefined` when nothing is left. */
export function lineOf(text: string): string | undefined {
  // oxlint-disable-next-line no-control-regex
  const line = text.replace(/[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g, " ").trim().slice(0, 200);
  return line === "" ? undefined : line;
}

/** The day of `2026-11-20 10:00:00`, of ISO 8601, or of seconds since 1970. */
export function dayOf(text: string | undefined): string | undefined {
  const time = text === undefined ? NaN : /^\d{9,11}$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(`${/^\s*(\d{4}-\d\d-\d\d)/.exec(text)?.[1] ?? "none"}T00:00:00Z`);
  return Number.isNaN(time) ? undefined : new Date(time).toISOString().slice(0, 10);
}

const severities: Readonly<Record<string, Severity>> = { critical: "critical", urgent: "critical", important: "important", high: "important", moderate: "moderate", medium: "moderate", low: "low" };

/** What several distributions call the same. */
export function severityOf(text: string): Severity | undefined {
  const word = text.trim().toLowerCase();
  return Object.hasOwn(severities, word) ? severities[word] : undefined;
}

/** Ids of CVEs in a text, sorted. */
export function cvesIn(text: string): readonly string[] {
  return [...new Set(text.match(/\bCVE-\d{4}-\d{4,10}\b/g) ?? [])].sort();
}

/** A package with a version, if both can be what they are said to be. */
export function packageOf(name: unknown, fixed: unknown): NoticePackage | undefined {
  if (typeof name !== "string" || !/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}$/.test(name)) return undefined;
  return typeof fixed === "string" && /^[A-Za-z0-9][A-Za-z0-9.+~:_^-]{0,127}$/.test(fixed) ? { name, fixed } : { name };
}

/** A module stream, if both can be what they are said to be. */
export function streamOf(name: unknown, stream: unknown): string | undefined {
  const word = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,100}$/;
  return typeof name === "string" && typeof stream === "string" && word.test(name) && word.test(stream) ? `${name}:${stream}` : undefined;
}

/** The page of a notice. */
export function linkOf(template: string, id: string): string {
  return template.replace("{id}", id).replace("{dashed}", id.replaceAll(":", "-"));
}
