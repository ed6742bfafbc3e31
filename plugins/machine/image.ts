/**
 * What an image that is made of packages can be of a machine description: its packages and parameters, and what is
 * refused because nothing installs it. Knows nothing of how a machine is applied.
 * @module
 */
import { ExitCode, ImgtaskError, type InstalledMachine, packagesFor } from "../../lib/mod.ts";
import { keyboardPackages } from "./keyboard.ts";
import { type MachineParams, machineParams } from "./params.ts";

/** Refuses what needs an installer, for callers that the type checker did not stop. */
function checkImage(machine: InstalledMachine): void {
  const dnf = machine.repositories.find(({ type }) => type !== "apt");
  if (machine.storage === undefined && dnf === undefined) return;
  throw new ImgtaskError("IMG2312", `A root file system cannot express "${dnf === undefined ? "storage" : `repositories ${dnf.name}`}" of this machine`, {
    expected: dnf === undefined ? "no storage: an image is divided by what is made of it" : `repositories of type "apt"`,
    exitCode: ExitCode.usage,
  });
}

/** Names of the packages of an image, with those that parts of the machine need. */
export function imagePackages(machine: InstalledMachine): readonly string[] {
  checkImage(machine);
  const needed = [
    ...(machine.firewall === undefined || ["nftables", "ufw", "firewalld"].some((name) => machine.packages.includes(name)) ? [] : ["nftables"]),
    ...(machine.passwordPolicy === undefined ? [] : ["libpam-pwquality"]),
    ...keyboardPackages(machine),
    ...(machine.apparmor === "enabled" ? ["apparmor"] : []),
  ];
  return [...new Set([...packagesFor(machine, "apt"), ...needed])];
}

/** A machine as parameters of a target that makes an image of it. */
export function imageParams(machine: InstalledMachine): MachineParams {
  checkImage(machine);
  return machineParams(machine);
}
