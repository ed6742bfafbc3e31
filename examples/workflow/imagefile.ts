/**
 * One description of a machine, four families of distributions: unattended installers for Ubuntu, Rocky Linux, Kali and
 * Debian, a Debian disk in the formats of three hypervisors, data for cloud images. All of it from verified media, booted,
 * signed and published. Replaces a directory of shell scripts and a Packer template.
 *
 *     npx imgtask                     # names the targets
 *     npx imgtask run                 # builds every image, without tests and publishing
 *     npx imgtask iso:kali            # one installer, from the vendor's signed medium
 *     npx imgtask publish:release     # everything, once all tests have passed
 */
import { ansible, convert, customize, dirs, directory, disk, download, group, iso, keypair, machine, minisign, packageSets, publish, rootfs, sbom, secret, seed, source, test, verify } from "imgtask";
import { debian } from "imgtask/distros/debian";
import { kali } from "imgtask/distros/kali";
import { rocky } from "imgtask/distros/rocky";
import { ubuntu } from "imgtask/distros/ubuntu";
import { s3 } from "imgtask/plugins/publish/s3";

// ── The machine, once ───────────────────────────────────────────────────────────────────────────────────────────────

// Its private half stays in .imgtask/keys. Your own public key instead: source("config/you.pub").
const key = keypair("lab");
const apps = dirs.list(source("config/directories.txt"), { under: "/srv/apps", mode: 0o750 });

const lab = {
  hostname: "lab",
  timezone: "Europe/Berlin",
  users: [{ name: "devops", sudo: "nopasswd", sshKeys: [key] }],
  files: [{ path: "/etc/motd", content: "Built by imgtask. Changes are lost with the next image.\n" }],
  directories: apps,
} as const;

// ── Installers: download → verify → answers → ISO ───────────────────────────────────────────────────────────────────

const ubuntuMedia = verify("ubuntu", {
  media: download("ubuntu", ubuntu.installer({ release: "24.04", arch: "x86_64" })),
  trust: ubuntu.keys,
});
const ubuntuIso = iso("ubuntu", {
  from: customize("ubuntu", {
    media: ubuntuMedia,
    machine: machine({ ...lab, packages: [packageSets.common, ubuntu.packages.server], services: { enable: ["ssh", "chrony"] } }),
  }),
});

const rockyMedia = verify("rocky", {
  media: download("rocky", rocky.installer({ release: "9", arch: "x86_64", edition: "boot" })),
  trust: rocky.keys,
});
const rockyIso = iso("rocky", {
  from: customize("rocky", {
    media: rockyMedia,
    machine: machine({ ...lab, packages: [packageSets.common, "firewalld"], services: { enable: ["sshd", "chronyd"] }, selinux: "enforcing" }),
  }),
});

const kaliMedia = verify("kali", {
  media: download("kali", kali.installer({ release: "rolling", arch: "x86_64", edition: "netinst" })),
  trust: kali.keys,
});
const kaliIso = iso("kali", {
  from: customize("kali", {
    media: kaliMedia,
    mirror: "http://http.kali.org/kali",
    machine: machine({ ...lab, packages: [packageSets.common, kali.packages.large], services: { enable: ["ssh", "chrony"] } }),
  }),
});

// No ISO of Debian's is remastered: one is made of the installer in its signed archive.
const debianMedia = verify("debian", {
  media: download("debian", debian.installer({ release: "bookworm", arch: "x86_64" })),
  trust: debian.keys,
});
const debianIso = iso("debian", {
  from: customize("debian", {
    media: debianMedia,
    machine: machine({ ...lab, packages: [packageSets.common], services: { enable: ["ssh", "chrony"] } }),
  }),
});

// ── Their tests: each starts by BIOS and by UEFI ────────────────────────────────────────────────────────────────────

// Debian's installer, which is Kali's as well, says when it has read its answers. Of the others is seen that their kernel
// runs and has been told where the answers are: what becomes of these, no test here shows.
const told = { ubuntu: /Kernel command line:.*autoinstall/, rocky: /Kernel command line:.*inst\.ks=/ };
const read = "IMGTASK_PRESEED_READ";
// Without KVM a boot takes minutes.
const timeout = 1800;

const installerTests = [
  test("ubuntu-bios", { image: ubuntuIso, firmware: "bios", timeout, expect: { console: [told.ubuntu] } }),
  test("ubuntu-uefi", { image: ubuntuIso, firmware: "uefi", timeout, expect: { console: [told.ubuntu] } }),
  test("rocky-bios", { image: rockyIso, firmware: "bios", timeout, expect: { console: [told.rocky] } }),
  test("rocky-uefi", { image: rockyIso, firmware: "uefi", timeout, expect: { console: [told.rocky] } }),
  test("kali-bios", { image: kaliIso, firmware: "bios", timeout, expect: { console: [read] } }),
  test("kali-uefi", { image: kaliIso, firmware: "uefi", timeout, expect: { console: [read] } }),
  test("debian-bios", { image: debianIso, firmware: "bios", timeout, expect: { console: [read] } }),
  test("debian-uefi", { image: debianIso, firmware: "uefi", timeout, expect: { console: [read] } }),
] as const;

// ── A disk that is installed already, and the data that makes a cloud image the same machine ────────────────────────

const server = machine({ ...lab, packages: ["openssh-server", "sudo", "chrony", "python3"], services: { enable: ["ssh", "chrony"] } });
const root = rootfs("debian", { distro: debian, release: "bookworm", arch: "x86_64", machine: server });
const hardened = ansible("debian", { from: root, playbook: source("config/site.yml"), variables: { panic_seconds: 10 } });
const debianDisk = disk("debian", { from: hardened, format: "qcow2", size: "80G", boot: "bios+uefi" });
const vmware = convert("debian", { from: debianDisk, format: "vmdk" });
const appliance = convert("debian-ova", { from: debianDisk, format: "ova" });
const cloudSeed = seed("lab", { machine: server });

const diskTests = [
  test("disk-bios", {
    image: debianDisk,
    firmware: "bios",
    timeout,
    login: { user: "devops", identity: key.identity },
    expect: {
      console: [/lab login:/],
      ssh: { passwordLogin: false },
      services: ["ssh", "chrony"],
      ports: [22, { port: 25, open: false }],
      packages: ["openssh-server", "chrony", { name: "telnetd", installed: false }],
      users: [{ name: "devops", locked: true }],
      sysctl: { "kernel.panic": 10 },
      files: [{ path: "/etc/sudoers.d/devops", mode: 0o440, owner: "root", group: "root" }],
      directories: { list: apps },
      commands: [{ run: ["sudo", "-n", "id", "-u"], stdout: /^0$/m }],
    },
  }),
  test("disk-uefi", { image: debianDisk, firmware: "uefi", timeout, expect: { console: [/lab login:/] } }),
] as const;

// ── The same directories on the host, beside each other ─────────────────────────────────────────────────────────────

const workspaces = (["ubuntu", "rocky", "kali", "debian"] as const).map((name) => dirs(name, { directories: apps, log: `logs/directories-{time}-${name}.md` }));

// ── Release: only what booted, with checksums, signatures, a manifest, SBOMs and provenance ─────────────────────────

const release = {
  artifacts: [ubuntuIso, rockyIso, kaliIso, debianIso, debianDisk],
  tests: [...installerTests, ...diskTests],
  // Media that install from the network, as Rocky's and Debian's here, carry no packages to tell of.
  sboms: [sbom("ubuntu", { from: ubuntuIso }), sbom("kali", { from: kaliIso }), sbom("debian", { from: hardened })],
  // Made by: minisign -G -W -p release.pub -s release.key. In CI: secret.env("RELEASE_KEY").
  sign: minisign({ key: secret.file("release.key") }),
} as const;

publish("release", { ...release, to: directory("artifacts/release") });
// With the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
publish("bucket", { ...release, to: s3({ bucket: "images", prefix: "lab/" }) });

const otherFormats = [vmware, appliance, cloudSeed] as const;
publish("other-formats", { ...release, artifacts: otherFormats, tests: [], untested: "the disk that test:disk-bios boots, in formats for hypervisors", to: directory("artifacts/formats") });

export default group("images", [ubuntuIso, rockyIso, kaliIso, debianIso, debianDisk, ...otherFormats, ...workspaces], { description: "All images, without tests and publishing" });
