/**
 * Probes of the kernel: its parameters (sysctl), and the security module that is in force. Pure.
 * @module
 */
import { type Probe, shellQuote } from "./probe.ts";

/** SELinux and AppArmor as they should be. */
export interface ExpectedSecurity {
  /** As `getenforce` has it, in small letters. */
  readonly selinux?: "enforcing" | "permissive" | "disabled";
  /** Whether AppArmor is in force. */
  readonly apparmor?: "enabled" | "disabled";
  /** AppArmor's profiles and their modes. @default {} */
  readonly profiles?: Readonly<Record<string, "enforce" | "complain" | "kill" | "unconfined">>;
}

/** A parameter of the kernel; runs of blanks count as one. */
export function sysctlProbe(name: string, value: string | number): Probe {
  const wanted = String(value).trim().split(/\s+/).join(" ");
  // sysctl(8): dots separate, unless a slash comes first; then it is the other way round.
  const separator = /[./]/.exec(name)?.[0];
  const path = separator === "/" ? name : name.replace(/[./]/g, (one) => (one === "." ? "/" : "."));
  return {
    name: `sysctl ${name} is ${wanted}`,
    shell: `cat -- ${shellQuote(`/proc/sys/${path}`)} 2>/dev/null || echo '?'`,
    judge(printed) {
      const found = printed.trim().split(/\s+/).join(" ");
      return found === wanted ? undefined : { expected: wanted, found: found === "?" ? "no such parameter, or it cannot be read" : found };
    },
  };
}

function selinuxProbe(wanted: NonNullable<ExpectedSecurity["selinux"]>): Probe {
  return {
    name: `SELinux is ${wanted}`,
    shell: `cat /sys/fs/selinux/enforce 2>/dev/null || echo none`,
    judge(printed) {
      const found = { "1": "enforcing", "0": "permissive", none: "disabled" }[printed.trim()] ?? printed.trim();
      return found === wanted ? undefined : { expected: wanted, found };
    },
  };
}

function apparmorProbe(wanted: "enabled" | "disabled"): Probe {
  return {
    name: `AppArmor is ${wanted}`,
    shell: `cat /sys/module/apparmor/parameters/enabled 2>/dev/null || echo N`,
    judge(printed) {
      const found = printed.trim() === "Y" ? "enabled" : "disabled";
      return found === wanted ? undefined : { expected: wanted, found };
    },
  };
}

function profileProbe(name: string, wanted: string): Probe {
  return {
    name: `AppArmor profile "${name}" is in mode ${wanted}`,
    // Of the machine itself: /sys/kernel/security may not be mounted where nothing asked for it.
    shell: `[ -r /sys/kernel/security/apparmor/profiles ] && cat /sys/kernel/security/apparmor/profiles || echo '?'`,
    judge(printed) {
      if (printed.trim() === "?") return { expected: wanted, found: "no list of profiles that the login can read" };
      const line = printed.split("\n").find((one) => one.startsWith(`${name} (`));
      const found = line === undefined ? "no such profile" : line.slice(name.length + 2).replace(/\)$/, "");
      return found === wanted ? undefined : { expected: wanted, found };
    },
  };
}

/** The probes of a description of the security modules. */
export function securityProbes({ selinux, apparmor, profiles = {} }: ExpectedSecurity): readonly Probe[] {
  return [
    ...(selinux === undefined ? [] : [selinuxProbe(selinux)]),
    ...(apparmor === undefined ? [] : [apparmorProbe(apparmor)]),
    ...Object.entries(profiles).map(([name, mode]) => profileProbe(name, mode)),
  ];
}
