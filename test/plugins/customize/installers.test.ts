/**
 * Kickstart and autoinstall files of whole machines: read by pykickstart's rules, and against those of the autoinstall
 * reference manual, as far as these answers go. What the installers' own readers say of them is asked in
 * outside-readers.test.ts, where these are at hand.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { machine, type MachineSpec } from "../../../lib/mod.ts";
import { autoinstall } from "../../../plugins/customize/autoinstall.ts";
import { kickstart } from "../../../plugins/customize/kickstart.ts";
import { aptArchive, division, dnfArchive, full } from "../../rig/full-machine.ts";

const specs: readonly MachineSpec[] = [
  full, { hostname: "bare" }, { ...full, network: "none", storage: division }, { ...full, network: "dhcp" },
  { ...full, storage: { firmware: "bios", partitions: [{ mount: "/", size: "rest", type: "xfs" }] } },
];

const kickstarts = [...specs, { ...full, selinux: "enforcing" as const, repositories: [dnfArchive] }].map((spec) =>
  kickstart(machine(spec), { release: "9", payload: "/run/install/repo/imgtask" }).files["ks.cfg"]!);

test("kickstart files are commands and sections as documented", () => {
  const run = (argv: readonly string[]) => spawnSync("/usr/bin/python3", argv, { input: JSON.stringify(kickstarts), encoding: "utf8" });
  const reader = join(import.meta.dirname, "../../rig/kickstart-reader.py");
  const { status, stdout, stderr } = run([reader]);
  assert.equal(status, 0, stderr);
  const [[commands, sections]] = JSON.parse(stdout) as [[string[][], [string, string[]][]]];
  assert.deepEqual(commands.filter(([name]) => ["lang", "timezone", "rootpw", "user"].includes(name!)), [
    ["lang", "de_DE.UTF-8"], ["timezone", "Europe/Berlin", "--utc"], ["rootpw", "--lock"],
    ["user", "--name=devops", "--shell=/bin/zsh", "--lock", "--uid=4321", "--gid=4321", "--gecos=Dev Ops", "--groups=wheel"],
    ["user", "--name=guest", "--shell=/bin/bash", "--lock", "--groups=wheel"],
  ]);
  assert.deepEqual(commands.find((words) => words.includes("--device=ens7")), [
    "network", "--device=ens7", "--activate", "--onboot=yes", "--bootproto=static", "--ip=192.0.2.10", "--netmask=255.255.255.0", "--gateway=192.0.2.1",
    "--ipv6=2001:db8::10/64", "--ipv6gateway=2001:db8::1", "--nameserver=192.0.2.53", "--ipv4-dns-search=search.example",
  ]);
  assert.deepEqual(sections[1], ["%packages", ["@core", "plainpackage", "web-dnf", "sudo", "firewalld", "libpwquality", "tar"]]);
  // The reader itself can refuse.
  assert.notEqual(spawnSync("/usr/bin/python3", [reader], { input: JSON.stringify(["user --nme=x\n"]) }).status, 0);
});

test("what kickstart cannot express is refused", () => {
  const context = { release: "9", payload: "/run/install/repo/imgtask" };
  for (const [spec, found] of [
    [{ ...full, apparmor: "enabled" }, "apparmor"], [{ ...full, repositories: [aptArchive] }, "repositories"],
    [{ ...full, storage: { partitions: [{ mount: "/", size: "rest", type: "btrfs" }] } }, "storage"],
    [{ ...full, network: [{ name: "e", addresses: ["192.0.2.1/24", "192.0.2.2/24"] }] }, "network[0].addresses"],
  ] as const) assert.throws(() => kickstart(machine(spec as MachineSpec), context), (error: Error) => error.message.includes(`cannot express "${found}`));
});

type Data = Record<string, unknown>;

/** The rules of the reference manual for the keys that are used. */
function checkAutoinstall(text: string): Data {
  assert.match(text, /^#cloud-config\n/);
  const { autoinstall: data, ...others } = JSON.parse(text.slice(text.indexOf("\n"))) as { autoinstall: Data };
  assert.deepEqual(others, {});
  const isCommands = (value: unknown): boolean => Array.isArray(value) && value.every((argv) => Array.isArray(argv) && argv.every((word) => typeof word === "string"));
  const rules: Readonly<Record<string, (value: never) => boolean>> = {
    version: (value) => value === 1,
    "early-commands": isCommands,
    "late-commands": isCommands,
    "interactive-sections": (value) => Array.isArray(value),
    "refresh-installer": (value: Data) => Object.keys(value).every((key) => ["update", "channel"].includes(key)),
    locale: (value) => typeof value === "string",
    keyboard: (value: Data) => typeof value["layout"] === "string" && Object.keys(value).length === 1,
    timezone: (value) => Intl.supportedValuesOf("timeZone").includes(value) || value === "Etc/UTC",
    network: (value: Data) => value["version"] === 2 && typeof value["ethernets"] === "object",
    apt: (value: Data) => Array.isArray((value["mirror-selection"] as Data)["primary"]),
    storage: (value: Data) => ["config", "layout"].filter((key) => key in value).length === 1,
    ssh: (value: Data) => typeof value["install-server"] === "boolean" && typeof value["allow-pw"] === "boolean",
    packages: (value: string[]) => value.every((name) => typeof name === "string"),
    "user-data": (value: Data) => typeof value["hostname"] === "string" && Array.isArray(value["users"]),
    shutdown: (value) => ["reboot", "poweroff"].includes(value),
  };
  for (const [key, value] of Object.entries(data)) assert.ok(rules[key]?.(value as never), `${key}: ${JSON.stringify(value)}`);
  return data;
}

test("autoinstall files hold what the reference manual allows, and divide the disk as described", () => {
  const texts = specs.map((spec) => autoinstall(machine(spec), { release: "noble", payload: "/cdrom/imgtask", mirror: "http://mirror.example/ubuntu" }).files["user-data"]!);
  const [, bare, divided] = texts.map(checkAutoinstall);
  assert.deepEqual((bare!["storage"] as Data)["layout"], { name: "direct", match: { size: "largest" } });
  const actions = (divided!["storage"] as { config: { type: string; id: string; device?: string; volume?: string; size?: number; path?: string; fstype?: string; devices?: string[]; volgroup?: string }[] }).config;
  // Every action stands on what was made before it, as curtin demands.
  const made = new Set<string>();
  for (const { id, device, volume, volgroup, devices = [] } of actions) {
    for (const on of [device, volume, volgroup, ...devices]) assert.ok(on === undefined || made.has(on), `${id} on ${on}`);
    assert.equal(made.has(id), false);
    made.add(id);
  }
  assert.deepEqual(actions.filter(({ type }) => type === "mount").map(({ path }) => path), ["/boot/efi", "/boot", "", "/", "/var/lib/x"]);
  assert.equal(actions.find(({ id }) => id === "lv-rootlv")?.size, 20 * 2 ** 30);
  assert.throws(() => checkAutoinstall(`#cloud-config\n${JSON.stringify({ autoinstall: { version: 2 } })}`));
  assert.throws(() => autoinstall(machine({ hostname: "a", storage: { partitions: [{ mount: "/", size: "rest" }] } }), { release: "x", payload: "/cdrom/imgtask" }), /storage\.firmware/);
});
