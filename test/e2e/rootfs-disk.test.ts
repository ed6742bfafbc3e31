/**
 * A small root file system and disks made from it, without a kernel: what the machine description becomes, equal bytes
 * whoever builds it, and errors that name their cause. Looked into with debugfs and e2fsck. Nothing is booted here.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { debian } from "../../distros/debian.ts";
import { type AptDistro, defineDistro, machine, type MachineSpec, source } from "../../lib/mod.ts";
import { disk } from "../../plugins/disk/disk.ts";
import { rootStart } from "../../plugins/disk/layout.ts";
import { rootfs } from "../../plugins/rootfs/rootfs.ts";
import { type RecipeRun, runRecipe } from "../rig/recipe.ts";

const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C", TZ: "UTC" };
const base = mkdtempSync(join(tmpdir(), "imgtask-e2e-"));
const keyLine = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7tTqzA3Vt2x2nV9gq1Q2mJ6gWq0mXrJ3mWc1lXyQbT somebody";
// Debian without a kernel: all that a machine description touches, in a third of the time.
const small = defineDistro<AptDistro<"small", "bookworm", "x86_64">>({
  ...debian,
  name: "small",
  architectures: { x86_64: "amd64" },
  releases: { bookworm: debian.releases.bookworm },
  bootPackages: () => ["systemd-sysv"],
  installer: () => {
    throw new Error("none");
  },
});
const full: MachineSpec = {
  hostname: "lab",
  timezone: "Europe/Berlin",
  keyboard: "de",
  packages: ["openssh-server", "sudo"],
  users: [{ name: "devops", uid: 1500, sudo: "nopasswd", groups: ["adm"], sshKeys: [keyLine, source("key.pub")] }],
  services: { enable: ["ssh", "hello"], disable: ["systemd-pstore"] },
  files: [{ path: "/etc/app/secret", content: "s3cret\n", mode: 0o640, owner: "devops", group: "adm" }],
  overlay: source("overlay"),
  directories: { list: source("list"), under: "/srv/apps", mode: 0o750, owner: "devops", group: "adm" },
};
const paths = {
  "params.machine.users.0.sshKeys.1.file": join(base, "key.pub"),
  "params.machine.overlay": join(base, "overlay"),
  "params.machine.directories.0.list": join(base, "list"),
};
let root: RecipeRun | undefined;
/** Digest of the disk that root builds. */
let expected = "";
/** An account that is to go again. */
let madeUser: string | undefined;

before(async () => {
  chmodSync(base, 0o755);
  const files: readonly (readonly [string, string, number?])[] = [
    ["key.pub", `${keyLine.replace("somebody", "else")}\n`],
    ["list", "# applications\na/b\nc\n"],
    ["overlay/etc/systemd/system/hello.service", "[Service]\nExecStart=/lib/hello\n[Install]\nWantedBy=multi-user.target\n"],
    ["overlay/lib/hello", "#!/bin/sh\n", 0o755],
  ];
  for (const [path, text, mode] of files) {
    mkdirSync(join(base, path, ".."), { recursive: true });
    writeFileSync(join(base, path), text, { mode: mode ?? 0o644 });
  }
  symlinkSync("/etc/hostname", join(base, "overlay/etc/link"));
  rootfs("small", { distro: small, release: "bookworm", arch: "x86_64", machine: machine(full) });
  root = await runRecipe("rootfs:small");
});
after(() => {
  if (madeUser !== undefined) run("userdel", [madeUser]);
  root?.dispose();
  rmSync(base, { recursive: true, force: true });
});

/** Builds a disk of a machine on the small root. */
async function build(spec: MachineSpec, options: { format?: "raw" | "qcow2"; rootfs?: string } = {}): Promise<RecipeRun> {
  const from = rootfs("small", { distro: small, release: "bookworm", arch: "x86_64", machine: machine(spec) });
  disk("small", { from, format: options.format ?? "raw", size: "2G" });
  return await runRecipe("disk:small", { ...paths, "inputs.rootfs": options.rootfs ?? root!.outputs["out"]! });
}

const digest = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

function run(command: string, args: readonly string[]): string {
  const result = spawnSync(command, args, { encoding: "utf8", env });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

test("the tar holds nothing of this host, this build or one machine only", () => {
  const names = run("tar", ["-tf", root!.outputs["out"]!]).split("\n");
  const bad = names.filter((name) => /ssh_host_.*_key|^\.\/etc\/(hostname|resolv\.conf|\.resolv\.conf.*|passwd-|shadow-)$|99mmdebstrap|archives\/.*\.deb$|apt\/lists\/.*Packages|var\/log\/.*\.log$|lib\/systemd\/random-seed$/.test(name));
  assert.deepEqual(bad, []);
  assert.equal(run("tar", ["-xOf", root!.outputs["out"]!, "./etc/machine-id"]), "");
  const sources = run("tar", ["-xOf", root!.outputs["out"]!, "./etc/apt/sources.list"]);
  assert.match(sources, /^deb http:\/\/deb\.debian\.org\/debian bookworm main\n/);
  assert.ok(!sources.includes("signed-by"));
  const packages = readFileSync(root!.outputs["packages"]!, "utf8").trim().split("\n");
  assert.ok(packages.length > 80 && packages.every((line) => /^\S+ \S+ (amd64|all)$/.test(line)));
  assert.ok(packages.some((line) => line.startsWith("openssh-server ")));
});

test("a machine description becomes files, owners, modes and links, all of one time", async () => {
  const made = await build(full);
  try {
    const image = `${made.outputs["out"]}?offset=${rootStart}`;
    run("e2fsck", ["-f", "-n", image]);
    const text = (path: string): string => run("debugfs", ["-R", `cat ${path}`, image]);
    const stat = (path: string): string => {
      const found = run("debugfs", ["-R", `stat ${path}`, image]);
      const [, type, mode] = /Type: (\S+)\s+Mode:\s+(\d+)/.exec(found) ?? assert.fail(`no ${path} in the image: ${found}`);
      const [, user, group] = /User:\s+(\d+)\s+Group:\s+(\d+)/.exec(found)!;
      return `${type} ${mode} ${user}:${group}`;
    };
    assert.equal(text("/etc/hostname"), "lab\n");
    assert.match(text("/etc/hosts"), /^127\.0\.1\.1\tlab$/m);
    assert.match(text("/etc/passwd"), /^devops:x:1500:1500::\/home\/devops:\/bin\/bash$/m);
    assert.match(text("/etc/group"), /^adm:x:4:devops$/m);
    assert.match(text("/etc/shadow"), /^devops:!:/m);
    assert.match(text("/etc/shadow"), /^root:[*!]:/m);
    assert.deepEqual(text("/home/devops/.ssh/authorized_keys").split("\n"), [keyLine, keyLine.replace("somebody", "else"), ""]);
    assert.equal(stat("/home/devops/.ssh"), "directory 0700 1500:1500");
    assert.equal(stat("/home/devops/.ssh/authorized_keys"), "regular 0600 1500:1500");
    assert.equal(stat("/etc/sudoers.d/devops"), "regular 0440 0:0");
    assert.equal(stat("/etc/app/secret"), "regular 0640 1500:4");
    assert.equal(text("/etc/app/secret"), "s3cret\n");
    for (const path of ["/srv/apps", "/srv/apps/a", "/srv/apps/a/b", "/srv/apps/c"]) assert.equal(stat(path), "directory 0750 1500:4", path);
    assert.equal(stat("/usr/lib/hello"), "regular 0755 0:0");
    assert.match(stat("/lib"), /^symlink/);
    assert.match(stat("/etc/systemd/system/multi-user.target.wants/hello.service"), /^symlink/);
    assert.match(stat("/etc/systemd/system/multi-user.target.wants/ssh-host-keys.service"), /^symlink/);
    // Or it would come after ssh.socket, where that is what starts sshd, and without keys sshd does not.
    assert.match(text("/etc/systemd/system/ssh-host-keys.service"), /^DefaultDependencies=no$/m);
    assert.match(stat("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"), /^symlink/);
    assert.ok(!run("debugfs", ["-R", "ls -p /etc/systemd/system/sysinit.target.wants", image]).includes("systemd-pstore"));
    assert.equal(stat("/etc/machine-id"), "regular 0444 0:0");
    assert.equal(text("/etc/machine-id"), "");
    assert.match(text("/etc/ssh/sshd_config.d/00-imgtask.conf"), /^PasswordAuthentication no$/m);
    assert.match(text("/etc/default/keyboard"), /^XKBLAYOUT="de"$/m);
    // What the console loads at boot: on a German keyboard, this key is no "y".
    const keymap = join(base, "keymap.gz");
    run("debugfs", ["-R", `dump /etc/console-setup/cached_UTF-8_del.kmap.gz ${keymap}`, image]);
    assert.match(/^keycode 21 = \S+/m.exec(run("gzip", ["-dc", keymap]))?.[0] ?? "", /= \+?U\+007a$/);
    assert.match(run("debugfs", ["-R", "stat /etc/localtime", image]), /Fast link dest: "\/usr\/share\/zoneinfo\/Europe\/Berlin"/);
    assert.equal(run("debugfs", ["-R", "ls -p /dev", image]).trim().split("\n").length, 2, "nothing but . and .. in /dev");
    assert.ok(!run("debugfs", ["-R", "ls -p /etc/ssh", image]).includes("ssh_host_"));
    assert.ok(!run("debugfs", ["-R", "ls -p /etc", image]).includes("shadow-"));
    for (const path of ["/", "/etc/hostname", "/etc/shadow", "/srv/apps/c"]) {
      const times = [...run("debugfs", ["-R", `stat ${path}`, image]).matchAll(/time: 0x([0-9a-f]+)/g)].map((match) => Number.parseInt(match[1]!, 16));
      assert.deepEqual(times, Array(4).fill(1_700_000_000), path);
    }
  } finally {
    made.dispose();
  }
});

test("two builds give equal bytes", async () => {
  const [one, two] = [await build(full, { format: "qcow2" }), await build(full, { format: "qcow2" })];
  try {
    expected = digest(one.outputs["out"]!);
    assert.equal(digest(two.outputs["out"]!), expected);
    assert.match(run("qemu-img", ["check", one.outputs["out"]!]), /No errors were found/);
    const info = JSON.parse(run("qemu-img", ["info", "--output=json", one.outputs["out"]!])) as { "virtual-size": number };
    assert.equal(info["virtual-size"], 2 * 1024 ** 3);
  } finally {
    one.dispose();
    two.dispose();
  }
});

test("an ordinary user's build gives the same bytes", (t) => {
  const user = ordinaryUser();
  if (typeof user === "string") {
    t.skip(user);
    return;
  }
  // The same recipe in a process of that user, in directories that it may read.
  const tar = join(base, "root.tar");
  run("cp", [root!.outputs["out"]!, tar]);
  run("chmod", ["-R", "a+rX", base]);
  const built = spawnSync("setpriv", [...asUser(user.uid), process.execPath, "--import", "tsx", "--input-type=module", "-e", childProgram(tar)], { encoding: "utf8", env: { ...env, HOME: base } });
  assert.equal(built.status, 0, built.stderr);
  assert.equal(built.stdout.trim(), expected);
});

const asUser = (uid: number): readonly string[] => ["--reuid", String(uid), "--regid", String(uid), "--clear-groups", "--"];

/** An account with subordinate ids; made when root runs the test. */
function ordinaryUser(): { readonly uid: number } | string {
  if (process.getuid?.() !== 0) return "the tests run as one already";
  if (spawnSync("newuidmap", [], { env }).error !== undefined) return "newuidmap (package uidmap) is not installed";
  const name = "imgtask-test";
  if (spawnSync("id", ["-u", name]).status !== 0) {
    run("useradd", ["--no-create-home", name]);
    madeUser = name;
  }
  const listed = (file: string): boolean => existsSync(file) && new RegExp(`^${name}:`, "m").test(readFileSync(file, "utf8"));
  if (!listed("/etc/subuid") || !listed("/etc/subgid")) run("usermod", ["--add-subuids", "3000000-3065535", "--add-subgids", "3000000-3065535", name]);
  const probe = spawnSync("setpriv", [...asUser(Number(run("id", ["-u", name]))), "unshare", "--user", "--map-root-user", "--map-auto", "true"], { encoding: "utf8", env });
  if (probe.status !== 0) return `this machine gives users no namespaces: ${probe.stderr.trim()}`;
  return { uid: Number(run("id", ["-u", name])) };
}

function childProgram(tar: string): string {
  const module = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  return `
    import { createHash } from "node:crypto";
    import { readFileSync } from "node:fs";
    import { machine, source } from ${module("../../lib/mod.ts")};
    import { disk } from ${module("../../plugins/disk/disk.ts")};
    import { runRecipe } from ${module("../rig/recipe.ts")};
    const revive = (_, value) => (value?.type === "source" ? source(value.path) : value);
    const spec = JSON.parse(${JSON.stringify(JSON.stringify(full))}, revive);
    const from = { outputs: { out: { type: "rootfs", target: "rootfs:small", output: "out", form: "file" } }, machine: machine(spec), arch: "x86_64" };
    Object.defineProperty(from.outputs.out, Symbol.for("imgtask.artifact@1"), { value: true });
    disk("small", { from, format: "qcow2", size: "2G" });
    const made = await runRecipe("disk:small", ${JSON.stringify({ ...paths, "inputs.rootfs": tar })});
    console.log(createHash("sha256").update(readFileSync(made.outputs.out)).digest("hex"));
    made.dispose();
  `;
}

const refused: readonly (readonly [string, Partial<MachineSpec>, string, RegExp])[] = [
  ["an unknown service", { services: { enable: ["nginx"] } }, "IMG3231", /no service "nginx"/],
  ["an unknown group", { users: [{ name: "a", groups: ["nobodys"] }] }, "IMG3221", /no group "nobodys"/],
  ["an unknown owner", { files: [{ path: "/etc/a", content: "", owner: "ghost" }] }, "IMG3221", /no user "ghost"/],
  ["a missing shell", { users: [{ name: "a", shell: "/bin/zsh" }] }, "IMG3223", /"\/bin\/zsh"/],
  ["a user that a package made", { users: [{ name: "games" }] }, "IMG3224", /"games" exists/],
  ["an unknown time zone", { timezone: "Europe/Atlantis" }, "IMG3228", /"Europe\/Atlantis"/],
  ["a locale that cannot be made", { locale: "de_DE.UTF-8" }, "IMG3227", /"de_DE.UTF-8"/],
  ["a file where a directory is", { files: [{ path: "/etc", content: "" }] }, "IMG3226", /"\/etc"/],
  ["a private key", { users: [{ name: "a", sshKeys: [source("private"), source("private")] }] }, "IMG3222", /user "a"/],
];
for (const [what, change, code, message] of refused) {
  test(`${what} is refused by name`, async () => {
    const lines: unknown[] = [];
    const original = console.error;
    console.error = (line: unknown) => void lines.push(line);
    try {
      const spec: MachineSpec = { hostname: "lab", packages: full.packages!, ...change };
      const file = join(base, "private");
      writeFileSync(file, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
      const from = rootfs("small", { distro: small, release: "bookworm", arch: "x86_64", machine: machine(spec) });
      disk("small", { from, format: "raw", size: "2G" });
      await assert.rejects(
        runRecipe("disk:small", { "inputs.rootfs": root!.outputs["out"]!, "params.machine.users.0.sshKeys.0.file": file, "params.machine.users.0.sshKeys.1.file": file }),
        (error: unknown) => {
          assert.equal((error as { code: string }).code, code, String((error as Error).message));
          assert.match((error as Error).message, message);
          return true;
        },
      );
    } finally {
      console.error = original;
    }
  });
}

test("a package that does not exist is an error of the root file system", async () => {
  const original = console.error;
  console.error = () => {};
  try {
    rootfs("missing", { distro: small, release: "bookworm", arch: "x86_64", machine: machine({ hostname: "lab", packages: ["no-such-package"] }) });
    await assert.rejects(runRecipe("rootfs:missing"), { code: "IMG3210", message: /"bookworm"/ });
  } finally {
    console.error = original;
  }
});
