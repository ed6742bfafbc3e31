/**
 * Sets of packages that are the same in purpose and not in name, ready to use in `packages` of a machine.
 * What only one distribution has is a set of that distribution: `ubuntu.packages.server`.
 * @module
 */
import { type PackageSet, packageSet } from "../../lib/mod.ts";

/**
 * Ready sets.
 *
 * `common`: what every server here has, for remote access, protection, audit, time and automation. With dnf, fail2ban
 * comes from EPEL, which has to be among the machine's `repositories` unless the distribution is Fedora.
 *
 * @example
 * ```ts
 * machine({ hostname: "lab", packages: [packageSets.common, ubuntu.packages.server] });
 * ```
 */
export const packageSets: { readonly common: PackageSet } = Object.freeze({
  common: packageSet("common", {
    apt: ["openssh-server", "fail2ban", "auditd", "chrony", "python3", "git"],
    dnf: ["openssh-server", "fail2ban", "audit", "chrony", "python3", "git"],
  }),
});
