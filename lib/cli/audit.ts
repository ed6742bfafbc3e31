/**
 * `run --audit`: starts imgtask once more under strace, and there runs the targets one at a time, watched.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Auditor, traceVariable } from "../audit.ts";
import { ExitCode, ImgtaskError } from "../error.ts";
import type { Outcome } from "../event.ts";
import { closure } from "../graph.ts";
import type { Loaded } from "../load.ts";
import { which } from "../process.ts";
import type { Project } from "../project.ts";
import { closureOf } from "../recipe.ts";
import { schedule, type ScheduleOptions, type Summary } from "../schedule.ts";
import { prepareState, type State } from "../state.ts";
import { tracedCalls } from "../strace.ts";
import type { CommandContext } from "./context.ts";

/** Whether this process is the one that strace was to start. */
export function isTraced(): boolean {
  return process.env[traceVariable] !== undefined;
}

/** strace, for a program and all that it starts. io_uring, which would go unseen, is not there for them. */
function straceArgv(strace: string, file: string, argv: readonly string[]): readonly [string, ...string[]] {
  const filter = ["-e", `trace=${tracedCalls}`, "-e", "signal=none", "-e", "inject=io_uring_setup:error=ENOSYS"];
  // -DD: strace is no ancestor, so that signals and the exit code are the program's own.
  return [strace, "-DD", "-q", "-f", "-y", "-s", "64", "--seccomp-bpf", "--decode-pids=pidns", ...filter, "-o", file, "--", ...argv];
}

function noStrace(found: string): ImgtaskError {
  return new ImgtaskError("IMG1006", "An audit needs strace, and the right to trace processes", {
    expected: "strace >= 5.10 that can trace a program",
    found,
    hint: "Install it (Debian: apt-get install strace); in a container, allow ptrace",
    exitCode: ExitCode.prerequisite,
  });
}

/** Runs the same command line under strace. */
export async function underTrace(context: CommandContext, project: Project): Promise<ExitCode> {
  const strace = which("strace");
  if (strace === undefined) throw noStrace("no strace");
  // -DD would give the exit code of the program even if it were not traced.
  const [command, ...args] = straceArgv(strace, "/dev/null", ["/bin/sh", "-c", ":"]).filter((word) => word !== "-DD");
  const probe = spawnSync(command!, args, { encoding: "utf8" });
  if (probe.status !== 0) throw noStrace(probe.stderr.trim().split("\n")[0] ?? `exit code ${probe.status ?? "unknown"}`);
  prepareState(project);
  const mark = randomBytes(16).toString("hex");
  const file = join(project.state, `audit-${process.pid}-${mark.slice(0, 8)}`);
  try {
    const main = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./main.ts" : "./main.js", import.meta.url));
    const [first, ...rest] = straceArgv(strace, file, [process.execPath, ...process.execArgv, main, ...process.argv.slice(2)]);
    const child = spawn(first, rest, { stdio: "inherit", env: { ...process.env, [traceVariable]: `${file}:${mark}:${process.cwd()}` } });
    const pass = (): void => void child.kill(context.signal.reason === "SIGINT" ? "SIGINT" : "SIGTERM");
    context.signal.addEventListener("abort", pass);
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (exit, signal) => resolve(exit ?? 128 + constants.signals[signal!]));
    });
    context.signal.removeEventListener("abort", pass);
    return code as ExitCode;
  } finally {
    rmSync(file, { force: true });
  }
}

/**
 * Runs the named targets and what they need one at a time, and watches those that run. Goes on with what does not
 * depend on a target that failed.
 */
export async function auditTargets(loaded: Loaded, names: readonly string[], state: State, options: ScheduleOptions): Promise<Summary> {
  const setting = process.env[traceVariable]!;
  delete process.env[traceVariable];
  const auditor = await Auditor.open(setting);
  const outcomes = new Map<string, Outcome>();
  let failure: ImgtaskError | undefined;
  const code = new Map<string, ReadonlySet<string>>();
  const codeOf = (module: string | undefined): ReadonlySet<string> => {
    const entry = module === undefined ? state.project.imagefile : fileURLToPath(module);
    let files = code.get(entry);
    if (files === undefined) code.set(entry, (files = new Set(closureOf(entry).files)));
    return files;
  };
  // If strace ends, nothing can be opened any more: what says so must be there by then.
  await Promise.all([import("../report/choose.ts"), import("../report/json.ts"), import("../report/plain.ts"), import("../report/github.ts"), import("../report/error.ts"), import("../disk-error.ts")]);
  try {
    for (const name of closure(loaded.graph, names)) {
      const node = loaded.graph.get(name)!;
      const because = node.dependencies.find((one) => outcomes.get(one) === "failed" || outcomes.get(one) === "skipped");
      if (because !== undefined) {
        outcomes.set(name, "skipped");
        if (node.declaration.kind !== "group") options.on({ type: "target skipped", target: name, because });
        continue;
      }
      const summary = await schedule(loaded, [name], state, {
        ...options,
        // What it needs has run already, if it was to.
        forced: new Set([name].filter((one) => options.forced.has(one))),
        audit: {
          auditor,
          codeOf: (declaration) => codeOf(declaration.module),
          report: (target, { undeclared, unused }) => options.on({ type: "target audited", target, undeclared, unused }),
        },
        on: (event) => {
          // What it needs was dealt with before.
          if (!("target" in event) || event.target === name) options.on(event);
        },
      });
      outcomes.set(name, summary.outcomes.get(name)!);
      failure ??= summary.failure;
    }
  } finally {
    auditor.close();
  }
  return { outcomes, failure };
}
