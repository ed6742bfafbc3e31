/**
 * A machine in which every field has a value of its own, and the files that it names: for tests that look for each of
 * them in what is made of a machine.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type MachineSpec, packageSet, secret, source } from "../../lib/mod.ts";

export const fullHash = "$6$saltsaltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
export const armoredKey = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZarchivekey\n-----END PGP PUBLIC KEY BLOCK-----\n";

/** What every format takes, each in a value that nothing else holds. */
export const full = {
  hostname: "fullhost",
  locale: "de_DE.UTF-8",
  timezone: "Europe/Berlin",
  keyboard: "de",
  users: [
    { name: "devops", fullName: "Dev Ops", uid: 4321, groups: ["staff"], shell: "/bin/zsh", sudo: "nopasswd", sshKeys: ["ssh-ed25519 AAAAlinekey me@x", source("key.pub")], password: secret.env("TEST_PASSWORD") },
    { name: "guest", password: { hash: fullHash }, sudo: "password" },
  ],
  passwordPolicy: { minLength: 17, minClasses: 3, maxAgeDays: 91, minAgeDays: 2, warnDays: 15 },
  packages: ["plainpackage", packageSet("web", { apt: ["web-apt"], dnf: ["web-dnf"] })],
  services: { enable: ["enabled-unit"], disable: ["disabled-unit"] },
  files: [
    { path: "/etc/text.conf", content: "text of a file\n", mode: 0o640, owner: "devops", group: "staff" },
    { path: "/etc/source.bin", content: source("file.bin"), mode: 0o755 },
  ],
  overlay: source("overlay"),
  directories: { list: source("list"), under: "/srv/listed", mode: 0o750, owner: "devops", group: "staff" },
  passwordLogin: true,
  network: [
    { name: "ens7", addresses: ["192.0.2.10/24", "2001:db8::10/64"], gateway: "192.0.2.1", gateway6: "2001:db8::1", dns: ["192.0.2.53"], search: ["search.example"] },
    { name: "ens8", dhcp: true },
  ],
  firewall: { allow: ["ssh", "8000-8100/tcp", "53/udp"] },
  late: [["late-program", "late argument"], { script: source("late.sh") }],
} as const satisfies MachineSpec;

export const aptArchive = { type: "apt", name: "extra", url: "https://apt.example/debian", suites: ["stable"], components: ["contrib"], key: source("archive.asc") } as const;
export const dnfArchive = { type: "dnf", name: "extra", title: "Extra Packages", url: "https://rpm.example/$releasever/$basearch", key: source("archive.asc") } as const;
export const division = {
  disk: "/dev/vdx",
  firmware: "uefi",
  partitions: [{ mount: "/boot", size: "1G", type: "xfs" }, { mount: "swap", size: "512M" }],
  lvm: { group: "vgfull", volumes: [{ name: "rootlv", mount: "/", size: "20G", type: "ext4" }, { name: "varlv", mount: "/var/lib/x", size: "rest" }] },
} as const;

/** Makes the files that the machine names. */
export function writeSources(directory: string): void {
  mkdirSync(join(directory, "overlay/etc"), { recursive: true });
  writeFileSync(join(directory, "overlay/etc/laid-over"), "laid over\n");
  writeFileSync(join(directory, "key.pub"), `ssh-ed25519 ${"A".repeat(60)}filekey you@x\n`);
  writeFileSync(join(directory, "file.bin"), Buffer.from([0, 255, 1, 254, 10]));
  writeFileSync(join(directory, "list"), "projects/prod\nprojects/stage\n");
  writeFileSync(join(directory, "late.sh"), "#!/bin/sh\n# late script\n");
  writeFileSync(join(directory, "archive.asc"), armoredKey);
}
