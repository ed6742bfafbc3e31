/**
 * What the host has, asked of real tools and of tools that lie; and the commands that install packages.
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isImgtaskError } from "../../lib/error.ts";
import { probe, probeAll } from "../../lib/host.ts";
import { detect, install, installCommand, missing, pasteable } from "../../lib/package-manager.ts";
import { hostFile, tool, type ToolOptions } from "../../lib/tool.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-host-"));
after(() => rmSync(directory, { recursive: true }));
const env = { ...process.env, PATH: directory };

function script(name: string, text: string, mode = 0o755): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, mode);
  return path;
}

const fake = (name: string, options: Partial<ToolOptions> = {}): ReturnType<typeof tool> => tool(name, { packages: { apt: `${name}-package` }, ...options });

test("a real tool: path, version, identity", async () => {
  const finding = await probe(tool("node", { min: "20.19", packages: {} }), { env: { PATH: join(process.execPath, "..") } });
  assert.equal(finding.ok, true);
  assert.equal(finding.version, process.versions.node);
  assert.match(finding.identity!, /^\d+ \d+ \d+ \d+ \d+$/);
});

test("tar and sh, as every Debian has them", async () => {
  const [tar, sh] = await probeAll([tool("tar", { min: "1.20", packages: { apt: "tar" } }), tool("sh", { versionArgs: [], packages: {} })]);
  assert.match(tar!.version!, /^1\.\d+/);
  assert.deepEqual([tar!.ok, sh!.ok, sh!.version], [true, true, undefined]);
});

test("a version on standard error and exit code 1 will do; the locale is C in UTF-8, without which Ansible says nothing", async () => {
  script("stern", 'echo "stern $LC_ALL version 2.10.3" >&2; exit 1');
  const finding = await probe(fake("stern", { min: "2.9", versionPattern: /stern C\.UTF-8 version (\S+)/ }), { env });
  assert.deepEqual([finding.ok, finding.version, finding.path], [true, "2.10.3", join(directory, "stern")]);
});

test("too old", async () => {
  script("old", "echo old 1.4.9");
  const finding = await probe(fake("old", { min: "1.5" }), { env });
  assert.deepEqual([finding.ok, finding.version, finding.problem], [false, "1.4.9", "version 1.4.9 is too old, 1.5 is needed"]);
});

test("a version that cannot be read matters only when one is demanded", async () => {
  script("mute", "exit 0");
  assert.equal((await probe(fake("mute"), { env })).ok, true);
  assert.equal((await probe(fake("mute", { min: "1" }), { env })).problem, "its version is unknown, 1 is needed");
});

test("not found, not executable, not runnable", async () => {
  assert.equal((await probe(fake("imgtask-no-such-tool"), { env })).problem, "not found");
  script("data", "", 0o644);
  assert.equal((await probe(fake("data"), { env })).problem, "not found");
  const path = join(directory, "broken");
  writeFileSync(path, "#!/no/such/interpreter\n");
  chmodSync(path, 0o755);
  assert.equal((await probe(fake("broken"), { env })).problem, "cannot be run: ENOENT");
});

test("a tool that hangs is given up, with its children", async () => {
  const note = join(directory, "child");
  script("hangs", `/bin/sleep 60 & echo $! > ${note}; wait`);
  const started = Date.now();
  const finding = await probe(fake("hangs"), { env, timeout: 700 });
  assert.equal(finding.problem, "did not say its version within 0.7 s");
  assert.ok(Date.now() - started < 5000);
  const child = Number(readFileSync(note, "utf8"));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const state = ((): string => {
    try {
      return readFileSync(`/proc/${child}/stat`, "utf8").split(") ")[1]!.charAt(0);
    } catch {
      return "gone";
    }
  })();
  assert.ok(state === "gone" || state === "Z", state);
});

test("a tool is asked once however many need it, and the highest demand counts", async () => {
  const note = join(directory, "asked");
  script("shared", `echo asked >> ${note}; echo 1.6`);
  const findings = await probeAll([fake("shared"), fake("shared", { min: "2" }), fake("shared", { min: "1.2" })], { env });
  assert.equal(findings.length, 1);
  assert.equal(findings[0]!.problem, "version 1.6 is too old, 2 is needed");
  assert.equal(readFileSync(note, "utf8"), "asked\n");
});

test("host files: one of several paths", async () => {
  const path = join(directory, "firmware");
  writeFileSync(path, "x");
  const found = await probe(hostFile({ name: "firmware", anyOf: [join(directory, "no"), path], packages: {} }));
  assert.deepEqual([found.ok, found.path], [true, path]);
  const lost = await probe(hostFile({ name: "firmware", anyOf: ["/no/a", "/no/b"], packages: {} }));
  assert.deepEqual([lost.ok, lost.problem], [false, "not found: /no/a or /no/b"]);
});

test("package managers: found by their executable, called with the rights that are there", () => {
  const host = (...names: readonly string[]): { directories: string[] } => {
    const bin = mkdtempSync(join(directory, "bin-"));
    for (const name of names) symlinkSync("/bin/true", join(bin, name));
    return { directories: [bin] };
  };
  assert.deepEqual(detect({ ...host("apt-get", "dpkg"), uid: 0 }), { name: "apt", prefix: [] });
  assert.deepEqual(detect({ ...host("apt-get", "dpkg", "dnf", "pacman"), uid: 0 }), { name: "apt", prefix: [] });
  assert.deepEqual(detect({ ...host("dnf", "sudo"), uid: 1000 }), { name: "dnf", prefix: ["sudo", "-n"] });
  assert.deepEqual(detect({ ...host("zypper"), uid: 1000 }), { name: "zypper", prefix: [], problem: 'installing needs root, and "sudo" is not found' });
  assert.equal(detect({ ...host("pacman"), uid: 0 })?.name, "pacman");
  assert.equal(detect({ ...host("apk"), uid: 0 })?.name, "apk");
  assert.equal(detect({ ...host("sudo"), uid: 0 }), undefined);
});

test("install commands, to run and to paste", () => {
  assert.deepEqual(installCommand({ name: "apt", prefix: ["sudo", "-n"] }, ["a", "b"]), [
    ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "update"],
    ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", "a", "b"],
  ]);
  assert.deepEqual(installCommand({ name: "apt", prefix: [] }, []), []);
  assert.equal(pasteable({ name: "pacman", prefix: [] }, ["a"]), "pacman -S --noconfirm --needed a");
  assert.equal(
    pasteable({ name: "apt", prefix: ["sudo", "-n"] }, ["a"]),
    "sudo env DEBIAN_FRONTEND=noninteractive apt-get update && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends a",
  );
});

test("what to install: packages once and in order, and what no package helps with", async () => {
  const findings = await probeAll([fake("imgtask-none-b"), fake("imgtask-none-a", { packages: { apt: "one two" } }), fake("imgtask-none-c", { packages: { dnf: "x" } })], { env });
  const { packages, helpless } = missing(findings, { name: "apt", prefix: [] });
  assert.deepEqual(packages, ["imgtask-none-b-package", "one", "two"]);
  assert.deepEqual(helpless.map(({ requirement }) => requirement.name), ["imgtask-none-c"]);
  assert.equal(missing(findings, undefined).helpless.length, 3);
});

test("installing runs the commands, and says how to do it by hand when it cannot", async () => {
  const bin = mkdtempSync(join(directory, "apk-"));
  mkdirSync(bin, { recursive: true });
  const note = join(bin, "note");
  writeFileSync(join(bin, "apk"), `#!/bin/sh\necho "$@" >> ${note}\n[ "$2" != bad ]\n`);
  chmodSync(join(bin, "apk"), 0o755);
  const path = process.env["PATH"];
  process.env["PATH"] = `${bin}:${path}`;
  try {
    const signal = new AbortController().signal;
    const said: string[] = [];
    await install({ manager: { name: "apk", prefix: [] }, packages: ["a", "b"], signal, on: (argv) => said.push(argv.join(" ")) });
    assert.equal(readFileSync(note, "utf8"), "add a b\n");
    assert.deepEqual(said, ["apk add a b"]);
    await assert.rejects(install({ manager: { name: "apk", prefix: [] }, packages: ["bad"], signal }), (error) => {
      assert.ok(isImgtaskError(error));
      assert.deepEqual([error.code, error.exitCode, error.hint], ["IMG1004", 4, "Install them yourself: apk add bad"]);
      return true;
    });
    await assert.rejects(install({ manager: { name: "apk", prefix: [], problem: "no root" }, packages: ["a"], signal }), { code: "IMG1003", exitCode: 4 });
  } finally {
    process.env["PATH"] = path;
  }
});
