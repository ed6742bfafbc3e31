/**
 * Ends process groups when imgtask dies without a chance to do so itself, as by SIGKILL.
 * Knows nothing of what runs in them.
 *
 * A small shell process holds one end of a pipe and the list of groups. Whatever way imgtask ends, the kernel
 * closes the other end: the shell then kills the groups that are left, and ends too.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";

const script = `trap '' INT TERM HUP
groups=' '
while read -r change id; do
  case "$change$groups" in
    +*) groups="$groups$id " ;;
    -*" $id "*) groups="\${groups%% $id *} \${groups#* $id }" ;;
  esac
done
for id in $groups; do kill -s KILL -- "-$id"; done 2>/dev/null`;

const groups = new Set<number>();
let guard: ChildProcess | undefined;

function tell(line: string): void {
  if (guard === undefined) {
    if (groups.size === 0) return;
    const started = spawn("/bin/sh", ["-c", script], { detached: true, stdio: ["pipe", "ignore", "ignore"], env: {}, cwd: "/" });
    guard = started;
    // Without a guard everything still works; only a killed imgtask leaves its commands behind.
    started.on("error", () => {});
    started.stdin!.on("error", () => {});
    // Somebody ended it: the next one learns of all that is left.
    started.on("exit", () => {
      if (guard === started) guard = undefined;
      tell("");
    });
    started.unref();
    (started.stdin as unknown as { unref(): void }).unref();
    for (const id of groups) started.stdin!.write(`+ ${id}\n`);
  } else guard.stdin!.write(`${line}\n`);
}

/**
 * Puts a process group under guard; the result takes it out again, once the group is gone. What is written to a pipe
 * outlives the writer: a group is safe as soon as this returns.
 */
export function guardGroup(id: number): () => void {
  groups.add(id);
  tell(`+ ${id}`);
  return () => {
    groups.delete(id);
    tell(`- ${id}`);
  };
}
