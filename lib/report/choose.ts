/**
 * Picks the reporter that suits the terminal, the CI system and the wishes of the user. Loads only that one.
 * @module
 */
import type { Reporter, Sink } from "./reporter.ts";

/** Names of the reporters. */
export type ReporterName = "tty" | "plain" | "github" | "json" | "quiet";

/** A stream that may be a terminal, such as `process.stderr`. */
export interface Terminal extends Sink {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What {@linkcode chooseReporter} takes. */
export interface Choice {
  /** Reporter that the user asked for. */
  readonly requested?: ReporterName | undefined;
  /** Where progress goes. @default process.stderr */
  readonly stream?: Terminal;
  /** Where data goes; only the reporter `json` writes to it. @default process.stdout */
  readonly data?: Sink;
  /** @default process.env */
  readonly env?: Environment;
  /** As of `--color`. @default "auto" */
  readonly color?: "auto" | "always" | "never";
  /** Directory that paths are shown relative to. @default process.cwd() */
  readonly cwd?: string;
  readonly verbose?: boolean;
  /** Aborts when the run is to end before its time. */
  readonly signal?: AbortSignal;
}

const set = (value: string | undefined): boolean => value !== undefined && value !== "";

/**
 * Whether text for a stream may hold colours: `--color` decides, then `NO_COLOR`, then `FORCE_COLOR`, then whether
 * it is a terminal that can.
 */
export function wantsColor(stream: Terminal, env: Environment, color: "auto" | "always" | "never" = "auto"): boolean {
  if (color !== "auto") return color === "always";
  if (set(env["NO_COLOR"])) return false;
  if (env["FORCE_COLOR"] !== undefined) return env["FORCE_COLOR"] !== "0" && env["FORCE_COLOR"] !== "false";
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

/** Name of the reporter that suits a stream and an environment. */
export function suitable(stream: Terminal, env: Environment): "tty" | "plain" | "github" {
  if (env["GITHUB_ACTIONS"] === "true") return "github";
  const ci = set(env["CI"]) && env["CI"] !== "false" && env["CI"] !== "0";
  const live = stream.isTTY === true && (stream.columns ?? 0) > 0 && env["TERM"] !== "dumb" && !ci;
  return live ? "tty" : "plain";
}

/**
 * Makes the reporter for a run.
 *
 * @example
 * ```ts
 * const reporter = await chooseReporter({ requested: options.json ? "json" : options.reporter });
 * run({ …, on: reporter.on });
 * reporter.close();
 * ```
 */
export async function chooseReporter(choice: Choice = {}): Promise<Reporter> {
  const stream = choice.stream ?? process.stderr;
  const env = choice.env ?? process.env;
  const color = wantsColor(stream, env, choice.color);
  const cwd = choice.cwd ?? process.cwd();
  const options = { color, cwd, verbose: choice.verbose ?? false, signal: choice.signal };
  let name = choice.requested ?? suitable(stream, env);
  // A spinner that is asked for still needs somewhere to spin.
  if (name === "tty" && (stream.isTTY !== true || (stream.columns ?? 0) <= 0)) name = "plain";
  switch (name) {
    case "tty":
      return (await import("./tty.ts")).ttyReporter(stream as NodeJS.WriteStream, options);
    case "github":
      return (await import("./github.ts")).githubReporter(stream, { ...options, summary: env["GITHUB_STEP_SUMMARY"] });
    case "json":
      return (await import("./json.ts")).jsonReporter(choice.data ?? process.stdout, options);
    case "quiet":
      return (await import("./plain.ts")).quietReporter(stream, options);
    case "plain":
      return (await import("./plain.ts")).plainReporter(stream, options);
  }
}
