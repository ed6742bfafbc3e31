/**
 * Data for cloud-init: judged by cloud-init's own schema and read back by its own YAML and network code.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { machine, type MachineSpec } from "../../../lib/mod.ts";
import { checkCloudInit, cloudInit, cloudInitPackages } from "../../../plugins/customize/cloud-init.ts";
import { full, fullHash, writeSources } from "../../rig/full-machine.ts";
import { ready, secretHash } from "../../rig/ready-machine.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-cloud-init-"));
after(() => rmSync(directory, { recursive: true, force: true }));
writeSources(directory);

function filesOf(spec: MachineSpec, manager: "apt" | "dnf" = "apt"): Readonly<Record<string, string>> {
  const made = machine(spec);
  return cloudInit(ready(made, directory), { packages: cloudInitPackages(made, manager), epoch: 1_700_000_000 }).files;
}

/** What cloud-init's own loader of YAML makes of a text, or the end of its complaint. */
function load(text: string): unknown {
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", ["-c", "import json, sys\nfrom cloudinit import util\njson.dump(util.load_yaml(sys.stdin.buffer.read(), default=None, allowed=(dict, list)), sys.stdout)"], { input: text, encoding: "utf8" });
  assert.equal(status, 0, stderr.slice(-500));
  return JSON.parse(stdout);
}

function schemaProblem(text: string): string | undefined {
  const file = join(directory, "user-data");
  writeFileSync(file, text);
  const { status, stdout, stderr } = spawnSync("cloud-init", ["schema", "--config-file", file], { encoding: "utf8" });
  return status === 0 && !/deprecat|invalid|error/i.test(stdout + stderr) ? undefined : stdout + stderr;
}

test("cloud-init's schema accepts it, with nothing deprecated", () => {
  for (const spec of [full, { hostname: "bare" }, { hostname: "still", network: "none" }] as const) assert.equal(schemaProblem(filesOf(spec)["user-data"]!), undefined);
  // The check itself can fail.
  assert.notEqual(schemaProblem("#cloud-config\nhostname: [1]\n"), undefined);
});

test("the machine is in it, as cloud-init reads it", () => {
  const files = filesOf(full);
  const data = load(files["user-data"]!) as Record<string, unknown>;
  const { users, write_files: written, ...rest } = data as { users: Record<string, unknown>[]; write_files: { path: string; content: string; encoding?: string; permissions: string; owner: string; defer?: boolean }[] };
  assert.deepEqual(rest, {
    hostname: "fullhost", preserve_hostname: false, manage_etc_hosts: "localhost", locale: "de_DE.UTF-8", timezone: "Europe/Berlin", keyboard: { layout: "de" },
    disable_root: true, ssh_pwauth: true, package_update: true, packages: ["plainpackage", "web-apt", "sudo", "nftables", "libpam-pwquality"], runcmd: [["sh", "/var/lib/imgtask/finish"]],
  });
  assert.deepEqual(users, [
    { name: "devops", gecos: "Dev Ops", uid: 4321, groups: ["staff"], shell: "/bin/zsh", lock_passwd: false, hashed_passwd: secretHash, ssh_authorized_keys: ["ssh-ed25519 AAAAlinekey me@x", `ssh-ed25519 ${"A".repeat(60)}filekey you@x`] },
    { name: "guest", shell: "/bin/bash", lock_passwd: false, hashed_passwd: fullHash },
  ]);
  const at = (path: string) => written.find((one) => one.path === path)!;
  assert.deepEqual(at("/etc/text.conf"), { path: "/etc/text.conf", content: "text of a file\n", owner: "devops:staff", permissions: "0640", defer: true });
  assert.deepEqual(at("/etc/source.bin"), { path: "/etc/source.bin", encoding: "b64", content: "AP8B/go=", owner: "root:root", permissions: "0755", defer: true });
  assert.equal(at("/etc/sudoers.d/devops").content, "devops ALL=(ALL:ALL) NOPASSWD: ALL\n");
  assert.equal(at("/etc/sudoers.d/devops").permissions, "0440");
  assert.equal(written.some(({ path }) => path.endsWith("/passwords")), false);
});

test("its network is what cloud-init's own code understands", () => {
  const script = "import json, sys\nfrom cloudinit.net import network_state\nstate = network_state.parse_net_config_data(json.load(sys.stdin))\njson.dump([[i['name'], [[s['type'], s.get('address'), s.get('prefix'), [[r['network'], r['gateway']] for r in s.get('routes', [])]] for s in i['subnets']]] for i in state.iter_interfaces()], sys.stdout)";
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", ["-c", script], { input: JSON.stringify(load(filesOf(full)["network-config"]!)), encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), [
    ["ens7", [["static", "192.0.2.10", 24, [["0.0.0.0", "192.0.2.1"], ["::", "2001:db8::1"]]], ["static", "2001:db8::10", 64, []]]],
    ["ens8", [["dhcp4", null, null, []], ["dhcp6", null, null, []]]],
  ]);
  assert.deepEqual(load(filesOf({ hostname: "a", network: "none" })["network-config"]!), { config: "disabled" });
  assert.deepEqual(load(filesOf({ hostname: "a" })["network-config"]!), { version: 2, ethernets: { all: { match: { name: "e*" }, dhcp4: true, dhcp6: true } } });
});

test("the instance is named after the data, so that cloud-init applies other data anew", () => {
  const id = (spec: MachineSpec): unknown => (load(filesOf(spec)["meta-data"]!) as Record<string, unknown>)["instance-id"];
  assert.equal(id(full), id(full));
  assert.notEqual(id(full), id({ ...full, timezone: "Etc/UTC" }));
});

test("a storage layout is refused", () => {
  assert.throws(() => checkCloudInit(machine({ hostname: "a", storage: { partitions: [{ mount: "/", size: "rest" }] } })), { code: "IMG2312", message: /cloud-init cannot express "storage"/ });
});
