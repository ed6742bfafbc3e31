/**
 * The probe of how long a guest takes to boot, by the guest's own clock. Pure.
 * @module
 */
import type { Probe } from "./probe.ts";

/**
 * Whether kernel and services were up within a number of seconds: `FinishTimestampMonotonic` of systemd, which begins with
 * the kernel; firmware and boot loader are not in it. An emulated machine is some ten times slower than one with KVM.
 */
export function bootTimeProbe(seconds: number): Probe {
  return {
    name: `boot takes ${seconds} s at most`,
    shell: `systemctl show -p FinishTimestampMonotonic`,
    judge(printed) {
      const microseconds = Number(/^FinishTimestampMonotonic=(\d+)$/m.exec(printed)?.[1] ?? 0);
      if (microseconds === 0) return { expected: `${seconds} s`, found: "a boot that is not over, or another init than systemd" };
      return microseconds <= seconds * 1e6 ? undefined : { expected: `${seconds} s at most`, found: `${(microseconds / 1e6).toFixed(1)} s` };
    },
  };
}
