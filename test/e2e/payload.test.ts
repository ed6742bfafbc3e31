/**
 * The payload of an installer, applied to a real Debian root by the very script that the installer runs.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { machine, source } from "../../lib/mod.ts";
import { payload } from "../../plugins/customize/payload.ts";
import { dirs } from "../../plugins/dirs/dirs.ts";
import { machineParams } from "../../plugins/machine/params.ts";
import type { ReadyMachine } from "../../plugins/machine/passwords.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-payload-"));
after(() => rmSync(directory, { recursive: true, force: true }));

// A directory that is a link on the machine, one with a mode of its own there, and a new one.
const overlay = join(directory, "overlay");
for (const path of ["lib/imgtask", "root", "etc/imgtask"]) mkdirSync(join(overlay, path), { recursive: true });
writeFileSync(join(overlay, "lib/imgtask/data"), "x");
writeFileSync(join(overlay, "etc/motd"), "hello\n");
symlinkSync("../motd", join(overlay, "etc/imgtask/link"));
chmodSync(join(overlay, "root"), 0o777);
writeFileSync(join(directory, "list"), "a/prod\nb c/dev\n");

writeFileSync(join(directory, "finish.sh"), "#!/bin/sh\nid -u > /late-script\n", { mode: 0o755 });
const hostile = "it's \"$(x)\" `y`\n%end {{z}}";
const guestHash = "$6$saltsaltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

const described = machine({
  hostname: "lab",
  users: [
    { name: "devops", uid: 1500, groups: ["adm"], sudo: "nopasswd", sshKeys: ["ssh-ed25519 AAAA one@x"] },
    { name: "guest", shell: "/bin/sh", fullName: "Gäste & Co", password: { hash: guestHash }, sudo: "password" },
  ],
  passwordPolicy: { minLength: 14, minClasses: 3, maxAgeDays: 90, minAgeDays: 1, warnDays: 14 },
  firewall: { allow: ["ssh", "8000-8100/tcp", "53/udp"] },
  late: [["sh", "-c", 'printf %s "$1" > /late-argv', "sh", hostile], { script: source("finish.sh") }],
  services: { enable: ["ssh"], disable: ["systemd-timesyncd"] },
  files: [{ path: "/etc/app/it's $(here).conf", content: "a\n", mode: 0o600, owner: "devops", group: "adm" }],
  overlay: source("overlay"),
  directories: dirs.list(source("list"), { under: "/srv/apps", mode: 0o750, owner: "devops", group: "adm" }),
});

/** Writes the payload as the kernel would unpack it. */
function unpack(name: string, of: typeof described): string {
  const params = machineParams(of);
  const resolved = {
    ...params,
    overlay: of.overlay === undefined ? undefined : overlay,
    users: of.users.map(({ password, ...user }, index) => ({ ...params.users[index], ...user, sshKeys: params.users[index]!.sshKeys, password: password !== undefined && "hash" in password ? password.hash : undefined })),
    late: of.late.map((command) => ("script" in command ? { script: join(directory, command.script.path) } : { argv: command })),
    directories: params.directories.map((one) => ({ ...one, list: join(directory, "list") })),
  } as unknown as ReadyMachine;
  for (const { path, mode, content } of payload(resolved, { origins: ["list"], epoch: 1_700_000_000 })) {
    const to = join(directory, name, path);
    if (content === undefined) mkdirSync(to, { recursive: true, mode });
    else writeFileSync(to, content, { mode });
  }
  return join(directory, name, "imgtask");
}

test("accounts, files, modes and services are as described; a missing group stops it", { timeout: 600_000 }, () => {
  const good = unpack("good", described);
  const bad = unpack("bad", machine({ hostname: "x", users: [{ name: "other", groups: ["nosuchgroup"] }] }));
  const tar = join(directory, "root.tar");
  execFileSync("mmdebstrap", [
    "--quiet", "--variant=minbase", "--include=systemd-sysv,systemd-timesyncd,openssh-server,sudo,nftables,libpam-pwquality",
    // An installer has made the first account already.
    `--customize-hook=chroot "$1" useradd --create-home --user-group --uid 1500 devops`,
    `--customize-hook=copy-in ${good} /var/tmp`,
    `--customize-hook=chroot "$1" sh /var/tmp/imgtask/apply`,
    // Once more: an installer's step may be repeated.
    `--customize-hook=chroot "$1" sh /var/tmp/imgtask/apply`,
    `--customize-hook=rm -r "$1/var/tmp/imgtask"`,
    `--customize-hook=copy-in ${bad} /var/tmp`,
    `--customize-hook=if chroot "$1" sh /var/tmp/imgtask/apply; then exit 7; fi`,
    `--customize-hook=chroot "$1" sudo -n -l -U devops > "$1/sudo-devops"`,
    `--customize-hook=chroot "$1" sudo -n -l -U guest > "$1/sudo-guest"`,
    `--customize-hook=mkdir -p "$1/run/sshd"; chroot "$1" sshd -T > "$1/sshd"`,
    "bookworm", tar,
  ], { stdio: ["ignore", "inherit", "inherit"] });
  const listed = execFileSync("tar", ["--list", "--verbose", "--numeric-owner", "--file", tar], { maxBuffer: 2 ** 28, env: { ...process.env, LC_ALL: "C" } }).toString().replaceAll(/ +/g, " ");
  const read = (path: string): string => execFileSync("tar", ["-xOf", tar, path], { maxBuffer: 2 ** 24 }).toString();
  for (const line of [
    /^drwx------ 1500\/1500 .* \.\/home\/devops\/\.ssh\/$/m,
    /^-rw------- 1500\/1500 .* \.\/home\/devops\/\.ssh\/authorized_keys$/m,
    /^-rw------- 1500\/4 .* \.\/etc\/app\/it's \$\(here\)\.conf$/m,
    /^drwxr-x--- 1500\/4 .* \.\/srv\/apps\/$/m,
    /^drwxr-x--- 1500\/4 .* \.\/srv\/apps\/b c\/dev\/$/m,
    /^-r--r----- 0\/0 .* \.\/etc\/sudoers\.d\/devops$/m,
    /^lrwxrwxrwx 0\/0 .* \.\/etc\/imgtask\/link -> \.\.\/motd$/m,
    // The overlay went through the link, and left the modes of the system's own directories alone.
    /^lrwxrwxrwx .* \.\/lib -> usr\/lib$/m,
    /^-rw-r--r-- 0\/0 .* \.\/usr\/lib\/imgtask\/data$/m,
    /^drwx------ 0\/0 .* \.\/root\/$/m,
    /^lrwxrwxrwx .* \.\/etc\/systemd\/system\/multi-user\.target\.wants\/ssh\.service -> /m,
  ]) assert.match(listed, line);
  assert.doesNotMatch(listed, /\.\/etc\/systemd\/system\/.*wants\/systemd-timesyncd\.service/);
  assert.match(read("./etc/passwd"), /^devops:x:1500:1500::\/home\/devops:\/bin\/bash$/m);
  assert.match(read("./etc/passwd"), /^guest:x:\d+:\d+:Gäste & Co:\/home\/guest:\/bin\/sh$/m);
  assert.match(read("./etc/shadow"), /^devops:!/m);
  assert.match(read("./etc/shadow"), new RegExp(`^guest:${guestHash.replaceAll(/[$.]/g, "\\$&")}:\\d+:1:90:14:`, "m"));
  // Who comes in by key must not be locked out when a password that there is not ends.
  assert.match(read("./etc/shadow"), /^devops:!:\d+:\d*::/m);
  assert.match(read("./etc/login.defs"), /^PASS_MAX_DAYS\t90$/m);
  assert.equal(read("./etc/login.defs").match(/^PASS_MAX_DAYS/gm)?.length, 1);
  assert.equal(read("./etc/security/pwquality.conf.d/50-imgtask.conf"), "minlen = 14\nminclass = 3\n");
  assert.match(read("./etc/nftables.conf"), /tcp dport \{ 22, 8000-8100 \} accept\n.*udp dport \{ 53 \} accept/);
  assert.match(listed, /\.\/etc\/systemd\/system\/sysinit\.target\.wants\/nftables\.service/);
  assert.equal(read("./late-argv"), hostile);
  assert.equal(read("./late-script"), "0\n");
  assert.match(read("./etc/group"), /^adm:x:4:devops$/m);
  assert.match(read("./sudo-devops"), /\(ALL : ALL\) NOPASSWD: ALL/);
  assert.match(read("./sudo-guest"), /\(ALL : ALL\) ALL/);
  assert.match(read("./sshd"), /^passwordauthentication no$/m);
  assert.match(read("./sshd"), /^permitrootlogin no$/m);
});
