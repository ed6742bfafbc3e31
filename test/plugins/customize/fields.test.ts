/**
 * Every field of a machine in every format: a change of it changes what is made, or is refused by name. Never is it
 * dropped without a word. A new field fails the type check here until it has a value, and then until it has a verdict.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  type AptRepository, type DnfRepository, type FileSystem, type Firewall, type InstalledMachine, machine, type MachineFile, type MachineSpec, type NetworkInterface, packageSet,
  type PasswordPolicy, secret, source, type Storage, type User, type Volume,
} from "../../../lib/mod.ts";
import { autoinstall, autoinstallPackages } from "../../../plugins/customize/autoinstall.ts";
import { checkCloudInit, cloudInit, cloudInitPackages } from "../../../plugins/customize/cloud-init.ts";
import { kickstart, kickstartPackages } from "../../../plugins/customize/kickstart.ts";
import { latePackages, payloadFiles } from "../../../plugins/customize/payload.ts";
import { preseed, preseedPackages } from "../../../plugins/customize/preseed.ts";
import { imagePackages, imageParams } from "../../../plugins/machine/image.ts";
import { aptArchive, division, dnfArchive, full, fullHash, writeSources } from "../../rig/full-machine.ts";
import { ready } from "../../rig/ready-machine.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-fields-"));
after(() => rmSync(directory, { recursive: true, force: true }));
writeSources(directory);
mkdirSync(join(directory, "other"));
writeFileSync(join(directory, "other/file"), "other\n");
writeFileSync(join(directory, "other.asc"), "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nother\n-----END PGP PUBLIC KEY BLOCK-----\n");

const context = { release: "x", mirror: "http://mirror.example/x", payload: "/imgtask" };
const epoch = 1_700_000_000;

function installed(of: InstalledMachine, format: "preseed" | "kickstart" | "autoinstall", files: Readonly<Record<string, string>>, packages: readonly string[]): string {
  const payload = payloadFiles(ready(of, directory), { origins: [], epoch, format, packages: latePackages(of, packages).late });
  return JSON.stringify([files, payload.map(({ name, mode, content }) => [name, mode, Buffer.from(content).toString("latin1")])]);
}

const formats = {
  preseed: (of: InstalledMachine) => installed(of, "preseed", preseed(of, context).files, preseedPackages(of)),
  kickstart: (of: InstalledMachine) => installed(of, "kickstart", kickstart(of, context).files, kickstartPackages(of)),
  autoinstall: (of: InstalledMachine) => installed(of, "autoinstall", autoinstall(of, context).files, autoinstallPackages(of)),
  "cloud-init": (of: InstalledMachine, manager: "apt" | "dnf") => {
    checkCloudInit(of);
    return JSON.stringify(cloudInit(ready(of, directory), { packages: cloudInitPackages(of, manager), epoch }).files);
  },
  // What is made of it inside an image is shown by test/e2e/rootfs-disk.test.ts.
  rootfs: (of: InstalledMachine) => JSON.stringify([imageParams(of), imagePackages(of)]),
} as const;
type Format = keyof typeof formats;

const users = full.users, [first, ...others] = full.network;
const withUser = (parts: Partial<User>): MachineSpec => ({ ...full, users: [{ ...users[0], ...parts }, users[1]] });
const withFile = (parts: Partial<MachineFile>): MachineSpec => ({ ...full, files: [{ ...full.files[0], ...parts }, full.files[1]] });
const withInterface = (parts: Partial<NetworkInterface>): MachineSpec => ({ ...full, network: [{ ...first, ...parts }, ...others] });
const withApt = (parts: Partial<AptRepository>): MachineSpec => ({ ...full, repositories: [{ ...aptArchive, ...parts }] });
const withDnf = (parts: Partial<DnfRepository>): MachineSpec => ({ ...full, repositories: [{ ...dnfArchive, ...parts }] });
const withDivision = (parts: Partial<Storage>): MachineSpec => ({ ...full, storage: { ...division, ...parts } });
const withPartition = (parts: Partial<FileSystem>): MachineSpec => withDivision({ partitions: [{ ...division.partitions[0], ...parts }, division.partitions[1]] });
const withVolume = (parts: Partial<Volume>): MachineSpec => withDivision({ lvm: { group: "vgfull", volumes: [division.lvm.volumes[0], { ...division.lvm.volumes[1], ...parts }] } });

/** Pairs of machines that differ in one field, or what each field is compared with when it is not `full`. */
type Change = MachineSpec | { readonly from: MachineSpec; readonly to: MachineSpec };
const changes: Readonly<Record<string, Change>> = {
  ...({
    hostname: { ...full, hostname: "otherhost" },
    locale: { ...full, locale: "fr_FR.UTF-8" },
    timezone: { ...full, timezone: "Europe/Paris" },
    keyboard: { ...full, keyboard: "es" },
    users: { ...full, users: [users[0]] },
    passwordPolicy: { from: { ...full, passwordPolicy: {} }, to: full },
    packages: { ...full, packages: [...full.packages, packageSet("z", { apt: ["other-apt"], dnf: ["other-dnf"] })] },
    repositories: { from: full, to: { ...full, repositories: [aptArchive] } },
    services: { ...full, services: {} },
    files: { ...full, files: [] },
    overlay: { ...full, overlay: source("other") },
    directories: { ...full, directories: [] },
    passwordLogin: { ...full, passwordLogin: false },
    network: { from: { ...full, network: "dhcp" }, to: { ...full, network: "none" } },
    storage: { from: full, to: { ...full, storage: division } },
    firewall: { ...full, firewall: { allow: [] } },
    selinux: { from: full, to: { ...full, selinux: "permissive" } },
    apparmor: { from: full, to: { ...full, apparmor: "disabled" } },
    late: { ...full, late: [] },
  } satisfies Record<keyof MachineSpec, Change>),
  ...prefixed("users", {
    name: withUser({ name: "other" }), fullName: withUser({ fullName: "Other" }), uid: withUser({ uid: 4322 }), groups: withUser({ groups: ["games"] }), shell: withUser({ shell: "/bin/sh" }),
    sudo: withUser({ sudo: "none" }), sshKeys: withUser({ sshKeys: [] }), password: withUser({ password: { hash: fullHash } }),
  } satisfies Record<keyof User, Change>),
  ...prefixed("passwordPolicy", {
    minLength: { ...full, passwordPolicy: { ...full.passwordPolicy, minLength: 18 } }, minClasses: { ...full, passwordPolicy: { ...full.passwordPolicy, minClasses: 4 } },
    maxAgeDays: { ...full, passwordPolicy: { ...full.passwordPolicy, maxAgeDays: 92 } }, minAgeDays: { ...full, passwordPolicy: { ...full.passwordPolicy, minAgeDays: 3 } },
    warnDays: { ...full, passwordPolicy: { ...full.passwordPolicy, warnDays: 16 } },
  } satisfies Record<keyof PasswordPolicy, Change>),
  ...prefixed("services", { enable: { ...full, services: { ...full.services, enable: ["other"] } }, disable: { ...full, services: { ...full.services, disable: ["other"] } } } satisfies Record<keyof NonNullable<MachineSpec["services"]>, Change>),
  ...prefixed("files", {
    path: withFile({ path: "/etc/other" }), content: withFile({ content: "other" }), mode: withFile({ mode: 0o600 }), owner: withFile({ owner: "root" }), group: withFile({ group: "root" }),
  } satisfies Record<keyof MachineFile, Change>),
  ...prefixed("directories", {
    list: { ...full, directories: { ...full.directories, list: source("other/file") } }, under: { ...full, directories: { ...full.directories, under: "/srv/other" } },
    mode: { ...full, directories: { ...full.directories, mode: 0o700 } }, owner: { ...full, directories: { ...full.directories, owner: "root" } }, group: { ...full, directories: { ...full.directories, group: "root" } },
  } satisfies Record<keyof typeof full.directories, Change>),
  ...prefixed("network", {
    name: withInterface({ name: "ens9" }), dhcp: { from: withInterface({ addresses: ["2001:db8::10/64"], gateway: undefined as never, dhcp: false }), to: withInterface({ addresses: ["2001:db8::10/64"], gateway: undefined as never, dhcp: true }) },
    addresses: withInterface({ addresses: ["192.0.2.11/25", "2001:db8::10/64"] }), gateway: withInterface({ gateway: "192.0.2.2" }), gateway6: withInterface({ gateway6: "2001:db8::2" }),
    dns: withInterface({ dns: ["192.0.2.54"] }), search: withInterface({ search: ["other.example"] }),
  } satisfies Record<keyof NetworkInterface, Change>),
  ...prefixed("aptRepository", {
    type: { from: withDnf({}), to: withApt({}) }, name: { from: withApt({}), to: withApt({ name: "other" }) }, url: { from: withApt({}), to: withApt({ url: "https://other.example/" }) },
    suites: { from: withApt({}), to: withApt({ suites: ["other"] }) }, components: { from: withApt({}), to: withApt({ components: ["main"] }) }, key: { from: withApt({}), to: withApt({ key: source("other.asc") }) },
  } satisfies Record<keyof AptRepository, Change>),
  ...prefixed("dnfRepository", {
    type: { from: withApt({}), to: withDnf({}) }, name: { from: withDnf({}), to: withDnf({ name: "other" }) }, title: { from: withDnf({}), to: withDnf({ title: "Other" }) },
    url: { from: withDnf({}), to: withDnf({ url: "https://other.example/" }) }, key: { from: withDnf({}), to: withDnf({ key: source("other.asc") }) },
  } satisfies Record<keyof DnfRepository, Change>),
  ...prefixed("storage", {
    disk: { from: withDivision({}), to: withDivision({ disk: "/dev/vdy" }) }, firmware: { from: withDivision({}), to: withDivision({ firmware: "bios" }) },
    partitions: { from: withDivision({}), to: withDivision({ partitions: [] }) }, lvm: { from: withDivision({}), to: withDivision({ lvm: { ...division.lvm, group: "vgother" } }) },
  } satisfies Record<keyof Storage, Change>),
  ...prefixed("storage.partitions", {
    mount: { from: withDivision({}), to: withPartition({ mount: "/other" }) }, size: { from: withDivision({}), to: withPartition({ size: "2G" }) }, type: { from: withDivision({}), to: withPartition({ type: "ext4" }) },
  } satisfies Record<keyof FileSystem, Change>),
  ...prefixed("storage.lvm.volumes", {
    name: { from: withDivision({}), to: withVolume({ name: "other" }) }, mount: { from: withDivision({}), to: withVolume({ mount: "/other" }) }, size: { from: withDivision({}), to: withVolume({ size: "9G" }) },
    type: { from: withDivision({}), to: withVolume({ type: "xfs" }) },
  } satisfies Record<keyof Volume, Change>),
  ...prefixed("firewall", { allow: { ...full, firewall: { allow: ["ssh"] } } } satisfies Record<keyof Firewall, Change>),
};

function prefixed(prefix: string, all: Readonly<Record<string, Change>>): Readonly<Record<string, Change>> {
  return Object.fromEntries(Object.entries(all).map(([key, change]) => [`${prefix}.${key}`, change]));
}

/** What is refused, by format. All else must be seen. */
const refused: Readonly<Record<Format, RegExp>> = {
  preseed: /^(selinux|dnfRepository\..*)$/,
  kickstart: /^(apparmor|repositories|aptRepository\..*)$/,
  autoinstall: /^(selinux|dnfRepository\..*)$/,
  "cloud-init": /^storage/,
  rootfs: /^(storage.*|dnfRepository\..*)$/,
};
/** What follows from the format's own way, with the reason. */
const unseen: Readonly<Partial<Record<Format, Readonly<Record<string, string>>>>> = {
  kickstart: { "storage.firmware": "Anaconda sees the firmware itself: reqpart" },
};

let seen = 0, no = 0;
for (const [format, make] of Object.entries(formats) as [Format, (of: InstalledMachine, manager: "apt" | "dnf") => string][]) {
  test(`${Object.keys(changes).length} fields in ${format}: visible or refused`, (t) => {
    for (const [field, change] of Object.entries(changes)) {
      const { from, to } = "from" in change ? change : { from: full, to: change };
      const manager = field.startsWith("dnfRepository") ? "dnf" : "apt";
      const after = (): string => make(machine(to), manager);
      if (refused[format].test(field)) {
        assert.throws(after, (error: { code?: string; message: string }) => error.code === "IMG2312" && /cannot express "(storage|selinux|apparmor|repositories)/.test(error.message), `${field} in ${format}`);
        no++;
      } else {
        if (unseen[format]?.[field] !== undefined) continue;
        let before: string | undefined;
        try {
          before = make(machine(from), manager);
        } catch (error) {
          // A type of repository compared with another one.
          assert.equal((error as { code?: string }).code, "IMG2312", `${field} in ${format}: ${String(error)}`);
        }
        assert.notEqual(after(), before, `${field} in ${format} changes nothing and is not refused`);
        seen++;
      }
    }
    t.diagnostic(`${seen} fields seen, ${no} refused so far`);
  });
}

test("passwords of secrets are in no parameters", () => {
  const text = JSON.stringify(imageParams(machine({ ...full, users: [{ name: "a", password: secret.env("X_PASSWORD") }] })));
  assert.match(text, /"password":\{"secret":"password-a"\}/);
});
