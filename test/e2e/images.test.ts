/**
 * The imagefile of this repository, used as a person would: built from Debian's real archive, built again, changed,
 * spoiled, booted. Takes minutes; needs the mirror, qemu and the other tools of `imgtask doctor`.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, lstatSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Finished, repository, TestProject } from "../rig/project.ts";

const minutes = 60_000;

describe("the imagefile of the repository", { timeout: 25 * minutes }, () => {
  let project: TestProject;
  const images = ["iso:debian", "disk:debian", "dirs:debian"];

  before(() => {
    project = new TestProject();
    cpSync(join(repository, "imagefile.ts"), project.path("imagefile.ts"));
    cpSync(join(repository, "config"), project.path("config"), { recursive: true });
  });
  after(() => project?.[Symbol.dispose]());

  /** Runs the command line and tells which targets ran their recipes, and which were restored. */
  async function imgtask(...args: string[]): Promise<Finished & { readonly ran: readonly string[]; readonly restored: readonly string[] }> {
    const finished = await project.start(["run", "--reporter", "plain", ...args], { timeout: 12 * minutes }).finished;
    const named = (pattern: RegExp): string[] => [...finished.stderr.matchAll(pattern)].map((match) => match[1]!).sort();
    return { ...finished, ran: named(/^\[(\S+)\] started/gm), restored: named(/^\[(\S+)\] restored/gm) };
  }

  function passed(result: Finished): void {
    assert.equal(result.code, 0, result.stderr);
  }

  test("builds a hybrid installer ISO, a disk and the directories", async (context) => {
    const result = await imgtask(...images);
    passed(result);
    assert.deepEqual(result.ran, ["customize:debian", "dirs:debian", "disk:debian", "download:debian", "iso:debian", "keypair:lab", "rootfs:debian", "verify:debian"]);
    context.diagnostic(/^\d.* in .*/m.exec(result.stderr)?.[0] ?? "");
    const boot = execFileSync("xorriso", ["-indev", project.path("artifacts/iso/debian.iso"), "-report_el_torito", "plain", "-report_system_area", "plain"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    assert.match(boot, /El Torito boot img\s*:\s*1\s+BIOS/);
    assert.match(boot, /El Torito boot img\s*:\s*2\s+UEFI/);
    assert.match(boot, /isohybrid|grub2-mbr|MBR/);
    const info = JSON.parse(execFileSync("qemu-img", ["info", "--output=json", project.path("artifacts/disk/debian.qcow2")], { encoding: "utf8" })) as { [key: string]: unknown };
    assert.equal(info["format"], "qcow2");
    assert.equal(info["virtual-size"], 8 * 1024 ** 3);
    assert.equal(info["backing-filename"], undefined);
  });

  test("expands config/directories.txt to 600 directories and logs what it made", () => {
    const listed = readFileSync(project.path("config/directories.txt"), "utf8").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    assert.equal(listed.length, 600);
    for (const line of listed) assert.ok(statSync(project.path("workspaces/debian", line)).isDirectory(), line);
    const logs = readdirSync(project.path("logs")).filter((name) => /^directories-\d{14}\.md$/.test(name));
    assert.equal(logs.length, 1);
    const log = project.read(`logs/${logs[0]}`);
    for (const line of listed) assert.ok(log.includes(line), `${line} is in the log`);
  });

  test("the second run does nothing and says so", async () => {
    const result = await imgtask(...images);
    passed(result);
    assert.deepEqual(result.ran, []);
    assert.match(result.stderr, /Nothing to do: 8 targets fresh/);
  });

  test("an edited or deleted output is restored without running anything", async () => {
    const digest = (path: string): string => execFileSync("sha256sum", [project.path(path)], { encoding: "utf8" }).split(" ")[0]!;
    const before = { iso: digest("artifacts/iso/debian.iso"), disk: digest("artifacts/disk/debian.qcow2") };
    appendFileSync(project.path("artifacts/iso/debian.iso"), "edited by hand");
    rmSync(project.path("artifacts/disk/debian.qcow2"));
    rmSync(project.path("workspaces/debian/billing"), { recursive: true });
    project.write("workspaces/debian/mine.txt", "not imgtask's");
    const result = await imgtask(...images);
    passed(result);
    assert.deepEqual([result.ran, result.restored], [[], ["dirs:debian", "disk:debian", "iso:debian"]]);
    assert.deepEqual({ iso: digest("artifacts/iso/debian.iso"), disk: digest("artifacts/disk/debian.qcow2") }, before);
    assert.ok(lstatSync(project.path("workspaces/debian/billing/prod/api")).isDirectory());
    assert.equal(project.read("workspaces/debian/mine.txt"), "not imgtask's");
  });

  test("one changed overlay file re-runs exactly the targets behind it", async () => {
    project.write("config/overlay/etc/motd", "imgtask made this, and somebody changed it\n");
    const plan = await project.imgtask("plan", ...images);
    assert.match(plan.stdout, /disk:debian\s+stale: source config\/overlay\/etc\/motd changed/);
    const result = await imgtask(...images);
    passed(result);
    assert.deepEqual(result.ran, ["customize:debian", "disk:debian", "iso:debian"]);
    assert.match(result.stderr, /\[disk:debian\] started: source config\/overlay\/etc\/motd changed/);
  });

  test("a comment in the list of directories makes the same directories again, and no others", async () => {
    project.write("config/directories.txt", `# one more comment\n${project.read("config/directories.txt")}`);
    const result = await imgtask("dirs:debian");
    passed(result);
    assert.deepEqual(result.ran, ["dirs:debian"]);
  });

  test("a changed package list re-runs the root file system and what is made from it, not the download", async () => {
    project.write("imagefile.ts", project.read("imagefile.ts").replace(`"sudo", "chrony"]`, `"sudo", "chrony", "tree"]`));
    const plan = await project.imgtask("plan", ...images);
    assert.match(plan.stdout, /rootfs:debian\s+stale: option packages\S* /);
    const result = await imgtask(...images);
    passed(result);
    for (const name of ["rootfs:debian", "disk:debian", "customize:debian", "iso:debian"]) assert.ok(result.ran.includes(name), name);
    for (const name of ["download:debian", "verify:debian", "keypair:lab"]) assert.ok(!result.ran.includes(name), name);
  });

  test("everything boots: the disk by BIOS and UEFI, the installer by BIOS and UEFI, and only then it is published", async (context) => {
    const result = await imgtask("publish:release");
    passed(result);
    assert.deepEqual(result.ran, ["publish:release", "sbom:debian", "test:debian", "test:debian-iso-bios", "test:debian-iso-uefi", "test:debian-uefi"]);
    context.diagnostic(/^\d.* in .*/m.exec(result.stderr)?.[0] ?? "");
    for (const name of ["debian", "debian-uefi", "debian-iso-bios", "debian-iso-uefi"]) {
      assert.match(project.read(`artifacts/test/${name}/junit.xml`), /failures="0"/);
      assert.equal(readFileSync(project.path(`artifacts/test/${name}/screen.png`)).subarray(1, 4).toString(), "PNG");
    }
    const report = project.read("artifacts/test/debian/junit.xml");
    for (const check of ["lab login", "key opens a session", "password login is refused", "service &quot;ssh&quot; is active", "600 directories", "port 22/tcp is open", "package &quot;sudo&quot;", "user &quot;devops&quot;", "sysctl kernel.panic", "SELinux is disabled"]) assert.ok(report.includes(check), `${check}\n${report}`);
    assert.match(project.read("artifacts/test/debian-iso-uefi/console.log"), /IMGTASK_PRESEED_READ/);
    execFileSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: project.path("artifacts/release"), stdio: "ignore" });
    assert.match((await imgtask("publish:release")).stderr, /Nothing to do/);
  });

  test("a wrong expectation fails the test, names what is there instead, and keeps what there is to look at", async () => {
    project.write(
      "imagefile.ts",
      `${project.read("imagefile.ts")}
test("wrong", {
  image: labDisk,
  login,
  expect: {
    ssh: { passwordLogin: true },
    services: ["ssh", "nonesuch"],
    ports: [{ port: 22, reach: "local" }],
    packages: ["telnetd"],
    users: [{ name: "devops", locked: false, groups: ["docker"] }],
    bootTime: 0.1,
    files: [{ path: "/etc/sudoers.d/devops", mode: 0o644 }, { path: "/etc/nothing" }],
    commands: [{ run: ["false"] }, { run: ["echo", "two words"], stdout: "two  words" }],
  },
});
`,
    );
    const result = await imgtask("test:wrong");
    assert.deepEqual([result.code, result.ran], [1, ["test:wrong"]], result.stderr);
    assert.match(result.stderr, /IMG3506/);
    for (const wrong of [/nonesuch/, /sudoers\.d\/devops.*\n?.*(440|644)/, /\/etc\/nothing/, /false/, /password/, /port 22/, /telnetd/, /docker/, /boot takes/]) assert.match(result.stderr, wrong);
    assert.match(result.stderr, /imagefile\.ts:\d+/);
    const report = project.read("logs/test-wrong/junit.xml");
    assert.match(report, /failures="10"/);
    assert.match(project.read("logs/test-wrong/console.log"), /lab login:/);
    assert.equal(readFileSync(project.path("logs/test-wrong/screen.png")).subarray(1, 4).toString(), "PNG");
    assert.ok(!project.exists("artifacts/test/wrong"), "a failed test leaves no artifacts");
  });
});
