/**
 * Reads what strace writes: one line at a time, into calls with their arguments. Refuses what it does not understand,
 * so that nothing is overlooked. Pure: knows nothing of targets, and not what the calls mean.
 * @module
 */

/** System calls that an audit needs to see, beside all that take a file name; what strace is told to trace. */
export const tracedCalls: string = [
  "%file", "fchdir", "getdents", "getdents64", "fchmod", "fchown", "ftruncate", "clone", "clone3", "fork", "vfork", "unshare", "setns",
  "fsconfig", "connect", "sendto", "sendmsg", "sendmmsg", "io_uring_setup", "open_by_handle_at", "ptrace",
].join(",");

/** A finished system call. */
export interface Call {
  readonly type: "call";
  /** Thread, as the tracer numbers it. */
  readonly pid: number;
  readonly name: string;
  /** As strace writes them. */
  readonly args: readonly string[];
  /** `0`, `3</path>`, `-1 ENOENT (No such file or directory)`, `?`. */
  readonly result: string;
}

/** Something strace says of a thread. */
export type Happening = Call | { readonly type: "gone"; readonly pid: number } | { readonly type: "superseded"; readonly pid: number; readonly by: number };

/** A path, and whether it was cut off. */
export interface Text {
  readonly text: string;
  readonly whole: boolean;
}

const escapes: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12, "\\": 92, '"': 34 };

/** The bytes that C escapes stand for, as UTF-8. */
export function unescapeC(text: string): string {
  if (!text.includes("\\")) return text;
  const bytes: Buffer[] = [];
  const pattern = /\\(?:([0-7]{1,3})|x([0-9a-f]{2})|(.))|[^\\]+/gs;
  for (const [whole, octal, hex, letter] of text.matchAll(pattern)) {
    if (octal !== undefined) bytes.push(Buffer.from([Number.parseInt(octal, 8)]));
    else if (hex !== undefined) bytes.push(Buffer.from([Number.parseInt(hex, 16)]));
    else if (letter !== undefined) bytes.push(Buffer.from([escapes[letter] ?? letter.charCodeAt(0)]));
    else bytes.push(Buffer.from(whole));
  }
  return Buffer.concat(bytes).toString("utf8");
}

/** The text of an argument such as `"name\n"`; `undefined` for one that is no text, such as `NULL`. */
export function textOf(argument: string | undefined): Text | undefined {
  const match = /^"((?:[^"\\]|\\.)*)"(\.\.\.)?$/s.exec(argument ?? "");
  return match === null ? undefined : { text: unescapeC(match[1]!), whole: match[2] === undefined };
}

/** The path of a file descriptor such as `3</etc/passwd>` or `AT_FDCWD</home>`; also of a result. */
export function pathOfDescriptor(argument: string | undefined): string | undefined {
  const match = /^(?:\d+|AT_FDCWD)<(\/[^>]*)>/.exec(argument ?? "");
  return match === null ? undefined : unescapeC(match[1]!);
}

/** End of the text, bracket or descriptor that begins at `start`; one past its last character. */
function skip(line: string, start: number): number {
  if (line[start] === '"') {
    for (let at = start + 1; at < line.length; at++) {
      if (line[at] === "\\") at++;
      else if (line[at] === '"') return at + 1;
    }
    return -1;
  }
  const end = line.indexOf(">", start);
  return end < 0 ? -1 : end + 1;
}

/** Splits `a, "b, c", [d, e]) = 0` into arguments and what follows the bracket; `undefined` when it does not end. */
function splitArguments(line: string, start: number): { readonly args: readonly string[]; readonly rest: string } | undefined {
  const args: string[] = [];
  let depth = 0;
  let begin = start;
  for (let at = start; at < line.length; ) {
    const character = line[at]!;
    const descriptor = character === "<" && /(?:\d|AT_FDCWD)$/.test(line.slice(Math.max(0, at - 8), at)) && line[at + 1] !== "<" && line[at - 1] !== "<";
    if (character === '"' || descriptor) {
      at = skip(line, at);
      if (at < 0) return undefined;
      continue;
    }
    if (line.startsWith("/*", at)) {
      const end = line.indexOf("*/", at);
      if (end < 0) return undefined;
      at = end + 2;
      continue;
    }
    if (character === "(" || character === "[" || character === "{") depth++;
    else if (character === ")" && depth === 0) {
      const last = line.slice(begin, at).trim();
      return { args: last === "" && args.length === 0 ? [] : [...args, last], rest: line.slice(at + 1) };
    } else if (character === ")" || character === "]" || character === "}") depth--;
    else if (character === "," && depth === 0) {
      args.push(line.slice(begin, at).trim());
      begin = at + 1;
    }
    at++;
  }
  return undefined;
}

/** Puts the lines of one trace together. */
export class StraceReader {
  readonly #unfinished = new Map<number, string>();

  /** Threads that are in the middle of a call, with what is known of it. */
  get unfinished(): ReadonlyMap<number, string> {
    return this.#unfinished;
  }

  /**
   * Takes one line without its line break.
   *
   * @returns what happened, or `undefined` when the line completes nothing.
   * @throws {Error} for a line that it does not understand.
   */
  read(line: string): Happening | undefined {
    const match = /^(\d+)\s+(.*)$/s.exec(line);
    if (match === null) throw new Error(`no process id in ${JSON.stringify(line.slice(0, 120))}`);
    const pid = Number(match[1]);
    let text = match[2]!;
    if (text.startsWith("--- ") || text.startsWith("[ Process PID=")) return undefined;
    if (text.startsWith("+++ ")) {
      const by = /^\+\+\+ superseded by execve in pid (\d+) \+\+\+/.exec(text);
      if (by !== null) {
        const rest = this.#unfinished.get(Number(by[1]));
        this.#unfinished.delete(Number(by[1]));
        if (rest !== undefined) this.#unfinished.set(pid, rest);
        return { type: "superseded", pid, by: Number(by[1]) };
      }
      if (!/^\+\+\+ (?:exited with \d+|killed by \S+(?: \(core dumped\))?) \+\+\+$/.test(text)) throw new Error(`unknown end of a process: ${text}`);
      this.#unfinished.delete(pid);
      return { type: "gone", pid };
    }
    const resumed = /^<\.\.\. (\S+) resumed> ?(.*)$/s.exec(text);
    if (resumed !== null) {
      const begin = this.#unfinished.get(pid);
      // A call that began before the trace did.
      if (begin === undefined) return undefined;
      if (!begin.startsWith(`${resumed[1]!}(`)) throw new Error(`${resumed[1]!} goes on where ${begin.slice(0, 40)} began`);
      this.#unfinished.delete(pid);
      text = begin + resumed[2]!;
    }
    const open = / ?<(?:unfinished \.\.\.|ptrace\(SYSCALL\):[^>]*)>$/.exec(text);
    if (open !== null) {
      this.#unfinished.set(pid, text.slice(0, open.index));
      return undefined;
    }
    const name = /^([a-z_][a-z0-9_]*)\(/.exec(text)?.[1];
    // What a thread was doing when it was ended; its end has a line of its own.
    if (name === undefined && /^(?:\?\?\?\?|syscall_0x[0-9a-f]+)\(/.test(text)) return undefined;
    if (name === undefined) throw new Error(`no call in ${JSON.stringify(text.slice(0, 120))}`);
    const split = splitArguments(text, name.length + 1);
    const result = split === undefined ? null : /^\s+= (.+)$/s.exec(split.rest);
    if (split === undefined || result === null) throw new Error(`no end of the call in ${JSON.stringify(text.slice(0, 120))}`);
    return { type: "call", pid, name, args: split.args, result: result[1]! };
  }
}
