/**
 * Asks targets outside a run: what they would pin now, and which security notices concern what they made. Writes nothing but
 * into a directory that is removed again.
 * @module
 */
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PinContext } from "./context.ts";
import type { LockEntry } from "./lock-file.ts";
import type { NoticeAnswer } from "./notice.ts";
import { run } from "./process.ts";
import type { State } from "./state.ts";
import type { Argv, ExecOptions, Registered } from "./target.ts";

/** Calls something with a directory of its own. Its commands write to no log. */
async function outside<T>({ declaration }: Registered, project: string, signal: AbortSignal, ask: (context: PinContext) => Promise<T>): Promise<T> {
  const tmp = mkdtempSync(join(tmpdir(), "imgtask-ask-"));
  const logFd = openSync("/dev/null", "w");
  const place = { cwd: tmp, env: { ...process.env, TMPDIR: tmp }, logFd, signal };
  try {
    return await ask({
      params: declaration.params,
      env: process.env,
      project,
      tmp,
      signal,
      exec: (argv: Argv, options?: ExecOptions) => run(argv, place, options),
      log: () => {},
      progress: () => {},
    });
  } finally {
    closeSync(logFd);
    rmSync(tmp, { recursive: true, force: true });
  }
}

/** What a target would pin now, asked of who knows: verified, and not written. `undefined` for targets that pin nothing. */
export async function resolvePin(registered: Registered, project: string, signal: AbortSignal): Promise<LockEntry | undefined> {
  const { resolvePin: resolve } = registered;
  return resolve === undefined ? undefined : outside(registered, project, signal, resolve);
}

/** Which notices concern what a target made. `undefined` for targets that nobody can be asked about. */
export async function askNotices(registered: Registered, state: State, signal: AbortSignal): Promise<readonly NoticeAnswer[] | undefined> {
  const { declaration, notices } = registered;
  if (notices === undefined) return undefined;
  const entry = declaration.pin === undefined ? undefined : (await state.lock.entries()).get(declaration.pin.entry);
  const made = state.records.latest(declaration.name)?.outputs;
  const stored = async (output: string, path?: string): Promise<string | undefined> => {
    const content = made?.[output], form = declaration.outputs[output]?.form;
    if (content === undefined || (form === "tree") !== (path !== undefined)) return undefined;
    if (path === undefined) return existing(state.store.objectPath(content.digest, content.executable));
    const file = (await state.store.tree(content.digest))?.find((one) => one.type === "file" && one.path === path);
    return file?.digest === undefined ? undefined : existing(state.store.objectPath(file.digest, (file.mode & 0o111) !== 0));
  };
  return outside(registered, state.project.directory, signal, (context) => notices({ ...context, entry, stored }));
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}
