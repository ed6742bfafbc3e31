/**
 * The command `clean`: removes what imgtask made, and nothing else.
 * @module
 */
import { chmodSync, lstatSync, readdirSync, rmdirSync, rmSync, type Stats, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import type { Content } from "../content.ts";
import { ExitCode, ImgtaskError } from "../error.ts";
import { takeLock } from "../lock.ts";
import { latestLog, logsBefore } from "../log.ts";
import { findProject, type Project } from "../project.ts";
import { formatSize } from "../report/size.ts";
import { printable } from "../report/text.ts";
import { openState, openTrust, type State } from "../state.ts";
import type { CommandContext } from "./context.ts";

/** What is in the state directory, by the wish that removes it. */
const temporary = ["tmp", "partial"] as const;
const stored = ["store", "store-size", "records", "records.new", "evidence", "evidence.new"] as const;
const rest = ["stat-cache", "stat-cache.new", "snapshot", "snapshot.new", "tools", "tools.new", "recipes", "modules", "logs", "history"] as const;

function lookAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Adds up what removing gives back: a file counts when its last name goes. */
class Freed {
  bytes = 0;
  readonly #removed = new Map<string, number>();

  add(path: string): void {
    const stat = lookAt(path);
    if (stat === undefined) return;
    if (stat.isDirectory()) {
      for (const name of readdirSync(path)) this.add(join(path, name));
      return;
    }
    const key = `${stat.dev} ${stat.ino}`;
    const removed = (this.#removed.get(key) ?? 0) + 1;
    this.#removed.set(key, removed);
    if (removed >= stat.nlink) this.bytes += stat.blocks * 512;
  }
}

/** Gives the owner back the right to remove what is below a directory. Follows no link. */
function unlockTree(path: string): void {
  if (lookAt(path)?.isDirectory() !== true) return;
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) unlockTree(join(path, entry.name));
}

function remove(path: string, freed: Freed): void {
  try {
    try {
      freed.add(path);
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      if (!["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
      unlockTree(path);
      rmSync(path, { recursive: true, force: true });
    }
  } catch (error) {
    throw new ImgtaskError("IMG3020", `Cannot remove "${path}"`, {
      found: (error as Error).message,
      hint: "Files of a user namespace belong to another user: remove them as root",
      cause: error,
    });
  }
}

/** Removes the directories that became empty, up to the project. */
function removeEmpty(directory: string, project: string): void {
  for (let path = directory; path.startsWith(project + sep); path = dirname(path)) {
    try {
      rmdirSync(path);
    } catch {
      return; // Something else is in it.
    }
  }
}

/** Paths of outputs as they were last recorded, with the contents that they may have. */
function recorded(state: State): ReadonlyMap<string, readonly Content[]> {
  const paths = new Map<string, Content[]>();
  for (const record of state.records.all()) {
    for (const { path, ...content } of Object.values(record.outputs)) {
      if (path === undefined || path.startsWith("/") || path.split("/").includes("..") || path.split("/")[0] === ".imgtask") continue;
      paths.set(path, [...(paths.get(path) ?? []), content]);
    }
  }
  return paths;
}

/** What `clean` did, for `--json`. */
interface Cleaned {
  readonly removed: string[];
  /** Outputs that were edited, or that others put files into. */
  readonly kept: string[];
}

/** Removes the outputs that stand as imgtask made them. Records, not the imagefile, know what that was. */
async function removeArtifacts(project: Project, freed: Freed, cleaned: Cleaned): Promise<void> {
  const state = openState(project, await openTrust(project));
  for (const [path, contents] of recorded(state)) {
    const full = join(project.directory, path);
    const stat = lookAt(full);
    if (stat === undefined) continue;
    const form = stat.isDirectory() ? "tree" : "file";
    let ours = false;
    for (const content of contents) ours ||= await state.artifacts.matches(content, form, full, false);
    if (!ours) {
      cleaned.kept.push(path);
      continue;
    }
    remove(full, freed);
    removeEmpty(dirname(full), project.directory);
    cleaned.removed.push(path);
  }
}

/** Removes temporary files; stored results and finished outputs when asked to. Waits for a run to end. */
export async function clean(context: CommandContext): Promise<ExitCode> {
  const project = findProject(context.cwd, context.options.imagefile);
  const { store, artifacts } = context.options.clean;
  const cleaned: Cleaned = { removed: [], kept: [] };
  const freed = new Freed();
  if (lookAt(project.state)?.isDirectory() === true) {
    const lock = await takeLock(project.state, {
      purpose: "imgtask clean",
      signal: context.signal,
      waiting: (holder) => context.stderr(`Waiting for another imgtask on this project: ${printable(holder)}\n`),
    });
    if (lock === undefined) return ExitCode.interrupted;
    try {
      // Outputs first: whether they were edited is known from the store.
      if (artifacts) await removeArtifacts(project, freed, cleaned);
      if (context.options.olderThan !== undefined) {
        for (const path of logsBefore(Date.now() - context.options.olderThan, join(project.state, "logs"))) {
          remove(path, freed);
          const latest = join(dirname(path), latestLog);
          if (statSync(latest, { throwIfNoEntry: false }) === undefined) rmSync(latest, { force: true });
          removeEmpty(dirname(path), join(project.state, "logs"));
          cleaned.removed.push(relative(project.directory, path));
        }
      }
      for (const name of [...temporary, ...(store ? stored : []), ...(store && artifacts ? rest : [])]) {
        const path = join(project.state, name);
        if (lookAt(path) === undefined) continue;
        remove(path, freed);
        cleaned.removed.push(`.imgtask/${name}`);
      }
    } finally {
      await lock.release();
    }
  }
  if (context.options.json) context.stdout(`${JSON.stringify({ ...cleaned, freed: freed.bytes })}\n`);
  else {
    for (const path of cleaned.removed) context.stderr(`removed ${printable(path)}\n`);
    for (const path of cleaned.kept) context.stderr(`kept ${printable(path)}: it is not as imgtask made it\n`);
    context.stderr(cleaned.removed.length === 0 ? "Nothing to remove\n" : `${formatSize(freed.bytes)} freed\n`);
  }
  return ExitCode.ok;
}
