/**
 * One description of a machine, four families of distributions: installers for Ubuntu, Rocky Linux, Kali and Debian, a
 * Debian disk in the formats of three hypervisors, all verified, tested, signed and published. Replaces a directory of
 * shell scripts and a Packer template.
 *
 *     npx imgtask                     # the targets
 *     npx imgtask iso:kali            # one installer, from the vendor's signed medium
 *     npx imgtask publish:release     # everything, once all tests have passed
 */
import { ansible, convert, customize, dirs, directory, disk, download, group, iso, keypair, machine, minisign, packageSets, publish, rootfs, sbom, secret, seed, source, test, verify } from "imgtask";
import { debian } from "imgtask/distros/debian";
import { kali } from "imgtask/distros/kali";
import { rocky } from "imgtask/distros/rocky";
import { ubuntu } from "imgtask/distros/ubuntu";

// ── The machine, once ───────────────────────────────────────────────────────────────────────────────────────────────

const key = keypair("lab");
const apps = dirs.list(source("config/directories.txt"), { under: "/srv/apps", mode: 0o750 });

const lab = {
  hostname: "lab",
  timezone: "Europe/Berlin",
  users: [{ name: "devops", sudo: "nopasswd", sshKeys: [key] }],
  files: [{ path: "/etc/motd", content: "Built by imgtask. Changes are lost with the next image.\n" }],
  directories: apps,
} as const;

// ── Installers: download → verify → answers → ISO → test ────────────────────────────────────────────────────────────

const ubuntuMedia = verify("ubuntu", { media: download("ubuntu", ubuntu.installer({ release: "24.04", arch: "x86_64" })), trust: ubuntu.keys });
const rockyMedia = verify("rocky", { media: download("rocky", rocky.installer({ release: "9", arch: "x86_64", edition: "boot" })), trust: rocky.keys });
const kaliMedia = verify("kali", { media: download("kali", kali.installer({ release: "rolling", arch: "x86_64", edition: "netinst" })), trust: kali.keys });
const debianMedia = verify("debian", { media: download("debian", debian.installer({ release: "bookworm", arch: "x86_64" })), trust: debian.keys });

const ubuntuIso = iso("ubuntu", { from: customize("ubuntu", { media: ubuntuMedia, machine: machine({ ...lab, packages: [packageSets.common, ubuntu.packages.server], services: { enable: ["ssh", "chrony"] } }) }) });
const rockyIso = iso("rocky", { from: customize("rocky", { media: rockyMedia, machine: machine({ ...lab, packages: [packageSets.common, "firewalld"], services: { enable: ["sshd", "chronyd"] }, selinux: "enforcing" }) }) });
const kaliIso = iso("kali", { from: customize("kali", { media: kaliMedia, mirror: "http://http.kali.org/kali", machine: machine({ ...lab, packages: [packageSets.common, kali.packages.large], services: { enable: ["ssh", "chrony"] } }) }) });
const debianIso = iso("debian", { from: customize("debian", { media: debianMedia, machine: machine({ ...lab, packages: [packageSets.common], services: { enable: ["ssh", "chrony"] } }) }) });

// Each starts by BIOS and by UEFI: its kernel comes up, with the arguments that make it install without asking.
const installerTests = [
  test("ubuntu-bios", { image: ubuntuIso, firmware: "bios", expect: { console: ["Linux version", /Kernel command line:.*autoinstall/] } }),
  test("ubuntu-uefi", { image: ubuntuIso, firmware: "uefi", expect: { console: ["Linux version", /Kernel command line:.*autoinstall/] } }),
  test("rocky-bios", { image: rockyIso, firmware: "bios", expect: { console: ["Linux version", /Kernel command line:.*inst\.ks=/] } }),
  test("rocky-uefi", { image: rockyIso, firmware: "uefi", expect: { console: ["Linux version", /Kernel command line:.*inst\.ks=/] } }),
  test("kali-bios", { image: kaliIso, firmware: "bios", expect: { console: ["IMGTASK_PRESEED_READ"] } }),
  test("kali-uefi", { image: kaliIso, firmware: "uefi", expect: { console: ["IMGTASK_PRESEED_READ"] } }),
  test("debian-iso", { image: debianIso, firmware: "uefi", expect: { console: ["IMGTASK_PRESEED_READ"] } }),
] as const;

// ── A disk that is already installed, and the data that makes a cloud image the same machine ────────────────────────

const server = machine({ ...lab, packages: ["openssh-server", "sudo", "chrony", "python3"], services: { enable: ["ssh", "chrony"] } });
const root = rootfs("debian", { distro: debian, release: "bookworm", arch: "x86_64", machine: server });
const hardened = ansible("debian", { from: root, playbook: source("config/site.yml"), variables: { panic_seconds: 10 } });
const debianDisk = disk("debian", { from: hardened, format: "qcow2", size: "80G", boot: "bios+uefi" });
const vmware = convert("debian", { from: debianDisk, format: "vmdk" });
const appliance = convert("debian-ova", { from: debianDisk, format: "ova" });
const cloudSeed = seed("lab", { machine: server });

const diskTest = test("debian", {
  image: debianDisk,
  login: { user: "devops", identity: key.identity },
  expect: {
    console: [/lab login:/],
    ssh: { passwordLogin: false },
    services: ["ssh", "chrony"],
    ports: [22, { port: 25, open: false }],
    packages: ["openssh-server", "chrony", { name: "telnetd", installed: false }],
    users: [{ name: "devops", locked: true }],
    files: [{ path: "/etc/sudoers.d/devops", mode: 0o440, owner: "root", group: "root" }],
    directories: { list: apps },
    commands: [{ run: ["sudo", "-n", "id", "-u"], stdout: /^0$/m }],
  },
});

// ── The same directories on the host ────────────────────────────────────────────────────────────────────────────────

const workspaces = (["ubuntu", "rocky", "kali", "debian"] as const).map((name) => dirs(name, { directories: apps, log: `logs/directories-{time}-${name}.md` }));

// ── Release: only what booted, with checksums, signatures, a manifest, SBOMs and provenance ─────────────────────────

publish("release", {
  artifacts: [ubuntuIso, rockyIso, kaliIso, debianIso, debianDisk],
  to: directory("artifacts/release"),
  tests: [...installerTests, diskTest],
  sboms: [sbom("debian", { from: root })],
  // minisign -G -W -p release.pub -s release.key; in CI: secret.env("RELEASE_KEY")
  sign: minisign({ key: secret.file("release.key") }),
});

publish("other-formats", { artifacts: [vmware, appliance, cloudSeed], to: directory("artifacts/formats"), untested: "the disk that test:debian boots, in formats for the hypervisors" });

export default group("images", [ubuntuIso, rockyIso, kaliIso, debianIso, debianDisk, vmware, appliance, cloudSeed, ...workspaces], { description: "All images, without tests and publishing" });
