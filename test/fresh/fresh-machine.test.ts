/**
 * The two commands of README.md, run as a newcomer would on a machine that has only Node, npm and apt.
 * Takes minutes; needs root, mmdebstrap and a mirror.
 * @module
 */
import assert from "node:assert/strict";
import { closeSync, lstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { FreshMachine, obstacle } from "./machine.ts";
import { commandOf } from "./readme.ts";

const repository = resolve(import.meta.dirname, "../..");
const cwd = "/root/imgtask";

/** Bytes of a file. A link is followed inside the machine, so it must not be absolute. */
function bytesAt(path: string, position: number, length: number): Buffer {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(length);
    readSync(file, buffer, 0, length, position);
    return buffer;
  } finally {
    closeSync(file);
  }
}

describe("fresh machine", { timeout: 45 * 60_000 }, () => {
  let machine: FreshMachine;
  const logs = join(repository, "logs/fresh-machine");

  before(async () => {
    // Not skipped: a check that silently does not run is none.
    assert.equal(obstacle(), undefined);
    mkdirSync(logs, { recursive: true });
    machine = await FreshMachine.create();
    machine.checkout(repository, cwd);
  }, { timeout: 10 * 60_000 });
  after(async () => await machine?.[Symbol.asyncDispose]());

  test("has neither the tools nor the built program", async () => {
    const result = await machine.type("command -v xorriso mmdebstrap qemu-img gpg git tsc || test ! -e dist", { cwd, log: join(logs, "before.log") });
    assert.deepEqual({ code: result.code, said: result.tail }, { code: 0, said: "" });
  });

  test("the first command installs, builds and makes installer and disk", async (context) => {
    const result = await machine.type(commandOf("build"), { cwd, log: join(logs, "build.log") });
    assert.equal(result.code, 0, `${commandOf("build")}\n${result.tail}`);
    context.diagnostic(`first command: ${result.seconds.toFixed(0)} s`);
    const iso = join(machine.root, cwd, "artifacts/iso/debian.iso");
    const disk = join(machine.root, cwd, "artifacts/disk/debian.qcow2");
    for (const path of [iso, disk]) assert.ok(lstatSync(path).isFile() && lstatSync(path).size > 10e6, path);
    assert.equal(bytesAt(iso, 32769, 5).toString("latin1"), "CD001");
    assert.equal(bytesAt(iso, 510, 2).toString("hex"), "55aa"); // Starts from a USB stick, too.
    assert.equal(bytesAt(disk, 0, 4).toString("hex"), "514649fb"); // "QFI", 0xfb
  });

  test("the same targets again do nothing", async () => {
    const log = join(logs, "again.log");
    const result = await machine.type("node dist/lib/cli/main.js plan iso:debian disk:debian --exit-code", { cwd, log });
    assert.equal(result.code, 0, result.tail);
  });

  test("the second command installs and passes the tests", async (context) => {
    // The suites that boot machines run beside this check already; once is enough.
    const result = await machine.type(commandOf("test"), { cwd, log: join(logs, "test.log"), env: { IMGTASK_TEST_SUITES: "unit" } });
    assert.equal(result.code, 0, `${commandOf("test")}\n${result.tail}`);
    assert.match(result.tail, /ℹ fail 0/);
    const passed = Number(/ℹ pass (\d+)/.exec(result.tail)?.[1]);
    assert.ok(passed > 100, `${passed} tests passed`);
    context.diagnostic(`second command: ${result.seconds.toFixed(0)} s, ${passed} tests`);
  });
});
