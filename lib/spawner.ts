/**
 * Starts commands by a small process of its own: Node forks itself for each command, all its memory included, which
 * takes milliseconds. Knows nothing of targets.
 *
 * The small process is a perl, which Debian always has. It is told of commands in frames, `N` bytes of `N`-prefixed
 * fields (numbers of four bytes, big-endian), and answers in lines: `s ID PID`: it was started, as the leader of a group
 * of its own; `f ID ERRNO`: it could not be; `e ID STATUS LEFT`: it ended, with the status as `wait` has it, and whether
 * something of its group was left. It tells the guard of groups, and holds the guard's pipe until what it has forked is a
 * command, as imgtask itself does.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { Group } from "./group.ts";
import { guardGroup, guardPipe } from "./guard.ts";

const perl = "/usr/bin/perl";

/**
 * No modules: they would double what is to be forked. A signal that arrives between a look at what ended and the wait for
 * more is seen when the wait is over: for that it is short at first. Where imgtask has died, what it had asked for is not
 * begun.
 */
const script = `use strict;
my ($parent, $me) = ($ARGV[0], $$);
open my $in, '<&', \\*STDIN; open my $out, '>&', \\*STDOUT; open my $guard, '>&=', 3;
fcntl $guard, 2, 1;
open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null';
$SIG{$_} = sub { kill 'KILL', $$ if $$ != $me } for qw(INT TERM HUP);
$SIG{$_} = sub {} for qw(CHLD PIPE);
my ($buffer, $bits, $pause, %ids) = ('', '', 1);
vec($bits, fileno $in, 1) = 1;
sub answer { syswrite $out, join(' ', @_) . "\\n" }
sub start {
  my ($id, $cwd, $stdout, $stderr, $argc, @rest) = @_;
  return if getppid != $parent;
  my $pid = fork;
  return answer('f', $id, $! + 0) if !defined $pid;
  if ($pid == 0) {
    setpgrp 0, 0;
    if (chdir $cwd and open STDERR, '>>', $stderr and $stdout eq $stderr ? open STDOUT, '>&', \\*STDERR : sysopen STDOUT, $stdout, 1) {
      my @argv = splice @rest, 0, $argc;
      %ENV = @rest;
      exec { $argv[0] } @argv;
    }
    answer('f', $id, $! + 0);
    kill 'KILL', $$;
  }
  setpgrp $pid, $pid;
  syswrite $guard, "+ $pid\\n";
  $ids{$pid} = $id;
  answer('s', $id, $pid);
}
for (;;) {
  while ((my $pid = waitpid -1, 1) > 0) {
    my $status = $?;
    my $left = kill(0, -$pid) || $! == 1 ? 1 : 0; # 1: EPERM, what is left runs as somebody else
    syswrite $guard, "- $pid\\n" if !$left;
    answer('e', delete $ids{$pid}, $status, $left);
  }
  while (length $buffer >= 4 and length $buffer >= 4 + (my $size = unpack 'N', $buffer)) {
    my @fields = unpack '(N/a*)*', substr $buffer, 4, $size;
    substr $buffer, 0, 4 + $size, '';
    start(@fields);
    $pause = 0.02;
  }
  my $found = select my $ready = $bits, undef, undef, %ids ? $pause : undef;
  $pause = 1 if ($pause *= 2) > 1;
  next if $found <= 0;
  my $got = sysread $in, $buffer, 65536, length $buffer;
  last if defined $got && $got == 0;
}
`;

/** A command to be started. */
export interface Order {
  /** Absolute path of the program. */
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Open file for its standard output. @default that of `stderr` */
  readonly stdout?: number | undefined;
  /** Open file for its standard error; written to at its end. */
  readonly stderr: number;
}

/** A command that was asked for. */
export interface Spawned {
  /** Ends it and its group: first politely, then for good. */
  readonly end: () => void;
  /** Its exit code, 128 and the signal's number for one that a signal ended. Rejects when it could not be started. */
  readonly exit: Promise<number>;
  /** Resolves when nothing of its group is left. */
  readonly gone: Promise<void>;
}

/** Joins fields as the small process reads them. */
function frame(fields: readonly string[]): Buffer {
  const sizes = fields.map((field) => Buffer.byteLength(field));
  const bytes = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + 4 + size, 4));
  let at = bytes.writeUInt32BE(bytes.length - 4);
  fields.forEach((field, index) => {
    at = bytes.writeUInt32BE(sizes[index]!, at);
    at += bytes.write(field, at);
  });
  return bytes;
}

/** A command that was asked for and has not ended. */
class Running implements Spawned {
  readonly file: string;
  readonly exit: Promise<number>;
  readonly gone: Promise<void>;
  readonly settle: (gone: Promise<void>) => void;
  readonly resolve: (code: number) => void;
  readonly reject: (error: Error) => void;
  group: Group | undefined;
  #release: ((told: boolean) => void) | undefined;
  #ending = false;

  constructor(file: string) {
    this.file = file;
    let settle: Running["settle"], resolve: Running["resolve"], reject: Running["reject"];
    this.gone = new Promise((one) => (settle = one));
    this.exit = new Promise((one, other) => [resolve, reject] = [one, other]);
    [this.settle, this.resolve, this.reject] = [settle!, resolve!, reject!];
  }

  /** It has begun. */
  began(pid: number, told: boolean): void {
    this.#release = guardGroup(pid, told);
    this.group = new Group(pid);
    if (this.#ending) this.group.end();
  }

  /** It has ended. @param told whether nothing of its group is left, and the guard knows */
  async ended(told: boolean, left: boolean): Promise<void> {
    if (left) await this.group!.clear();
    else this.group!.forget();
    this.#release!(told);
  }

  end(): void {
    this.#ending = true;
    this.group?.end();
  }
}

/** One small process, and the commands that it runs. */
class Spawner {
  /** The pipe of the guard that is told of groups. */
  readonly guard: Socket;
  readonly #child: ChildProcess;
  readonly #running = new Map<number, Running>();
  #serial = 0;
  /** The beginning of a line. */
  #rest = "";
  #alive = true;
  #retired = false;

  constructor(guard: Socket) {
    this.guard = guard;
    this.#child = spawn(perl, ["-e", script, "--", String(process.pid)], { cwd: "/", env: {}, detached: true, stdio: ["pipe", "pipe", "ignore", guard] });
    const { stdin, stdout } = this.#child;
    const lost = (): void => this.#lost();
    this.#child.once("error", lost).once("close", lost);
    stdin?.on("error", () => {}); // Its end is told by another event.
    stdout?.setEncoding("latin1").on("data", (text: string) => this.#hear(text));
    (stdin as unknown as Socket | null)?.unref();
    if (this.#child.pid === undefined) this.#alive = false;
    else this.#wait();
  }

  /** Whether the small process is there. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Starts a command, which ends when `signal` aborts, and when this process dies. */
  start({ file, args, cwd, env, stdout, stderr }: Order, signal: AbortSignal): Spawned {
    const running = new Running(file), id = this.#serial++;
    const end = (): void => running.end();
    signal.addEventListener("abort", end, { once: true });
    void running.gone.then(() => signal.removeEventListener("abort", end));
    const opened = (fd: number): string => `/proc/${process.pid}/fd/${fd}`;
    this.#running.set(id, running);
    this.#wait();
    this.#child.stdin!.write(frame([String(id), cwd, opened(stdout ?? stderr), opened(stderr), String(args.length + 1), file, ...args, ...Object.entries(env).flat()]));
    return running;
  }

  /** Has it end with the last of its commands. */
  retire(): void {
    this.#retired = true;
    this.#wait();
  }

  /** Keeps the process alive while a command runs, and no longer. */
  #wait(): void {
    // The end of the small process is waited for as well: it may be ended by somebody.
    const waited = [this.#child, this.#child.stdout as Socket];
    if (this.#running.size > 0) return waited.forEach((one) => one.ref());
    for (const one of waited) one.unref();
    if (this.#retired) this.#child.stdin!.end();
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const [what, id, ...numbers] = line.split(" ").map((word, index) => (index === 0 ? word : Number(word))) as [string, number, number, number];
      const running = this.#running.get(id);
      if (running === undefined) continue; // The end of one that could not become the command.
      if (what === "s") running.began(numbers[0], this.#guarded);
      else {
        this.#running.delete(id);
        if (what === "e") this.#ended(running, numbers[0], numbers[1] === 1);
        else {
          running.settle(running.group === undefined ? Promise.resolve() : running.ended(this.#guarded, false));
          running.reject(new Error(`spawn ${running.file} ${getSystemErrorName(-numbers[0])}`));
        }
      }
    }
    this.#wait();
  }

  /** Whether the guard that the small process tells of groups is the one that is there. */
  get #guarded(): boolean {
    return this.guard === guardPipe();
  }

  #ended(running: Running, status: number, left: boolean): void {
    running.settle(running.ended(!left && this.#guarded, left));
    running.resolve((status & 0x7f) === 0 ? status >> 8 : 128 + (status & 0x7f));
  }

  /** Somebody ended the small process: how its commands end, nobody can tell, so they are ended. */
  #lost(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const running of this.#running.values()) {
      running.end();
      running.settle(running.group === undefined ? Promise.resolve() : running.ended(false, true));
      running.reject(new Error("the process that starts commands was ended"));
    }
    this.#running.clear();
  }
}

let spawner: Spawner | undefined;
let there: boolean | undefined;

/** The process that starts commands; `undefined` where there is no perl. One that was ended is replaced. */
export function spawnerHere(): Pick<Spawner, "start"> | undefined {
  // Deno forks no memory.
  there ??= existsSync(perl) && process.versions["deno"] === undefined;
  const guard = there ? guardPipe() : undefined;
  if (guard === undefined) return undefined;
  if (spawner?.alive === true && spawner.guard === guard) return spawner;
  spawner?.retire();
  spawner = new Spawner(guard);
  return spawner.alive ? spawner : undefined;
}
