/**
 * Ends what left its process group, as daemons do: every command is given a `TMPDIR` that no other has, and passes it
 * on to all that it starts. Knows no target.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between SIGTERM and SIGKILL. */
const grace = 1000;

/** Processes, other than this one, whose `TMPDIR` begins with a text. Those of other users are not seen, except by root. */
function strays(prefix: string): readonly number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      return `\0${readFileSync(`/proc/${name}/environ`, "utf8")}`.includes(`\0TMPDIR=${prefix}`) ? [Number(name)] : [];
    } catch {
      // It has ended, or is somebody else's.
      return [];
    }
  });
}

function signal(id: number, name: NodeJS.Signals): void {
  try {
    process.kill(id, name);
  } catch {
    // It has just ended.
  }
}

/**
 * Ends all processes whose `TMPDIR` begins with a text: first politely, a second later for good.
 *
 * @param prefix of directories that imgtask made for commands of its own, with what keeps it from matching others
 */
export async function endStrays(prefix: string): Promise<void> {
  for (const id of strays(prefix)) signal(id, "SIGTERM");
  for (let waited = 0, step = 2; waited < grace && strays(prefix).length > 0; waited += step, step = Math.min(50, step * 2)) await sleep(step);
  for (const id of strays(prefix)) signal(id, "SIGKILL");
}
