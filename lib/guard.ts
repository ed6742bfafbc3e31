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

let guard: ChildProcess | undefined;

function tell(line: string): void {
  if (guard === undefined) {
    guard = spawn("/bin/sh", ["-c", script], { detached: true, stdio: ["pipe", "ignore", "ignore"], env: {}, cwd: "/" });
    // Without a guard everything still works; only a killed imgtask leaves its commands behind.
    guard.on("error", () => {});
    guard.stdin!.on("error", () => {});
    guard.unref();
    (guard.stdin as unknown as { unref(): void }).unref();
  }
  guard.stdin!.write(`${line}\n`);
}

/** Puts a process group under guard; the result takes it out again, once the group is gone. */
export function guardGroup(id: number): () => void {
  tell(`+ ${id}`);
  return () => tell(`- ${id}`);
}
