/**
 * The commands `outdated` and `update`: what newer media there are than those that `imgtask.lock` pins, and to pin them;
 * and which security notices concern what is pinned or built.
 * @module
 */
import { askNotices, resolvePin } from "../ask.ts";
import { ExitCode, ImgtaskError } from "../error.ts";
import { closure, select } from "../graph.ts";
import { load, type Loaded } from "../load.ts";
import { takeLock } from "../lock.ts";
import type { LockEntry } from "../lock-file.ts";
import { differs } from "../pin.ts";
import { findProject, type Project } from "../project.ts";
import { noticesData, noticesText, type Noticed } from "../report/notices.ts";
import { type Failure, type Offer, offersData, offersText, updatedText } from "../report/outdated.ts";
import { openState, openTrust, prepareState, type State } from "../state.ts";
import { type CommandContext, dataColor } from "./context.ts";
import { hideSecrets } from "./hide.ts";

interface Asked {
  readonly offers: readonly Offer[];
  /** Media of which it cannot be told. */
  readonly failures: readonly Failure[];
}

/** Targets that are meant, and what they need. */
function meant({ options: { targets } }: CommandContext, { graph }: Loaded): readonly string[] {
  return [...closure(graph, targets.length === 0 ? [...graph.keys()] : select(graph, targets))];
}

/** Asks for the newest of what the named targets need, or all: one offer an entry. */
async function offersOf(context: CommandContext, project: Project, state: State, loaded: Loaded): Promise<Asked> {
  hideSecrets();
  const byEntry = new Map<string, { readonly targets: string[]; newest: LockEntry | undefined; error: ImgtaskError | undefined }>();
  // Refused before anybody is asked, when it is damaged.
  const pinned = await state.lock.entries();
  for (const name of meant(context, loaded)) {
    const { pin } = loaded.graph.get(name)!.declaration;
    if (pin === undefined) continue;
    const one = byEntry.get(pin.entry) ?? { targets: [], newest: undefined, error: undefined };
    byEntry.set(pin.entry, one);
    one.targets.push(name);
    try {
      one.newest ??= await resolvePin(await loaded.registered(name), project, context.signal);
    } catch (error) {
      if (!(error instanceof ImgtaskError) || context.signal.aborted) throw error;
      one.error = error;
    }
  }
  const sorted = [...byEntry].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    offers: sorted.flatMap(([id, { targets, newest }]): readonly Offer[] =>
      newest === undefined ? [] : [{ id, targets, pinned: pinned.get(id), newest, outdated: differs(pinned.get(id), newest) }]),
    failures: sorted.flatMap(([id, { targets, error }]): readonly Failure[] => (error === undefined ? [] : [{ id, targets, pinned: pinned.get(id), error }])),
  };
}

function nothing({ options: { targets } }: CommandContext): ImgtaskError {
  return new ImgtaskError("IMG2653", `Nothing that ${targets.map((name) => `"${name}"`).join(", ")} needs can be pinned`, {
    expected: "targets that need an ISO image of a mirror, verified, and without a SHA-256 in the imagefile",
    exitCode: ExitCode.usage,
  });
}

/** Says what newer media there are, and which security notices; writes nothing. */
export async function outdated(context: CommandContext): Promise<ExitCode> {
  const { options } = context;
  const project = findProject(context.cwd, options.imagefile);
  const state = openState(project, await openTrust(project), process.env, { readOnly: true });
  const loaded = await load(project, state.cache, { write: false });
  const { offers, failures } = await offersOf(context, project, state, loaded);
  const noticed: Noticed[] = [];
  for (const target of meant(context, loaded)) {
    const { declaration } = loaded.graph.get(target)!;
    if (declaration.notices !== true) continue;
    const answers = await askNotices(await loaded.registered(target), state, context.signal);
    if (answers !== undefined) noticed.push({ target, ...(declaration.pin === undefined ? {} : { id: declaration.pin.entry }), answers });
  }
  if (options.targets.length > 0 && offers.length + failures.length + noticed.length === 0) throw nothing(context);
  const color = { color: dataColor(context) };
  context.stdout(options.json ? `${JSON.stringify({ ...offersData(offers, failures, context.cwd), ...noticesData(noticed) }, null, 2)}\n` : offersText(offers, failures, color) + noticesText(noticed, color));
  const codes = [...failures.map(({ error }) => error.exitCode), ...(noticed.some(({ answers }) => answers.some((one) => "code" in one && one.code?.startsWith("IMG4") === true)) ? [ExitCode.refused] : [])];
  // What was refused weighs more than what can be tried again.
  if (codes.length > 0) return codes.includes(ExitCode.refused) ? ExitCode.refused : codes[0]!;
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
    const { offers, failures } = await offersOf(context, project, state, await load(project, state.cache, { write: false }));
    // All or nothing: half of an update is easily taken for the whole.
    if (failures.length > 0) throw failures[0]!.error;
    if (options.targets.length > 0 && offers.length === 0) throw nothing(context);
    const changes = new Map(offers.filter((one) => one.outdated).map(({ id, newest }) => [id, newest]));
    if (changes.size > 0) await state.lock.write(changes);
    context.stdout(options.json ? `${JSON.stringify(offersData(offers, [], context.cwd), null, 2)}\n` : updatedText(offers, { color: dataColor(context) }));
    return ExitCode.ok;
  } finally {
    await lock.release();
  }
}
