/**
 * The result of a boot test as JUnit XML, which every CI reads. Pure: knows nothing of machines.
 * @module
 */

/** One thing that was looked at. */
export interface Check {
  /** What it is, for people: `console shows "login:"`. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Identifier of the error when it failed. */
  readonly code?: string;
  readonly expected?: string;
  readonly found?: string;
  /** Seconds it took or was waited for. */
  readonly seconds?: number;
}

/** A test and all its checks. */
export interface Report {
  /** Name of the target. */
  readonly target: string;
  /** Seconds from power-on to the end. */
  readonly seconds: number;
  readonly checks: readonly Check[];
  /** The end of the console. */
  readonly console: readonly string[];
}

/** Text for XML 1.0, which has no way at all to write most control characters: they become `\x1b`. */
export function xml(text: string): string {
  return text
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`)
    .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|[\ufffe\uffff]/g, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("\r", "&#13;");
}

/** An attribute's value: a bare line break or tab in one is read back as a space. */
function attribute(text: string): string {
  return xml(text).replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
}

/** Writes a report as JUnit XML. */
export function junit(report: Report): string {
  const count = (outcome: Check["outcome"]): number => report.checks.filter((check) => check.outcome === outcome).length;
  const time = (seconds: number): string => seconds.toFixed(3);
  const cases = report.checks.map((check) => {
    const head = `    <testcase classname="${attribute(report.target)}" name="${attribute(check.name)}" time="${time(check.seconds ?? 0)}"`;
    if (check.outcome === "passed") return `${head}/>`;
    if (check.outcome === "skipped") return `${head}><skipped/></testcase>`;
    const text = `expected: ${check.expected ?? ""}\nfound: ${check.found ?? ""}`;
    return `${head}>\n      <failure type="${attribute(check.code ?? "")}" message="${attribute(check.name)}">${xml(text)}</failure>\n    </testcase>`;
  });
  const counts = `tests="${report.checks.length}" failures="${count("failed")}" errors="0" skipped="${count("skipped")}" time="${time(report.seconds)}"`;
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuites ${counts}>`,
    `  <testsuite name="${attribute(report.target)}" ${counts}>`,
    ...cases,
    `    <system-out>${xml(report.console.join("\n"))}</system-out>`,
    `  </testsuite>`,
    `</testsuites>`,
    "",
  ].join("\n");
}
