/**
 * The kind `test` on a real emulator, with a machine whose whole system is one sector: it writes to its disk, prints
 * a text on the serial console, and then halts or resets.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { output, target } from "../../../lib/mod.ts";
import { probe } from "../../../plugins/test/accel.ts";
import { archOf } from "../../../plugins/arch/mod.ts";
import { test as boot, type TestOptions } from "../../../plugins/test/test.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";

// cli; ds=es=ss=0; sp=0x7c00; sti; int 13h: write this sector to sector 2 of the disk; then for each byte at 0x7d00:
// 1: reset by the keyboard controller; 2: hlt for ever; otherwise wait for COM1 and print it.
const program = Buffer.from("+jHAjtiOwI7QvAB8+7gBA7sAfLkCALYAzRO+AH2sPAF0FjwCdBaIxLr9A+yoIHT4iOC6+APu6+Ww/uZk9Ov9", "base64");
const directory = mkdtempSync(join(tmpdir(), "imgtask-boot,")); // A comma: it separates options of QEMU.
after(() => rmSync(directory, { recursive: true, force: true }));
const skip = spawnSync("qemu-system-x86_64", ["--version"]).error === undefined ? false : "qemu-system-x86 is not installed";

function image(name: string, text: string, end: "halt" | "reset"): string {
  const disk = Buffer.alloc(1 << 20);
  program.copy(disk);
  disk.write(`${text}${end === "reset" ? "\x01" : "\x02"}`, 0x100, "latin1");
  disk.writeUInt16LE(0xaa55, 510);
  const path = join(directory, `${name}.img`);
  writeFileSync(path, disk);
  return path;
}

let count = 0;
async function run(path: string, options: Partial<TestOptions<"disk">>, abort?: AbortSignal): Promise<{ done?: RecipeRun; error?: Error & { code?: string; expected?: string; found?: string; hint?: string }; logs: string; logged: string; project: string; name: string }> {
  const name = `sector-${++count}`;
  const disk = { ...target(`disk:${name}`, { outputs: { out: output("file", "disk") }, run() {} }), arch: "x86_64" };
  boot(name, { image: disk, memory: 64, cpus: 1, timeout: 60, expect: { console: ["login: "] }, ...options });
  let project = "";
  const prepare = (directory: string): void => {
    project = directory;
    writeFileSync(join(directory, "key"), "no key\n");
  };
  const noise = console.error;
  let logged = "";
  console.error = (text: string) => void (logged = text); // The rig shows the log of a recipe that fails; here it should.
  try {
    const done = await runRecipe(`test:${name}`, { "inputs.image": path }, { prepare, ...(abort === undefined ? {} : { signal: abort }) });
    return { done, logs: join(project, "logs", `test-${name}`), project, name, logged };
  } catch (error) {
    return { error: error as Error, logged, logs: join(project, "logs", `test-${name}`), project, name };
  } finally {
    console.error = noise;
  }
}

/** Processes that have the image on their command line. */
function users(path: string): readonly string[] {
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(path.replaceAll(",", ",,"));
    } catch {
      return false;
    }
  });
}

test("what the machine prints is checked in order and kept, with the screen; the image stays as it was", { skip, timeout: 120_000 }, async () => {
  const path = image("fine", "\x1b[1mHELLO\x1b[0m world\r\nlogin: ", "halt");
  const before = readFileSync(path);
  const { done, error } = await run(path, { expect: { console: ["HELLO world", /^login: $/m] } });
  assert.equal(error, undefined);
  assert.match(readFileSync(done!.outputs["console"]!, "latin1"), /\x1b\[1mHELLO/, "the log is what came, not what was made of it");
  assert.match(readFileSync(done!.outputs["out"]!, "utf8"), /tests="2" failures="0"/);
  assert.equal(readFileSync(done!.outputs["screenshot"]!).toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
  assert.match(done!.log(), /^Booting with (KVM|TCG): /m);
  assert.deepEqual(readFileSync(path), before, "the machine wrote to its disk, and the image must not have changed");
  assert.deepEqual(users(path), []);
  assert.deepEqual(readdirSync(join(done!.directory, "tmp")).filter((name) => name.startsWith("qemu-")), []);
  done!.dispose();
});

test("a qcow2 boots as well, and from a directory too deep for a socket", { skip, timeout: 120_000 }, async () => {
  const path = image("deep", "login: ", "halt");
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", path, `${path}.qcow2`]);
  const deep = join(directory, "x".repeat(100));
  mkdirSync(deep);
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = deep;
  try {
    const { done, error } = await run(`${path}.qcow2`, {});
    assert.equal(error, undefined);
    done!.dispose();
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
});

test("a pattern that never comes fails at the time limit; console, screen and report outlive the run", { skip, timeout: 120_000 }, async () => {
  const path = image("late", "one\r\nlogin prompt", "halt");
  const start = Date.now();
  const { error, logs, name } = await run(path, { timeout: 4, expect: { console: ["one", "login: ", "never reached"] } });
  assert.ok(Date.now() - start < 30_000);
  assert.equal(error?.code, "IMG3503");
  assert.equal(error?.expected, `"login: " on the serial console`);
  assert.match(error?.found ?? "", /^nothing of it after 4 s\nlast lines of the console:\n(.*\n)*  one\n  login prompt$/);
  assert.match(error?.hint ?? "", new RegExp(`logs/test-${name}/`));
  assert.match(readFileSync(join(logs, "console.log"), "utf8"), /one\r\nlogin prompt$/);
  assert.match(readFileSync(join(logs, "junit.xml"), "utf8"), /tests="3" failures="1" errors="0" skipped="1"/);
  assert.equal(readFileSync(join(logs, "screen.png")).toString("latin1", 1, 4), "PNG");
  assert.deepEqual(users(path), []);
});

test("a machine that resets, and a kernel that panics, fail at once and not at the time limit", { skip, timeout: 120_000 }, async () => {
  const start = Date.now();
  const reset = await run(image("reset", "one\r\n", "reset"), { timeout: 300 });
  assert.equal(reset.error?.code, "IMG3503");
  assert.match(reset.error?.found ?? "", /^the machine stopped: guest-reset\n/);
  const panic = await run(image("panic", "Kernel panic - not syncing: No init found\r\n", "halt"), { timeout: 300 });
  assert.equal(panic.error?.code, "IMG3504");
  assert.match(panic.error?.found ?? "", /^Kernel panic - not syncing: No init found\n/);
  assert.ok(Date.now() - start < 120_000);
});

test("a kernel whose timer was lost to a busy host starts three times, where machines are emulated", { skip, timeout: 120_000 }, async () => {
  const { error, logged } = await run(image("timer", "Kernel panic - not syncing: IO-APIC + timer doesn't work!\r\n", "halt"), { timeout: 300 });
  assert.equal(error?.code, "IMG3504");
  assert.equal(logged.match(/powering on again/g)?.length ?? 0, logged.includes("Booting with KVM") ? 0 : 2);
});

test("what a machine prints while this process has other things to do is not lost", { skip, timeout: 120_000 }, async () => {
  // Prints the text 4,000 times, 44 KB, and halts. As Linux does, it waits some 10 ms for a character to go, and then prints the next.
  const chatter = Buffer.from("31c08ed88ed0bc007cfcb9a00fbe007dac84c0741888c3bafd03bf204eeca82075034f75f8baf80388d8eeebe3e2def4ebfd", "hex");
  const disk = Buffer.alloc(1 << 20);
  chatter.copy(disk);
  disk.write("0123456789\n\0", 0x100, "latin1");
  disk.writeUInt16LE(0xaa55, 510);
  const path = join(directory, "chatter.img");
  writeFileSync(path, disk);
  const busy = setInterval(() => {
    for (const end = Date.now() + 250; Date.now() < end;);
  }, 300);
  try {
    const { done, error } = await run(path, { expect: { console: [/(?:0123456789\n){4000}/] } });
    assert.equal(error, undefined, error?.found);
    done!.dispose();
  } finally {
    clearInterval(busy);
  }
});

test("without an SSH server nothing inside is looked at", { skip, timeout: 120_000 }, async () => {
  const { error, logs } = await run(image("mute", "login: ", "halt"), {
    timeout: 5,
    login: { user: "devops", identity: "key" },
    expect: { console: ["login: "], services: ["ssh"], ssh: { passwordLogin: false } },
  });
  assert.equal(error?.code, "IMG3505");
  assert.match(error?.message ?? "", /^Boot test failed: SSH server answers$/);
  assert.match(readFileSync(join(logs, "junit.xml"), "utf8"), /tests="6" failures="1" errors="0" skipped="4"/);
});

test("an abort ends the emulator and keeps the console", { skip, timeout: 120_000 }, async () => {
  const path = image("abort", "one\r\n", "halt");
  const controller = new AbortController();
  const running = run(path, { timeout: 300 }, controller.signal);
  for (let tries = 0; users(path).length === 0 && tries < 400; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  setTimeout(() => controller.abort(), 1500);
  const { error, logs } = await running;
  assert.ok(error !== undefined);
  assert.deepEqual(users(path), []);
  assert.match(readFileSync(join(logs, "console.log"), "utf8"), /one/);
});

test("an image that refers to other files of the host is refused before anything is started", { skip, timeout: 120_000 }, async () => {
  const base = image("base", "login: ", "halt");
  const file = (name: string): string => join(directory, name);
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", file("backed")]);
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `data_file=${file("data.raw").replaceAll(",", ",,")}`, file("external"), "1M"]);
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "vmdk", base, file("vmdk")]);
  writeFileSync(file("text"), "# Disk DescriptorFile\n");
  writeFileSync(file("zero"), Buffer.alloc(4096));
  for (const [name, found] of [["backed", /backing/], ["external", /external data/], ["vmdk", /VMDK/], ["text", /VMDK descriptor/], ["zero", /neither/]] as const) {
    const { error } = await run(file(name), {});
    assert.equal(error?.code, "IMG3501", name);
    assert.match(error?.found ?? "", found);
  }
});

test("the probe of the processor comes to its end on an emulator that works", { skip, timeout: 120_000 }, async () => {
  const context = {
    tmp: directory,
    signal: new AbortController().signal,
    exec: async (argv: readonly string[]) => ({ code: spawnSync(argv[0]!, argv.slice(1), { timeout: 30_000 }).status ?? -1, stdout: "" }),
  };
  assert.equal(await probe("tcg", archOf("x86_64"), context), true);
  const broken = { ...context, exec: async () => ({ code: 0, stdout: "" }) };
  assert.equal(await probe("tcg", archOf("x86_64"), broken), false, "an end by itself is no proof: only the probe's own code is");
});
