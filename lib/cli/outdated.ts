/**
 * The commands `outdated` and `update`: what newer media there are than those that `imgtask.lock` pins, and to pin them.
 * @module
 */
import { ExitCode, ImgtaskError } from "../error.ts";
import { closure, select } from "../graph.ts";
import { load } from "../load.ts";
import { takeLock } from "../lock.ts";
import type { LockEntry } from "../lock-file.ts";
import { differs, resolvePin } from "../pin.ts";
import { findProject, type Project } from "../project.ts";
import { type Offer, offersData, offersText, updatedText } from "../report/outdated.ts";
import { openState, openTrust, prepareState, type State } from "../state.ts";
import { type CommandContext, dataColor } from "./context.ts";

/** Asks for the newest of what the named targets need, or all: one offer an entry. */
async function offersOf(context: CommandContext, project: Project, state: State): Promise<readonly Offer[]> {
  const { targets } = context.options;
  const loaded = await load(project, state.cache, { write: false });
  const names = closure(loaded.graph, targets.length === 0 ? [...loaded.graph.keys()] : select(loaded.graph, targets));
  const byEntry = new Map<string, { readonly targets: string[]; newest: LockEntry | undefined }>();
  for (const name of names) {
    const { pin } = loaded.graph.get(name)!.declaration;
    if (pin === undefined) continue;
    const one = byEntry.get(pin.entry) ?? { targets: [], newest: undefined };
    byEntry.set(pin.entry, one);
    one.targets.push(name);
    one.newest ??= await resolvePin(await loaded.registered(name), project.directory, context.signal);
  }
  const pinned = state.lock.entries();
  const offers = [...byEntry].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([id, { targets: takers, newest }]): readonly Offer[] =>
    newest === undefined ? [] : [{ id, targets: takers, pinned: pinned.get(id), newest, outdated: differs(pinned.get(id), newest) }]);
  if (offers.length > 0 || targets.length === 0) return offers;
  throw new ImgtaskError("IMG2653", `Nothing that ${targets.map((name) => `"${name}"`).join(", ")} needs can be pinned`, {
    expected: "targets that need an ISO image of a mirror, verified, and without a SHA-256 in the imagefile",
    exitCode: ExitCode.usage,
  });
}

/** Says what newer media there are; writes nothing. */
export async function outdated(context: CommandContext): Promise<ExitCode> {
  const { options } = context;
  const project = findProject(context.cwd, options.imagefile);
  const offers = await offersOf(context, project, openState(project, await openTrust(project), process.env, { readOnly: true }));
  context.stdout(options.json ? `${JSON.stringify(offersData(offers), null, 2)}\n` : offersText(offers, { color: dataColor(context) }));
  return options.exitCode && offers.some((one) => one.outdated) ? ExitCode.wouldChange : ExitCode.ok;
}

/** Pins the newest media. */
export async function update(context: CommandContext): Promise<ExitCode> {
  const { options } = context;
  const project = findProject(context.cwd, options.imagefile);
  prepareState(project);
  const lock = await takeLock(project.state, { purpose: "imgtask update", signal: context.signal, waiting: (holder) => context.stderr(`Waiting for ${holder}\n`) });
  if (lock === undefined) return ExitCode.interrupted;
  try {
    const state = openState(project, await openTrust(project));
    const offers = await offersOf(context, project, state);
    const changes = new Map(offers.filter((one) => one.outdated).map(({ id, newest }) => [id, newest]));
    if (changes.size > 0) state.lock.write(changes);
    context.stdout(options.json ? `${JSON.stringify(offersData(offers), null, 2)}\n` : updatedText(offers, { color: dataColor(context) }));
    return ExitCode.ok;
  } finally {
    await lock.release();
  }
}
