/**
 * How much this host has of what targets take: cores, memory, free space. Asks the kernel, and respects the limits of
 * control groups (version 2). Knows no target.
 * @module
 */
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

/** Where the kernel's files are; another place in tests. */
export interface Host {
  /** @default "/proc" */
  readonly proc: string;
  /** @default "/sys/fs/cgroup" */
  readonly cgroup: string;
}

const thisHost: Host = { proc: "/proc", cgroup: "/sys/fs/cgroup" };

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Directories of the control group of this process and all above it, innermost first; none without version 2. */
function groups({ proc, cgroup }: Host): readonly string[] {
  const path = /^0::(\/.*)$/m.exec(read(join(proc, "self/cgroup")) ?? "")?.[1];
  if (path === undefined) return [];
  const found: string[] = [];
  for (let below = path; ; below = dirname(below)) {
    // In a container the path may be the host's, of which only the innermost directory is to be seen.
    found.push(join(cgroup, below));
    if (below === "/") return found;
  }
}

/** Cores that this process may keep busy: those it may run on, and no more than its control groups' quota, at least 1. */
export function usableCores(host: Host = thisHost, cores: number = availableParallelism()): number {
  let usable = cores;
  for (const group of groups(host)) {
    const [quota, period] = (read(join(group, "cpu.max")) ?? "").split(" ").map(Number);
    if (Number.isFinite(quota) && Number.isFinite(period) && period! > 0) usable = Math.min(usable, quota! / period!);
  }
  return Math.max(1, Math.floor(usable));
}

/** Bytes of memory that can be taken without swapping: of the host, and of each control group's limit. */
export function freeMemory(host: Host = thisHost): number {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(read(join(host.proc, "meminfo")) ?? "")?.[1];
  let free = kib === undefined ? Number.MAX_SAFE_INTEGER : Number(kib) * 1024;
  for (const group of groups(host)) {
    const limit = Number(read(join(group, "memory.max")) ?? Number.NaN);
    if (!Number.isFinite(limit)) continue;
    const used = Number(read(join(group, "memory.current")) ?? 0);
    // What was only read is given back when somebody needs it.
    const cached = Number(/^inactive_file (\d+)$/m.exec(read(join(group, "memory.stat")) ?? "")?.[1] ?? 0);
    free = Math.min(free, limit - Math.max(0, used - cached));
  }
  return Math.max(0, free);
}

/** Bytes that can be written to the file system of a directory. */
export function freeSpace(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** How much a run may take at once. */
export interface BudgetOptions {
  /** Cores. */
  readonly jobs: number;
  /** Bytes of memory. @default what the host has to spare when it is first asked for */
  readonly memory?: number | undefined;
  /** Directory on whose file system scratch files and results are. */
  readonly directory: string;
}

/** Targets that use the network at once. */
const networkPlaces = 4;

/** How much there is of each resource. What costs a question is asked only when somebody wants to know. */
export class Budget {
  readonly #options: BudgetOptions;
  #memory: number | undefined;
  #disk: number | undefined;

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.#memory = options.memory;
  }

  /** Of a resource as of `amountsOf`: a lock has one place. */
  of(resource: string): number {
    const { jobs, directory } = this.#options;
    if (resource === "cpu") return jobs;
    if (resource === "memory") return (this.#memory ??= freeMemory());
    // What the running ones have written already counts twice: as written, and as held. That errs to the safe side.
    if (resource === "disk") return (this.#disk ??= freeSpace(directory));
    if (resource === "network") return networkPlaces;
    return resource === "kvm" ? Math.max(1, Math.floor(jobs / 2)) : 1;
  }

  /** Forgets what changes while a run goes on: free space. */
  refresh(): void {
    this.#disk = undefined;
  }
}
