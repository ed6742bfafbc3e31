/**
 * Preseed files: what debconf reads out of them, and what cannot be said in them.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type InstalledMachine, machine } from "../../../lib/mod.ts";
import { preseed as answersOf, type PreseedContext } from "../../../plugins/customize/preseed.ts";
import { verifiedTree } from "../iso/media.ts";

const context: PreseedContext = { release: "bookworm", mirror: "http://mirror.example.org/debian", payload: "/imgtask" };

function preseed(...given: Parameters<typeof answersOf>): string {
  return answersOf(...given).files["preseed.cfg"]!;
}

const lab = machine({
  hostname: "lab",
  locale: "de_DE.UTF-8",
  keyboard: "de",
  timezone: "Europe/Berlin",
  users: [{ name: "devops", uid: 1500, sudo: "nopasswd" }, { name: "other" }],
  packages: ["openssh-server", "chrony"],
});

/** Answers by question, as a reader of the format sees them. */
function answers(text: string): Map<string, string> {
  return new Map(text.trimEnd().split("\n").map((line) => {
    const match = /^\S+ (\S+) \S+(?: (.*))?$/.exec(line);
    assert.ok(match, line);
    return [match[1]!, match[2] ?? ""];
  }));
}

test("debconf-set-selections finds nothing to object to", () => {
  for (const text of [preseed(lab, context), preseed(machine({ hostname: "x" }), { ...context, disk: "/dev/vda", afterwards: "reboot" })]) {
    const { status, stderr } = spawnSync("debconf-set-selections", ["--checkonly", "--verbose"], { input: text, encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /warning|error/i);
  }
  // The check itself can fail.
  assert.notEqual(spawnSync("debconf-set-selections", ["--checkonly"], { input: "d-i x/y strong z\nd-i nonsense\n" }).status, 0);
});

test("the machine is in the answers", () => {
  const found = answers(preseed(lab, context));
  const expected = {
    "debian-installer/language": "en",
    "debian-installer/country": "DE",
    "debian-installer/locale": "de_DE.UTF-8",
    "keyboard-configuration/xkb-keymap": "de",
    "netcfg/get_hostname": "lab",
    "netcfg/hostname": "lab",
    "mirror/http/hostname": "mirror.example.org",
    "mirror/http/directory": "/debian",
    "mirror/suite": "bookworm",
    "passwd/username": "devops",
    "passwd/user-uid": "1500",
    "passwd/user-password-crypted": "*",
    "passwd/root-password-crypted": "*",
    "time/zone": "Europe/Berlin",
    "partman-auto/method": "regular",
    "partman-auto/choose_recipe": "atomic",
    "pkgsel/include": "openssh-server chrony sudo",
    "preseed/late_command": "sh /imgtask/late",
    "debian-installer/exit/poweroff": "true",
  };
  for (const [question, value] of Object.entries(expected)) assert.equal(found.get(question), value, question);
  assert.match(found.get("preseed/early_command")!, /IMGTASK_PRESEED_READ > \/dev\/console/);
});

test("choices: a disk, a reboot, a mirror with port, no user, no network, the C locale", () => {
  const bare = machine({ hostname: "bare", network: "none" });
  const found = answers(preseed(bare, { ...context, release: "trixie", mirror: "https://mirror.example:8443/d/", disk: "/dev/sdb", afterwards: "reboot" }));
  assert.equal(found.get("partman-auto/disk"), "/dev/sdb");
  assert.equal(found.get("grub-installer/bootdev"), "/dev/sdb");
  assert.equal(found.get("debian-installer/exit/poweroff"), "false");
  assert.equal(found.get("mirror/https/hostname"), "mirror.example:8443");
  assert.equal(found.get("mirror/https/directory"), "/d");
  assert.equal(found.get("passwd/make-user"), "false");
  assert.equal(found.has("passwd/username"), false);
  assert.equal(found.get("netcfg/target_network_config"), "loopback");
  assert.equal(found.get("debian-installer/locale"), "en_US.UTF-8");
});

test("every question that the netboot installer itself asks is one it knows, of the type it expects", () => {
  const initrd = gunzipSync(readFileSync(join(verifiedTree(), "initrd.gz")));
  const templates = execFileSync("cpio", ["-i", "--quiet", "--to-stdout", "var/lib/dpkg/info/*.templates"], { input: initrd, maxBuffer: 2 ** 28 }).toString();
  const types = new Map([...templates.matchAll(/^Template: (\S+)\nType: (\S+)$/gm)].map((match) => [match[1]!, match[2]!]));
  assert.ok(types.size > 200);
  const checked = preseed(lab, context).trimEnd().split("\n").map((line) => line.split(" ")).filter(([, question, type]) => {
    if (!/^(netcfg|mirror|preseed|keyboard-configuration|hw-detect)\//.test(question!)) return false;
    assert.ok(types.has(question!), `${question} is unknown`);
    assert.equal(type, types.get(question!), question);
    return true;
  });
  assert.ok(checked.length >= 14, `${checked.length} checked`);
  const keymaps = /^Template: keyboard-configuration\/xkb-keymap\nType: select\nChoices-C: (.*)$/m.exec(templates)![1]!.split(", ");
  for (const layout of keymaps.filter((one) => /^[a-z]+$/.test(one))) preseed(machine({ hostname: "x", keyboard: layout }), context);
});

const hostile: readonly string[] = ["a\nd-i passwd/root-password password x", "a\rb", "a\0b", "a\\", " a", "a\u2028b", "a\u0085b"];

test("a value that is not one plain line is refused wherever it stands", () => {
  for (const value of hostile) {
    for (const field of ["hostname", "timezone"] as const) {
      assert.throws(() => preseed({ ...lab, [field]: value } as InstalledMachine, context), { code: "IMG2313" }, JSON.stringify([field, value]));
    }
    assert.throws(() => preseed({ ...lab, users: [], packages: [value] }, context), { code: "IMG2313" }, JSON.stringify(value));
    assert.throws(() => preseed({ ...lab, locale: value }, context), { code: "IMG2312" });
    assert.throws(() => preseed(lab, { ...context, disk: value }), { code: "IMG2312" });
  }
});

test("what the format cannot express is an error that says so", () => {
  const says = (found: string) => ({ code: "IMG2312", exitCode: 2, found: JSON.stringify(found) });
  assert.throws(() => preseed(machine({ hostname: "x", locale: "de_DE" }), context), says("de_DE"));
  assert.throws(() => preseed(machine({ hostname: "x", keyboard: "de-nodeadkeys" }), context), says("de-nodeadkeys"));
  for (const mirror of ["ftp://host/debian", "http://user:secret@host/debian", "http://host/?x", "nonsense"]) {
    assert.throws(() => preseed(lab, { ...context, mirror }), { code: "IMG2312" }, mirror);
  }
});
