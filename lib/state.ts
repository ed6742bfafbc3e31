/**
 * What imgtask remembers of a project, opened together: store, records, stat cache, tool versions.
 * @module
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Artifacts } from "./artifacts.ts";
import { type Content, contentName } from "./content.ts";
import { epochOf } from "./epoch.ts";
import { ImgtaskError } from "./error.ts";
import type { Resolution, SourceEntry } from "./fingerprint.ts";
import type { Loaded } from "./load.ts";
import { isPin, LockFile } from "./lock-file.ts";
import { commandsDirectory, type Project } from "./project.ts";
import { nobody, Records, type Trust } from "./record.ts";
import { globEntries, sourceEntries } from "./sources.ts";
import { StatCache } from "./stat-cache.ts";
import { Store } from "./store.ts";
import type { Declaration } from "./target.ts";
import type { Witness } from "./witness.ts";
import { Workplaces } from "./workplace.ts";
import { ToolVersions } from "./tool-versions.ts";

/** The state of a project. */
export interface State {
  readonly project: Project;
  readonly cache: StatCache;
  readonly records: Records;
  readonly store: Store;
  readonly artifacts: Artifacts;
  readonly tools: ToolVersions;
  /** Where recipes run. */
  readonly workplaces: Workplaces;
  /** What is pinned. */
  readonly lock: LockFile;
  /** Nothing may be pinned that is not. */
  readonly frozen: boolean;
  /** Seconds since 1970 for time stamps in outputs: `SOURCE_DATE_EPOCH`, or a constant. */
  readonly epoch: number;
}

/** Whose results are believed, by the environment; `undefined` when everybody's are. Takes the secret key out of it. */
export async function openTrust(project: Project, env: NodeJS.ProcessEnv = process.env): Promise<Trust | undefined> {
  if ((env["IMGTASK_TRUSTED_RESULTS"] ?? "") === "" && (env["IMGTASK_RESULT_KEY"] ?? "") === "") return undefined;
  return (await import("./trust.ts")).readTrust(project, env);
}

/**
 * Opens the state of a project; writes nothing.
 *
 * @param trust from {@linkcode openTrust}. @default nobody's results are believed where only some should be
 * @param options.readOnly for commands that only look: what is found damaged stays where it is. @default false
 * @param options.frozen whether the lock file must stay as it is. @default false
 */
export function openState(
  project: Project,
  trust: Trust | undefined = project.caches === project.state ? undefined : nobody,
  env: NodeJS.ProcessEnv = process.env,
  options: { readonly readOnly?: boolean; readonly frozen?: boolean } = {},
): State {
  const cache = new StatCache(join(project.caches, "stat-cache"));
  const store = new Store(join(project.state, "store"), cache, options);
  return {
    project,
    cache,
    records: new Records(join(project.state, "records"), trust),
    store,
    artifacts: new Artifacts(store, cache, join(project.state, "tmp"), { uid: process.geteuid?.() ?? 1 }),
    tools: new ToolVersions(join(project.caches, "tools")),
    workplaces: new Workplaces(commandsDirectory(project)),
    lock: new LockFile(project.directory, project.state),
    frozen: options.frozen ?? false,
    epoch: epochOf(env["SOURCE_DATE_EPOCH"]),
  };
}

/** Makes the state directory, readable by its owner alone, and unknown to git. */
export function prepareState(project: Project): void {
  mkdirSync(join(project.state, "tmp"), { recursive: true, mode: 0o700 });
  mkdirSync(join(project.state, "logs"), { recursive: true, mode: 0o700 });
  mkdirSync(join(project.state, "store"), { recursive: true, mode: 0o700 });
  if (project.caches !== project.state) mkdirSync(project.caches, { recursive: true, mode: 0o700 });
  const ignore = join(project.state, ".gitignore");
  if (!existsSync(ignore)) writeFileSync(ignore, "*\n");
}

/** Writes what changed in the caches. */
export function flushState(state: State): void {
  state.cache.flush();
  state.tools.flush();
}

/** Contents of outputs made or found fresh so far, by `target#output`. */
export interface Upstream {
  get(output: string): Content | undefined;
}

/** What is pinned, or how often something was. Of the file only this entry counts: others may be written meanwhile. */
async function pinOf(id: string, lock: LockFile, witness: Witness): Promise<NonNullable<Resolution["pin"]>> {
  witness.part(lock.path);
  const entry = (await lock.entries()).get(id);
  if (isPin(entry)) return entry;
  witness.part(lock.counts);
  return lock.times(id);
}

/** What everything that a target's result depends on is right now. Its upstream outputs must be known. */
export async function resolveNow(declaration: Declaration, loaded: Loaded, state: State, upstream: Upstream, witness: Witness): Promise<Resolution> {
  const inputs: Map<string, string | readonly SourceEntry[] | undefined> = new Map();
  try {
    for (const [key, input] of Object.entries(declaration.inputs)) {
      if (input.type === "artifact") {
        const content = upstream.get(`${input.target}#${input.output}`);
        inputs.set(key, content && contentName(content));
      }
      else if (input.type === "source") inputs.set(key, await sourceEntries(state.project.directory, input.path, state.cache, witness));
      else inputs.set(key, await globEntries(state.project.directory, input.patterns, state.cache, witness));
    }
  } catch (error) {
    throw error instanceof ImgtaskError ? error.at(declaration.location) : error;
  }
  const pinned = declaration.pin === undefined ? undefined : await pinOf(declaration.pin.entry, state.lock, witness);
  return {
    ...(pinned === undefined ? {} : { pin: pinned }),
    recipe: loaded.recipeDigest(declaration),
    inputs,
    env: Object.fromEntries(declaration.env.map((name) => [name, process.env[name]])),
    epoch: state.epoch,
    tools: await state.tools.versions(declaration.tools, witness),
  };
}
