/**
 * Faults for tests: the preloaded shim that kills imgtask at a chosen call or lets one fail, and things that belong to
 * others and must be untouched afterwards. Knows nothing of what is tested.
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { repository } from "./project.ts";

/** Compiles the shim for the tests of one file. */
export function compileShim(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "imgtask-shim-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const shim = join(directory, "shim.so");
  execFileSync("gcc", ["-O1", "-shared", "-fPIC", "-o", shim, join(repository, "test/fault/shim.c"), "-ldl"]);
  return shim;
}

/** What is to go wrong; see shim.c. */
export interface Fault {
  readonly shim: string;
  readonly root: string;
  /** Kinds of calls that count: `w` changing ones on files, `r` reading ones, `p` processes, pipes and sockets. */
  readonly calls: string;
  /** Number of the first call that is hit, from 1; 0 only counts. */
  readonly at: number;
  /** How many are hit; 0 is all from then on. @default 1 */
  readonly for?: number;
  readonly does?: "kill" | "tear" | number;
  /** Only calls count whose `name path` holds this text. */
  readonly only?: string;
  readonly log?: string;
}

/** The environment that makes a fault happen in the process that is started with it. */
export function faultEnvironment(fault: Fault): Record<string, string> {
  return {
    LD_PRELOAD: fault.shim,
    FAULT_ROOT: fault.root,
    FAULT_CALLS: fault.calls,
    FAULT_AT: String(fault.at),
    FAULT_FOR: String(fault.for ?? 1),
    FAULT_DO: String(fault.does ?? ""),
    ...(fault.only === undefined ? {} : { FAULT_ONLY: fault.only }),
    ...(fault.log === undefined ? {} : { FAULT_LOG: fault.log }),
  };
}

/** Calls that a log of the shim lists, each as `name path`. */
export function callsIn(log: string): readonly string[] {
  return existsSync(log) ? readFileSync(log, "utf8").split("\n").filter((line) => line !== "").map((line) => line.replace(/^\d+ /, "")) : [];
}

/** Does work for each item, as many at a time as there are cores; each place has a resource of its own. */
export async function spread<R, I>(items: readonly I[], make: () => Promise<R> | R, work: (resource: R, item: I) => Promise<void>): Promise<void> {
  const left = [...items.entries()];
  await Promise.all(
    Array.from({ length: Math.min(Math.max(2, cpus().length), 4, items.length) }, async () => {
      const resource = await make();
      for (let next = left.shift(); next !== undefined; next = left.shift()) await work(resource, next[1]);
    }),
  );
}

/** Loop devices in use, with the files behind them, and mounts below a directory. */
function hostState(below: string): string {
  const loops = readdirSync("/sys/block").filter((name) => name.startsWith("loop")).flatMap((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    try {
      return [`${name} ${readFileSync(file, "utf8").trim()}`];
    } catch {
      return [];
    }
  });
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter((line) => line.includes(below)).map((line) => line.split(" ").slice(3, 5).join(" "));
  return [...loops.filter((line) => line.includes(below)), ...mounts].join("\n");
}

/** What belongs to others, beside and in a project: processes, files, and as root a mount and a loop device. */
export class Decoys {
  readonly #directory: string;
  readonly #processes: ChildProcess[] = [];
  readonly #undo: (() => void)[] = [];
  readonly #files: string[] = [];
  readonly #host: string;

  constructor(project: string) {
    this.#directory = project;
    // A process that works in the project and names it, and one in a session of its own.
    for (const detached of [false, true]) this.#processes.push(spawn("sleep", ["3600"], { cwd: project, detached, stdio: "ignore", env: { ...process.env, PROJECT: project } }));
    for (const path of ["artifacts/of-others", "of-others.img", ".of-others.new", "logs/of-others"]) {
      const file = join(project, path);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, `${path} of others`);
      this.#files.push(file);
    }
    if (process.getuid?.() === 0) this.#mountAndLoop(join(project, "of-others.mount"), join(project, "of-others.disk"));
    this.#host = hostState(project);
  }

  #mountAndLoop(mount: string, disk: string): void {
    try {
      mkdirSync(mount);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "of-others", mount], { stdio: "ignore" });
      this.#undo.push(() => execFileSync("umount", [mount]));
      writeFileSync(disk, "");
      truncateSync(disk, 1 << 20);
      const device = execFileSync("losetup", ["--find", "--show", disk], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
      this.#undo.push(() => execFileSync("losetup", ["--detach", device]));
    } catch {
      // Not everywhere may root do this; the processes and files are there in any case.
    }
  }

  get count(): number {
    return this.#processes.length + this.#files.length + this.#undo.length;
  }

  /** What is no longer as it was. */
  harmed(): readonly string[] {
    const harmed = this.#files.filter((file) => !existsSync(file) || !readFileSync(file, "utf8").endsWith(" of others"));
    for (const { pid, exitCode, signalCode } of this.#processes) if (exitCode !== null || signalCode !== null) harmed.push(`process ${pid}`);
    const host = hostState(this.#directory);
    if (host !== this.#host) harmed.push(`mounts and loop devices: ${host} instead of ${this.#host}`);
    return harmed;
  }

  dispose(): void {
    for (const one of this.#processes) one.kill("SIGKILL");
    for (const undo of this.#undo.reverse()) undo();
  }
}

/** Regular files below a directory. */
export function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory).sort().flatMap((name) => {
    const path = join(directory, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}
