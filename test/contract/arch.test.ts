/**
 * What every architecture must hold to.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ImgtaskError } from "../../lib/mod.ts";
import { archOf, architectures, emulationOf } from "../../plugins/arch/mod.ts";

for (const arch of architectures) {
  test(`${arch.name}: names are those that its tools know`, () => {
    assert.match(arch.name, /^[a-z0-9_]+$/);
    assert.equal(archOf(arch.name), arch);
    assert.match(arch.grub.removable, /^BOOT[A-Z0-9]+\.EFI$/);
    assert.match(arch.grub.efi, /-efi$/);
    assert.match(arch.console, /^tty[A-Z]+\d+(,\d+)?$/);
    assert.equal(arch.qemu.system.name, `qemu-system-${arch.name}`);
    assert.ok(Object.isFrozen(arch));
  });

  test(`${arch.name}: what it needs can be installed with apt`, () => {
    const { system, firmware } = arch.qemu;
    for (const need of [system, firmware.code, firmware.vars, arch.userEmulation]) assert.ok(need.packages["apt"], need.name);
  });

  test(`${arch.name}: code and variable store of the firmware come from the same directories in the same order`, () => {
    const directories = (files: readonly string[]): readonly string[] => [...new Set(files.map((file) => file.slice(0, file.lastIndexOf("/"))))];
    const { code, vars } = arch.qemu.firmware;
    assert.deepEqual(directories(vars.anyOf), directories(code.anyOf));
    for (const file of [...code.anyOf, ...vars.anyOf]) assert.match(file, /^\//);
  });

  test(`${arch.name}: emulation is asked for on foreign hosts only`, () => {
    assert.deepEqual(emulationOf(arch), arch.node === process.arch ? [] : [arch.userEmulation]);
  });
}

test("no two architectures share a name of any kind", () => {
  for (const key of ["name", "node", "oci"] as const) assert.equal(new Set(architectures.map((arch) => arch[key])).size, architectures.length);
});

test("an unknown architecture is told apart from another name of a known one", () => {
  assert.throws(() => archOf("mips"), (error: unknown) => {
    assert.ok(error instanceof ImgtaskError);
    assert.equal(error.code, "IMG2110");
    assert.match(error.message, /"mips"/);
    assert.match(error.expected ?? "", /"x86_64" or "aarch64"|"aarch64" or "x86_64"/);
    assert.equal(error.hint, undefined);
    return true;
  });
  assert.throws(() => archOf("amd64"), { code: "IMG2110", hint: `Did you mean "x86_64"?` });
});
