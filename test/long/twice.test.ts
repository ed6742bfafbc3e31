/**
 * A whole imagefile of a real Debian, built twice from nothing by the command line: in two directories, on two days, with
 * another umask, locale, time zone, home and number of jobs. Every ISO, disk and directory tree has the same bytes.
 * Then `verify --rebuild` says so, and shows a difference that is planted between its two makings.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fakeTime, noFakeTime } from "../rig/fake-time.ts";
import { aptSources } from "../rig/apt-sources.ts";
import { type Finished, TestProject } from "../rig/project.ts";

const imagefile = `import { convert, customize, dirs, disk, download, group, iso, machine, resize, rootfs, seed, source, sysprep, verify } from "imgtask";
import { debian } from "imgtask/distros/debian";
const apps = dirs.list(source("directories.txt"), { under: "/srv/apps", mode: 0o750 });
const lab = {
  hostname: "lab", timezone: "Europe/Berlin", directories: apps,
  users: [{ name: "devops", sudo: "nopasswd", sshKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7tTqzA3Vt2x2nV9gq1Q2mJ6gWq0mXrJ3mWc1lXyQbT lab"] }],
  files: [{ path: "/etc/motd", content: "made by a test\\n" }],
} as const;
const media = verify("debian", { media: download("debian", debian.installer({ release: "bookworm", arch: "x86_64" })), trust: debian.keys });
const installer = iso("debian", { from: customize("debian", { media, machine: machine({ ...lab, packages: ["openssh-server"] }) }) });
const server = machine({ ...lab, packages: ["openssh-server", "sudo", "chrony", "python3"], services: { enable: ["ssh", "chrony"] } });
const image = disk("debian", { from: rootfs("debian", { distro: debian, release: "bookworm", arch: "x86_64", machine: server }), format: "qcow2", size: "4G", boot: "bios+uefi" });
const formats = [
  convert("compressed", { from: image, format: "qcow2", compress: true }),
  convert("stream", { from: image, format: "vmdk" }), convert("esxi", { from: image, format: "vmdk", subformat: "monolithicFlat" }),
  convert("hyperv", { from: image, format: "vhdx" }), convert("azure", { from: image, format: "vhd" }), convert("appliance", { from: image, format: "ova" }),
  resize("large", { from: image, size: "6G" }), sysprep("template", { from: image }), seed("lab", { machine: server }),
] as const;
export default group("all", [installer, image, ...formats, dirs("debian", { directories: apps })]);
`;

const names = ["iso/debian.iso", "disk/debian.qcow2", "disk/compressed.qcow2", "disk/stream.vmdk", "disk/esxi", "disk/hyperv.vhdx", "disk/azure.vhd", "disk/appliance.ova", "disk/large.qcow2", "disk/template.qcow2", "seed/lab.iso"];

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** Everything below a directory, with kind, mode and content. */
async function listing(directory: string, relative = ""): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const name of readdirSync(join(directory, relative)).sort()) {
    const path = join(relative, name), stat = lstatSync(join(directory, path));
    const content = stat.isFile() ? await sha256(join(directory, path)) : stat.isSymbolicLink() ? readlinkSync(join(directory, path)) : "";
    lines.push(`${(stat.mode & 0o777777).toString(8)} ${path} ${content}`);
    if (stat.isDirectory()) lines.push(...(await listing(directory, path)));
  }
  return lines;
}

/** Seconds that clocks may be set forward: lists of the security archive are good for a week, and none may have ended. */
function ahead(directory: string): number {
  const until = aptSources("bookworm").flatMap((line, index) => {
    const [, mirror, suite] = line.split(" ");
    const file = join(directory, `InRelease-${index}`);
    execFileSync("/usr/lib/apt/apt-helper", ["-o", "APT::Sandbox::User=root", "download-file", `${mirror!.replace(/\/+$/, "")}/dists/${suite}/InRelease`, file], { stdio: "ignore" });
    const found = /^Valid-Until: (.*)$/m.exec(readFileSync(file, "utf8"))?.[1];
    return found === undefined ? [] : [Date.parse(found)];
  });
  return Math.floor((Math.min(...until, Date.now() + 400 * 86_400_000) - Date.now()) / 1000) - 2 * 3600;
}

describe("built twice", { skip: noFakeTime, timeout: 60 * 60_000 }, () => {
  const outer = mkdtempSync(join(tmpdir(), "imgtask-twice-"));
  const files = { "imagefile.ts": imagefile, "directories.txt": Array.from({ length: 300 }, (_, index) => `project-${index}/${["prod", "stage", "dev"][index % 3]!}\n`).join("") };
  let one: TestProject, other: TestProject;
  // Between two makings of the same: one byte of a file of the disk, one of a file of the ISO.
  const flag = join(outer, "planted");
  const byte = (file: string): string => `printf X | dd of="${file}" conv=notrunc status=none`;
  const plant = {
    mke2fs: `    if [ -e ${flag} ]; then for word in "$@"; do [ "$before" != -d ] || ${byte("$word/etc/motd")}; before=$word; done; fi`,
    xorriso: `    if [ -e ${flag} ] && [ -e stage/.disk/info ]; then ${byte("stage/.disk/info")}; fi`,
  };
  const days: { env: Readonly<Record<string, string>>; seconds: number }[] = [];
  const imgtask = (project: TestProject, day: number, prefix: readonly string[], env: Readonly<Record<string, string>>, ...argv: readonly string[]): Promise<Finished> =>
    project.start(argv, { prefix: [...prefix, "env", ...Object.entries(days[day]!.env).map(([name, value]) => `${name}=${value}`)], env, timeout: 25 * 60_000 }).finished;

  before(() => {
    mkdirSync(join(outer, "another place ü"));
    one = new TestProject(files);
    other = new TestProject(files, join(outer, "another place ü/with a name of its own"));
    for (const seconds of [0, ahead(outer)]) days.push({ env: fakeTime(join(outer, `tools ${seconds}`), `+${seconds}s`, plant), seconds });
  });
  after(() => {
    one?.eject();
    other?.eject();
    rmSync(outer, { recursive: true, force: true });
  });

  test("the same bytes", async (t) => {
    // The clocks do differ: for a tool, and for what a tool starts.
    const clock = (day: number): number => Number(execFileSync(join(outer, `tools ${days[day]!.seconds}`, "unshare"), ["--mount", "date", "+%s"], { encoding: "utf8" }));
    assert.ok(days[1]!.seconds > 86_400, "the archive's lists allow another day");
    assert.ok(clock(1) - clock(0) >= days[1]!.seconds);
    const first = await imgtask(one, 0, [], { LC_ALL: "C", TZ: "UTC" }, "run", "--reporter", "plain", "-j", "1");
    assert.equal(first.code, 0, first.stderr.slice(-6000));
    const home = join(outer, "home");
    mkdirSync(home);
    writeFileSync(join(home, ".mtoolsrc"), "mtools_skip_check=1\n");
    const second = await imgtask(other, 1, ["sh", "-c", 'umask 077; exec "$@"', "sh"], { LC_ALL: "C.UTF-8", LANG: "tr_TR.UTF-8", LANGUAGE: "de", TZ: "Asia/Kathmandu", HOME: home }, "run", "--reporter", "plain", "-j", "4");
    assert.equal(second.code, 0, second.stderr.slice(-6000));
    for (const project of [one, other]) for (const name of names) assert.ok(project.exists(`artifacts/${name}`), name);
    const [left, right] = [await listing(one.path("artifacts")), await listing(other.path("artifacts"))];
    assert.deepEqual(right, left);
    assert.deepEqual(await listing(other.path("workspaces")), await listing(one.path("workspaces")));
    const stamp = (project: TestProject): number => Date.parse(/When: (\S+)/.exec(project.read(`logs/${readdirSync(project.path("logs")).find((name) => name.startsWith("directories-"))!}`))![1]!);
    assert.ok(stamp(other) - stamp(one) > days[1]!.seconds * 1000, "the second was another day");
    t.diagnostic(`${left.filter((line) => line.startsWith("100")).length} files equal by SHA-256, ${(days[1]!.seconds / 86_400).toFixed(1)} days apart`);
  });

  test("made again, they are said to be equal", async (t) => {
    const again = await imgtask(one, 0, [], {}, "verify", "--rebuild", "iso:debian", "disk:debian", "dirs:debian");
    assert.equal(again.code, 0, again.stdout + again.stderr);
    for (const name of ["iso:debian", "disk:debian", "dirs:debian"]) assert.match(again.stdout, new RegExp(`^${name} came out the same, byte for byte`, "m"));
    t.diagnostic(again.stdout.trim().replaceAll("\n", "; "));
  });

  test("a planted difference is shown: the file inside of the image, the place, both bytes", async (t) => {
    writeFileSync(flag, "");
    const again = await imgtask(one, 0, [], {}, "verify", "--rebuild", "iso:debian", "disk:debian");
    assert.equal(again.code, 3, again.stdout + again.stderr);
    assert.match(again.stderr, /IMG4090/);
    assert.match(again.stdout, /^disk:debian came out another way\n {2}out: 1 of \d+ bytes differ, in 1 place\n.*byte \d+: disk › partition \d \(.*\) › \/etc\/motd, byte 0\n.*stored +6d {2}"m"\n.*rebuilt +58 {2}"X"$/m);
    assert.match(again.stdout, /^iso:debian came out another way\n {2}out: 1 of \d+ bytes differ, in 1 place\n.*byte \d+: \/\.disk\/info, byte 0\n.*stored +49 {2}"I"\n.*rebuilt +58 {2}"X"$/m);
    t.diagnostic(again.stdout.trim());
  });
});
