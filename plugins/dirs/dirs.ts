/**
 * The kind `dirs`: a tree of empty directories from a list, beside the imagefile and, by `dirs.list()`, on machines.
 * Only ever adds directories; knows nothing of what people keep in them.
 * @module
 */
import { chmodSync, lstatSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  checkCall,
  checkOptions,
  type DirectoryList,
  ExitCode,
  fit,
  type Fits,
  ImgtaskError,
  type Input,
  output,
  type OutputSpec,
  type RunContext,
  type Source,
  type Target,
  target,
} from "../../lib/mod.ts";
import { parseDirectories, withParents } from "./parse.ts";

/** What `dirs.list()` takes beside the list. */
export interface DirectoryListOptions {
  /** Absolute path on the machine below which the directories are made. */
  readonly under: string;
  /** Permission bits on the machine. @default 0o755 */
  readonly mode?: number;
  /** User name or numeric id on the machine. @default "root" */
  readonly owner?: string;
  /** Group name or numeric id on the machine. @default "root" */
  readonly group?: string;
}

/** What `dirs()` takes. */
export interface DirsOptions {
  /** The directories, as `dirs.list()` made them. */
  readonly directories: DirectoryList;
  /** Where they appear beside the imagefile, relative to it. @default "workspaces/NAME" */
  readonly host?: string;
  /**
   * Where the log of what was made appears; `{time}` becomes the time of the run, as 20260102030405. Several `dirs` of one
   * imagefile need names of their own. @default "logs/directories-{time}.md"
   */
  readonly log?: string;
}

const listFits: Fits<DirectoryListOptions> = { under: fit.needed(fit.text), mode: fit.number, owner: fit.text, group: fit.text };
const fits: Fits<DirsOptions> = {
  directories: fit.needed(fit.by("a list of directories, as dirs.list() gives it", (value) => fit.isObject(value) && "list" in value && "under" in value)),
  host: fit.text,
  log: fit.text,
};

/** A target that makes directories. */
export type Dirs<Name extends string = string> = Target<
  `dirs:${Name}`,
  { readonly out: OutputSpec<"directories">; readonly log: OutputSpec<"directories log"> }
>;

/** Makes directories from a list: `dirs(name, …)` beside the imagefile, `dirs.list(…)` for a machine. */
export interface DirsFunction {
  /**
   * Declares target `dirs:NAME`: the directories of a list beside the imagefile, mode 0755, and a log of what was
   * made in `logs/directories-TIME.md`. What is there already stays as it is; nothing is ever removed.
   *
   * Owner and mode of the list are those on the machine; beside the imagefile the directories are yours.
   *
   * @throws {ImgtaskError} IMG2201, when it runs, for a line that is no relative path.
   *
   * @example
   * ```ts
   * const teams = dirs.list(source("config/directories.txt"), { under: "/srv/apps", mode: 0o750 });
   * export const workspaces = dirs("debian", { directories: teams });
   * ```
   */
  <const Name extends string>(name: Name, options: DirsOptions): Dirs<Name>;
  /**
   * Describes directories on a machine, for `machine({ directories })`.
   *
   * @param list a text file: one relative path a line, `#` starts a comment.
   * @throws {ImgtaskError} IMG2204 for a path that is not absolute, a mode beyond 0o7777, or a bad owner.
   *
   * @example
   * ```ts
   * dirs.list(source("config/directories.txt"), { under: "/srv/apps", mode: 0o750, owner: "devops" })
   * ```
   */
  readonly list: (list: Source | Input<"file">, options: DirectoryListOptions) => DirectoryList;
}

function check(ok: boolean, what: string, value: unknown, expected: string): void {
  if (ok) return;
  throw new ImgtaskError("IMG2204", `Bad ${what} in dirs.list(): ${JSON.stringify(value)}`, {
    expected,
    exitCode: ExitCode.usage,
  });
}

function list(of: Source | Input<"file">, options: DirectoryListOptions): DirectoryList {
  checkOptions("dirs.list()", options, listFits);
  const { under, mode = 0o755, owner = "root", group = "root" } = options;
  const parts = under.split("/").slice(1);
  check(
    under.startsWith("/") && !/\p{Cc}/u.test(under) && !parts.some((part) => part === "" || part === "." || part === ".."),
    `"under"`,
    under,
    `an absolute path without "..", "." and empty parts`,
  );
  check(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777, "mode", mode, "permission bits, 0 to 0o7777");
  for (const name of [owner, group]) {
    check(/^([a-z_][a-z0-9_-]{0,31}|\d{1,10})$/.test(name), "owner", name, "a user or group name, or a numeric id");
  }
  return Object.freeze({ list: of, under, mode, owner, group });
}

/** How a list is called in messages and logs. */
export function originOf(of: DirectoryList["list"]): string {
  if ("path" in of && "type" in of && of.type === "source") return of.path;
  const artifact = "outputs" in of ? of.outputs.out : of;
  return "target" in artifact ? `${artifact.target}#${artifact.output}` : "the list";
}

function declare<const Name extends string>(name: Name, options: DirsOptions): Dirs<Name> {
  checkCall("dirs", name, options, fits);
  const host = options.host ?? `workspaces/${name}`;
  return target(`dirs:${name}`, {
    description: `Directories of ${originOf(options.directories.list)} in ${host}`,
    inputs: { list: options.directories.list },
    params: { origin: originOf(options.directories.list), host },
    outputs: {
      out: output("tree", "directories", { path: host, merge: true }),
      log: output("file", "directories log", { path: options.log ?? "logs/directories-{time}.md", tellsOfRun: true }),
    },
    // For the log, which tells what was there before.
    untracked: { reads: [host] },
    module: import.meta.url,
    run: make,
  });
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The Markdown text of one path: a code span that no path can end. */
function code(path: string): string {
  const longest = Math.max(0, ...[...path.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  const pad = longest === 0 ? "" : " ";
  return `${fence}${pad}${path}${pad}${fence}`;
}

type Make = RunContext<
  { readonly list: DirectoryList["list"] },
  { readonly origin: string; readonly host: string },
  { readonly out: OutputSpec; readonly log: OutputSpec }
>;

function make({ inputs, params, outputs, project, epoch, log }: Make): void {
  const listed = parseDirectories(readFileSync(inputs.list, "utf8"), params.origin);
  const all = withParents(listed);
  const created = listed.filter((path) => !isDirectory(join(project, params.host, path)));
  const tree = [outputs.out, ...all.map((path) => join(outputs.out, path))];
  for (const path of tree) mkdirSync(path);
  // Children first: making one changed the time of its parent. Modes apart: mkdir takes the umask off.
  for (const path of tree.reverse()) {
    chmodSync(path, 0o755);
    utimesSync(path, epoch, epoch);
  }
  const existed = listed.length - created.length;
  log(`${listed.length} directories listed in ${params.origin}: ${existed} existed in ${params.host}, ${created.length} created`);
  writeFileSync(outputs.log, report(params, listed, new Set(created)));
}

function report(params: Make["params"], listed: readonly string[], created: ReadonlySet<string>): string {
  return [
    `# Directories in ${code(params.host)}`,
    "",
    // The one place where the clock is wanted: the log says when it happened.
    `- When: ${new Date().toISOString().replace(/\.\d+Z$/, "Z")}`,
    `- List: ${code(params.origin)}`,
    `- Listed: ${listed.length}`,
    `- Existed already: ${listed.length - created.size}`,
    `- Created: ${created.size}`,
    "",
    ...listed.map((path) => `- ${code(path)}${created.has(path) ? "" : " (existed)"}`),
    "",
  ].join("\n");
}

/** {@inheritDoc DirsFunction} */
export const dirs: DirsFunction = Object.assign(declare, { list });
