/**
 * Ends process groups when imgtask dies without a chance to do so itself, as by SIGKILL.
 * Knows nothing of what runs in them.
 *
 * A small shell process holds one end of a pipe and the list of groups. Whatever way imgtask ends, the kernel
 * closes the other end: the shell then kills the groups that are left and what has left its group, and ends too.
 *
 * A process that imgtask has forked holds the other end as well, until it has become the command. So what was not yet on
 * the list when imgtask died is a command by the time the shell looks for what is left, and has the environment it is
 * known by.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import type { Socket } from "node:net";

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
    id="\${id%/environ}"
    kill -s KILL -- "-$id"
    kill -s KILL "$id"
  done
  sleep 0.02
done`;

/** What `TMPDIR` begins with in every command; see {@linkcode guardStrays}. */
let strays = "";

/** The bits of a mode that make a program run as its owner or group. */
const setId = 0o6000;

const groups = new Set<number>();
let guard: ChildProcess | undefined;

function start(): void {
  const started = spawn("/bin/sh", ["-c", script, "sh", strays.replace(/[\\.[*^$]/g, "\\$&")], { detached: true, stdio: ["pipe", "ignore", "ignore"], env: {}, cwd: "/" });
  guard = started;
  // Without a guard everything still works; only a killed imgtask leaves its commands behind.
  started.on("error", () => {});
  started.stdin!.on("error", () => {});
  // Somebody ended it: the next one learns of all that is left.
  started.on("exit", () => {
    if (guard === started) guard = undefined;
    if (groups.size > 0) start();
  });
  started.unref();
  (started.stdin as unknown as { unref(): void }).unref();
  for (const id of groups) started.stdin!.write(`+ ${id}\n`);
}

function tell(line: string): void {
  if (guard !== undefined) guard.stdin!.write(`${line}\n`);
  else if (groups.size > 0) start();
}

/** Has the guard end, too, what left its group: all processes whose `TMPDIR` begins with a text. To be said before the first group. */
export function guardStrays(prefix: string): void {
  strays = prefix;
}

/**
 * Whether the guard finds a process that it was not told of, by its environment, as soon as it is forked. Starts the
 * guard.
 *
 * @param file absolute path of its program. The environment of what runs as somebody else, or may not be read, is hidden
 */
export function isFound(file: string, env: Readonly<Record<string, string | undefined>> | undefined): boolean {
  if (guard === undefined) start();
  if (strays === "" || env?.["TMPDIR"]?.startsWith(strays) !== true) return false;
  try {
    accessSync(file, constants.R_OK);
    return (statSync(file).mode & setId) === 0;
  } catch {
    return false;
  }
}

/**
 * Puts a process group under guard; the result takes it out again, once the group is gone. What is written to a pipe
 * outlives the writer: a group is safe as soon as this returns.
 *
 * @param told whether somebody else has told the guard, as `told` of the result says that somebody will take it out
 */
export function guardGroup(id: number, told = false): (told?: boolean) => void {
  groups.add(id);
  if (!told) tell(`+ ${id}`);
  return (done = false) => {
    groups.delete(id);
    if (!done) tell(`- ${id}`);
  };
}

/** What the guard is told by, for a process that tells it of groups itself, in lines `+ ID` and `- ID`. */
export function guardPipe(): Socket | undefined {
  if (guard === undefined) start();
  return guard?.pid === undefined ? undefined : (guard.stdin as Socket);
}
