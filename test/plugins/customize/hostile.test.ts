/**
 * Hostile text in every field that takes text, in every format: what the real readers find is the same text, or the
 * machine was refused. Readers: cloud-init's YAML, Python's shlex (which pykickstart splits with), debconf, a shell, tar.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type InstalledMachine, isImgtaskError, machine, type MachineSpec } from "../../../lib/mod.ts";
import { autoinstall } from "../../../plugins/customize/autoinstall.ts";
import { cloudInit } from "../../../plugins/customize/cloud-init.ts";
import { kickstart, renderKickstart } from "../../../plugins/customize/kickstart.ts";
import { payloadFiles } from "../../../plugins/customize/payload.ts";
import { preseed } from "../../../plugins/customize/preseed.ts";
import { quote } from "../../../plugins/machine/quote.ts";
import { ready } from "../../rig/ready-machine.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-hostile-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const pieces = [
  "'", '"', "`", "\\", "#", "%end", "%include /etc/shadow", "%post", "{{ 7*7 }}", "{% raw %}", "$(touch /canary)", "${HOME}", "$HOME", ";", "&& reboot", "| sh", "> /dev/sda", "*", "?", "[a]", "~", "!", "!!python/object:os.system",
  "&anchor", "*alias", "- item", "key: value", "? key", "|", ">", "@at", "%TAG", "yes", "no", "null", "~", "0x10", "1e3", "012", "1:30", "2026-01-01", "---", "...", "<<", "d-i passwd/root-password password x", "preseed/late_command string x",
  "--option", "-x", "--", "=", "a=b", "\u00e4\u00f6\u00fc", "\u65e5\u672c\u8a9e", "\u{1f600}", "\u202e", "\u200b", "\ufeff", "e\u0301",
] as const;
const broken = ["\n", "\r", "\0", "\t", "\x1b[2J", "\x7f", "\u0085", "\u2028", "\u2029", "\ud800", "\n%end\n", "\nd-i x/y string z", "\nlate_command: x"] as const;
const hostile: readonly string[] = [...new Set([...pieces, ...pieces.map((piece) => `a ${piece} b`), ...pieces.map((piece) => `x${piece}`), ...broken.map((piece) => `a${piece}b`)])];

/** A machine, or nothing when it was refused as a machine; any other failure is one of the test. */
function accepted<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    assert.ok(isImgtaskError(error) && /^IMG2(101|312|313)$/.test(error.code), String(error));
    return undefined;
  }
}

/** What may hold any text, or nearly so. */
const fields: Readonly<Record<string, (text: string) => MachineSpec>> = {
  fullName: (text) => ({ hostname: "a", users: [{ name: "u", fullName: text }] }),
  content: (text) => ({ hostname: "a", files: [{ path: "/f", content: text }] }),
  path: (text) => ({ hostname: "a", files: [{ path: `/d/${text}`, content: "" }] }),
  sshKey: (text) => ({ hostname: "a", users: [{ name: "u", sshKeys: [`ssh-ed25519 AAAA ${text}`] }] }),
  late: (text) => ({ hostname: "a", late: [["printf", "%s", text]] }),
};
/** What takes words only: every hostile text must be refused. */
const words: Readonly<Record<string, (text: string) => MachineSpec>> = {
  hostname: (text) => ({ hostname: text }),
  user: (text) => ({ hostname: "a", users: [{ name: text }] }),
  group: (text) => ({ hostname: "a", users: [{ name: "u", groups: [text] }] }),
  shell: (text) => ({ hostname: "a", users: [{ name: "u", shell: text }] }),
  hash: (text) => ({ hostname: "a", users: [{ name: "u", password: { hash: text } }] }),
  owner: (text) => ({ hostname: "a", files: [{ path: "/f", content: "", owner: `${text} ` }] }),
  interface: (text) => ({ hostname: "a", network: [{ name: `${text} ` }] }),
  address: (text) => ({ hostname: "a", network: [{ name: "e", addresses: [text] }] }),
  dns: (text) => ({ hostname: "a", network: [{ name: "e", dns: [text] }] }),
  search: (text) => ({ hostname: "a", network: [{ name: "e", search: [`${text} `] }] }),
  disk: (text) => ({ hostname: "a", storage: { disk: text, partitions: [{ mount: "/", size: "rest" }] } }),
  mount: (text) => ({ hostname: "a", storage: { partitions: [{ mount: text, size: "rest" }] } }),
  firewall: (text) => ({ hostname: "a", firewall: { allow: [text as "ssh"] } }),
};

interface Case {
  readonly field: string;
  readonly text: string;
  readonly of: InstalledMachine;
}
const cases: readonly Case[] = Object.entries(fields).flatMap(([field, spec]) => hostile.flatMap((text) => {
  const of = accepted(() => machine(spec(text)));
  return of === undefined ? [] : [{ field, text, of }];
}));

function python(code: string, input: unknown): unknown {
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", code.endsWith(".py") ? [code] : ["-c", code], { input: JSON.stringify(input), encoding: "utf8", maxBuffer: 2 ** 28 });
  assert.equal(status, 0, stderr.slice(-600));
  return JSON.parse(stdout);
}
const load = "import json, sys\nfrom cloudinit import util\njson.dump([util.load_yaml(one.encode(), default=None) for one in json.load(sys.stdin)], sys.stdout)";

test("fields of words refuse every one of them, but those that are words", (t) => {
  let refused = 0;
  for (const [field, spec] of Object.entries(words)) {
    for (const text of hostile) {
      if (["yes", "no", "null"].includes(text) && ["hostname", "user", "group"].includes(field)) continue;
      if (field === "hostname" && /^[A-Za-z0-9-]+$/.test(text) && !text.startsWith("-")) continue;
      if (accepted(() => machine(spec(text))) === undefined) refused++;
      else assert.match(text, /^[a-z0-9_./-]+$/i, `${field} takes ${JSON.stringify(text)}`);
    }
  }
  t.diagnostic(`${refused} of ${Object.keys(words).length * hostile.length} refused`);
  assert.throws(() => machine({ hostname: "a\nb" }), { code: "IMG2101" });
});

test("cloud-init reads the same text", (t) => {
  const texts = cases.map(({ of }) => cloudInit(ready(of), { packages: [], epoch: 0 }).files["user-data"]!);
  const read = python(load, texts) as { users: { gecos?: string; ssh_authorized_keys?: string[] }[]; write_files?: { path: string; content: string; encoding?: string }[] }[];
  for (const [index, { field, text, of }] of cases.entries()) {
    const { users, write_files: files = [] } = read[index]!;
    const file = files.find(({ path }) => field === "late" ? path.endsWith("/late-0000") : !path.startsWith("/var/lib/imgtask"));
    const content = file?.encoding === "b64" ? Buffer.from(file.content, "base64").toString() : file?.content;
    const found = { fullName: users[0]?.gecos, sshKey: users[0]?.ssh_authorized_keys?.[0]?.slice("ssh-ed25519 AAAA ".length), content, path: file?.path.slice(3), late: content }[field];
    assert.equal(found, field === "late" ? `#!/bin/sh\nexec ${quote((of.late[0] as readonly string[]))}\n` : text, `${field} ${JSON.stringify(text)}`);
  }
  t.diagnostic(`${cases.length} texts in ${Object.keys(fields).length} fields`);
});

test("the installers' answers and Anaconda's words are the same text", (t) => {
  const named = cases.filter(({ field }) => field === "fullName");
  const context = { release: "x", payload: "/imgtask" };
  const read = python(join(import.meta.dirname, "../../rig/kickstart-reader.py"), named.map(({ of }) => kickstart(of, context).files["ks.cfg"]!)) as [string[][], [string, string[]][]][];
  for (const [index, { text }] of named.entries()) {
    const [commands, sections] = read[index]!;
    assert.equal(commands.find(([name]) => name === "user")!.find((word) => word.startsWith("--gecos="))?.slice(8), text);
    assert.deepEqual(sections.map(([name]) => name), ["%pre", "%packages", "%post"]);
  }
  // The writer itself, with text that no field lets through.
  const wordy = hostile.filter((text) => accepted(() => renderKickstart([["user", `--gecos=${text}`]], [])) !== undefined);
  const back = python(join(import.meta.dirname, "../../rig/kickstart-reader.py"), wordy.map((text) => renderKickstart([["user", `--gecos=${text}`]], []))) as [string[][]][];
  assert.deepEqual(back.map(([commands]) => commands[0]![1]!.slice(8)), wordy);
  for (const line of ["%end", " %include x", "a\n%end"]) assert.throws(() => renderKickstart([], [{ head: ["%packages"], lines: [line] }]), { code: "IMG2313" });
  // Ubuntu's installer is given nothing of these: only its constants and words.
  const auto = python(load, named.map(({ of }) => autoinstall(of, context).files["user-data"]!)) as { autoinstall: { version: number } }[];
  assert.ok(auto.every(({ autoinstall: { version } }) => version === 1));
  t.diagnostic(`${named.length} names, ${wordy.length} words; ${hostile.length - wordy.length} refused by the writer`);
});

test("debconf stores the same text", (t) => {
  const database = join(directory, "debconf");
  // Both databases are this test's own: a template that is left in the host's would stop all later questions of its name.
  const config = join(directory, "debconf.conf");
  writeFileSync(config, `Config: values\nTemplates: templates\n\nName: values\nDriver: File\nFilename: ${database}\n\nName: templates\nDriver: File\nFilename: ${database}.templates\n`);
  const texts = cases.filter(({ field, of }) => field === "fullName" && accepted(() => preseed(of, { release: "x", mirror: "http://h/x", payload: "/imgtask" })) !== undefined);
  // Each under a question of its own, so that one run of the real program reads them all.
  const lines = texts.map(({ of }, index) => {
    const line = preseed(of, { release: "x", mirror: "http://h/x", payload: "/imgtask" }).files["preseed.cfg"]!.split("\n").filter((one) => one.includes("passwd/user-fullname"));
    assert.equal(line.length, 1);
    return line[0]!.replace("passwd/user-fullname", `passwd/text-${index}`);
  });
  execFileSync("debconf-set-selections", { input: lines.map((line) => `${line}\n`).join(""), env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8", DEBCONF_SYSTEMRC: config } });
  const stored = new Map([...readFileSync(database, "utf8").matchAll(/^Name: passwd\/text-(\d+)\n(?:.*\n)*?Value: (.*)$/gm)].map(([, index, value]) => [Number(index), value]));
  for (const [index, { text }] of texts.entries()) assert.equal(stored.get(index), text);
  t.diagnostic(`${texts.length} texts`);
});

test("a shell hands late commands the same text, tar the same names and contents", (t) => {
  let commands = 0;
  for (const { text, of } of cases.filter(({ field }) => field === "late")) {
    const script = payloadFiles(ready(of), { origins: [], epoch: 0 }).find(({ name }) => name === "late-0000")!;
    const file = join(directory, "late");
    writeFileSync(file, script.content, { mode: 0o700 });
    assert.equal(spawnSync("sh", [file], { cwd: directory, encoding: "utf8" }).stdout, text, JSON.stringify(text));
    commands++;
  }
  const named = cases.filter(({ field }) => field === "path");
  const all = machine({ hostname: "a", files: named.map(({ of }) => of.files[0]!) });
  const archive = join(directory, "files.tar");
  writeFileSync(archive, payloadFiles(ready(all), { origins: [], epoch: 0 }).find(({ name }) => name === "files.tar")!.content);
  const listed = execFileSync("tar", ["--list", "--quoting-style=literal", "--file", archive], { encoding: "utf8" }).split("\n");
  for (const { text } of named) assert.ok(listed.includes(`d/${text}`), JSON.stringify(text));
  t.diagnostic(`${commands} commands, ${named.length} paths`);
});
