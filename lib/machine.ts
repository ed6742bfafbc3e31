/**
 * `machine()`: one description of a machine, from which every answer file and every disk is made.
 * Plain, checked data: knows no distribution and no answer format.
 * @module
 */
import type { Source } from "./artifact.ts";
import * as fit from "./fit.ts";
import { check, frozen, word } from "./machine/check.ts";
import { type LateCommand, lateCommand } from "./machine/command.ts";
import { type DirectoryList, directoryLists, fullFile, type MachineFile } from "./machine/file.ts";
import { type Firewall, fullFirewall, type FullFirewall } from "./machine/firewall.ts";
import { type FullNetwork, fullNetwork, type Network } from "./machine/network.ts";
import { type PackageSet, splitPackages } from "./machine/package-set.ts";
import { checkedPolicy, type PasswordPolicy } from "./machine/password-policy.ts";
import { type FullRepository, fullRepository, type Repository } from "./machine/repository.ts";
import { type FullStorage, fullStorage, type Storage } from "./machine/storage.ts";
import { fullUser, type FullUser, type User } from "./machine/user.ts";
import { checkOptions, type Fits } from "./option.ts";

/** What `machine()` takes. */
export interface MachineSpec {
  /** Host name without domain: letters, digits, `-`; 63 characters at most. */
  readonly hostname: string;
  /** @default "C.UTF-8" */
  readonly locale?: string;
  /** Zone name as of the tz database. @default "Etc/UTC" */
  readonly timezone?: string;
  /** Console keyboard layout, by its XKB name: `de`. Another than that of the kernel brings what sets it. @default "us" */
  readonly keyboard?: string;
  /** @default [] */
  readonly users?: readonly User[];
  /** Rules for passwords. @default as the distribution has them */
  readonly passwordPolicy?: PasswordPolicy;
  /** Packages beside those the distribution needs to boot: names, and sets whose names differ. @default [] */
  readonly packages?: readonly (string | PackageSet)[];
  /** Archives that packages come from beside the distribution's own. @default [] */
  readonly repositories?: readonly Repository[];
  /** systemd units, with or without `.service`. @default {} */
  readonly services?: {
    /** Started at boot. @default [] */
    readonly enable?: readonly string[];
    /** Not started at boot. @default [] */
    readonly disable?: readonly string[];
  };
  /** @default [] */
  readonly files?: readonly MachineFile[];
  /** Directory whose content is laid over `/`: owner root:root, modes as on the host. */
  readonly overlay?: Source;
  /** @default [] */
  readonly directories?: DirectoryList | readonly DirectoryList[];
  /** Whether a password opens an SSH session. @default false */
  readonly passwordLogin?: boolean;
  /** `"dhcp"` on every Ethernet interface, `"none"`: left alone, or a list of interfaces. @default "dhcp" */
  readonly network?: Network;
  /**
   * How an installer divides the disk. Only installers divide disks: a machine with this cannot become a root file
   * system or the data of cloud-init. @default one ext4 on the whole disk
   */
  readonly storage?: Storage;
  /** What may be reached from outside; nothing else may. @default as the distribution has it */
  readonly firewall?: Firewall;
  /** State of SELinux. @default as the distribution has it */
  readonly selinux?: "enforcing" | "permissive" | "disabled";
  /** State of AppArmor. @default as the distribution has it */
  readonly apparmor?: "enabled" | "disabled";
  /** Run once on the machine as root, in their order, when all else is done. @default [] */
  readonly late?: readonly LateCommand[];
}

/** A machine with every default filled in, for whatever takes one; an installer may divide its disk. */
export interface InstalledMachine {
  readonly hostname: string;
  readonly locale: string;
  readonly timezone: string;
  readonly keyboard: string;
  readonly users: readonly FullUser[];
  readonly passwordPolicy?: PasswordPolicy;
  readonly packages: readonly string[];
  readonly packageSets: readonly PackageSet[];
  readonly repositories: readonly FullRepository[];
  readonly services: { readonly enable: readonly string[]; readonly disable: readonly string[] };
  readonly files: readonly Required<MachineFile>[];
  readonly overlay?: Source;
  readonly directories: readonly DirectoryList[];
  readonly passwordLogin: boolean;
  readonly network: FullNetwork;
  readonly storage?: FullStorage | undefined;
  readonly firewall?: FullFirewall;
  readonly selinux?: "enforcing" | "permissive" | "disabled";
  readonly apparmor?: "enabled" | "disabled";
  readonly late: readonly LateCommand[];
}

/** A machine with every default filled in, whose disk something else divides. */
export interface Machine extends InstalledMachine {
  readonly storage?: undefined;
}

const fits: Fits<MachineSpec> = {
  hostname: fit.needed(fit.text),
  locale: fit.text,
  timezone: fit.text,
  keyboard: fit.text,
  users: fit.list,
  passwordPolicy: fit.record,
  packages: fit.list,
  repositories: fit.list,
  services: fit.record,
  files: fit.list,
  overlay: fit.sourceHandle,
  directories: fit.either(fit.list, fit.record),
  passwordLogin: fit.flag,
  network: fit.either(fit.word("dhcp", "none"), fit.list),
  storage: fit.record,
  firewall: fit.record,
  selinux: fit.text,
  apparmor: fit.text,
  late: fit.list,
};

const serviceFits: Fits<NonNullable<MachineSpec["services"]>> = { enable: fit.texts, disable: fit.texts };

function checkWords(spec: MachineSpec): void {
  check(/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(spec.hostname), "hostname", spec.hostname, "letters, digits and inner hyphens, 63 at most");
  check(/^[A-Za-z0-9_.@-]+$/.test(spec.locale ?? "C"), "locale", spec.locale, `a locale name such as "en_US.UTF-8"`);
  check(/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(spec.timezone ?? "UTC"), "timezone", spec.timezone, `a zone name such as "Europe/Berlin"`);
  check(/^[a-z]+(-[a-z0-9]+)*$/.test(spec.keyboard ?? "us"), "keyboard", spec.keyboard, `a layout name such as "us"`);
  for (const unit of [...(spec.services?.enable ?? []), ...(spec.services?.disable ?? [])]) check(word.test(unit), "service", unit, "a unit name");
  check(["enforcing", "permissive", "disabled", undefined].includes(spec.selinux), "selinux", spec.selinux, `"enforcing", "permissive" or "disabled"`);
  check(["enabled", "disabled", undefined].includes(spec.apparmor), "apparmor", spec.apparmor, `"enabled" or "disabled"`);
  check(spec.selinux === undefined || spec.apparmor === undefined, "apparmor", spec.apparmor, "either selinux or apparmor");
}

/**
 * Describes a machine.
 *
 * @throws {ImgtaskError} IMG2101 for a value that no machine could have, such as a line break in a host name, IMG2040 for a field that it does
 * not have.
 *
 * @example
 * ```ts
 * const lab = machine({
 *   hostname: "lab",
 *   users: [{ name: "devops", sudo: "nopasswd", sshKeys: [source("config/devops.pub")] }],
 *   packages: [packageSets.common, "nginx"],
 *   services: { enable: ["ssh", "chrony"] },
 *   firewall: { allow: ["ssh", "https"] },
 * });
 * ```
 */
export function machine(spec: MachineSpec & { readonly storage: Storage }): InstalledMachine;
export function machine(spec: MachineSpec): Machine;
export function machine(spec: MachineSpec): InstalledMachine {
  checkOptions("machine()", spec, fits);
  if (spec.services !== undefined) checkOptions('"services" of machine()', spec.services, serviceFits);
  checkWords(spec);
  const users = (spec.users ?? []).map(fullUser);
  const names = users.map(({ name }) => name);
  check(new Set(names).size === names.length, "user names", names, "each once");
  const repositories = (spec.repositories ?? []).map(fullRepository);
  const archives = repositories.map(({ name }) => name);
  check(new Set(archives).size === archives.length, "repository names", archives, "each once");
  return frozen({
    hostname: spec.hostname,
    locale: spec.locale ?? "C.UTF-8",
    timezone: spec.timezone ?? "Etc/UTC",
    keyboard: spec.keyboard ?? "us",
    users,
    ...(spec.passwordPolicy === undefined ? {} : { passwordPolicy: checkedPolicy(spec.passwordPolicy) }),
    ...splitPackages(spec.packages ?? []),
    repositories,
    services: { enable: [...(spec.services?.enable ?? [])], disable: [...(spec.services?.disable ?? [])] },
    files: (spec.files ?? []).map(fullFile),
    ...(spec.overlay === undefined ? {} : { overlay: spec.overlay }),
    directories: directoryLists(spec.directories),
    passwordLogin: spec.passwordLogin ?? false,
    network: fullNetwork(spec.network ?? "dhcp"),
    ...(spec.storage === undefined ? {} : { storage: fullStorage(spec.storage) }),
    ...(spec.firewall === undefined ? {} : { firewall: fullFirewall(spec.firewall) }),
    ...(spec.selinux === undefined ? {} : { selinux: spec.selinux }),
    ...(spec.apparmor === undefined ? {} : { apparmor: spec.apparmor }),
    late: (spec.late ?? []).map(lateCommand),
  });
}
