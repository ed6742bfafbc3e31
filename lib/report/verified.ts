/**
 * What `imgtask verify FILE…` found, as text and as data. Knows no file.
 * @module
 */
import type { Finding } from "../verify-publication.ts";
import { pad, painter, printable } from "./text.ts";

/** What was found of one file. */
export interface Verified {
  /** As it was named. */
  readonly file: string;
  readonly findings: readonly Finding[];
}

const isProven = ({ findings }: Verified): boolean => findings.every(({ outcome }) => outcome === "ok");

/** One line a check, and one for each file; with `quiet` only what is not as it should be. */
export function verifiedText(results: readonly Verified[], options: { readonly color: boolean; readonly quiet: boolean }): string {
  const paint = painter(options.color);
  const lines: string[] = [];
  for (const result of results) {
    const bad = result.findings.filter(({ outcome }) => outcome !== "ok");
    if (bad.length > 0 || !options.quiet) {
      const words = isProven(result) ? "proven" : `NOT proven: ${bad.length} of ${result.findings.length} checks failed`;
      lines.push(`${paint("bold", printable(result.file))}: ${paint(isProven(result) ? "green" : "red", words)}`);
    }
    for (const { document, outcome, code, what, expected, found } of options.quiet ? bad : result.findings) {
      const details = [...(expected === undefined ? [] : [`expected ${expected}`]), ...(found === undefined ? [] : [`found ${found}`])].join(", ");
      const said = `${printable(document)}: ${code === undefined ? "" : `${code}: `}${printable(what)}${details === "" ? "" : ` (${printable(details)})`}`;
      lines.push(`  ${paint(outcome === "ok" ? "green" : outcome === "missing" ? "yellow" : "red", pad(outcome, 7))}  ${said}`);
    }
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** The same for programs. */
export function verifiedData(results: readonly Verified[]): unknown {
  return {
    files: results.map((result) => ({
      file: result.file,
      verified: isProven(result),
      findings: result.findings.map(({ document, outcome, code = null, what, expected = null, found = null }) => ({ document, outcome, code, what, expected, found })),
    })),
  };
}
