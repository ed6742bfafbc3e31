/** What tells a fault of the emulator from one of the image. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { emulatorFault } from "../../../plugins/test/emulator-fault.ts";

/** An oops as Linux prints it. */
const oops = (flags: string): string => `[    9.97] Oops: general protection fault: 0000 [#1] SMP
[    9.97] RSP: 0018:ff49a7344064fc10 EFLAGS: ${flags}
[    9.97] RAX: ff288ffc3683cc60 RBX: ff288ffc3683cba0 RCX: 0000000002288000
[    9.97] Kernel panic - not syncing: Fatal exception in interrupt
`;

test("flags that no processor has are the emulator's", () => {
  // Seen with QEMU 7.2: the operand 3683cc60, and the two bits that are always set or were.
  assert.match(emulatorFault(oops("3683ce62"))!.says, /flags that no processor has/);
  assert.match(emulatorFault(oops("00400246"))!.says, /flags that no processor has/);
  assert.equal(emulatorFault(oops("3683ce62"))!.without, "cx16");
});

test("a panic with flags that a processor has is the image's", () => {
  for (const flags of ["00010246", "00000002", "003fffff", "00250a97"]) assert.equal(emulatorFault(oops(flags)), undefined, flags);
  assert.equal(emulatorFault("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"), undefined);
});

test("a timer that does not tick is the busy host's", () => {
  assert.match(emulatorFault("[ 0.2] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug\n")!.says, /timer did not tick/);
});

test("a processor that lacks what programs need is emulated whole again", () => {
  for (const line of ["Fatal glibc error: CPU does not support x86-64-v2", "sh: CPU ISA level is lower than required"]) assert.deepEqual([emulatorFault(line)?.without, emulatorFault(line) === undefined], [undefined, false]);
});
