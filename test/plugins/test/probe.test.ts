/**
 * The probes of a guest, run by the shells of this host and judged by what this host is: real sockets, its own package
 * database, accounts and kernel. Units are judged by what systemd prints, since none runs here.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bad, probedOf, probesOf, type SystemExpectation } from "../../../plugins/test/expectation.ts";
import { judge, type Questions, readAnswers, script } from "../../../plugins/test/guest.ts";
import { serviceProbe } from "../../../plugins/test/probe/service.ts";
import type { Check } from "../../../plugins/test/report.ts";

const shells = [["sh", "-s"], ["bash", "-s"], ["busybox", "sh", "-s"]].filter(([shell]) => spawnSync(shell!, ["true"]).error === undefined);

/** What is found when this host is looked at. */
function look(expect: SystemExpectation, [shell, ...argv]: readonly string[] = ["sh", "-s"], env: NodeJS.ProcessEnv = process.env): readonly Check[] {
  const questions: Questions = { probes: probesOf(probedOf("x", expect)), files: [], directories: [], commands: [] };
  const { stdout, stderr, error } = spawnSync(shell!, argv, { input: script(questions, 1), encoding: "utf8", env, maxBuffer: 64 << 20 });
  const answers = readAnswers(stdout);
  assert.ok(answers.complete, `${error?.message ?? ""} ${stderr}: ${stdout.slice(-300)}`);
  return judge(questions, answers);
}

const failures = (checks: readonly Check[]): readonly string[] => checks.flatMap((check) => (check.outcome === "passed" ? [] : [`${check.name}: expected ${check.expected}, found ${check.found}`]));

describe("ports", () => {
  const open: Server[] = [];
  const listen = async (host: string): Promise<number> => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    open.push(server);
    return (server.address() as AddressInfo).port;
  };
  let any = 0, local = 0, local6 = 0, any6 = 0, udp = 0, free = 0;
  const datagram = createSocket("udp4");
  const ipv6 = spawnSync("test", ["-e", "/proc/net/tcp6"]).status === 0;
  before(async () => {
    any = await listen("0.0.0.0");
    local = await listen("127.0.0.2");
    if (ipv6) [local6, any6] = [await listen("::1"), await listen("::")];
    await new Promise<void>((resolve) => datagram.bind(0, "0.0.0.0", resolve));
    udp = datagram.address().port;
    free = await listen("127.0.0.1");
    await new Promise((resolve) => open.pop()!.close(resolve));
  });
  after(() => {
    for (const server of open) server.close();
    datagram.close();
  });

  for (const shell of shells) {
    test(`${shell[0]}: open, closed, and for whom`, () => {
      assert.deepEqual(failures(look({
        ports: [
          any, { port: any, reach: "anywhere" }, { port: local, reach: "local" }, { port: udp, protocol: "udp" }, { port: free, open: false }, { port: any, protocol: "udp", open: false },
          ...(ipv6 ? [{ port: local6, reach: "local" as const }, { port: any6, reach: "anywhere" as const }] : []),
        ],
      }, shell)), []);
      const wrong = look({ ports: [{ port: any, reach: "local" }, { port: local, reach: "anywhere" }, { port: any, open: false }, free, { port: udp, protocol: "tcp", open: true }] }, shell);
      assert.deepEqual(wrong.map(({ outcome }) => outcome), Array(5).fill("failed"));
      assert.equal(wrong[0]!.found, "open, to other machines");
      assert.equal(wrong[1]!.found, "open, to the machine itself alone");
      assert.match(wrong[3]!.found!, new RegExp(`nothing listens there; tcp ports that are open: .*\\b${any}\\b`));
    });
  }
});

test("packages, by dpkg: there, not there, and of which version", () => {
  const version = execFileSync("dpkg-query", ["-W", "-f", "${Version}", "coreutils"], { encoding: "utf8" });
  assert.deepEqual(failures(look({ packages: ["coreutils", { name: "coreutils", version }, { name: "coreutils", version: /^\d/ }, { name: "no-such-package", installed: false }] })), []);
  const wrong = look({ packages: ["no-such-package", { name: "coreutils", version: "0.0-nonesuch" }, { name: "coreutils", installed: false }] });
  assert.deepEqual(wrong.map(({ found }) => found), ["not installed", `installed: ${version}`, `installed: ${version}`]);
});

test("packages, by rpm and apk as they answer, and a guest without any database", () => {
  const place = mkdtempSync(join(tmpdir(), "imgtask-probe-"));
  try {
    const tools = ["sh", "grep", "sed", "id", "head", "base64", "tr", "timeout", "cat"];
    for (const tool of tools) writeFileSync(join(place, tool), `#!/bin/sh\nexec ${execFileSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).trim()} "$@"\n`, { mode: 0o755 });
    const env = { PATH: place };
    assert.match(look({ packages: ["bash"] }, ["/bin/sh", "-s"], env)[0]!.found!, /no package database/);
    // rpm prints what is missing on standard output, in words.
    writeFileSync(join(place, "rpm"), `#!/bin/sh\nfor last; do :; done\n[ "$last" = bash ] && echo "installed 0:5.1.8-9.el9" || { echo "package $last is not installed"; exit 1; }\n`, { mode: 0o755 });
    assert.deepEqual(failures(look({ packages: ["bash", { name: "bash", version: "0:5.1.8-9.el9" }, { name: "zsh", installed: false }] }, ["/bin/sh", "-s"], env)), []);
    assert.equal(look({ packages: ["zsh"] }, ["/bin/sh", "-s"], env)[0]!.found, "not installed");
    rmSync(join(place, "rpm"));
    writeFileSync(join(place, "apk"), `#!/bin/sh\nfor last; do :; done\n[ "$last" = busybox ] && echo busybox-1.36.1-r15\n`, { mode: 0o755 });
    assert.deepEqual(failures(look({ packages: [{ name: "busybox", version: "1.36.1" }, { name: "zsh", installed: false }] }, ["/bin/sh", "-s"], env)), []);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

for (const shell of shells) {
  test(`${shell[0]}: accounts, parameters of the kernel and security modules`, () => {
    const pid = readFileSync("/proc/sys/kernel/pid_max", "utf8").trim();
    const apparmor = spawnSync("cat", ["/sys/module/apparmor/parameters/enabled"], { encoding: "utf8" }).stdout.trim() === "Y" ? "enabled" : "disabled";
    assert.deepEqual(failures(look({
      users: [{ name: "root", uid: 0, home: "/root", groups: ["root"] }, { name: "nobody", shell: "/usr/sbin/nologin", ...(process.getuid?.() === 0 ? { locked: true } : {}) }, { name: "nonesuch", exists: false }],
      sysctl: { "kernel.pid_max": Number(pid), "kernel/ostype": "Linux", "net.ipv4.ip_local_port_range": readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8") },
      security: { apparmor, selinux: "disabled" },
    }, shell)), []);
    const wrong = look({
      users: [{ name: "root", uid: 7, shell: "/bin/nonesuch", groups: ["nonesuch"] }, { name: "root", exists: false }, { name: "nonesuch" }],
      sysctl: { "kernel.pid_max": 1, "no.such.thing": 1 },
      security: { apparmor: apparmor === "enabled" ? "disabled" : "enabled", selinux: "enforcing", profiles: { "/usr/sbin/nonesuch": "enforce" } },
    }, shell);
    assert.deepEqual(wrong.map(({ outcome }) => outcome), Array(wrong.length).fill("failed"));
    assert.match(wrong[0]!.expected!, /^uid 7; shell \/bin\/nonesuch; group nonesuch$/);
    assert.match(wrong[0]!.found!, /uid 0; shell \/bin\/\w+; groups root/);
    assert.equal(wrong[4]!.found, "no such parameter, or it cannot be read");
    assert.equal(wrong[6]!.found, apparmor, "in the order of their kinds: SELinux, AppArmor, profiles");
  });
}

test("units are judged by their state and by what enables them, and one that is not there is called so", () => {
  const say = (...pairs: readonly string[]): string => pairs.map((pair) => `${pair}\n`).join("");
  const good = say("Result=success", "LoadState=loaded", "ActiveState=active", "SubState=running", "UnitFileState=enabled");
  assert.equal(serviceProbe({ unit: "ssh" }).judge(good), undefined);
  assert.equal(serviceProbe({ unit: "ssh", enabled: "enabled" }).judge(good), undefined);
  assert.match(serviceProbe({ unit: "ssh", enabled: "masked" }).judge(good)!.found, /^active \(running\), result success, enabled$/);
  assert.match(serviceProbe({ unit: "ssh", state: "inactive" }).judge(good)!.found, /^active/);
  const failed = say("Result=exit-code", "LoadState=loaded", "ActiveState=failed", "SubState=failed", "UnitFileState=");
  assert.equal(serviceProbe({ unit: "ssh" }).judge(failed)!.found, "failed (failed), result exit-code, not enabled by a file");
  const absent = say("Result=success", "LoadState=not-found", "ActiveState=inactive", "SubState=dead", "UnitFileState=");
  assert.equal(serviceProbe({ unit: "ssh" }).judge(absent)!.found, "no such unit (not-found)");
  assert.equal(serviceProbe({ unit: "ssh", state: "inactive" }).judge(absent)!.found, "no such unit (not-found)", "what is not there is not inactive as it should be");
  assert.equal(serviceProbe({ unit: "ssh", state: "inactive", enabled: "masked" }).judge(say("LoadState=masked", "ActiveState=inactive", "UnitFileState=masked")), undefined);
  assert.equal(serviceProbe({ unit: "ssh" }).judge("")!.found, "no such unit (systemd does not answer)");
});

test("the time of a boot is told by systemd, and a boot that is not over is no fast one", () => {
  const [probe] = probesOf(probedOf("x", { bootTime: 20 }));
  assert.equal(probe!.judge("FinishTimestampMonotonic=19999999\n"), undefined);
  assert.equal(probe!.judge("FinishTimestampMonotonic=20100000\n")!.found, "20.1 s");
  assert.match(probe!.judge("FinishTimestampMonotonic=0\n")!.found, /not over/);
});

test("what no machine could have is refused when it is declared", () => {
  const cases: readonly SystemExpectation[] = [
    { services: ["two words"] }, { services: ["-x"] }, { ports: [0] }, { ports: [{ port: 65_536 }] }, { packages: ["-W"] }, { packages: ["a b"] }, { users: [{ name: "a:b" }] }, { users: [{ name: "-x" }] },
    { users: [{ name: "x", exists: false, uid: 7 }] }, { sysctl: { "../x": 1 } }, { sysctl: { "a b": 1 } }, { sysctl: { a: "" } }, { bootTime: 0 }, { bootTime: Number.NaN }, { security: { profiles: { "a\nb": "enforce" } } },
  ];
  for (const expect of cases) assert.throws(() => probedOf("x", expect), { code: "IMG2501" }, JSON.stringify(expect));
  assert.equal(bad("x", "port", 0, "").code, "IMG2501");
});
