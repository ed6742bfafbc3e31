/**
 * What a target takes of the host while it runs: as it is declared, checked, and as amounts for the queue.
 * Knows no host: how much there is of each stands in `budget.ts`.
 * @module
 */
import { ExitCode, ImgtaskError, type Location } from "./error.ts";
import type { Amounts } from "./queue.ts";

/** Bytes, or a number with K, M, G or T, which are powers of 1024: `"512M"`, `"1.5G"`. */
export type Size = number | `${number}${"K" | "M" | "G" | "T"}`;

/**
 * What a target takes of the host while it runs. It waits until all of it is free.
 *
 * @example
 * ```ts
 * resources: { cpu: 2, memory: "1.5G", kvm: true, locks: ["usb-stick"] }
 * ```
 */
export interface Resources {
  /** Processor cores it keeps busy. One that wants more than there are takes all of them. @default 1 */
  readonly cpu?: number;
  /** Memory it needs. One that wants more than there is takes all of it, with a warning. @default 0 */
  readonly memory?: Size;
  /** Free space it needs below `.imgtask` for scratch files and results. It fails when there is less. @default 0 */
  readonly disk?: Size;
  /** Whether it uses the network: four at once do. @default false */
  readonly network?: boolean;
  /** Whether it starts a virtual machine: as many at once as half the cores do. @default false */
  readonly kvm?: boolean;
  /** Names of things that only one target at a time can use. @default [] */
  readonly locks?: readonly string[];
}

/** What can be taken. */
export const resourceNames: readonly (keyof Resources)[] = ["cpu", "memory", "disk", "network", "kvm", "locks"];

/** {@linkcode Resources} as they stand in a declaration: in bytes, and only what is taken. */
export interface Demand {
  readonly cpu: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly network?: true;
  readonly kvm?: true;
  readonly locks?: readonly string[];
}

/** Bytes of a {@linkcode Size}, or `undefined` for anything else. */
export function bytesOf(size: unknown): number | undefined {
  if (typeof size === "number") return Number.isFinite(size) && size >= 0 ? size : undefined;
  const match = typeof size === "string" ? /^(\d{1,9}(?:\.\d{1,3})?)([KMGT])$/.exec(size) : null;
  return match === null ? undefined : Math.round(Number(match[1]) * 1024 ** ("KMGT".indexOf(match[2]!) + 1));
}

/**
 * Checks what is declared.
 *
 * @throws {ImgtaskError} IMG2002 for what makes no sense.
 */
export function demandOf(resources: Resources, target: string, location: Location | undefined): Demand {
  const bad = (what: string, value: unknown, expected: string): ImgtaskError =>
    new ImgtaskError("IMG2002", `Target "${target}" has bad resources: ${what}`, {
      expected,
      found: JSON.stringify(value) ?? String(value),
      exitCode: ExitCode.usage,
      ...(location === undefined ? {} : { location }),
    });
  const { cpu = 1, memory = 0, disk = 0, network = false, kvm = false, locks = [] } = resources;
  const unknown = Object.keys(resources).find((name) => !(resourceNames as readonly string[]).includes(name));
  if (unknown !== undefined) throw bad(unknown, unknown, `one of ${resourceNames.join(", ")}`);
  if (typeof cpu !== "number" || !Number.isFinite(cpu) || cpu < 0) throw bad("cpu", Number.isNaN(cpu) ? "NaN" : cpu, "a number of cores, 0 or more");
  const size = (what: string, value: unknown): number => {
    const bytes = bytesOf(value);
    if (bytes === undefined) throw bad(what, value, `bytes, or a number with K, M, G or T, as in "512M"`);
    return bytes;
  };
  for (const [what, value] of [["network", network], ["kvm", kvm]] as const) if (typeof value !== "boolean") throw bad(what, value, "true or false");
  if (!Array.isArray(locks) || !locks.every((lock) => typeof lock === "string" && lock !== "")) throw bad("locks", locks, "a list of names");
  const bytes = { memory: size("memory", memory), disk: size("disk", disk) };
  return {
    cpu,
    ...(bytes.memory > 0 ? { memory: bytes.memory } : {}),
    ...(bytes.disk > 0 ? { disk: bytes.disk } : {}),
    ...(network ? { network } : {}),
    ...(kvm ? { kvm } : {}),
    ...(locks.length > 0 ? { locks: [...new Set(locks)].sort() } : {}),
  };
}

/** A demand as the queue counts it. Locks are `lock NAME`, so that none is taken for another resource. */
export function amountsOf({ cpu, memory, disk, network, kvm, locks = [] }: Demand): Amounts {
  const amounts = new Map<string, number>();
  if (cpu > 0) amounts.set("cpu", cpu);
  if (memory !== undefined) amounts.set("memory", memory);
  if (disk !== undefined) amounts.set("disk", disk);
  if (network === true) amounts.set("network", 1);
  if (kvm === true) amounts.set("kvm", 1);
  for (const lock of locks) amounts.set(`lock ${lock}`, 1);
  return amounts;
}
