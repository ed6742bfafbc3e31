/**
 * What is looked at inside a guest: one POSIX shell script for all of it, and the reading of what it prints.
 * Pure: knows nothing of SSH or of the machine.
 * @module
 */
import { checkOf, type Probe, shellQuote } from "./probe/probe.ts";
import type { Pattern } from "./serial.ts";
import { endOf, showPattern } from "./serial.ts";
import type { Check } from "./report.ts";

/** A file as it should be. */
export interface ExpectedFile {
  /** Absolute path in the guest. */
  readonly path: string;
  /** Permission bits. @default any */
  readonly mode?: number;
  /** User name or numeric id. @default any */
  readonly owner?: string;
  /** Group name or numeric id. @default any */
  readonly group?: string;
  /** What it is itself: links are not followed. @default any */
  readonly type?: "file" | "directory" | "symlink";
  /** Text that must be somewhere in its first MiB. */
  readonly contains?: string;
}

/** Directories that should all be alike. */
export interface ExpectedDirectories {
  /** For people: where the list comes from. */
  readonly name: string;
  readonly paths: readonly string[];
  readonly mode: number;
  readonly owner: string;
  readonly group: string;
}

/** A command and what should come of it. */
export interface ExpectedCommand {
  readonly run: readonly string[];
  readonly stdout?: Pattern;
  readonly exit: number;
}

/** All that is looked at inside. */
export interface Questions {
  readonly probes: readonly Probe[];
  readonly files: readonly ExpectedFile[];
  readonly directories: readonly ExpectedDirectories[];
  readonly commands: readonly ExpectedCommand[];
}

/** So many paths go to one `stat`: few processes, and a command line that every guest can take. */
const batch = 100;

function statLines(paths: readonly string[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at < paths.length; at += batch) {
    lines.push(`stat -c 'F %f %u %g %U %G %n' -- ${paths.slice(at, at + batch).map(shellQuote).join(" ")} </dev/null 2>/dev/null`);
  }
  return lines;
}

/**
 * The script. What needs it is done as root when the user may without a password; commands run as the user.
 *
 * @param patience seconds that the guest gets to finish its boot.
 */
export function script(questions: Questions, patience: number): string {
  const paths = [...new Set([...questions.files.map((file) => file.path), ...questions.directories.flatMap((list) => list.paths)])];
  return [
    `LC_ALL=C; export LC_ALL`,
    `root=; [ "$(id -u)" = 0 ] || { sudo -n true </dev/null >/dev/null 2>&1 && root='sudo -n'; }`,
    `printf 'I %s %s\\n' "$($root id -u </dev/null)" "$(id -un)"`,
    `$root sh -s <<'IMGTASK_END_OF_PART'`,
    `LC_ALL=C; export LC_ALL`,
    // Services may still be starting when the door opens; they are judged when the boot is over.
    ...(questions.probes.length === 0 ? [] : [`timeout ${patience} systemctl is-system-running --wait </dev/null >/dev/null 2>&1`]),
    ...questions.probes.map(({ shell }, index) => `printf 'P %s %s\\n' ${index} "$( { ${shell}\n} </dev/null 2>/dev/null | head -c 1048576 | base64 | tr -d '\\n')"`),
    ...statLines(paths),
    ...questions.files.flatMap((file, index) =>
      file.contains === undefined ? [] : [`printf 'C %s %s\\n' ${index} "$(head -c 1048576 ${shellQuote(file.path)} </dev/null 2>/dev/null | base64 | tr -d '\\n')"`]
    ),
    `IMGTASK_END_OF_PART`,
    ...questions.commands.map((command, index) =>
      `printf 'O %s %s\\n' ${index} "$( { ( ${command.run.map(shellQuote).join(" ")} ) </dev/null; printf '\\n%s' "$?"; } | base64 | tr -d '\\n')"`
    ),
    `printf 'END\\n'`,
    "",
  ].join("\n");
}

interface Stat {
  readonly mode: number;
  readonly type: string;
  readonly owners: readonly string[];
  readonly groups: readonly string[];
}

/** What the guest answered. */
export interface Answers {
  /** Whether it came to its end. */
  readonly complete: boolean;
  readonly user: string;
  readonly root: boolean;
  /** What probes printed, by their number. */
  readonly probes: ReadonlyMap<number, string>;
  readonly stats: ReadonlyMap<string, Stat>;
  readonly contents: ReadonlyMap<number, string>;
  readonly commands: ReadonlyMap<number, { readonly exit: number; readonly stdout: string }>;
}

const types: Readonly<Record<number, string>> = { 0o4: "directory", 0o10: "file", 0o12: "symlink", 0o2: "character device", 0o6: "block device", 0o1: "pipe", 0o14: "socket" };

/** Reads what the script printed. Lines of another shape (a login banner) are passed over. */
export function readAnswers(text: string): Answers {
  const probes = new Map<number, string>();
  const stats = new Map<string, Stat>();
  const contents = new Map<number, string>();
  const commands = new Map<number, { exit: number; stdout: string }>();
  let complete = false, user = "", root = false;
  for (const line of text.split("\n")) {
    const match = /^(?:(END)|I (\d+) (.*)|P (\d+) (\S*)|F ([0-9a-f]+) (\d+) (\d+) (\S+) (\S+) (.*)|C (\d+) (\S*)|O (\d+) (\S*))$/.exec(line);
    if (match === null) continue;
    const group = (index: number): string => match[index] ?? "";
    if (match[1] !== undefined) complete = true;
    else if (match[2] !== undefined) [root, user] = [match[2] === "0", group(3)];
    else if (match[4] !== undefined) probes.set(Number(match[4]), Buffer.from(group(5), "base64").toString("utf8"));
    else if (match[6] !== undefined) {
      const bits = Number.parseInt(match[6], 16);
      stats.set(group(11), { mode: bits & 0o7777, type: types[bits >> 12] ?? "unknown", owners: [group(9), group(7)], groups: [group(10), group(8)] });
    } else if (match[12] !== undefined) contents.set(Number(match[12]), Buffer.from(group(13), "base64").toString("utf8"));
    else if (match[14] !== undefined) {
      const output = Buffer.from(group(15), "base64").toString("utf8");
      const at = output.lastIndexOf("\n");
      commands.set(Number(match[14]), { exit: Number(output.slice(at + 1)), stdout: output.slice(0, at) });
    }
  }
  return { complete, user, root, probes, stats, contents, commands };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function describe(stat: Stat): string {
  return `${stat.type} ${stat.owners[0]}:${stat.groups[0]} ${octal(stat.mode)}`;
}

/** Whether a file is as expected, and how it should be for people. */
function fits(stat: Stat, expected: Pick<ExpectedFile, "mode" | "owner" | "group" | "type">): boolean {
  return (expected.mode === undefined || stat.mode === expected.mode) &&
    (expected.owner === undefined || stat.owners.includes(expected.owner)) &&
    (expected.group === undefined || stat.groups.includes(expected.group)) &&
    (expected.type === undefined || stat.type === expected.type);
}

function wanted(expected: Pick<ExpectedFile, "mode" | "owner" | "group" | "type">): string {
  const owners = expected.owner === undefined && expected.group === undefined ? "" : `${expected.owner ?? "*"}:${expected.group ?? "*"}`;
  return [expected.type ?? "", owners, expected.mode === undefined ? "" : octal(expected.mode)].filter((part) => part !== "").join(" ") || "that it exists";
}

const code = "IMG3506";

/** Compares what was answered with what was expected. */
export function judge(questions: Questions, answers: Answers): readonly Check[] {
  const missing = answers.root ? "nothing there" : `nothing there that "${answers.user}" can see (it cannot become root)`;
  const check = (name: string, passed: boolean, expected: string, found: string): Check => passed ? { name, outcome: "passed" } : { name, outcome: "failed", code, expected, found };
  const checks: Check[] = [];
  for (const [index, probe] of questions.probes.entries()) checks.push(checkOf(probe, answers.probes.get(index)));
  for (const [index, file] of questions.files.entries()) {
    const stat = answers.stats.get(file.path);
    checks.push(check(`file "${file.path}"`, stat !== undefined && fits(stat, file), wanted(file), stat === undefined ? missing : describe(stat)));
    if (file.contains === undefined) continue;
    const content = answers.contents.get(index) ?? "";
    checks.push(check(`file "${file.path}" contains ${JSON.stringify(file.contains)}`, content.includes(file.contains), file.contains, content === "" ? "nothing readable" : content.slice(0, 400)));
  }
  for (const list of questions.directories) {
    const expected = { mode: list.mode, owner: list.owner, group: list.group, type: "directory" as const };
    const wrong = list.paths.filter((path) => {
      const stat = answers.stats.get(path);
      return stat === undefined || !fits(stat, expected);
    });
    const shown = wrong.slice(0, 5).map((path) => {
      const stat = answers.stats.get(path);
      return `${path}: ${stat === undefined ? missing : describe(stat)}`;
    });
    const found = [...shown, ...(wrong.length > shown.length ? [`and ${wrong.length - shown.length} more`] : [])].join("\n");
    checks.push(check(`${list.paths.length} directories of ${list.name}`, wrong.length === 0, wanted(expected), found));
  }
  for (const [index, command] of questions.commands.entries()) {
    const result = answers.commands.get(index) ?? { exit: -1, stdout: "" };
    const output = command.stdout === undefined || endOf(command.stdout, result.stdout) >= 0;
    const expected = `exit code ${command.exit}${command.stdout === undefined ? "" : ` and output ${showPattern(command.stdout)}`}`;
    checks.push(check(`command ${JSON.stringify(command.run.join(" "))}`, result.exit === command.exit && output, expected, `exit code ${result.exit} and output ${JSON.stringify(result.stdout.slice(0, 400))}`));
  }
  return checks;
}
