/**
 * The command `help`: what the program can do, and how to say it.
 * @module
 */
import { ExitCode } from "../error.ts";
import type { CommandContext } from "./context.ts";
import type { Command } from "./options.ts";

interface Topic {
  readonly usage: string;
  readonly summary: string;
  readonly details: readonly string[];
  /** Keys of {@linkcode optionLines}. */
  readonly options: readonly (keyof typeof optionLines)[];
}

const optionLines = {
  jobs: ["-j, --jobs N", "cores to keep busy (default: those that this process may use)"],
  memory: ["--memory SIZE", "memory for targets at once, as in 4G (default: what the host has to spare)"],
  keepGoing: ["-k, --keep-going", "after a failure, go on with what does not depend on it"],
  failFast: ["--fail-fast", "after a failure, end what runs (default: finish it, but begin nothing)"],
  trace: ["--trace FILE", "write what happened when, for ui.perfetto.dev"],
  dryRun: ["-n, --dry-run", "only say what would be done, as `plan` does"],
  force: ["-f, --force", "run the named targets even when they are fresh"],
  forcePlan: ["-f, --force", "as if the named targets were not fresh, as with `run --force`"],
  forceFile: ["-f, --force", "replace a file that was edited"],
  frozen: ["--frozen", "fail with 5 when imgtask.lock would change"],
  audit: ["--audit", "also watch what the targets read and write: fail on what they do not declare (needs strace)"],
  reporter: ["--reporter NAME", "tty, plain, github, json or quiet (default: what suits the terminal or CI)"],
  installTools: ["--install-tools", "install missing tools with the system's package manager (default: only name them)"],
  exitCode: ["--exit-code", "end with 5 when something would run"],
  exitCodeNewer: ["--exit-code", "end with 5 when newer media are there"],
  format: ["--format NAME", "mermaid or dot (default: mermaid)"],
  store: ["--store", "remove stored results too: everything is built anew then"],
  artifacts: ["--artifacts", "remove finished outputs too, unless they were edited"],
  olderThan: ["--older-than AGE", "remove logs of runs that began so long ago, as in 30d (without it, runs remove those of 90 days)"],
  all: ["--all", "both, and logs and caches"],
  schedule: ["--schedule CRON", "when it runs by itself, in UTC (default: 17 3 * * 1)"],
  dashboard: ["--dashboard", "the dashboard for Grafana that shows them"],
  key: ["--key KEY", "minisign public keys that are trusted, or a file with some (default: IMGTASK_PUBLISHER_KEYS)"],
  rebuild: ["--rebuild", "make the named targets again, and compare with what is stored"],
  deep: ["--deep", "also make again all that they need"],
  json: ["--json", "data for programs on standard output"],
  directory: ["-C, --directory DIR", "work in DIR (default: .)"],
  imagefile: ["--imagefile FILE", "use FILE (default: imagefile.ts here or in a directory above)"],
  color: ["--color WHEN", "auto, always or never (default: auto)"],
  quiet: ["-q, --quiet", "only tell warnings and errors"],
  verbose: ["-v, --verbose", "tell fresh targets and all progress too"],
  help: ["-h, --help", "this text; of a command, when one is named"],
  version: ["--version", "the version"],
} as const;

const general = ["directory", "imagefile", "color", "quiet", "verbose", "help", "version"] as const;

const topics: Readonly<Record<Command, Topic>> = {
  run: {
    usage: "imgtask run [TARGET…]",
    summary: "Build targets and what they need, as far as they are stale",
    details: [
      "TARGET is a name such as iso:debian, a pattern such as 'iso:*', or a group. Without one, the default export of",
      "the imagefile is built. `imgtask TARGET…` is short for it.",
    ],
    options: ["jobs", "memory", "keepGoing", "failFast", "trace", "dryRun", "force", "frozen", "audit", "reporter", "installTools", "json"],
  },
  plan: {
    usage: "imgtask plan [TARGET…]",
    summary: "Say what a run would do and why, and do nothing",
    details: [],
    options: ["exitCode", "forcePlan", "json"],
  },
  list: { usage: "imgtask list [TARGET…]", summary: "List the targets", details: [], options: ["json"] },
  show: { usage: "imgtask show [TARGET…]", summary: "Show inputs, outputs, parameters and tools of targets", details: [], options: ["json"] },
  why: { usage: "imgtask why TARGET", summary: "Say why a target would run, or why not", details: [], options: ["json"] },
  graph: { usage: "imgtask graph [TARGET…]", summary: "Write the graph as Mermaid or Graphviz text", details: [], options: ["format", "json"] },
  verify: {
    usage: "imgtask verify FILE… | --rebuild [TARGET…]",
    summary: "Check published files; or make targets again, and show where the result differs",
    details: [
      "FILE is checked offline by what was published beside it: signatures, SHA256SUMS, manifest, SBOMs, attestations.",
      "--rebuild works in a private place, and changes no result. Ends with 3 when something is not as it should be.",
    ],
    options: ["key", "rebuild", "deep", "json"],
  },
  doctor: {
    usage: "imgtask doctor [TARGET…]",
    summary: "Check that this host has what the targets need",
    details: ["Ends with 4 when something that is needed is missing, and names the command that installs it."],
    options: ["installTools", "json"],
  },
  check: {
    usage: "imgtask check",
    summary: "Check the types of the imagefile",
    details: ["Uses the project's own TypeScript when it has one, otherwise the one that comes with imgtask."],
    options: ["json"],
  },
  clean: {
    usage: "imgtask clean",
    summary: "Remove temporary files; with options, also what was built",
    details: ["Never removes a file that imgtask has not made or that was edited since."],
    options: ["store", "artifacts", "all", "olderThan", "json"],
  },
  outdated: {
    usage: "imgtask outdated [TARGET…]",
    summary: "Ask for newer media than those that imgtask.lock pins",
    details: ["Asks the mirrors for their signed lists, and believes them when they are. Changes nothing."],
    options: ["exitCodeNewer", "json"],
  },
  update: {
    usage: "imgtask update [TARGET…]",
    summary: "Pin the newest media in imgtask.lock",
    details: ["Only those that the targets need are looked at; the next run takes them."],
    options: ["json"],
  },
  ci: {
    usage: "imgtask ci github|gitlab [TARGET…]",
    summary: "Write the file by which CI runs targets, on demand and by schedule, a job each",
    details: ["Without targets: those of the default export. A file that was edited is replaced with --force only."],
    options: ["schedule", "forceFile"],
  },
  metrics: {
    usage: "imgtask metrics",
    summary: "Write how often targets succeeded, how long they took and how large they are, for Prometheus",
    details: ["With IMGTASK_METRICS=FILE every run writes them into FILE, for the node exporter's textfile collector."],
    options: ["dashboard"],
  },
  init: {
    usage: "imgtask init",
    summary: "Write an imagefile that builds a Debian disk",
    details: ["Overwrites nothing."],
    options: [],
  },
  help: { usage: "imgtask help [COMMAND]", summary: "Explain a command", details: [], options: [] },
  version: { usage: "imgtask version", summary: "Say the version", details: [], options: ["json"] },
};

const environment = [
  ["NO_COLOR, FORCE_COLOR", "no colours; colours even without a terminal"],
  ["CI, GITHUB_ACTIONS", "plain lines; groups and annotations of GitHub"],
  ["SOURCE_DATE_EPOCH", "seconds since 1970 for every time stamp in an output"],
  ["IMGTASK_DEBIAN_MIRROR", "Debian mirror (default: the one apt is set up with)"],
  ["IMGTASK_DEBUG=1", "stack traces of errors"],
] as const;

const codes = [
  ["0", "done, or nothing to do"],
  ["1", "a target failed"],
  ["2", "usage or imagefile"],
  ["3", "verification refused"],
  ["4", "prerequisite missing"],
  ["5", "would change: plan, outdated --exit-code; run --frozen"],
  ["75", "temporary, try again"],
  ["130, 143", "interrupted"],
] as const;

function table(rows: readonly (readonly [string, string])[]): readonly string[] {
  const column = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, words]) => `  ${name.padEnd(column)}  ${words}`);
}

function overview(): string {
  const options = (keys: readonly (keyof typeof optionLines)[]): readonly string[] => table(keys.map((key) => optionLines[key]));
  return [
    "usage: imgtask [TARGET…] [OPTION…]",
    "       imgtask COMMAND [ARGUMENT…] [OPTION…]",
    "",
    "Builds Linux images from the targets of imagefile.ts, and only what is stale.",
    "",
    "examples:",
    "  imgtask                                  list the targets",
    "  imgtask iso:debian disk:debian           build two images and all that they need",
    "  imgtask plan 'disk:*' --exit-code        would anything run? 5 if so",
    "",
    "commands:",
    ...table(Object.entries(topics).map(([name, { summary }]) => [name, summary])),
    "",
    "building:",
    ...options(["jobs", "keepGoing", "dryRun", "force", "audit", "exitCode", "installTools", "reporter", "json"]),
    "",
    "general:",
    ...options(general),
    "",
    "environment:",
    ...table(environment),
    "",
    "exit codes:",
    ...table(codes),
    "",
  ].join("\n");
}

/** The help text of the program, or of one command. */
export function helpText(command?: Command): string {
  if (command === undefined) return overview();
  const { usage, summary, details, options } = topics[command];
  const lines = [`usage: ${usage} [OPTION…]`, "", summary, ...(details.length > 0 ? ["", ...details] : [])];
  if (options.length > 0) lines.push("", "options:", ...table(options.map((key) => optionLines[key])));
  lines.push("", "general:", ...table(general.map((key) => optionLines[key])), "");
  return lines.join("\n");
}

/** Writes the help text to standard output. */
export async function help(context: CommandContext): Promise<ExitCode> {
  context.stdout(helpText(context.options.targets[0] as Command | undefined));
  return ExitCode.ok;
}
