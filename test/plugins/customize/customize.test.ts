/**
 * The kind `customize`: its tree, and the payload as the tools of the new system unpack it.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Machine, machine, type PackageMedia, source } from "../../../lib/mod.ts";
import { registry } from "../../../lib/target.ts";
import { customize } from "../../../plugins/customize/customize.ts";
import { dirs } from "../../../plugins/dirs/dirs.ts";
import type { Download } from "../../../plugins/download/download.ts";
import { iso } from "../../../plugins/iso/iso.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";
import { media, verified } from "../iso/media.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-customize-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Stands for media: what customize does with the two files is to copy them. */
const tree = join(directory, "media");
mkdirSync(tree);
writeFileSync(join(tree, "linux"), "kernel");
writeFileSync(join(tree, "initrd.gz"), "initrd");

const overlay = join(directory, "overlay");
mkdirSync(join(overlay, "etc"), { recursive: true });
writeFileSync(join(overlay, "etc/motd"), "hello\n");
chmodSync(join(overlay, "etc/motd"), 0o640);
symlinkSync("motd", join(overlay, "etc/also"));
writeFileSync(join(directory, "list"), "a/b\n");
writeFileSync(join(directory, "key.pub"), "# comment\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5file file@x\n");

const lab = machine({
  hostname: "lab",
  locale: "C.UTF-8",
  users: [
    { name: "devops", uid: 1500, groups: ["adm", "audio"], sudo: "nopasswd", sshKeys: ["ssh-ed25519 AAAAline line@x", source("key.pub")] },
    { name: "guest", shell: "/bin/sh" },
  ],
  services: { enable: ["ssh"], disable: ["cron"] },
  files: [
    { path: "/etc/app/$(touch pwned); 'x'", content: "a\nb\\", mode: 0o600, owner: "devops", group: "adm" },
    { path: "/etc/from-host", content: source("list") },
  ],
  overlay: source("overlay"),
  directories: dirs.list(source("list"), { under: "/srv/apps", mode: 0o2750, owner: "devops" }),
});

const paths = {
  "inputs.media": tree,
  "params.machine.overlay": overlay,
  "params.machine.directories.0.list": join(directory, "list"),
  "params.machine.users.0.sshKeys.1.file": join(directory, "key.pub"),
  "params.machine.files.1.content.file": join(directory, "list"),
};

/** Unpacks the second initial file system, and gives the directory of its payload. */
function unpack(run: RecipeRun, name: string): string {
  const to = join(directory, name);
  mkdirSync(to);
  execFileSync("cpio", ["-i", "--quiet", "--make-directories"], { cwd: to, input: readFileSync(join(run.outputs["out"]!, "preseed.cpio")) });
  assert.equal(readFileSync(join(to, "preseed.cfg"), "utf8"), readFileSync(join(run.outputs["out"]!, "preseed.cfg"), "utf8"));
  return join(to, "imgtask");
}

function listing(tar: string): string {
  return execFileSync("tar", ["--list", "--verbose", "--file", tar], { env: { ...process.env, LC_ALL: "C", TZ: "UTC" } }).toString().replaceAll(/ +/g, " ");
}

test("the tree is an installer with the machine beside it", async () => {
  customize("lab", { media: verified("lab"), machine: lab });
  const run = await runRecipe("customize:lab", paths);
  try {
    const out = run.outputs["out"]!;
    assert.deepEqual(readdirSync(out, { recursive: true }).sort(), ["install", "install/initrd.gz", "install/vmlinuz", "preseed.cfg", "preseed.cpio"]);
    assert.equal(readFileSync(join(out, "install/vmlinuz"), "utf8"), "kernel");
    for (const path of readdirSync(out, { recursive: true }) as string[]) {
      const stats = lstatSync(join(out, path));
      assert.equal(stats.mode & 0o777, stats.isDirectory() ? 0o755 : 0o644, path);
      assert.equal(stats.mtimeMs, 1_700_000_000_000, path);
    }
    const payload = unpack(run, "lab");
    const read = (name: string): string => readFileSync(join(payload, name), "utf8");
    assert.equal(read("users"), "devops:1500:adm,audio:/bin/bash:\nguest:::/bin/sh:\n");
    assert.equal(read("owners"), "group:adm\ngroup:devops\npasswd:devops\n");
    assert.equal(read("enable"), "ssh\n");
    assert.equal(read("disable"), "cron\n");
    const files = listing(join(payload, "files.tar"));
    for (const line of [
      /^-rw-r--r-- root\/root 13 2023-11-14 22:13 etc\/default\/locale$/m,
      /^-r--r----- root\/root 35 2023-11-14 22:13 etc\/sudoers\.d\/devops$/m,
      /^drwx------ devops\/devops 0 2023-11-14 22:13 home\/devops\/\.ssh\/$/m,
      /^-rw------- devops\/devops \d+ 2023-11-14 22:13 home\/devops\/\.ssh\/authorized_keys$/m,
      /^drwxr-s--- devops\/root 0 2023-11-14 22:13 srv\/apps\/$/m,
      /^drwxr-s--- devops\/root 0 2023-11-14 22:13 srv\/apps\/a\/b\/$/m,
      /^-rw------- devops\/adm 4 2023-11-14 22:13 etc\/app\/\$\(touch pwned\); 'x'$/m,
    ]) assert.match(files, line);
    assert.doesNotMatch(files, /sudoers\.d\/guest|home\/guest/);
    const content = (path: string): string => execFileSync("tar", ["-xOf", join(payload, "files.tar"), path]).toString();
    assert.equal(content("home/devops/.ssh/authorized_keys"), "ssh-ed25519 AAAAline line@x\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5file file@x\n");
    assert.equal(content("etc/sudoers.d/devops"), "devops ALL=(ALL:ALL) NOPASSWD: ALL\n");
    assert.equal(content("etc/default/locale"), "LANG=C.UTF-8\n");
    assert.match(content("etc/ssh/sshd_config.d/10-imgtask.conf"), /^PasswordAuthentication no$/m);
    const laid = listing(join(payload, "overlay.tar"));
    assert.match(laid, /^-rw-r----- root\/root 6 .* etc\/motd$/m);
    assert.match(laid, /^lrwxrwxrwx root\/root 0 .* etc\/also -> motd$/m);
    // The scripts are fixed text: no value of the machine is part of a command.
    for (const script of ["late", "apply"]) {
      execFileSync("dash", ["-n", join(payload, script)]);
      assert.doesNotMatch(read(script), /devops|guest|pwned|cron/);
    }
  } finally {
    run.dispose();
  }
});

test("the same machine gives the same bytes, whatever the umask and the times of host files", async () => {
  customize("again", { media: verified("again"), machine: lab });
  const first = await runRecipe("customize:again", paths);
  chmodSync(join(tree, "linux"), 0o400);
  const umask = process.umask(0o077);
  const second = await runRecipe("customize:again", paths).finally(() => process.umask(umask));
  try {
    const digest = (run: RecipeRun): string =>
      execFileSync("tar", ["--create", "--sort=name", "--format=posix", "--pax-option=delete=atime,delete=ctime", "--file", "-", "-C", run.outputs["out"]!, "."]).toString("hex");
    assert.equal(digest(first), digest(second));
  } finally {
    first.dispose();
    second.dispose();
  }
});

test("a machine without anything still gives a payload whose tar files can be read", async () => {
  customize("bare", { media: verified("bare"), machine: machine({ hostname: "bare" }) });
  const run = await runRecipe("customize:bare", { "inputs.media": tree });
  try {
    const payload = unpack(run, "bare");
    assert.equal(existsSync(join(payload, "overlay.tar")), false);
    assert.equal(readFileSync(join(payload, "users"), "utf8"), "");
  } finally {
    run.dispose();
  }
});

test("what cannot be expressed is refused when it is declared", () => {
  const before = registry().targets.length;
  assert.throws(() => customize("no", { media: verified("v1"), machine: machine({ hostname: "x", locale: "de_DE" }) }), { code: "IMG2312" });
  const strange = { ...media, answers: "by hand" } as unknown as PackageMedia;
  assert.throws(() => customize("no", { media: verified("v2", strange), machine: lab }), { code: "IMG2311" });
  assert.equal(registry().targets.slice(before).some(({ declaration }) => declaration.name === "customize:no"), false);
});

test("an overlay with a pipe in it is refused", async (context) => {
  const bad = join(directory, "bad");
  mkdirSync(bad);
  execFileSync("mkfifo", [join(bad, "pipe")]);
  context.mock.method(console, "error", () => {});
  customize("pipe", { media: verified("pipe"), machine: machine({ hostname: "x", overlay: source("bad") }) });
  await assert.rejects(runRecipe("customize:pipe", { "inputs.media": tree, "params.machine.overlay": bad }), { code: "IMG2315", message: /"pipe"/ });
});

/** Never called: the type checker reads it. */
export function compileTime(unverified: Download<"x">, one: Machine): void {
  // @ts-expect-error: media that were merely downloaded
  customize("no", { media: unverified, machine: one });
  // @ts-expect-error: an image without a declared architecture
  iso("no", { from: verified("no") });
  const name: "customize:yes" = customize("yes", { media: verified("yes"), machine: one }).name;
  void name;
}
