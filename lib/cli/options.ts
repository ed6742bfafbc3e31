/**
 * The arguments of the command line, as data. Runs nothing and reads no file.
 * @module
 */
import { parseArgs } from "node:util";
import { ExitCode, ImgtaskError } from "../error.ts";
import { meant, nearest } from "../nearest.ts";
import type { ReporterName } from "../report/choose.ts";
import { bytesOf } from "../resources.ts";
import type { FailureMode } from "../schedule.ts";

/** Every command. A word that is none of these is a target to run. */
export const commands = [
  "run", "plan", "list", "show", "why", "graph", "verify", "doctor", "check", "clean", "outdated", "update", "metrics", "ci", "init", "help", "version",
] as const;

/** One of {@linkcode commands}. */
export type Command = (typeof commands)[number];

/** How events can be shown. */
export const reporterNames: readonly ReporterName[] = ["tty", "plain", "github", "json", "quiet"];

/** What the command line asks for. */
export interface Options {
  readonly command: Command;
  /** Names and patterns of targets; for `help`, the command to explain. */
  readonly targets: readonly string[];
  /** The command is `run` only because the first word is no command: it may be a mistyped one. */
  readonly implied: boolean;
  /** Places for targets at once. @default the number of processors, decided by the scheduler */
  readonly jobs: number | undefined;
  /** Bytes of memory for targets at once. @default what the host has to spare */
  readonly memory: number | undefined;
  /** What happens after a failure: `-k` is `continue`, `--fail-fast` is `kill`. @default "no-new" */
  readonly failures: FailureMode;
  /** File for a trace of the run, as it was given. */
  readonly trace: string | undefined;
  /** `run -n`; the command is `plan` then. @default false */
  readonly dryRun: boolean;
  /** What would change `imgtask.lock` fails. @default false */
  readonly frozen: boolean;
  /** Run the named targets even when they are fresh. @default false */
  readonly force: boolean;
  /** Watch what the named targets read and write; they run even when fresh. @default false */
  readonly audit: boolean;
  /** Directory to work in, as it was given. */
  readonly directory: string | undefined;
  /** Imagefile to use, as it was given. */
  readonly imagefile: string | undefined;
  /** Machine-readable output on standard output. @default false */
  readonly json: boolean;
  readonly reporter: ReporterName | undefined;
  /** @default "auto" */
  readonly color: "auto" | "always" | "never";
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Install missing tools with the system's package manager. @default false */
  readonly installTools: boolean;
  /** `plan` ends with 5 when something would run, `outdated` when there are newer media. @default false */
  readonly exitCode: boolean;
  /** Of `graph`. @default "mermaid" */
  readonly format: "mermaid" | "dot";
  /** Long names of the options that were given. */
  readonly given: ReadonlySet<string>;
  /** Of `verify`: make the named targets again and compare; `deep` all that they need as well. */
  readonly rebuild: boolean;
  readonly deep: boolean;
  /** Of `verify`: public keys that are trusted, or a file with some. */
  readonly key: string | undefined;
  /** What `clean` removes beside temporary files. */
  readonly clean: { readonly store: boolean; readonly artifacts: boolean };
  /** `clean` removes logs of runs that began so many milliseconds ago. @default none */
  readonly olderThan: number | undefined;
  /** When the file that `ci` writes runs by itself, as cron has it. @default "17 3 * * 1", Monday night */
  readonly schedule: string;
  /** `metrics` writes the dashboard instead. @default false */
  readonly dashboard: boolean;
}

interface Flag {
  readonly type: "boolean" | "string";
  readonly short?: string;
  /** Commands that take it; all when absent. */
  readonly of?: readonly Command[];
}

const building: readonly Command[] = ["run", "plan"];

const flags: Readonly<Record<string, Flag>> = {
  jobs: { type: "string", short: "j", of: building },
  memory: { type: "string", of: building },
  "keep-going": { type: "boolean", short: "k", of: building },
  "fail-fast": { type: "boolean", of: building },
  trace: { type: "string", of: ["run"] },
  "dry-run": { type: "boolean", short: "n", of: building },
  force: { type: "boolean", short: "f", of: [...building, "ci"] },
  frozen: { type: "boolean", of: ["run"] },
  audit: { type: "boolean", of: ["run"] },
  directory: { type: "string", short: "C" },
  imagefile: { type: "string" },
  json: { type: "boolean", of: ["run", "plan", "list", "show", "why", "graph", "doctor", "check", "clean", "verify", "outdated", "update", "version"] },
  rebuild: { type: "boolean", of: ["verify"] },
  deep: { type: "boolean", of: ["verify"] },
  key: { type: "string", of: ["verify"] },
  reporter: { type: "string", of: building },
  color: { type: "string" },
  quiet: { type: "boolean", short: "q" },
  verbose: { type: "boolean", short: "v" },
  "install-tools": { type: "boolean", of: ["run", "doctor"] },
  "exit-code": { type: "boolean", of: [...building, "outdated"] },
  format: { type: "string", of: ["graph"] },
  store: { type: "boolean", of: ["clean"] },
  artifacts: { type: "boolean", of: ["clean"] },
  all: { type: "boolean", of: ["clean"] },
  "older-than": { type: "string", of: ["clean"] },
  schedule: { type: "string", of: ["ci"] },
  dashboard: { type: "boolean", of: ["metrics"] },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
};

/** Long names of all options, without the dashes. */
export const optionNames: readonly string[] = Object.keys(flags);

function usage(message: string, details: { expected?: string; found?: string; hint?: string } = {}): ImgtaskError {
  return new ImgtaskError("IMG2020", message, { hint: "Run `imgtask help` to see what there is", ...details, exitCode: ExitCode.usage });
}

function oneOf<T extends string>(option: string, value: string | undefined, allowed: readonly T[]): T | undefined {
  if (value === undefined || (allowed as readonly string[]).includes(value)) return value as T | undefined;
  const near = nearest(value, allowed);
  throw usage(`Bad value "${value}" for "--${option}"`, {
    expected: `one of ${allowed.join(", ")}`,
    ...(near === undefined ? {} : { hint: `Did you mean "${near}"?` }),
  });
}

function places(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^[1-9]\d{0,3}$/.test(value)) return Number(value);
  throw usage(`Bad value "${value}" for "--jobs"`, { expected: "a whole number from 1 to 9999", hint: "Leave it out to use every processor" });
}

function memory(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const bytes = bytesOf(value);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw usage(`Bad value "${value}" for "--memory"`, { expected: `a number with K, M, G or T, as in "4G"`, hint: "Leave it out to use what the host has to spare" });
}

function cron(value: string | undefined): string | undefined {
  if (value === undefined || /^[0-9*,/-]+( [0-9A-Za-z*,/-]+){4}$/.test(value)) return value;
  throw usage(`Bad value "${value}" for "--schedule"`, { expected: `five fields of cron, as in "17 3 * * 1"` });
}

const ages: Readonly<Record<string, number>> = { h: 3600e3, d: 24 * 3600e3, w: 7 * 24 * 3600e3 };

function age(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const [, number, unit] = /^(\d{1,5})([hdw])$/.exec(value) ?? [];
  if (unit !== undefined) return Number(number) * ages[unit]!;
  throw usage(`Bad value "${value}" for "--older-than"`, { expected: `a number with h, d or w (hours, days, weeks), as in "90d"` });
}

function failures(given: ReadonlyMap<string, unknown>): FailureMode {
  if (given.has("keep-going") && given.has("fail-fast")) throw usage(`"--keep-going" and "--fail-fast" exclude each other`);
  return given.has("keep-going") ? "continue" : given.has("fail-fast") ? "kill" : "no-new";
}

/**
 * Reads the arguments after the program's name.
 *
 * @throws {ImgtaskError} IMG2020 for an unknown option, an option that the command does not take, or a bad value.
 *
 * @example
 * ```ts
 * parseOptions(["-j4", "iso:debian"]); // { command: "run", targets: ["iso:debian"], jobs: 4, implied: true, … }
 * ```
 */
export function parseOptions(argv: readonly string[]): Options {
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(Object.entries(flags).map(([name, { type, short }]) => [name, { type, ...(short === undefined ? {} : { short }) }])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string | true>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
    if (flag === undefined) {
      const near = nearest(token.name, optionNames);
      throw usage(`Unknown option "${token.rawName}"`, near === undefined || token.name.length === 1 ? {} : { hint: `Did you mean "--${near}"?` });
    }
    if (flag.type === "boolean" && token.value !== undefined) {
      throw usage(`Option "${token.rawName}" takes no value`, { found: `"${token.value}"` });
    }
    // parseArgs takes whatever follows as the value, even the next option.
    if (flag.type === "string" && (token.value === undefined || token.value === "" || (!token.inlineValue && token.value.startsWith("-")))) {
      throw usage(`Option "${token.rawName}" needs a value`, token.value ? { found: `"${token.value}"` } : {});
    }
    given.set(token.name, token.value ?? true);
  }
  const text = (name: string): string | undefined => given.get(name) as string | undefined;
  const { command, targets, implied } = commandOf(words, given);
  for (const name of given.keys()) {
    const { of } = flags[name]!;
    if (of !== undefined && !of.includes(command) && command !== "help" && command !== "version") {
      throw usage(`Command "${command}" takes no option "--${name}"`, {
        expected: `"--${name}" with ${of.join(", ")}`,
        hint: `Run \`imgtask help ${command}\` to see its options`,
      });
    }
  }
  const dryRun = given.has("dry-run");
  return {
    command: command === "run" && dryRun ? "plan" : command,
    targets,
    implied,
    jobs: places(text("jobs")),
    memory: memory(text("memory")),
    failures: failures(given),
    trace: text("trace"),
    dryRun,
    force: given.has("force"),
    frozen: given.has("frozen"),
    audit: given.has("audit"),
    directory: text("directory"),
    imagefile: text("imagefile"),
    json: given.has("json"),
    reporter: oneOf("reporter", text("reporter"), reporterNames),
    color: oneOf("color", text("color"), ["auto", "always", "never"] as const) ?? "auto",
    quiet: given.has("quiet"),
    verbose: given.has("verbose"),
    installTools: given.has("install-tools"),
    exitCode: given.has("exit-code"),
    given: new Set(given.keys()),
    rebuild: given.has("rebuild"),
    deep: given.has("deep"),
    key: text("key"),
    format: oneOf("format", text("format"), ["mermaid", "dot"] as const) ?? "mermaid",
    olderThan: age(text("older-than")),
    schedule: cron(text("schedule")) ?? "17 3 * * 1",
    dashboard: given.has("dashboard"),
    clean: { store: given.has("store") || given.has("all"), artifacts: given.has("artifacts") || given.has("all") },
  };
}

function commandOf(words: readonly string[], given: ReadonlyMap<string, unknown>): Pick<Options, "command" | "targets" | "implied"> {
  const [first, ...rest] = words;
  const named = (commands as readonly string[]).includes(first ?? "") ? (first as Command) : undefined;
  if (given.has("version")) return { command: "version", targets: [], implied: false };
  if (given.has("help")) return { command: "help", targets: named === undefined ? [] : [named], implied: false };
  if (first === undefined) {
    // A flag that only makes sense when building asks for the default target.
    const build = ["jobs", "memory", "keep-going", "fail-fast", "trace", "dry-run", "force", "frozen", "audit", "reporter", "install-tools", "exit-code"].some((name) => given.has(name));
    return { command: build ? "run" : "list", targets: [], implied: false };
  }
  if (named === undefined) return { command: "run", targets: words, implied: true };
  if (named === "help" && rest[0] !== undefined && !(commands as readonly string[]).includes(rest[0])) throw unknownCommand(rest[0]);
  const limit = { why: 1, init: 0, check: 0, version: 0, help: 1, clean: 0, metrics: 0 }[named as string];
  if (limit !== undefined && rest.length > limit) {
    throw usage(`Command "${named}" takes ${limit === 0 ? "no argument" : "one argument"}`, { found: rest.map((word) => `"${word}"`).join(" ") });
  }
  if (named === "ci" && rest.length === 0) throw usage(`Command "ci" needs the name of a CI system`, { expected: "github or gitlab" });
  if (named === "why" && rest.length === 0) throw usage(`Command "why" needs the name of a target`, { hint: "Run `imgtask list` to see the targets" });
  return { command: named, targets: rest, implied: false };
}

/**
 * The error for a word that is neither a command nor, as far as `targets` are known, a target.
 *
 * @example
 * ```ts
 * if (options.implied && !graph.has(first) && !/[:*]/.test(first)) throw unknownCommand(first, [...graph.keys()]);
 * ```
 */
export function unknownCommand(word: string, targets: readonly string[] = []): ImgtaskError {
  const near = meant(word, targets, commands);
  return usage(`Unknown command "${word}"`, {
    expected: targets.length === 0 ? `one of ${commands.join(", ")}` : "a command or the name of a target",
    ...(near === undefined ? {} : { hint: `Did you mean "${near}"?` }),
  });
}
