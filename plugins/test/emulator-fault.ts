/**
 * What a console shows when it was the emulator that failed, which tells nothing of the image. Knows no machine.
 * @module
 */

/** What failed, and how to start again. */
export interface EmulatorFault {
  readonly says: string;
  /** An instruction that the next machine is better off without. */
  readonly without?: string;
}

/**
 * Flags in a report of Linux that no processor has: beyond bit 21 (Intel SDM, volume 1, 3.4.3). QEMU before 8.0 evaluates
 * `cmpxchg16b` with what earlier instructions left, and takes an operand for flags.
 */
export const impossibleFlags: RegExp = /EFLAGS: (?!00[0-3][0-9a-f]{5}\b)[0-9a-f]{8,16}\b/;

const faults: readonly (EmulatorFault & { readonly shows: RegExp })[] = [
  // A kernel that starts looks whether its timer ticks, within some 50 ms of real time, in which an emulator on a busy
  // host may not run.
  { shows: /Kernel panic - not syncing: IO-APIC \+ timer doesn't work/, says: "The guest's timer did not tick, since this host is busy" },
  // Linux does without the instruction.
  { shows: impossibleFlags, says: "The emulator gave the guest flags that no processor has", without: "cx16" },
  // Programs for x86-64-v2 do not.
  { shows: /CPU (?:ISA level is lower than required|does not support x86-64-v\d)/, says: "The emulated processor lacks what programs of the guest need" },
];

/** Which fault of an emulator stopped a guest, by its console; `undefined` when none of those that are known. */
export function emulatorFault(console: string): EmulatorFault | undefined {
  return faults.find(({ shows }) => shows.test(console));
}
