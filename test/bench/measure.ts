/**
 * Times commands, and writes what was measured as a Markdown table with the machine it was measured on.
 * Knows nothing of what is measured.
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

/** How a command is run. */
export interface Options {
  readonly cwd: string;
  /** File that takes what it prints; the last command's only. */
  readonly log: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Seconds after which it and what it started are killed. @default no limit */
  readonly limit?: number;
}

/** A row of the table: seconds of each run of one thing. */
export interface Row {
  readonly what: string;
  readonly seconds: readonly number[];
  /** The row whose median is the unit of the ratio. @default none */
  readonly against?: string;
}

/** What one case found. */
export interface Finding {
  readonly what: string;
  readonly aim: string;
  readonly figure: string;
  /** `undefined`: what it is measured against was not there. */
  readonly met: boolean | undefined;
}

/** A case's findings, and what was measured for them. */
export interface Report {
  readonly findings: readonly Finding[];
  readonly parts: readonly string[];
}

/** Seconds that a command takes from its start to its end, its failure an error. */
export function time(argv: readonly [string, ...string[]], options: Options): number {
  const log = openSync(options.log, "w");
  const start = process.hrtime.bigint();
  const [command, ...args] = options.limit === undefined ? argv : (["timeout", "--kill-after=5", String(options.limit), ...argv] as const);
  const result = spawnSync(command, args, { cwd: options.cwd, env: { ...process.env, CI: "true", ...options.env }, stdio: ["ignore", log, log] });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  closeSync(log);
  if (result.status === 0) return seconds;
  if (options.limit !== undefined && seconds >= options.limit) throw new Error(`longer than ${options.limit} s`);
  throw new Error(`${argv.join(" ")} failed (${result.status ?? result.signal ?? result.error?.message}):\n${readFileSync(options.log, "utf8").split("\n").slice(-20).join("\n")}`);
}

/** What a command took. */
export interface Use {
  readonly seconds: number;
  /** Megabytes (1000²) that its largest process had at most; `undefined` where GNU time is missing. */
  readonly memory: number | undefined;
}

/** As {@linkcode time}, with the memory. */
export function use(argv: readonly [string, ...string[]], options: Options): Use {
  const gnuTime = "/usr/bin/time";
  if (!existsSync(gnuTime)) return { seconds: time(argv, options), memory: undefined };
  const seconds = time([gnuTime, "-f", "%M", "-o", `${options.log}.memory`, ...argv], options);
  const kibibytes = readFileSync(`${options.log}.memory`, "utf8").trim().split("\n").at(-1);
  return { seconds, memory: (Number(kibibytes) * 1024) / 1e6 };
}

/** Something to measure; `prepare` is not counted. */
export interface Case {
  readonly what: string;
  readonly prepare?: (run: number) => void;
  readonly measure: () => number;
  /** As of {@linkcode Row}. */
  readonly against?: string;
}

/** Measures several things by turns, so that what else the machine does falls on all of them. */
export function byTurns(runs: number, cases: readonly Case[]): readonly Row[] {
  const seconds = cases.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    cases.forEach(({ prepare, measure }, index) => {
      prepare?.(run);
      seconds[index]!.push(measure());
    });
  }
  return cases.map(({ what, against }, index) => ({ what, seconds: seconds[index]!, ...(against === undefined ? {} : { against }) }));
}

/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Whether a program is there. */
export function has(name: string): boolean {
  return spawnSync("sh", ["-c", `command -v "$1"`, "sh", name]).status === 0;
}

/** The first line of what a command prints, or `not installed`. */
export function versionOf(name: string, ...args: readonly string[]): string {
  if (!has(name)) return `${name}: not installed`;
  const { stdout, stderr } = spawnSync(name, args, { encoding: "utf8" });
  const line = (stdout || stderr).trim().split("\n")[0] ?? "";
  if (line.startsWith("usage")) return `${name}, which tells no version`;
  return line.toLowerCase().includes(name.toLowerCase()) ? line : `${name} ${line}`;
}

/** Seconds as a table shows them. */
export function shown(seconds: number): string {
  return seconds < 1 ? seconds.toFixed(3) : seconds.toFixed(1);
}

/** The rows as a Markdown table. */
export function table(title: string, rows: readonly Row[]): string {
  const medians = new Map(rows.map(({ what, seconds }) => [what, median(seconds)]));
  const lines = rows.map(({ what, seconds, against }) => {
    const unit = against === undefined || against === what ? undefined : medians.get(against);
    const ratio = unit === undefined ? "" : `${(median(seconds) / unit).toFixed(2)} × ${against}`;
    return `| ${what} | ${shown(median(seconds))} | ${shown(Math.min(...seconds))}–${shown(Math.max(...seconds))} | ${seconds.length} | ${ratio} |`;
  });
  return [`### ${title}`, "", "| | median, s | range, s | runs | ratio |", "|---|---:|---:|---:|---|", ...lines, ""].join("\n");
}

/** The machine, in one line. */
export function machineLine(): string {
  const load = readFileSync("/proc/loadavg", "utf8").split(" ")[0];
  return `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.versions.node}, load ${load}`;
}
