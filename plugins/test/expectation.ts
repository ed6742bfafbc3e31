/**
 * What can be expected of an image: checked when it is declared, as JSON in the fingerprint, as probes when it runs.
 * Pure; knows nothing of how a machine is reached.
 * @module
 */
import { type DirectoryList, ExitCode, ImgtaskError } from "../../lib/mod.ts";
import type { ExpectedFile } from "./guest.ts";
import { type ExpectedUser, userProbe } from "./probe/account.ts";
import { bootTimeProbe } from "./probe/boot-time.ts";
import { type ExpectedSecurity, securityProbes, sysctlProbe } from "./probe/kernel.ts";
import { type ExpectedPackage, packageProbe } from "./probe/package.ts";
import { type ExpectedPort, portProbe } from "./probe/port.ts";
import type { Probe } from "./probe/probe.ts";
import { type ExpectedService, serviceProbe } from "./probe/service.ts";
import { type Pattern, toPattern } from "./serial.ts";

/** What every image can be asked: what it prints. */
export interface ConsoleExpectation {
  /** What must appear on the serial console, in this order; escape sequences are taken out before. @default [] */
  readonly console?: readonly (string | RegExp)[];
}

/** What a booted system can be asked. All but `console` needs a login. */
export interface SystemExpectation extends ConsoleExpectation {
  /** The key opens a session; and whether the server offers passwords (to the login's user or to root) or not. */
  readonly ssh?: { readonly passwordLogin: boolean };
  /** systemd units once the boot is over; a name alone is to be active. @default [] */
  readonly services?: readonly (string | ExpectedService)[];
  /** TCP or UDP ports; a number alone is a TCP port that is open. @default [] */
  readonly ports?: readonly (number | ExpectedPort)[];
  /** Packages; a name alone is to be installed. @default [] */
  readonly packages?: readonly (string | (Omit<ExpectedPackage, "version"> & { readonly version?: string | RegExp }))[];
  /** Accounts. @default [] */
  readonly users?: readonly ExpectedUser[];
  /** Parameters of the kernel, by name. @default {} */
  readonly sysctl?: Readonly<Record<string, string | number>>;
  /** SELinux and AppArmor. @default {} */
  readonly security?: ExpectedSecurity;
  /** Seconds that kernel and services may take to be up; firmware and boot loader are not in it. @default any */
  readonly bootTime?: number;
  /** Files and their owner, mode, type and content. @default [] */
  readonly files?: readonly ExpectedFile[];
  /** A `dirs.list()` whose every directory must exist with its owner, group and mode. */
  readonly directories?: {
    readonly list: DirectoryList;
    /** How many to look at, evenly spread. @default "all" */
    readonly sample?: "all" | number;
  };
  /** Commands, run as the login's user. @default [] */
  readonly commands?: readonly {
    /** The command and its arguments; no shell. */
    readonly run: readonly [string, ...string[]];
    /** What its standard output must contain. @default anything */
    readonly stdout?: string | RegExp;
    /** @default 0 */
    readonly exit?: number;
  }[];
}

/** The expectations that become probes, as JSON. */
export interface Probed {
  readonly services: readonly ExpectedService[];
  readonly ports: readonly ExpectedPort[];
  readonly packages: readonly ExpectedPackage[];
  readonly users: readonly ExpectedUser[];
  readonly sysctl: Readonly<Record<string, string | number>>;
  readonly security: ExpectedSecurity;
  readonly bootTime: number | null;
}

/** The error for options of a test that make no sense. */
export function bad(name: string, what: string, value: unknown, expected: string): ImgtaskError {
  return new ImgtaskError("IMG2501", `Bad ${what} in test("${name}"): ${JSON.stringify(value)}`, { expected, exitCode: ExitCode.usage });
}

/** A whole number within limits. @throws {ImgtaskError} IMG2501 */
export function whole(name: string, what: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw bad(name, what, value, `a whole number, ${min} to ${max}`);
}

// Line breaks would end a line of the guest's answers.
const plain = /^\/[^\x00-\x1f\x7f]*$/;
const account = /^[A-Za-z_][A-Za-z0-9_.-]*\$?$/;

/** Every key that only somebody who is inside can tell of. */
const insideKeys = ["ssh", "services", "ports", "packages", "users", "sysctl", "security", "bootTime", "files", "directories", "commands"] as const;

/** Every key: a mistyped one would look at nothing, and pass. */
export const expectationKeys: readonly string[] = ["console", ...insideKeys];

/** What of an expectation needs a login. */
export function needsLogin(expect: SystemExpectation): readonly string[] {
  return insideKeys.filter((key) => expect[key] !== undefined);
}

/** Brings the short forms into the long one, and refuses what no machine could have. @throws {ImgtaskError} IMG2501 */
export function probedOf(name: string, expect: SystemExpectation): Probed {
  const services = (expect.services ?? []).map((one) => (typeof one === "string" ? { unit: one } : one));
  for (const { unit } of services) if (!/^[A-Za-z0-9][A-Za-z0-9@._:\\-]*$/.test(unit)) throw bad(name, "service", unit, "a unit name");
  const ports = (expect.ports ?? []).map((one) => (typeof one === "number" ? { port: one } : one));
  for (const { port } of ports) whole(name, "port", port, 1, 65_535);
  const packages = (expect.packages ?? []).map((one) => (typeof one === "string" ? { name: one } : one)).map(({ version, ...rest }) => ({ ...rest, ...(version === undefined ? {} : { version: toPattern(version) as Pattern }) }));
  for (const one of packages) if (!/^[A-Za-z0-9][A-Za-z0-9.+_:-]*$/.test(one.name)) throw bad(name, "package", one.name, "a package name");
  const users = expect.users ?? [];
  for (const user of users) {
    if (!account.test(user.name)) throw bad(name, "user", user.name, "a login name");
    if (user.uid !== undefined) whole(name, "uid", user.uid, 0, 2 ** 32 - 2);
    if (user.exists === false && Object.keys(user).length > 2) throw bad(name, "user", user, "nothing more of a user that must not exist");
  }
  for (const [key, value] of Object.entries(expect.sysctl ?? {})) {
    if (!/^[A-Za-z0-9_][A-Za-z0-9_./-]*$/.test(key) || key.includes("..")) throw bad(name, "sysctl", key, `a parameter such as "net.ipv4.ip_forward"`);
    if (String(value).trim() === "") throw bad(name, "sysctl", value, "a value");
  }
  for (const profile of Object.keys(expect.security?.profiles ?? {})) if (!/^[^\x00-\x1f]+$/.test(profile)) throw bad(name, "AppArmor profile", profile, "its name");
  const { bootTime } = expect;
  if (bootTime !== undefined && !(bootTime > 0 && Number.isFinite(bootTime))) throw bad(name, "boot time", bootTime, "seconds, more than 0");
  return { services, ports, packages, users: users.map((user) => ({ ...user })), sysctl: { ...expect.sysctl }, security: { ...expect.security }, bootTime: bootTime ?? null };
}

/** The other things to look at. @throws {ImgtaskError} IMG2501 */
export function checkRest(name: string, expect: SystemExpectation): void {
  for (const { path } of expect.files ?? []) if (!plain.test(path)) throw bad(name, "file path", path, "an absolute path without control characters");
  for (const { run } of expect.commands ?? []) if (run.length === 0 || run.some((word) => word.includes("\0"))) throw bad(name, "command", run, "a command and its arguments, without NUL characters");
  const sample = expect.directories?.sample ?? "all";
  if (sample !== "all") whole(name, "sample", sample, 1, 1_000_000);
}

/** The probes of what is expected, in the order in which they are told. */
export function probesOf({ services, ports, packages, users, sysctl, security, bootTime }: Probed): readonly Probe[] {
  return [
    ...services.map(serviceProbe),
    ...ports.map(portProbe),
    ...packages.map(packageProbe),
    ...users.map(userProbe),
    ...Object.entries(sysctl).map(([name, value]) => sysctlProbe(name, value)),
    ...securityProbes(security),
    ...(bootTime === null ? [] : [bootTimeProbe(bootTime)]),
  ];
}
