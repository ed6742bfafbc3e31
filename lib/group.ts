/**
 * Process groups that imgtask makes for commands: how one is ended, and when nothing of it is left. Knows neither
 * who starts a command nor what it is for.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between SIGTERM and SIGKILL for a process group that is to end. */
const grace = 5000;
/** Milliseconds that what a finished command left running in its group has to end by itself. */
const tail = 1000;

/** Sends a signal to a process group; tells whether anything is left of it. */
function signalGroup(id: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-id, name);
    return true;
  } catch (error) {
    // EPERM: what is left runs as somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether a process group has a process that is not merely waiting to be reaped. */
function lives(id: number): boolean {
  if (!signalGroup(id, 0)) return false;
  // Orphans that ended stay until the first process of the system takes note; in containers some never do.
  let names: readonly string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return true;
  }
  return names.some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(group) === id && state !== "Z" && state !== "X";
    } catch {
      return false;
    }
  });
}

/** A process group of a command's own. */
export class Group {
  readonly id: number;
  #timer: NodeJS.Timeout | undefined;
  #ending = false;

  /** @param id of the group, which is the command's process id */
  constructor(id: number) {
    this.id = id;
  }

  /** Ends it: first politely, then for good. */
  end(): void {
    this.#ending = true;
    signalGroup(this.id, "SIGTERM");
    this.#timer ??= setTimeout(() => signalGroup(this.id, "SIGKILL"), grace);
  }

  /** After the command's end: resolves when nothing of the group is left. What was left running has a second to end by itself. */
  async clear(): Promise<void> {
    const empty = async (wanted: () => boolean): Promise<void> => {
      for (let waited = 0, step = 1; wanted() && waited < tail && lives(this.id); waited += step, step = Math.min(50, step * 2)) await sleep(step);
    };
    if (signalGroup(this.id, 0)) {
      await empty(() => !this.#ending);
      // Those that are killed take a moment to be gone.
      if (signalGroup(this.id, "SIGKILL")) await empty(() => true);
    }
    this.forget();
  }

  /** Nothing of it is left, and its number may be anybody's. */
  forget(): void {
    clearTimeout(this.#timer);
  }
}
