/**
 * What a console shows when it was the emulator that failed, which tells nothing of the image. Knows no machine.
 * @module
 */

const faults: readonly { readonly shows: RegExp; readonly says: string }[] = [
  // A kernel that starts looks whether its timer ticks, within some 50 ms of real time, in which an emulator on a busy
  // host may not run.
  { shows: /Kernel panic - not syncing: IO-APIC \+ timer doesn't work/, says: "The guest's timer did not tick, since this host is busy" },
  // QEMU before 8.0 evaluates `cmpxchg16b` with the flags of an earlier instruction when two interrupts follow each other
  // at once, and takes an operand for flags. No processor has flags beyond bit 21: Intel SDM, volume 1, 3.4.3.
  { shows: /EFLAGS: (?!00[0-3][0-9a-f]{5}\b)[0-9a-f]{8,16}\b[^]*Kernel panic - not syncing/, says: "The emulator gave the guest flags that no processor has" },
];

/** Which fault of an emulator stopped a guest, by its console; `undefined` when none of those that are known. */
export function emulatorFault(console: string): string | undefined {
  return faults.find(({ shows }) => shows.test(console))?.says;
}
