/**
 * Probes of packages, by whichever package database a guest has. Pure: knows no distribution.
 * @module
 */
import { endOf, type Pattern, showPattern } from "../serial.ts";
import { type Probe, shellQuote } from "./probe.ts";

/** A package as it should be. */
export interface ExpectedPackage {
  readonly name: string;
  /** Text or expression that must be in its version, as the database writes it. @default any */
  readonly version?: Pattern;
  /** @default true */
  readonly installed?: boolean;
}

/** Whether a package is there, and in which version. */
export function packageProbe({ name, version, installed = true }: ExpectedPackage): Probe {
  const word = shellQuote(name);
  const wanted = installed ? `installed${version === undefined ? "" : `, version ${showPattern(version)}`}` : "not installed";
  return {
    name: `package "${name}" is ${wanted}`,
    shell: [
      `if command -v dpkg-query >/dev/null 2>&1; then dpkg-query -W -f '\${db:Status-Status} \${Version}\\n' -- ${word} 2>/dev/null; echo database`,
      `elif command -v rpm >/dev/null 2>&1; then rpm -q --qf 'installed %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n' -- ${word} 2>/dev/null | grep '^installed '; echo database`,
      `elif command -v apk >/dev/null 2>&1; then apk info -e -v -- ${word} 2>/dev/null | sed "s/^/installed /"; echo database; fi`,
    ].join("\n"),
    judge(printed) {
      const lines = printed.split("\n").filter((line) => line !== "");
      if (!lines.includes("database")) return { expected: wanted, found: "no package database that is known (dpkg, rpm, apk)" };
      const versions = lines.flatMap((line) => (line.startsWith("installed ") ? [line.slice(10)] : []));
      const fits = installed ? versions.some((one) => version === undefined || endOf(version, one) >= 0) : versions.length === 0;
      return fits ? undefined : { expected: wanted, found: versions.length === 0 ? "not installed" : `installed: ${versions.join(", ")}` };
    },
  };
}
