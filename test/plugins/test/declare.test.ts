/**
 * What `test()` refuses: some of it by type, the rest when it is declared.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { output, target } from "../../../lib/mod.ts";
import { registry } from "../../../lib/target.ts";
import { test as boot } from "../../../plugins/test/test.ts";

const at = <T extends object>(made: T, arch: string): T & { readonly arch: string } => ({ ...made, arch });
const disk = at(target("disk:declared", { outputs: { out: output("file", "disk") }, run() {} }), "x86_64");
const arm = at(target("disk:arm", { outputs: { out: output("file", "disk") }, run() {} }), "aarch64");
const iso = at(target("iso:declared", { outputs: { out: output("file", "iso") }, run() {} }), "x86_64");
const tree = at(target("rootfs:declared", { outputs: { out: output("tree", "rootfs") }, run() {} }), "x86_64");
const login = { user: "devops", identity: "keys/id" };

/** Never called: it only has to compile, and each marked line must not. */
export function types(): void {
  boot("a", { image: disk, login, expect: { console: ["login:", /ready/], services: ["ssh"], ssh: { passwordLogin: false } } });
  boot("b", { image: iso, firmware: "uefi", expect: { console: ["Choose the language"] } });
  // @ts-expect-error an installer has no login
  boot("c", { image: iso, login, expect: { console: ["x"] } });
  // @ts-expect-error an installer runs no services
  boot("d", { image: iso, expect: { services: ["ssh"] } });
  // @ts-expect-error a root directory does not boot
  boot("e", { image: tree, expect: { console: ["x"] } });
  // @ts-expect-error a target that does not say for which machine it is
  boot("f", { image: target("disk:g", { outputs: { out: output("file", "disk") }, run() {} }), expect: { console: ["x"] } });
  // @ts-expect-error an empty command
  boot("g", { image: disk, login, expect: { commands: [{ run: [] }] } });
}

test("the declaration is JSON with expressions in it, and names what it needs", () => {
  boot("full", { image: disk, firmware: "uefi", login, expect: { console: [/login: $/m], commands: [{ run: ["id"], stdout: /uid/ }] } });
  const { declaration } = registry().targets.at(-1)!;
  assert.equal(declaration.name, "test:full");
  assert.deepEqual(JSON.parse(JSON.stringify(declaration.params)), {
    name: "full", medium: "disk", arch: "x86_64", firmware: "uefi", memory: 1024, cpus: 2, timeout: 300, login: { ...login, over: "ssh" },
    console: [{ source: "login: $", flags: "m" }], probed: { services: [], ports: [], packages: [], users: [], sysctl: {}, security: {}, bootTime: null }, files: [],
    commands: [{ run: ["id"], stdout: { source: "uid", flags: "" }, exit: 0 }],
  });
  assert.deepEqual(declaration.tools.map((tool) => tool.name), ["qemu-system-x86_64", "mkfifo", "UEFI firmware for x86_64", "UEFI variable store for x86_64", "ssh"]);
  assert.deepEqual(declaration.outputs["out"]?.path, "artifacts/test/full/junit.xml");
  assert.deepEqual(declaration.resources, { cpu: 2, memory: 1024 ** 3, kvm: true });
  boot("arm", { image: arm, expect: { console: ["x"] } });
  assert.equal((registry().targets.at(-1)!.declaration.params as { firmware: string }).firmware, "uefi");
});

const wrong: readonly (readonly [what: string, options: Parameters<typeof boot<string, "disk">>[1]])[] = [
  ["a firmware the machine does not have", { image: arm, firmware: "bios", expect: { console: ["x"] } }],
  ["nothing to look for", { image: disk, expect: {} }],
  ["a service without a login", { image: disk, expect: { services: ["ssh"] } }],
  ["a service that is an option", { image: disk, login, expect: { services: ["--now"] } }],
  ["a path that is not absolute", { image: disk, login, expect: { files: [{ path: "etc/passwd" }] } }],
  ["a path with a line break", { image: disk, login, expect: { files: [{ path: "/etc/pass\nwd" }] } }],
  ["a NUL in a command", { image: disk, login, expect: { commands: [{ run: ["a\0b"] }] } }],
  ["a user that is an option", { image: disk, login: { ...login, user: "-oProxyCommand=x" }, expect: { console: ["x"] } }],
  ["a key outside the project", { image: disk, login: { ...login, identity: "../id" }, expect: { console: ["x"] } }],
  ["no memory", { image: disk, memory: 0, expect: { console: ["x"] } }],
  ["half a processor", { image: disk, cpus: 0.5, expect: { console: ["x"] } }],
  ["no time", { image: disk, timeout: Number.NaN, expect: { console: ["x"] } }],
  ["a login on an ISO, past the types", { image: iso as unknown as typeof disk, login, expect: { console: ["x"] } }],
];
for (const [what, options] of wrong) {
  test(`${what} is refused when declared`, () => {
    assert.throws(() => boot("bad", options), { code: "IMG2501", exitCode: 2, message: /^Bad .* in test\("bad"\): / });
  });
}
