/**
 * The command `ci`: writes the file by which a CI system runs targets, on demand and by schedule. Replaces only what it
 * wrote itself and nobody edited.
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ExitCode, ImgtaskError } from "../error.ts";
import { type Graph, closure, select } from "../graph.ts";
import { findProject } from "../project.ts";
import { type CiSystem, ciFiles, ciSystems, workflow } from "../report/workflow.ts";
import type { CommandContext } from "./context.ts";

const sign = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);
const head = /^# Written by `imgtask ci [a-z]+`, ([0-9a-f]{32})\. [^\n]*\n/;

/** The whole file: its first line vouches for the rest. */
function sealed(system: CiSystem, text: string): string {
  return `# Written by \`imgtask ci ${system}\`, ${sign(text)}. Run it again when targets change; edited, it stays as it is.\n${text}`;
}

function isOurs(file: string): boolean {
  const text = readFileSync(file, "utf8").replaceAll("\r\n", "\n");
  const match = head.exec(text);
  return match !== null && sign(text.slice(match[0].length)) === match[1];
}

/** The targets to have jobs: the named ones, else the members of the default export, else it alone. */
function jobs(graph: Graph, asked: readonly string[], named: string | undefined): readonly string[] {
  const chosen = asked.length > 0 ? select(graph, asked) : named !== undefined && graph.has(named) ? [named] : [];
  const targets = chosen.flatMap((name) => {
    const { members } = graph.get(name)!.declaration;
    return members.length > 0 ? members : [name];
  });
  if (targets.length > 0) return [...new Set(targets)];
  throw new ImgtaskError("IMG2022", "No target named, and the imagefile has no default", { hint: "Name the targets that are to have jobs: imgtask ci github 'iso:*'", exitCode: ExitCode.usage });
}

/** The directory of the repository that a directory is in; the directory itself when it is in none. */
function repositoryOf(directory: string): string {
  for (let at = directory; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (at === dirname(at)) return directory;
  }
}

/** Writes the file of a CI system. */
export async function ci(context: CommandContext): Promise<ExitCode> {
  const { options } = context;
  const [system, ...asked] = options.targets as readonly [CiSystem, ...string[]];
  if (!ciSystems.includes(system)) {
    throw new ImgtaskError("IMG2020", `Command "ci" knows no "${system}"`, { expected: `one of ${ciSystems.join(", ")}`, hint: "Run `imgtask help ci`", exitCode: ExitCode.usage });
  }
  const { graph, default: named } = await context.load();
  const { directory } = findProject(context.cwd, options.imagefile);
  const repository = repositoryOf(directory);
  const targets = jobs(graph, asked, named);
  const secrets = closure(graph, targets).flatMap((name) => Object.values(graph.get(name)!.declaration.secrets ?? {})).flatMap((ref) => (ref.from === "environment" ? [ref.name] : []));
  const text = sealed(system, workflow(system, { targets, secrets: [...new Set(secrets)].sort(), schedule: options.schedule, directory: relative(repository, directory) || "." }));
  const file = join(repository, ciFiles[system]);
  const shown = relative(context.cwd, file);
  if (existsSync(file)) {
    if (readFileSync(file, "utf8") === text) {
      context.stderr(`${shown} is up to date\n`);
      return ExitCode.ok;
    }
    if (!isOurs(file) && !options.force) {
      throw new ImgtaskError("IMG2038", `"${shown}" was edited, or is not imgtask's`, { expected: "a file that `imgtask ci` wrote, as it wrote it", hint: "Move it away, or replace it with --force", exitCode: ExitCode.usage });
    }
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  context.stderr(`wrote ${shown}: ${targets.length} job${targets.length === 1 ? "" : "s"}\n`);
  return ExitCode.ok;
}
