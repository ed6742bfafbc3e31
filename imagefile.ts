/**
 * The images of this repository: an unattended Debian installer and a Debian disk, from one description of a
 * machine, both proven to boot. `imgtask` lists the targets.
 */
import { customize, dirs, directory, disk, download, group, iso, keypair, machine, publish, rootfs, sbom, source, test, verify } from "imgtask";
import { debian } from "imgtask/distros/debian";

// The private half stays in .imgtask/keys; put your own public key beside it: source("config/you.pub").
const key = keypair("lab");

const apps = dirs.list(source("config/directories.txt"), { under: "/srv/apps", mode: 0o750 });

const lab = machine({
  hostname: "lab",
  users: [{ name: "devops", sudo: "nopasswd", sshKeys: [key] }],
  packages: ["openssh-server", "sudo", "chrony"],
  services: { enable: ["ssh", "chrony"] },
  files: [{ path: "/etc/sysctl.d/60-lab.conf", content: "kernel.panic = 10\n" }],
  overlay: source("config/overlay"),
  directories: apps,
});

// The installer: genuine media from Debian's signed archive, with the answers to all of its questions.
const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
const trusted = verify("debian", { media, trust: debian.keys });
const installer = customize("debian", { media: trusted, machine: lab });
export const installerIso = iso("debian", { from: installer, volume: "DEBIAN_LAB" });

// The disk: the same machine, already installed.
const root = rootfs("debian", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });
export const labDisk = disk("debian", { from: root, format: "qcow2", size: "8G", boot: "bios+uefi" });

// The directories of the projects, beside this file as well as in the images.
const workspaces = dirs("debian", { directories: apps });

// The proof: both boot.
const login = { user: "devops", identity: key.identity };
const diskTest = test("debian", {
  image: labDisk,
  login,
  expect: {
    console: [/lab login:/],
    ssh: { passwordLogin: false },
    services: ["ssh", { unit: "chrony", enabled: "enabled" }, "systemd-networkd"],
    ports: [{ port: 22, reach: "anywhere" }, { port: 25, open: false }],
    packages: ["openssh-server", { name: "sudo", version: /^1\./ }, { name: "telnetd", installed: false }],
    users: [{ name: "devops", shell: "/bin/bash", locked: true }, { name: "root", locked: true }],
    sysctl: { "kernel.panic": 10 },
    security: { selinux: "disabled" },
    files: [
      { path: "/etc/sudoers.d/devops", mode: 0o440, owner: "root", group: "root" },
      { path: "/etc/motd", contains: "imgtask" },
    ],
    directories: { list: apps },
    commands: [
      { run: ["sudo", "-n", "id", "-u"], stdout: /^0$/m },
      { run: ["cat", "/proc/sys/kernel/panic"], stdout: /^10$/m },
    ],
  },
});
const diskUefiTest = test("debian-uefi", { image: labDisk, firmware: "uefi", login, expect: { console: [/lab login:/], services: ["ssh"] } });
const biosTest = test("debian-iso-bios", { image: installerIso, firmware: "bios", expect: { console: ["IMGTASK_PRESEED_READ"] } });
const uefiTest = test("debian-iso-uefi", { image: installerIso, firmware: "uefi", expect: { console: ["IMGTASK_PRESEED_READ"] } });

// Only what booted is published.
publish("release", {
  artifacts: [installerIso, labDisk],
  to: directory("artifacts/release"),
  tests: [diskTest, diskUefiTest, biosTest, uefiTest],
  sboms: [sbom("debian", { from: root })],
});

export default group("all", [installerIso, labDisk, workspaces, diskTest, biosTest, uefiTest], {
  description: "Everything but publishing",
});
