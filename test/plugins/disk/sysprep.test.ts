/**
 * A disk without what belongs to one machine: something is planted for each operation, and neither it nor its bytes may
 * be in the image afterwards. Judged by e2fsck, debugfs and the bytes of the image.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { source } from "../../../lib/mod.ts";
import { notDone, operations, type Operation, type SysprepOperation } from "../../../plugins/disk/sysprep-operations.ts";
import { sysprep } from "../../../plugins/disk/sysprep.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-sysprep-"));
after(() => rmSync(base, { recursive: true, force: true }));
const raw = join(base, "disk.raw"), start = 2048 * 512, paths = { "inputs.image": raw };
const table = operations as Readonly<Record<string, Operation>>;
const names = Object.keys(table) as SysprepOperation[];
const all = Object.fromEntries(names.map((name) => [name, true]));

function run(command: string, args: readonly string[], input = ""): string {
  const result = spawnSync(command, args, { encoding: "utf8", input, env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C" } });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** A path that a pattern matches, and no other example does. */
function example(pattern: string, number: number): string {
  return pattern.replaceAll("**", "some/where").replaceAll("*", `a${number} x"y`).replaceAll("?", "7");
}

/** Every planted path, with what it is for. */
const planted: { readonly path: string; readonly operation: string; readonly action: "remove" | "empty"; readonly canary: string }[] = [];
const kept = { "etc/hostname": "lab\n", "etc/ssh/sshd_config": "Port 22\n", "var/lib/dpkg/status": "x".repeat(50_000), "home/dev/work.txt": "work\n", "usr/share/doc/x.bak": "not below a directory that is looked at\n", "etc/linked": "CANARY-of-a-second-name\n", "var/spool/cron/atjobs/.SEQ": "0000a\n", "var/kerberos/krb5kdc/kdc.conf": "realm\n", "etc/pki/tls/certs/ca-bundle.crt": "certificates\n", "var/lib/dovecot/directory/file": "below a directory that stays\n" };

before(() => {
  const tree = join(base, "tree");
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  };
  for (const [path, text] of Object.entries(kept)) write(path, text);
  for (const [operation, { remove = [], files = [], also = [], empty = [] }] of Object.entries(table)) {
    for (const [action, patterns] of [["remove", [...remove, ...files, ...also]], ["empty", empty]] as const) {
      for (const pattern of patterns) {
        const path = example(pattern, planted.length);
        if (planted.some((one) => one.path === path)) continue;
        const canary = `CANARY-${planted.length}-${operation}-`;
        // More than fits into an inode, and more than a block for some.
        write(path, `${canary}\n`.repeat(planted.length % 3 === 0 ? 400 : 10));
        planted.push({ path, operation, action, canary });
      }
    }
  }
  write("tmp/deep/er/file", "CANARY-deep\n");
  write("var/spool/cron/crontabs/root", "CANARY-crontab\n");
  symlinkSync("/etc/hostname", join(tree, "tmp/link"));
  symlinkSync(`/CANARY-link-${"x".repeat(30)}`, join(tree, "tmp/short"));
  run("ln", [join(tree, "etc/linked"), join(tree, "tmp/linked")]);
  run("mkfifo", [join(tree, "tmp/fifo")]);
  writeFileSync(raw, "");
  run("truncate", ["-s", "64M", raw]);
  run("sfdisk", ["-q", raw], "label: gpt\n1: start=2048, size=122880\n2: start=124928, size=4096\n");
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-d", tree, "-E", `offset=${start},lazy_itable_init=0`, raw, "60M"]);
  // Removed before, by others: in a free block.
  const script = join(base, "before.txt");
  write("../old", "CANARY-removed-before\n".repeat(50));
  writeFileSync(script, `write ${join(base, "old")} old\nrm old\n`);
  run("debugfs", ["-w", "-f", script, `${raw}?offset=${start}`]);
});

/** Paths with what is there: mode, owner, size, content. */
function tree(image: string, directory: string): Map<string, string> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  run("debugfs", ["-R", `rdump / "${directory}"`, `${image}?offset=${start}`]);
  const found = new Map<string, string>();
  const walk = (path: string): void => {
    for (const entry of readdirSync(join(directory, path), { withFileTypes: true })) {
      const below = `${path}/${entry.name}`;
      found.set(below, entry.isFile() ? readFileSync(join(directory, below), "latin1") : "");
      if (entry.isDirectory()) walk(below);
    }
  };
  walk("");
  return found;
}

function rawOf(done: RecipeRun, name: string): string {
  const file = join(base, name);
  run("qemu-img", ["convert", "-O", "raw", done.outputs["out"]!, file]);
  return file;
}

test("what is planted for every operation is gone, from the blocks too, and the rest is as it was; twice the same bytes", async (t) => {
  sysprep("all", { from: { image: source("disk.raw"), format: "raw" }, operations: all });
  assert.ok(readFileSync(raw).includes("CANARY-removed-before"));
  const [one, two] = [await runRecipe("sysprep:all", paths), await runRecipe("sysprep:all", paths)];
  try {
    assert.ok(readFileSync(one.outputs["out"]!).equals(readFileSync(two.outputs["out"]!)), "the same bytes");
    const disk = rawOf(one, "all.raw");
    run("e2fsck", ["-f", "-n", `${disk}?offset=${start}`]);
    const [was, is] = [tree(raw, join(base, "was")), tree(disk, join(base, "is"))];
    for (const { path, action, operation } of planted) {
      assert.ok(was.has(path), `${path} was planted`);
      // What one operation empties, another one may remove by a pattern.
      if (action === "remove") assert.equal(is.get(path), undefined, `${operation}: ${path}`);
      else assert.equal(is.get(path) ?? "", "", `${operation}: ${path}`);
    }
    for (const path of ["/etc/machine-id", "/var/lib/dbus/machine-id", "/var/account/pacct"]) assert.equal(is.get(path), "", path);
    const bytes = readFileSync(disk);
    const left = bytes.toString("latin1").match(/CANARY-(?!of-a-second)[\w-]+/g) ?? [];
    assert.deepEqual(left, []);
    assert.ok(bytes.includes("CANARY-of-a-second-name"), "a file keeps its content while it has another name");
    for (const [path, text] of Object.entries(kept)) assert.equal(is.get(`/${path}`), text, path);
    const emptied = planted.filter(({ path, action }) => action === "empty" && is.get(path) === "").length;
    for (const [path, text] of was) {
      if (is.get(path) !== text) assert.ok(["/tmp/", "/var/log/", "/var/spool/cron/crontabs/"].some((below) => path.startsWith(below)) || planted.some((one) => path === one.path || path.startsWith(`${one.path}/`) || one.path.startsWith(`${path}/`)), `${path} changed`);
    }
    for (const path of ["/tmp", "/var/tmp", "/var/log", "/etc/ssh", "/var/lib/apt/lists", "/var/spool/cron/crontabs"]) assert.ok(is.has(path), `${path} stays`);
    assert.ok(!is.has("/tmp/deep") && !is.has("/tmp/fifo") && !is.has("/tmp/link"));
    for (const path of is.keys()) assert.ok(was.has(path), `${path} is new`);
    t.diagnostic(`${names.length} operations, ${planted.length} planted files: ${planted.length - emptied} removed, ${emptied} emptied; ${was.size - is.size} of ${was.size} entries gone, no canary in ${bytes.length} bytes`);
  } finally {
    one.dispose();
    two.dispose();
  }
});

test("without further words it does what virt-sysprep does, and leaves keys of users; each operation can be switched off", async (t) => {
  sysprep("default", { from: { image: source("disk.raw"), format: "raw" }, format: "raw", operations: { "ssh-hostkeys": false, logfiles: false } });
  const done = await runRecipe("sysprep:default", paths);
  try {
    const is = tree(done.outputs["out"]!, join(base, "default"));
    const off = new Set<string>([...names.filter((name) => !table[name]!.default), "ssh-hostkeys", "logfiles"]);
    for (const { path, operation, canary } of planted) {
      if (!off.has(operation)) assert.ok(!(is.get(path) ?? "").includes(canary), `${operation}: ${path}`);
    }
    for (const path of ["/root/.ssh", "/etc/nftables.conf", planted.find(({ operation }) => operation === "ssh-hostkeys")!.path, "/root/install.log"]) assert.ok(is.has(path), path);
    assert.equal(is.get("/etc/machine-id"), "");
    t.diagnostic(`${names.length - off.size} operations: ${done.log().match(/^[a-z-]+: \d+ entr.*$/gm)?.length} found something`);
  } finally {
    done.dispose();
  }
});

// virt-sysprep --list-operations of guestfs-tools 1.57 (Debian 12 has 1.48, without zsh-history, lvm-system-devices).
const listed = `abrt-data* backup-files* bash-history* blkid-tab* ca-certificates crash-data* cron-spool* customize* dhcp-client-state* dhcp-server-state*
dovecot-data* firewall-rules flag-reconfiguration fs-uuids ipa-client* kerberos-data kerberos-hostkeytab* logfiles* lvm-system-devices* lvm-uuids* machine-id*
mail-spool* net-hostname* net-hwaddr* net-nmconn* pacct-log* package-manager-cache* pam-data* passwd-backups* puppet-data-log* rh-subscription-manager*
rhn-systemid* rpm-db* samba-db-log* script* smolt-uuid* ssh-hostkeys* ssh-userdir* sssd-db-log* tmp-files* udev-persistent-net* user-account utmp* yum-uuid* zsh-history*`.split(/\s+/);

test("every operation of virt-sysprep is done by its name and by its default, or it is said why not; the document has a row for each", () => {
  const document = readFileSync(new URL("../../../plugins/disk/sysprep.md", import.meta.url), "utf8");
  const theirs = new Map(listed.map((word) => [word.replace("*", ""), word.endsWith("*")]));
  for (const [name, on] of theirs) {
    if (name in notDone) assert.ok(!(name in table), name);
    else assert.equal(table[name]?.default, name === "ssh-userdir" ? false : on, name);
  }
  assert.deepEqual(names.filter((name) => !theirs.has(name)), ["cloud-init", "other-histories", "random-seed"]);
  for (const name of names) assert.equal(document.match(new RegExp(`^\\| \`${name}\` \\| (yes|no|off) \\|`, "m"))?.[1], table[name]!.default ? "yes" : "off", name);
  for (const [name, why] of Object.entries(notDone)) assert.ok(document.includes(`| \`${name}\` | no | ${why} |`), name);
});

test("refused: an operation that there is not, a disk without ext4, and a name that could be a command", async () => {
  assert.throws(() => sysprep("bad", { from: { image: source("disk.raw"), format: "raw" }, operations: { nonesuch: true } as never }), { code: "IMG2175" });
  const original = console.error;
  console.error = () => {};
  try {
    sysprep("refused", { from: { image: source("disk.raw"), format: "raw" } });
    const other = join(base, "other.raw");
    writeFileSync(other, Buffer.alloc(8 * 2 ** 20));
    await assert.rejects(runRecipe("sysprep:refused", { "inputs.image": other }), { code: "IMG3601" });
    run("sfdisk", ["-q", other], "label: gpt\n1: start=2048\n");
    await assert.rejects(runRecipe("sysprep:refused", { "inputs.image": other }), { code: "IMG3601", found: /none of them ext4/ });
    const odd = join(base, "odd");
    mkdirSync(join(odd, "etc"), { recursive: true });
    mkdirSync(join(odd, "tmp"), { recursive: true });
    writeFileSync(join(odd, "tmp/x\ndump <2> stolen"), "");
    run("truncate", ["-s", "32M", other]);
    run("sfdisk", ["-q", other], "label: gpt\n1: start=2048, size=59392\n");
    run("mke2fs", ["-q", "-F", "-t", "ext4", "-d", odd, "-E", `offset=${start}`, other, "29M"]);
    await assert.rejects(runRecipe("sysprep:refused", { "inputs.image": other }), { code: "IMG3602" });
  } finally {
    console.error = original;
  }
});
