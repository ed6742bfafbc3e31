/**
 * Ends process groups when imgtask dies without a chance to do so itself, as by SIGKILL.
 * Knows nothing of what runs in them.
 *
 * A small shell process holds one end of a pipe and the list of groups. Whatever way imgtask ends, the kernel
 * closes the other end: the shell then kills the groups that are left and what has left its group, and ends too.
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
exec 2>/dev/null
for id in $groups; do kill -s KILL -- "-$id"; done
[ -z "$1" ] || for try in 1 2 3; do
  for file in $(grep -alsz -e "^TMPDIR=$1" /proc/[0-9]*/environ); do
    id="\${file#/proc/}"
    kill -s KILL "\${id%/environ}"
  done
done`;

/** What `TMPDIR` begins with in every command; see {@linkcode guardStrays}. */
let strays = "";

const groups = new Set<number>();
let guard: ChildProcess | undefined;

function tell(line: string): void {
  if (guard === undefined) {
    if (groups.size === 0) return;
    const started = spawn("/bin/sh", ["-c", script, "sh", strays.replace(/[\\.[*^$]/g, "\\$&")], { detached: true, stdio: ["pipe", "ignore", "ignore"], env: {}, cwd: "/" });
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

/** Has the guard end, too, what left its group: all processes whose `TMPDIR` begins with a text. To be said before the first group. */
export function guardStrays(prefix: string): void {
  strays = prefix;
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
