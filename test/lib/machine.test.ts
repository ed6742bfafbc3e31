/**
 * `machine()`: defaults filled in, and every value refused that no machine could have or that could leave its field.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { machine, type MachineSpec } from "../../lib/machine.ts";
import { source } from "../../lib/target.ts";

test("defaults are filled in", () => {
  const made = machine({ hostname: "lab", users: [{ name: "devops" }], files: [{ path: "/etc/x", content: "y" }] });
  assert.deepEqual(made, {
    hostname: "lab", locale: "C.UTF-8", timezone: "Etc/UTC", keyboard: "us", packages: [], packageSets: [], repositories: [], late: [], services: { enable: [], disable: [] }, directories: [], passwordLogin: false, network: "dhcp",
    users: [{ name: "devops", fullName: "", groups: [], shell: "/bin/bash", sudo: "none", sshKeys: [] }],
    files: [{ path: "/etc/x", content: "y", mode: 0o644, owner: "root", group: "root" }],
  });
  machine({ hostname: "a", directories: { list: source("d"), under: "/srv/x", mode: 0o755, owner: "root", group: "root" } });
});

const user = (parts: object): Partial<MachineSpec> => ({ users: [{ name: "a", ...parts }] });
const file = (parts: object): Partial<MachineSpec> => ({ files: [{ path: "/a", content: "", ...parts }] });
const bad: readonly Partial<MachineSpec>[] = [
  ...["", "-a", "a-", "a_b", "a.b", "a\nb", "a\n", "x".repeat(64), "ä"].map((hostname) => ({ hostname })),
  { locale: "en US" }, { locale: "C\nx" }, { timezone: "../../etc" }, { timezone: "/UTC" }, { timezone: "UTC\n" }, { keyboard: "us;x" }, { keyboard: "us\n" },
  ...["", "-a", "a b", "a\nb", "a;b", "$(x)", "--force"].map((name) => ({ packages: [name] })),
  ...["-a", "a b", "a\nb", "../x", "a/b"].map((name) => ({ services: { enable: [name] } })), { services: { disable: ["a\n"] } },
  ...["", "root", "A", "1a", "-a", "a b", "a:b", "a\n", "x".repeat(33)].map((name) => ({ users: [{ name }] })),
  user({ uid: 0 }), user({ uid: 999 }), user({ uid: 60_000 }), user({ uid: 1000.5 }), user({ groups: ["a,b"] }), user({ shell: "bash" }), user({ shell: "/bin/../sh" }), user({ shell: "/bin/sh\n" }),
  user({ sshKeys: ["ssh-ed25519 AAAA\nssh-rsa BBBB"] }), user({ sshKeys: ["key"] }), user({ sshKeys: [""] }),
  ...["", "a", "/", "/a/../b", "/a/./b", "/a//b", "/a/", "/a\nb", "/a\0b"].map((path) => file({ path })),
  file({ mode: -1 }), file({ mode: 0o10000 }), file({ mode: 1.5 }), file({ owner: "a b" }), file({ group: "a:b" }), file({ owner: "a\n" }),
  { directories: [{ list: source("d"), under: "srv", mode: 0o755, owner: "root", group: "root" }] },
];

test("fields that there are not, and values of another type, are refused by name", () => {
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /^machine\(\) lacks its options$/], [{}, /lacks its option "hostname"/], [{ hostname: 5 }, /"hostname" of machine\(\) is of the wrong type/],
    [{ hostname: "a", packages: "vim" }, /"packages"/], [{ hostname: "a", users: { name: "x" } }, /"users"/], [{ hostname: "a", overlay: "config" }, /"overlay"/],
    [{ hostname: "a", pakages: [] }, /has no option "pakages"/], [{ hostname: "a", users: [{ name: "x", sudoer: true }] }, /^A user in machine\(\) has no option "sudoer"$/],
  ];
  for (const [spec, message] of refused) assert.throws(() => machine(spec as MachineSpec), { code: "IMG2040", exitCode: 2, message }, JSON.stringify(spec));
  assert.throws(() => machine({ hostname: "a", pakages: [] } as unknown as MachineSpec), { hint: 'Did you mean "packages"?' });
  assert.throws(() => machine({ hostname: "a", users: ["x"] } as unknown as MachineSpec), { code: "IMG2101" });
  assert.throws(() => machine({ hostname: "a", users: [{}] } as unknown as MachineSpec), { code: "IMG2040", message: 'A user in machine() lacks its option "name"' });
  const plain = { hostname: "a", users: [{ name: "x", password: "hunter2hunter2" }] } as unknown as MachineSpec;
  assert.throws(() => machine(plain), (error: Error & { code: string; found?: string }) => error.code === "IMG2040" && !`${error.message}${error.found}`.includes("hunter2"));
});

test(`${bad.length} bad values are refused`, () => {
  for (const parts of bad) assert.throws(() => machine({ hostname: "lab", ...parts }), { code: "IMG2101", exitCode: 2 }, JSON.stringify(parts));
});
