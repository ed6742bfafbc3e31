#!/usr/bin/env node
/**
 * The command line: reads the arguments, wires the stages together, turns errors into words and exit codes.
 * @module
 */
import { readlinkSync } from "node:fs";
import { resolve } from "node:path";
import { ExitCode, ImgtaskError, isImgtaskError } from "../error.ts";
import { wantsColor } from "../report/choose.ts";
import type { CommandContext } from "./context.ts";
import { findProject } from "../project.ts";
import { type Options, parseOptions } from "./options.ts";
// Not loaded when it is needed, as the others are: nearly always it is.
import { unchanged } from "./unchanged.ts";

/** Whether text for standard error may hold colours. */
const colorFor = (options: Options | undefined): boolean => wantsColor(process.stderr, process.env, options?.color);

/** What a run is told by that changes nothing when there is nothing to do. */
const harmless: ReadonlySet<string> = new Set(["jobs", "memory", "keep-going", "fail-fast", "directory", "imagefile", "color", "quiet", "install-tools", "frozen"]);

async function dispatch(options: Options, context: CommandContext): Promise<ExitCode> {
  switch (options.command) {
    case "run":
    case "plan":
    case "why": {
      const { openState, openTrust } = await import("../state.ts");
      const { load } = await import("../load.ts");
      const project = findProject(context.cwd, options.imagefile);
      const { plan, run } = await import("./run.ts");
      if (options.command === "run") return run(context, project);
      const state = openState(project, await openTrust(project), process.env, { readOnly: true });
      const loaded = await load(project, state.cache, { write: false });
      return options.command === "plan" ? plan(context, { state, loaded }) : (await import("./why.ts")).why(context, { state, loaded });
    }
    case "list":
      return (await import("./list.ts")).list(context);
    case "show":
      return (await import("./show.ts")).show(context);
    case "graph":
      return (await import("./graph.ts")).graph(context);
    case "verify":
      return (await import("./verify.ts")).verify(context);
    case "doctor":
      return (await import("./doctor.ts")).doctor(context);
    case "check":
      return (await import("./check.ts")).check(context);
    case "clean":
      return (await import("./clean.ts")).clean(context);
    case "outdated":
      return (await import("./outdated.ts")).outdated(context);
    case "update":
      return (await import("./outdated.ts")).update(context);
    case "ci":
      return (await import("./ci.ts")).ci(context);
    case "metrics":
      return (await import("./metrics.ts")).metrics(context);
    case "init":
      return (await import("./init.ts")).init(context);
    case "help":
      return (await import("./help.ts")).help(context);
    case "version": {
      const { packageVersion } = await import("../package.ts");
      context.stdout(options.json ? `${JSON.stringify({ version: packageVersion() })}\n` : `imgtask ${packageVersion()}\n`);
      return ExitCode.ok;
    }
  }
}

/** Runs the command line and tells the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const controller = new AbortController();
  // Modes of what recipes make must not depend on who runs them.
  process.umask(0o022);
  let interrupts = 0, last = -Infinity;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Kept for the whole life: a second signal must not cut off the clean-up that the first began, a third may. One Ctrl-C
    // comes twice where a wrapper, as cross-env or dotenv, passes on what the terminal has sent to all.
    process.on(signal, () => {
      controller.abort(signal);
      if (performance.now() - last < 100) return;
      last = performance.now();
      if (++interrupts >= 3) process.exit(ExitCode.interrupted);
    });
  }
  let options: Options | undefined;
  let stray: { readonly error: unknown } | undefined;
  // A promise that a recipe forgot to wait for: its failure ends the run in order, with words instead of a stack.
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => {
      if (stray === undefined) stray = { error };
      // Not the name of a signal: nobody sent one.
      controller.abort("stray failure");
    });
  }
  try {
    options = parseOptions(argv);
    const cwd = resolve(options.directory ?? ".");
    const answer = options.command === "run" && [...options.given].every((name) => harmless.has(name)) ? unchanged(options, cwd, process.env) : undefined;
    if (answer === true) return ExitCode.ok;
    let imagefile: string | undefined;
    try {
      imagefile = findProject(cwd, options.imagefile).imagefile;
    } catch {
      // Commands that need one say so themselves.
    }
    const context: CommandContext = {
      options,
      cwd,
      imagefile,
      env: process.env,
      evidence: answer,
      signal: controller.signal,
      color: colorFor(options),
      stdout: (text) => void process.stdout.write(text),
      stderr: (text) => void process.stderr.write(text),
      load: async () => {
        const project = findProject(cwd, options!.imagefile);
        const { openState, openTrust } = await import("../state.ts");
        const { load } = await import("../load.ts");
        return load(project, openState(project, await openTrust(project), process.env, { readOnly: true }).cache, { write: false });
      },
    };
    const code = await dispatch(options, context);
    if (stray !== undefined) {
      const { error } = stray as { readonly error: unknown };
      throw isImgtaskError(error) ? error : new ImgtaskError("IMG3022", `Something failed that nothing waited for: ${error instanceof Error ? error.message : String(error)}`, {
        hint: "Await every promise in recipes and in the imagefile",
        cause: error,
      });
    }
    return controller.signal.aborted && code === ExitCode.ok ? (controller.signal.reason === "SIGINT" ? ExitCode.interrupted : ExitCode.terminated) : code;
  } catch (caught) {
    const { accessError, diskError } = await import("../disk-error.ts");
    const error = accessError(caught) ?? diskError(caught, undefined) ?? caught;
    const { errorData, formatError } = await import("../report/error.ts");
    const cwd = process.cwd();
    if (options?.json === true) process.stdout.write(`${JSON.stringify({ error: errorData(error, cwd) })}\n`);
    else process.stderr.write(`${formatError(error, { color: colorFor(options), cwd })}\n`);
    return isImgtaskError(error) ? error.exitCode : ExitCode.failed;
  }
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader such as `head` that has seen enough is no failure.
  if (error.code === "EPIPE") process.exit(0);
});
/** Whether a terminal that this process was started on is closed: Node asserts when it cannot give it back its settings. */
async function terminalIsClosed(): Promise<boolean> {
  const { isatty } = await import("node:tty");
  return [0, 1, 2].some((fd) => {
    try {
      return /^\/dev\/(?:pts\/|tty)/.test(readlinkSync(`/proc/self/fd/${fd}`)) && !isatty(fd);
    } catch {
      return false; // It is not open at all.
    }
  });
}

// Until it is known better: what ends the process otherwise is a failure.
process.exitCode = ExitCode.failed;
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // Not even the words for an error could be loaded.
  process.stderr.write(`error IMG9000: ${error instanceof Error ? error.message : String(error)}\n`);
}
if (process.exitCode !== ExitCode.ok && (await terminalIsClosed())) {
  // As a process ends whose terminal was closed, and not by a failed assertion with a core file.
  process.removeAllListeners("SIGHUP");
  process.kill(process.pid, "SIGHUP");
}
// Nothing may keep a finished run alive.
if (process.stdout.writableLength === 0) process.exit();
process.stdout.once("drain", () => process.exit());
