/**
 * Kickstart and autoinstall files of whole machines, read by what really reads them: pykickstart's parser, and the
 * schema that Ubuntu's installer publishes. Neither is in Debian 12, and both are under licences that keep them out of
 * this repository: these tests run where they are at hand, and say so where they are not.
 *
 * pykickstart: `PYTHONPATH` of a checkout, or installed. The schema: `autoinstall-schema.json` of a checkout of
 * subiquity, named by `IMGTASK_TEST_AUTOINSTALL_SCHEMA` (several with `:` between).
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { machine, type MachineSpec } from "../../../lib/mod.ts";
import { autoinstall } from "../../../plugins/customize/autoinstall.ts";
import { kickstart } from "../../../plugins/customize/kickstart.ts";
import { division, dnfArchive, full } from "../../rig/full-machine.ts";

/** Grammars of the releases that imgtask knows media of, and the next one's. */
const grammars = ["RHEL9", "RHEL10", "F41", "F42"];

const hard = {
  ...full,
  locale: "C.UTF-8",
  users: [{ name: "odd", fullName: `O'Neil "the $HOME" #1; ein Ä`, sshKeys: ["ssh-ed25519 AAAA x"] }],
} as const satisfies MachineSpec;

const common: readonly MachineSpec[] = [
  full, { hostname: "bare" }, hard, { ...full, network: "dhcp" }, { ...full, network: "none", storage: division },
  { ...full, storage: { firmware: "bios", partitions: [{ mount: "/", size: "rest", type: "xfs" }] } },
  { ...full, storage: { disk: "/dev/vda", firmware: "uefi", partitions: [{ mount: "/boot", size: "1G" }, { mount: "swap", size: "512M" }, { mount: "/", size: "rest" }] } },
  { ...full, late: [["sh", "-c", "echo %end"]], files: [{ path: "/etc/x", content: "%post\n" }] },
];

const python = (args: readonly string[], input = ""): SpawnSyncReturns<string> => spawnSync("/usr/bin/python3", args, { input, encoding: "utf8" });
const noPykickstart = python(["-c", "import pykickstart.parser"]).status === 0 ? false : "pykickstart is not at hand (Debian 12 has no package of it): set PYTHONPATH to a checkout";

test("pykickstart reads kickstart files, and finds the machine in them", { skip: noPykickstart }, (t) => {
  const reader = join(import.meta.dirname, "../../rig/pykickstart-reader.py");
  const specs: readonly MachineSpec[] = [...common, ...(["enforcing", "permissive", "disabled"] as const).map((selinux) => ({ ...full, selinux, repositories: [dnfArchive] }))];
  const contexts = [{}, { mirror: "http://mirror.example/rocky/9", disk: "/dev/vdz", afterwards: "reboot" as const }];
  const texts = contexts.flatMap((context) => specs.map((spec) => kickstart(machine(spec), { release: "9", payload: "/run/install/repo/imgtask", ...context }).files["ks.cfg"]!));
  const { status, stdout, stderr } = python([reader, ...grammars], JSON.stringify(texts));
  assert.equal(status, 0, stderr.slice(-1000));
  const all = JSON.parse(stdout) as Record<string, unknown>[][];
  const [read] = all;
  const at = (spec: MachineSpec): Record<string, unknown> => read![specs.indexOf(spec)]!;
  for (const other of all) assert.deepEqual(other, read, "every grammar finds the same");
  assert.deepEqual(at(specs[0]!)["users"], [["devops", "4321", "/bin/zsh", "Dev Ops", ["wheel"], true], ["guest", "", "/bin/bash", "", ["wheel"], true]]);
  assert.deepEqual(at(hard)["users"], [["odd", "", "/bin/bash", hard.users[0].fullName, [], true]]);
  for (const one of read!) assert.equal(one["root"], true);
  assert.deepEqual(at(specs[1]!)["hosts"], ["bare"]);
  assert.deepEqual((at(specs[0]!)["devices"] as string[][])[0], ["ens7", "static", "192.0.2.10", "255.255.255.0", "192.0.2.1", "192.0.2.53"]);
  assert.deepEqual([at(specs[0]!)["language"], at(specs[0]!)["timezone"], at(hard)["language"]], ["de_DE.UTF-8", "Europe/Berlin", "C.UTF-8"]);
  assert.deepEqual(at(common[4]!)["partitions"], [["/boot", "xfs", 1024, false], ["swap", "", 512, false], ["pv.01", "", 1024, true]]);
  assert.deepEqual(at(common[4]!)["volumes"], [["vgfull", "rootlv", "/", "ext4", 20480, false], ["vgfull", "varlv", "/var/lib/x", "ext4", 1024, true]]);
  assert.deepEqual(at(specs[0]!)["packages"], ["core", "firewalld", "libpwquality", "plainpackage", "sudo", "tar", "web-dnf"]);
  assert.deepEqual((at(specs[0]!)["scripts"] as unknown[])[1], [1, false, true, "echo IMGTASK_LATE_DONE > /dev/console"]);
  // It can refuse: an option, a command and a section that no grammar has.
  const damage = [texts[0]!.replace("--gecos=", "--gekos="), `reboots\n${texts[0]!}`, texts[0]!.replace(/%end\n$/, ""), texts[0]!.replace("Dev Ops'", "Dev Ops")];
  for (const text of damage) {
    assert.notEqual(text, texts[0]);
    assert.notEqual(python([reader, "RHEL9"], JSON.stringify([text])).status, 0, text);
  }
  t.diagnostic(`${texts.length} kickstart files by ${grammars.length} grammars of pykickstart: ${texts.length * grammars.length} read, ${damage.length} of ${damage.length} damaged ones refused`);
});

const schemas = (process.env["IMGTASK_TEST_AUTOINSTALL_SCHEMA"] ?? "").split(":").filter((path) => path !== "" && existsSync(path));

test("the published schema of autoinstall accepts autoinstall files", { skip: schemas.length > 0 ? false : "IMGTASK_TEST_AUTOINSTALL_SCHEMA names no schema: it is subiquity's, under the AGPL" }, (t) => {
  const { default: Ajv } = createRequire(import.meta.url)("ajv") as { default: new (options: object) => { compile(schema: unknown): ((data: unknown) => boolean) & { errors?: unknown } } };
  const specs: readonly MachineSpec[] = [...common.map((spec) => ({ ...spec, ...(spec.storage !== undefined && spec.storage.firmware === undefined ? { storage: { ...spec.storage, firmware: "uefi" as const } } : {}) })), { ...full, apparmor: "enabled" }];
  const contexts = [{}, { mirror: "http://mirror.example/ubuntu", disk: "/dev/vdz", afterwards: "reboot" as const }];
  const documents = contexts.flatMap((context) => specs.map((spec) => {
    const text = autoinstall(machine(spec), { release: "noble", payload: "/cdrom/imgtask", ...context }).files["user-data"]!;
    return (JSON.parse(text.slice(text.indexOf("\n"))) as { autoinstall: Record<string, unknown> }).autoinstall;
  }));
  const damage: readonly Record<string, unknown>[] = [{ version: "1" }, { "late-commands": [[1]] }, { keyboard: { layot: "de" } }, { shutdown: "halt" }, { ssh: { "allow-pw": "no" } }, { packages: "sudo" }, { locale: 1 }, { "refresh-installer": { update: 1 } }];
  const published = schemas.map((path) => JSON.parse(readFileSync(path, "utf8")) as { properties: object });
  // Schemas let further keys through, and so a misspelt one. That of Ubuntu 22.04 lacks some that its manual has.
  for (const key of new Set(documents.flatMap((document) => Object.keys(document)))) assert.ok(published.some(({ properties }) => key in properties), key);
  for (const schema of published) {
    const validate = new Ajv({ strict: false, formats: { uri: true } }).compile(schema);
    for (const document of documents) assert.ok(validate(document), JSON.stringify(validate.errors));
    for (const wrong of damage) assert.equal(validate({ ...documents[0]!, ...wrong }), false, JSON.stringify(wrong));
  }
  t.diagnostic(`${documents.length} autoinstall documents by ${schemas.length} published schemas: ${documents.length * schemas.length} valid, ${damage.length} of ${damage.length} damaged ones refused by each`);
});
