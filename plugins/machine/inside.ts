/**
 * What a script inside the namespace works with: commands, a scratch directory in memory, and paths in an image that
 * cannot leave it. Knows nothing of machines and disks.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { type Argv, ImgtaskError } from "../../lib/mod.ts";
import { logLine } from "./log.ts";

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How {@linkcode command} runs. */
export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Whether a failure is given back instead of thrown. @default false */
  readonly mayFail?: boolean;
}

/** Runs a command to its end; what it prints goes to the log. */
export function command(argv: Argv, options: CommandOptions = {}): { readonly code: number; readonly stdout: string; readonly stderr: string } {
  logLine(`+ ${argv.join(" ")}`);
  const result = spawnSync(argv[0], argv.slice(1), {
    env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:${systemPath}`, ...options.env },
    input: options.input ?? "",
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error !== undefined && (result.error as NodeJS.ErrnoException).code !== "EPIPE") {
    throw new ImgtaskError("IMG3001", `Cannot run "${argv[0]}": ${result.error.message}`, { cause: result.error });
  }
  if (result.stdout + result.stderr !== "") logLine(result.stdout + result.stderr);
  const code = result.status ?? 128;
  if (code !== 0 && options.mayFail !== true) {
    throw new ImgtaskError("IMG3002", `"${argv.slice(0, 4).join(" ")}" failed`, {
      expected: "exit code 0",
      found: `exit code ${code}: ${result.stderr.trim().split("\n").at(-1) ?? ""}`,
    });
  }
  return { code, stdout: result.stdout, stderr: result.stderr };
}

/** Runs a command of the image. */
export function inImage(root: string, argv: Argv, options: CommandOptions = {}): ReturnType<typeof command> {
  return command(["chroot", root, ...argv], {
    ...options,
    env: { PATH: systemPath, LC_ALL: "C.UTF-8", HOME: "/root", TMPDIR: "/tmp", SYSTEMD_OFFLINE: "1", DEBIAN_FRONTEND: "noninteractive", ...options.env },
  });
}

/** Bytes of memory that this process may still take: of the machine, and of its control group. */
function availableMemory(): number {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  let available = Number(kib ?? 0) * 1024;
  try {
    const limit = readFileSync("/sys/fs/cgroup/memory.max", "utf8").trim();
    if (limit !== "max") available = Math.min(available, Number(limit) - Number(readFileSync("/sys/fs/cgroup/memory.current", "utf8")));
  } catch {
    // No control group with a limit of its own.
  }
  return available;
}

/**
 * Makes `directory`, in memory when there is enough of it: files of other users in it then end with the namespace,
 * whatever happens, and nothing waits for a disk. A host sees neither.
 *
 * @param bytes that it will have to hold at most, as far as is known.
 * @returns whether it is in memory.
 */
export function makeScratch(directory: string, bytes: number): boolean {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const size = Math.floor(availableMemory() * 0.8);
  if (size < bytes) {
    logLine(`scratch directory on disk: ${Math.round(bytes / 2 ** 20)} MiB wanted, ${Math.round(size / 2 ** 20)} MiB of memory to spare`);
    return false;
  }
  const { code } = command(["mount", "-t", "tmpfs", "-o", `mode=0755,size=${size}`, "tmpfs", directory], { mayFail: true });
  return code === 0;
}

/** Whether less than a hundredth of a file system is free. */
export function isFull(directory: string): boolean {
  const { bavail, blocks } = statfsSync(directory);
  return bavail < blocks / 100;
}

/**
 * The host's path of an absolute path of an image, symbolic links followed as the image itself would: an absolute
 * one starts at the image's root, and `..` ends there. The last part is not followed.
 *
 * @throws {ImgtaskError} IMG3201 for a loop of links.
 */
export function pathInside(root: string, path: string): string {
  let resolved: string[] = [];
  let waiting = path.split("/").filter((part) => part !== "" && part !== ".");
  for (let steps = 0; waiting.length > 0; steps++) {
    const part = waiting.shift()!;
    if (part === "..") {
      resolved.pop();
      continue;
    }
    const here = join(root, ...resolved, part);
    if (waiting.length === 0) {
      resolved.push(part);
      break;
    }
    const link = lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(here) : undefined;
    if (link === undefined) {
      resolved.push(part);
      continue;
    }
    if (steps > 200) throw new ImgtaskError("IMG3201", `Too many symbolic links in "${path}" of the image`);
    if (link.startsWith("/")) resolved = [];
    waiting = [...link.split("/").filter((one) => one !== "" && one !== "."), ...waiting];
  }
  return join(root, ...resolved);
}


/** Whether the image has a file at an absolute path. */
export function hasInside(root: string, ...paths: readonly string[]): boolean {
  return paths.some((path) => existsSync(followInside(root, path)));
}

/** The host's path of a file of the image, with every symbolic link followed inside the image. */
export function followInside(root: string, path: string): string {
  let here = pathInside(root, path);
  for (let steps = 0; lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink() === true; steps++) {
    if (steps > 40) throw new ImgtaskError("IMG3201", `Too many symbolic links in "${path}" of the image`);
    const link = readlinkSync(here);
    const parent = here.slice(root.length, here.lastIndexOf("/"));
    here = pathInside(root, link.startsWith("/") ? link : `${parent}/${link}`);
  }
  return here;
}
