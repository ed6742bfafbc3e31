/**
 * Packages of a machine: single names, and sets whose names differ between package managers.
 * Plain, checked data: knows package managers as keys, and no distribution.
 * @module
 */
import { ExitCode, ImgtaskError } from "../error.ts";
import * as fit from "../fit.ts";
import { checkCall, type Fits } from "../option.ts";
import { check } from "./check.ts";

/** What installs packages. */
export type PackageManager = "apt" | "dnf";

/** Packages for one purpose, by package manager. Made by `packageSet()`. */
export interface PackageSet {
  readonly type: "package set";
  /** For people: `"common"`. */
  readonly name: string;
  /** Names of the packages; a manager that is left out has none of them. */
  readonly packages: Readonly<Partial<Record<PackageManager, readonly string[]>>>;
}

function checkPackage(name: string): void {
  check(/^[a-z0-9][a-z0-9.+_-]*(:[a-z0-9]+)?$/i.test(name), "package", name, "a package name");
}

const fits: Fits<PackageSet["packages"]> = { apt: fit.texts, dnf: fit.texts };

/**
 * Declares a set of packages whose names differ between package managers.
 *
 * @example
 * ```ts
 * const web = packageSet("web", { apt: ["nginx", "libnginx-mod-http-geoip"], dnf: ["nginx", "nginx-mod-http-geoip"] });
 * ```
 */
export function packageSet(name: string, packages: PackageSet["packages"]): PackageSet {
  checkCall("packageSet", name, packages, fits);
  for (const names of Object.values(packages)) for (const one of names) checkPackage(one);
  return Object.freeze({ type: "package set", name, packages: Object.freeze({ ...packages }) });
}

/** Parts what `machine()` was given into names and sets. */
export function splitPackages(given: readonly (string | PackageSet)[]): { readonly packages: readonly string[]; readonly packageSets: readonly PackageSet[] } {
  const packages = given.filter((one) => typeof one === "string");
  for (const name of packages) checkPackage(name);
  const packageSets = given.filter((one) => typeof one !== "string");
  for (const set of packageSets) check(set?.type === "package set", "package set", set, "a name, or what packageSet() made");
  return { packages, packageSets };
}

/**
 * The packages of a machine as one package manager calls them: its own, then those of its sets, each once.
 *
 * @throws {ImgtaskError} IMG2140 for a set that has no names for the package manager.
 */
export function packagesFor(machine: { readonly packages: readonly string[]; readonly packageSets: readonly PackageSet[] }, manager: PackageManager): readonly string[] {
  const ofSets = machine.packageSets.flatMap((set) => {
    const names = set.packages[manager];
    if (names !== undefined) return names;
    throw new ImgtaskError("IMG2140", `The package set "${set.name}" has no names for ${manager}`, {
      expected: `a set for ${manager}`,
      found: `names for ${Object.keys(set.packages).join(", ") || "no package manager"}`,
      hint: "Leave the set out of this machine, or add names to it",
      exitCode: ExitCode.usage,
    });
  });
  return [...new Set([...machine.packages, ...ofSets])];
}
