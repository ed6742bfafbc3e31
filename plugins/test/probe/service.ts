/**
 * Probes of systemd units. Pure.
 * @module
 */
import { type Probe, shellQuote } from "./probe.ts";

/** A unit as it should be once the boot is over. */
export interface ExpectedService {
  /** Name, with or without `.service`. */
  readonly unit: string;
  /** As `systemctl show -p ActiveState` has it. @default "active" */
  readonly state?: "active" | "inactive" | "failed";
  /** As `systemctl is-enabled` has it. @default any */
  readonly enabled?: "enabled" | "disabled" | "masked" | "static" | "indirect" | "generated" | "alias";
}

/** What it is, what it should be, what it is. */
export function serviceProbe({ unit, state = "active", enabled }: ExpectedService): Probe {
  return {
    name: `service "${unit}" is ${state}${enabled === undefined ? "" : ` and ${enabled}`}`,
    // A unit name without ".service" may also be a socket's or timer's: systemctl takes the service.
    shell: `systemctl show -p LoadState -p ActiveState -p SubState -p Result -p UnitFileState -- ${shellQuote(unit)}`,
    judge(printed) {
      const is = new Map(printed.split("\n").filter((line) => line.includes("=")).map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1).trim()]));
      const there = is.get("LoadState") === "loaded" || is.get("LoadState") === "masked";
      // What is not there does not run either; but then nobody meant it.
      if (there && is.get("ActiveState") === state && (enabled === undefined || is.get("UnitFileState") === enabled)) return undefined;
      return {
        expected: `${state}${enabled === undefined ? "" : `, ${enabled}`}`,
        found: there
          ? `${is.get("ActiveState")} (${is.get("SubState")}), result ${is.get("Result") ?? "unknown"}, ${is.get("UnitFileState") || "not enabled by a file"}`
          : `no such unit (${is.get("LoadState") ?? "systemd does not answer"})`,
      };
    },
  };
}
