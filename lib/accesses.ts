/**
 * From system calls to what processes did with files: read, listed, looked at, looked for, wrote, executed, and with
 * whom they talked. Follows working directories, roots and descent. Pure: knows no target and no policy.
 * @module
 */
import { posix } from "node:path";
import { type Call, type Happening, pathOfDescriptor, StraceReader, textOf } from "./strace.ts";

/** What was done with a path, or over the network. */
export type AccessType =
  | "read" | "list" | "write" | "execute"
  /** A directory was made to appear elsewhere, with all that is in it. */
  | "mount"
  /** It is there, and something of it was asked for. */
  | "look"
  /** It is not there. */
  | "probe"
  /** A connection to a process of this host, by the path of its socket. */
  | "socket"
  /** A connection to another host; `path` is its address. */
  | "network";

/** Something that a process did. */
export interface Access {
  readonly type: AccessType;
  /** Absolute, as the host sees it; symbolic links followed where the kernel told the end of them. */
  readonly path: string;
  /** How it was named, where that differs. */
  readonly named?: string;
  /** Command line of the process; `undefined` for imgtask itself, in which recipes run. */
  readonly command: string | undefined;
  /** Paths of the programs between imgtask and the process, the first one first, its own last. */
  readonly programs: readonly string[];
}

/** What was seen. */
export interface Observation {
  readonly accesses: readonly Access[];
  /** What was done that cannot be observed, in words. */
  readonly blind: readonly string[];
}

/** Shared by threads. */
interface Place {
  cwd: string;
  root: string;
}

interface Process {
  place: Place;
  command: string | undefined;
  programs: readonly string[];
}

const failed = (result: string): string | undefined => /^-1 (E[A-Z0-9]+)/.exec(result)?.[1];
const missing = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "EPERM", "ENAMETOOLONG"]);

/** Calls by what their first path is for; `at`: a descriptor stands before it. */
const looks = /^(?:stat|stat64|lstat|lstat64|newfstatat|fstatat64|statx|access|faccessat|faccessat2|readlink|readlinkat|statfs|statfs64|l?getxattr|l?listxattr|inotify_add_watch|name_to_handle_at|fspick|oldstat|oldlstat)$/;
const changes = /^(?:mkdir|mkdirat|mknod|mknodat|unlink|unlinkat|rmdir|truncate|truncate64|chmod|fchmodat|fchmodat2|chown|lchown|chown32|lchown32|fchownat|utime|utimes|futimesat|utimensat|utimensat_time64|l?setxattr|l?removexattr|fchmod|fchown|ftruncate|acct|swapon)$/;
const moves = /^(?:rename|renameat|renameat2|link|linkat)$/;

/** Follows one trace from the start of the first process. */
export class Trace {
  readonly #reader = new StraceReader();
  readonly #processes = new Map<number, Process>();
  /** What threads did whose start has not been told yet. */
  readonly #early = new Map<number, Happening[]>();
  readonly #marker: string;
  readonly #cwd: string;
  #seen: Map<string, Access> | undefined;
  #blind = new Set<string>();
  #ended = false;
  /** Thread whose call is looked at. */
  #now = 0;
  /** Threads that were in the middle of something at the end: what they were doing belongs to the stretch. */
  readonly #late = new Set<number>();

  /**
   * @param marker directory of paths by which the traced program marks a stretch: `MARKER/begin`, `MARKER/end`.
   * @param cwd working directory of the first process.
   */
  constructor(marker: string, cwd: string) {
    this.#marker = marker;
    this.#cwd = cwd;
  }

  /** What was seen between the last two marks, once both were read. */
  take(): Observation | undefined {
    if (!this.#ended || this.#late.size > 0) return undefined;
    const observation = { accesses: [...(this.#seen ?? new Map<string, Access>()).values()], blind: [...this.#blind] };
    this.#seen = undefined;
    this.#ended = false;
    return observation;
  }

  /** Takes one line of the trace. @throws {Error} for one that cannot be understood. */
  feed(line: string): void {
    const happening = this.#reader.read(line);
    if (happening === undefined) return;
    this.#take(happening);
    if (this.#ended && !this.#early.has(happening.pid)) this.#late.delete(happening.pid);
  }

  #take(happening: Happening): void {
    const { pid } = happening;
    // The first line of all is the first process.
    if (this.#processes.size === 0) this.#processes.set(pid, { place: { cwd: this.#cwd, root: "/" }, command: undefined, programs: [] });
    const process = this.#processes.get(pid);
    if (happening.type === "superseded") {
      const by = this.#processes.get(happening.by) ?? process;
      if (by !== undefined) this.#processes.set(pid, by);
      this.#processes.delete(happening.by);
    } else if (process === undefined) {
      const waiting = this.#early.get(pid);
      if (waiting === undefined) this.#early.set(pid, [happening]);
      else waiting.push(happening);
    } else if (happening.type === "gone") this.#processes.delete(pid);
    else this.#call(happening, process);
  }

  #mark(call: Call): boolean {
    const named = textOf(call.args[call.args[0]?.startsWith("AT_FDCWD") === true ? 1 : 0])?.text;
    if (named === undefined || !named.startsWith(`${this.#marker}/`)) return false;
    if (named === `${this.#marker}/begin`) {
      this.#seen = new Map();
      this.#blind = new Set();
      this.#ended = false;
      this.#late.clear();
    } else if (named === `${this.#marker}/end`) {
      this.#ended = true;
      for (const pid of this.#early.keys()) this.#late.add(pid);
      for (const pid of this.#reader.unfinished.keys()) if (pid !== call.pid) this.#late.add(pid);
    }
    return true;
  }

  #add(type: AccessType, process: Process, path: string, named?: string): void {
    const pid = this.#now;
    if (this.#seen === undefined || (this.#ended && !this.#late.has(pid))) return;
    const key = `${type}\0${path}\0${named ?? path}\0${process.command ?? ""}`;
    if (!this.#seen.has(key)) {
      this.#seen.set(key, { type, path, command: process.command, programs: process.programs, ...(named === undefined || named === path ? {} : { named }) });
    }
  }

  /** The host's absolute path of a named one. */
  #resolve(process: Process, named: string, directory: string | undefined): string {
    const { root, cwd } = process.place;
    const path = posix.isAbsolute(named) ? posix.join(root, posix.normalize(named)) : posix.join(directory ?? cwd, named);
    return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
  }

  /** Paths among the arguments, each with the descriptor that stands before it. */
  #paths(call: Call, process: Process): readonly string[] {
    const paths: string[] = [];
    call.args.forEach((argument, index) => {
      const text = textOf(argument);
      if (text === undefined) return;
      const directory = index === 0 ? undefined : pathOfDescriptor(call.args[index - 1]);
      if (!text.whole) this.#blind.add(`a path that strace cut off: ${text.text}`);
      if (text.text !== "") paths.push(this.#resolve(process, text.text, directory));
      // "": the descriptor itself.
      else if (directory !== undefined && index === 1) paths.push(directory);
    });
    return paths;
  }

  #call(call: Call, process: Process): void {
    const { name, args, result } = call;
    this.#now = call.pid;
    if (this.#mark(call)) return;
    const error = failed(result);
    if (/^(?:clone|clone3|fork|vfork)$/.test(name)) return this.#start(call, process);
    if (/^(?:chdir|fchdir|chroot|pivot_root|unshare|setns)$/.test(name)) return this.#move(call, process, error);
    if (/^execve(?:at)?$/.test(name)) return this.#execute(call, process, error);
    if (name === "connect" || name.startsWith("send")) return this.#connect(args, process, error);
    if (name === "io_uring_setup" || name === "open_by_handle_at" || name === "ptrace") {
      if (error === undefined && result !== "?") this.#blind.add(`${name}, by ${process.command ?? "the recipe"}`);
      return;
    }
    if (/^(?:open|openat|openat2|creat)$/.test(name)) return this.#open(call, process, error);
    if (name === "mount" || name === "open_tree" || name === "fsconfig") return this.#mount(call, process, error);
    if (name === "getdents" || name === "getdents64") {
      const path = pathOfDescriptor(args[0]);
      if (path !== undefined && error === undefined) this.#add("list", process, path);
      return;
    }
    if (name === "symlink" || name === "symlinkat") {
      const path = this.#paths({ ...call, args: args.slice(1) }, process)[0];
      if (path !== undefined && error === undefined) this.#add("write", process, path);
      return;
    }
    const [first, second] = changes.test(name) && /^\d/.test(args[0] ?? "") && textOf(args[1]) === undefined ? [pathOfDescriptor(args[0])] : this.#paths(call, process);
    if (first === undefined) return;
    if (moves.test(name) && error === undefined) {
      // What is linked can be read under its new name.
      this.#add(name.startsWith("rename") ? "write" : "read", process, first);
      if (second !== undefined) this.#add("write", process, second);
    } else if (changes.test(name) && error === undefined) this.#add("write", process, first);
    else if (error !== undefined && missing.has(error)) {
      if (!changes.test(name)) this.#add("probe", process, first);
    } else if (looks.test(name) && error === undefined && !(textOf(args[1])?.text === "" && args[0] !== undefined && /^\d/.test(args[0]))) this.#add("look", process, first);
  }

  #open(call: Call, process: Process, error: string | undefined): void {
    const flags = call.args.find((argument) => /\bO_[A-Z]/.test(argument) && textOf(argument) === undefined) ?? (call.name === "creat" ? "O_WRONLY|O_CREAT" : "");
    const [named] = this.#paths(call, process);
    if (named === undefined) return;
    const creates = /O_CREAT|O_TMPFILE/.test(flags);
    if (error !== undefined) {
      if (missing.has(error) && !creates) this.#add("probe", process, named);
      return;
    }
    const path = pathOfDescriptor(call.result) ?? named;
    if (/O_WRONLY|O_RDWR/.test(flags) || creates) {
      // Opened to be written; the old content of what is not cut off may be read too.
      if (!/O_WRONLY|O_TRUNC|O_TMPFILE|O_EXCL/.test(flags)) this.#add("read", process, path, named);
      this.#add("write", process, path, named);
    } else this.#add(/O_PATH|O_DIRECTORY/.test(flags) ? "look" : "read", process, path, named);
  }

  #execute(call: Call, process: Process, error: string | undefined): void {
    const [path] = this.#paths({ ...call, args: call.args.slice(0, call.name === "execveat" ? 2 : 1) }, process);
    if (path === undefined) return;
    if (error !== undefined) {
      if (missing.has(error)) this.#add("probe", process, path);
      return;
    }
    if (call.result.startsWith("?")) return;
    const list = call.args.find((argument) => argument.startsWith("["))?.slice(1, -1) ?? "";
    const words = [...list.matchAll(/"((?:[^"\\]|\\.)*)"(?:\.\.\.)?/gs)].map(([word]) => textOf(word)?.text ?? "");
    process.command = words.join(" ").replaceAll(/\s+/g, " ").slice(0, 120);
    process.programs = [...process.programs, path];
    this.#add("execute", process, path);
  }

  #start(call: Call, process: Process): void {
    const result = /^(\d+)(?: \/\* (\d+) in strace's PID NS \*\/)?/.exec(call.result);
    if (result === null) return;
    const pid = Number(result[2] ?? result[1]);
    const flags = call.args.join(",");
    const child: Process = flags.includes("CLONE_THREAD")
      ? process
      : { ...process, place: flags.includes("CLONE_FS") && !flags.includes("CLONE_NEWNS") ? process.place : { ...process.place } };
    this.#processes.set(pid, child);
    const waiting = this.#early.get(pid) ?? [];
    this.#early.delete(pid);
    for (const happening of waiting) this.#take(happening);
  }

  #move(call: Call, process: Process, error: string | undefined): void {
    if (call.name === "unshare") {
      if (error === undefined) process.place = { ...process.place };
      return;
    }
    if (call.name === "setns") {
      if (error === undefined && (/mnt:|\/ns\/mnt/.test(call.args[0] ?? "") || /CLONE_NEWNS/.test(call.args[1] ?? ""))) this.#blind.add(`what is done in another mount namespace, by ${process.command ?? "the recipe"}`);
      return;
    }
    const path = call.name === "fchdir" ? pathOfDescriptor(call.args[0]) : this.#paths(call, process)[0];
    if (path === undefined) return;
    if (error !== undefined) return missing.has(error) ? this.#add("probe", process, path) : undefined;
    if (call.name === "chroot") process.place.root = path;
    else if (call.name === "pivot_root") this.#blind.add(`what is done after pivot_root, by ${process.command ?? "the recipe"}`);
    else process.place.cwd = path;
  }

  #mount(call: Call, process: Process, error: string | undefined): void {
    if (error !== undefined) return;
    if (call.name === "fsconfig") {
      const value = textOf(call.args[3]);
      if (/"(?:lowerdir|upperdir|source)\+?"/.test(call.args[2] ?? "") && value?.text.startsWith("/") === true) {
        for (const part of value.text.split(":")) this.#add("mount", process, this.#resolve(process, part, undefined));
      }
      return;
    }
    const [source] = this.#paths({ ...call, args: call.name === "open_tree" ? call.args.slice(0, 2) : call.args.slice(0, 1) }, process);
    const bound = call.name === "open_tree" || /MS_BIND/.test(call.args[3] ?? "") || (textOf(call.args[0])?.text.startsWith("/") === true && !/MS_REMOUNT|MS_MOVE|MS_PRIVATE|MS_SLAVE|MS_SHARED/.test(call.args[3] ?? ""));
    if (bound && source !== undefined) this.#add("mount", process, source);
    const data = textOf(call.args[4]);
    if (data?.whole === false && /lowerdir/.test(data.text)) this.#blind.add("layers of an overlay that strace cut off");
    for (const [, list] of (data?.text ?? "").matchAll(/(?:lowerdir|upperdir)=([^,]+)/g)) for (const part of list!.split(":")) this.#add("mount", process, this.#resolve(process, part, undefined));
  }

  #connect(args: readonly string[], process: Process, error: string | undefined): void {
    if (error !== undefined && error !== "EINPROGRESS" && error !== "EAGAIN") return;
    const address = args.slice(1).find((argument) => argument.includes("sa_family="));
    if (address === undefined) return;
    const local = /sa_family=AF_UNIX, sun_path=(@?)"((?:[^"\\]|\\.)*)"/s.exec(address);
    if (local !== null) return this.#add("socket", process, local[1] === "@" ? `@${local[2]!}` : this.#resolve(process, textOf(`"${local[2]!}"`)!.text, undefined));
    const host = /inet_addr\("([^"]+)"\)/.exec(address)?.[1] ?? /inet_pton\(AF_INET6, "([^"]+)"/.exec(address)?.[1];
    if (host === undefined || /^(?:127\.|0\.0\.0\.0|::1?$|::ffff:127\.)/.test(host)) return;
    this.#add("network", process, `${host} port ${/sin6?_port=htons\((\d+)\)/.exec(address)?.[1] ?? "?"}`);
  }
}
