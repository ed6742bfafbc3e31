/**
 * One complete unattended installation: an ISO made by imgtask from Debian's signed installer installs a machine in an
 * emulator, and a boot test looks at what was installed. Nothing is answered by hand, and the machine sees no network
 * but an archive on the loopback interface.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { archiveHost, install, type Installed } from "../rig/installation.ts";
import { type InstallerArchive, installerArchive } from "../rig/installer-archive.ts";
import { TestProject } from "../rig/project.ts";
import { plainText } from "../rig/terminal.ts";

const imagefile = `import { customize, dirs, download, iso, keypair, machine, output, source, target, test, verify } from "imgtask";
import { debian } from "imgtask/distros/debian";
import { copyFileSync } from "node:fs";

const key = keypair("lab");
const media = verify("debian", { media: download("debian", debian.installer({ release: "trixie", arch: "x86_64" })), trust: debian.keys });
const apps = dirs.list(source("directories.txt"), { under: "/srv/apps", mode: 0o750, owner: "devops", group: "adm" });
const lab = machine({
  hostname: "lab",
  locale: "de_DE.UTF-8",
  keyboard: "de",
  timezone: "Europe/Berlin",
  users: [
    { name: "devops", fullName: "Dev Ops", uid: 4321, groups: ["adm"], sudo: "nopasswd", sshKeys: [key] },
    { name: "guest", shell: "/bin/sh", sudo: "password", password: { hash: ${JSON.stringify("$6$saltsalt$xprt21BCfdHY1ESMEegAK7dPLGa/py1tzxxJ8MkzEDYJKREti1VSAi3B92QrdK2SICNzN5acnJp0.BlxzP2.j/")} } },
  ],
  packages: ["openssh-server", "chrony"],
  services: { enable: ["ssh", "chrony"], disable: ["apt-daily.timer"] },
  files: [{ path: "/etc/lab/app.conf", content: "answer = 42\\n", mode: 0o640, owner: "devops", group: "adm" }],
  directories: apps,
  firewall: { allow: ["ssh"] },
  storage: {
    partitions: [{ mount: "/boot", size: "512M" }, { mount: "swap", size: "512M" }, { mount: "/", size: "6G" }, { mount: "/srv", size: "rest" }],
  },
  late: [["sh", "-c", "date > /var/lib/late-command"]],
});

iso("lab", { from: customize("lab", { media, machine: lab, mirror: "http://${archiveHost}/debian" }), timeout: 1 });

// What the installer left behind: a disk like any other.
const installed = target("disk:installed", {
  inputs: { image: source("installed.qcow2") },
  outputs: { out: output("file", "disk") },
  run: ({ inputs, outputs }) => copyFileSync(inputs.image, outputs.out),
});

test("installed", {
  image: Object.freeze({ ...installed, arch: "x86_64" }),
  timeout: 1200,
  cpus: 1,
  login: { user: "devops", identity: key.identity },
  expect: {
    console: [/lab login:/],
    ssh: { passwordLogin: false },
    services: ["ssh", "chrony", "nftables", { unit: "apt-daily.timer", state: "inactive", enabled: "disabled" }],
    ports: [22, { port: 25, open: false }],
    packages: ["openssh-server", "chrony", "sudo", "nftables", { name: "telnetd", installed: false }],
    users: [
      { name: "devops", uid: 4321, shell: "/bin/bash", home: "/home/devops", groups: ["adm"], locked: true },
      { name: "guest", shell: "/bin/sh", locked: false },
      { name: "root", locked: true },
    ],
    files: [
      { path: "/etc/sudoers.d/devops", mode: 0o440, owner: "root", group: "root", type: "file" },
      { path: "/etc/sudoers.d/guest", mode: 0o440, owner: "root", group: "root", type: "file" },
      { path: "/home/devops/.ssh", mode: 0o700, owner: "devops", group: "devops", type: "directory" },
      { path: "/home/devops/.ssh/authorized_keys", mode: 0o600, owner: "devops", group: "devops", type: "file" },
      { path: "/etc/lab/app.conf", mode: 0o640, owner: "devops", group: "adm", contains: "answer = 42" },
      { path: "/etc/default/locale", contains: "de_DE.UTF-8" },
      { path: "/etc/default/keyboard", contains: 'XKBLAYOUT="de"' },
      { path: "/etc/console-setup/cached_UTF-8_del.kmap.gz" },
      { path: "/var/lib/late-command", owner: "root", type: "file" },
    ],
    directories: { list: apps },
    commands: [
      { run: ["hostname"], stdout: /^lab$/m },
      { run: ["sudo", "-n", "id", "-u"], stdout: /^0$/m },
      { run: ["sudo", "-n", "grep", "-c", "^guest:\\\\$6\\\\$saltsalt\\\\$xprt21B", "/etc/shadow"], stdout: /^1$/m },
      { run: ["readlink", "/etc/localtime"], stdout: /Europe\\/Berlin$/m },
      // What the kernel has: on a German keyboard, this key is no "y".
      { run: ["sudo", "-n", "dumpkeys", "--console=/dev/tty1"], stdout: /^keycode +21 = \\+?z\\b/m },
      { run: ["locale", "-a"], stdout: /^de_DE\\.utf8$/m },
      { run: ["lsblk", "--noheadings", "--list", "--bytes", "--output", "MOUNTPOINT,FSTYPE,SIZE"], stdout: /^\\/boot\\/efi +vfat +5\\d{8}$[^]*^\\/boot +ext4 +536870912$[^]*^\\[SWAP\\] +swap +536870912$[^]*^\\/ +ext4 +644\\d{7}$[^]*^\\/srv +ext4 +2\\d{9}$/m },
      { run: ["lsblk", "--nodeps", "--noheadings", "--output", "PTTYPE", "/dev/vda"], stdout: /^gpt$/m },
      { run: ["sudo", "-n", "nft", "list", "ruleset"], stdout: /tcp dport 22 accept/ },
      { run: ["test", "-e", "/var/tmp/imgtask"], exit: 1 },
    ],
  },
});
`;

describe("an unattended installation", { timeout: 4 * 3_600_000 }, () => {
  const directory = process.env["IMGTASK_TEST_INSTALLATION"] ?? mkdtempSync(join(tmpdir(), "imgtask-installation-"));
  let project: TestProject;
  let archive: InstallerArchive;
  let installed: Installed;
  before(() => {
    project = new TestProject({ "imagefile.ts": imagefile, "directories.txt": "prod\nprod/logs\nstage\n" });
  });
  after(() => {
    archive?.close();
    project.eject();
    if (process.env["IMGTASK_TEST_INSTALLATION"] === undefined) rmSync(directory, { recursive: true, force: true });
  });

  test("an ISO is made of the signed installer", async (t) => {
    const { code, stderr } = await project.start(["run", "--reporter", "plain", "iso:lab"], { timeout: 20 * 60_000 }).finished;
    assert.equal(code, 0, stderr);
    const kernel = join(directory, "vmlinuz");
    rmSync(kernel, { force: true });
    execFileSync("xorriso", ["-no_rc", "-osirrox", "on", "-indev", project.path("artifacts/iso/lab.iso"), "-extract", "/install/vmlinuz", kernel], { stdio: "ignore" });
    const version = /version (\S+)/.exec(execFileSync("file", ["-b", kernel], { encoding: "utf8" }))?.[1];
    assert.ok(version !== undefined);
    archive = await installerArchive({ release: "trixie", kernel: version, directory: join(directory, "archive"), host: archiveHost });
    t.diagnostic(`installer with Linux ${version}; ${archive.repacked.length} components put together for it`);
  });

  test("it installs without a question, and powers the machine off", async (t) => {
    // The ISO as it is, but for what this site has of its own, behind the answers.
    const made = project.path("artifacts/iso/lab.iso"), iso = join(directory, "site.iso"), initrd = join(directory, "preseed.cpio"), answers = join(directory, "preseed.cfg");
    for (const file of [iso, initrd, answers]) rmSync(file, { force: true });
    execFileSync("xorriso", ["-no_rc", "-osirrox", "on", "-indev", made, "-extract", "/preseed.cpio", initrd, "-extract", "/preseed.cfg", answers], { stdio: "ignore" });
    chmodSync(initrd, 0o644);
    appendFileSync(initrd, archive.site(readFileSync(answers, "utf8")));
    // The hidden image for UEFI is not replayed; the machine starts by BIOS.
    execFileSync("xorriso", ["-no_rc", "-return_with", "FATAL", "32", "-indev", made, "-outdev", iso, "-boot_image", "any", "replay", "-map", initrd, "/preseed.cpio"], { stdio: "pipe" });
    installed = await install({
      iso,
      disk: join(directory, "installed.qcow2"),
      directory,
      port: archive.port,
      timeout: 3 * 3_600_000,
      step: (text) => t.diagnostic(text),
    });
    copyFileSync(join(directory, "installed.qcow2"), project.path("installed.qcow2"));
    for (const mark of ["IMGTASK_PRESEED_READ", "IMGTASK_LATE_DONE"]) assert.ok(installed.console.includes(mark), `${mark} is not on the console, which ends: ${plainText(installed.console).slice(-2000)}`);
    const debs = archive.asked.filter((path) => path.endsWith(".deb")).length;
    const udebs = archive.asked.filter((path) => path.endsWith(".udeb")).length;
    assert.ok(debs > 100 && udebs > 20, `${debs} packages, ${udebs} components`);
    t.diagnostic(`installed in ${(installed.seconds / 60).toFixed(0)} min: ${debs} packages and ${udebs} components of the installer, ${archive.asked.length} requests`);
  });

  test("what was installed boots, and is the machine that was described", async (t) => {
    const { code, stderr } = await project.start(["run", "--reporter", "plain", "test:installed"], { timeout: 30 * 60_000 }).finished;
    assert.equal(code, 0, stderr.slice(-6000));
    const report = project.read("artifacts/test/installed/junit.xml");
    assert.match(report, /failures="0"/);
    t.diagnostic(`${report.split("<testcase ").length - 1} things of it are as described`);
  });
});
