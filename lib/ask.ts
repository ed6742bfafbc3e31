/**
 * Asks targets outside a run: what they would pin now, and which security notices concern what they made. With the secrets that
 * they declare for it, which are guarded as in a run. Writes nothing but into a directory that is removed again.
 * @module
 */
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PinContext } from "./context.ts";
import { isImgtaskError } from "./error.ts";
import type { Hush } from "./hush.ts";
import type { LockEntry } from "./lock-file.ts";
import type { NoticeAnswer } from "./notice.ts";
import { run } from "./process.ts";
import type { Project } from "./project.ts";
import { secretRefs } from "./secret.ts";
import type { State } from "./state.ts";
import type { Argv, ExecOptions, Registered } from "./target.ts";
import { passwordsIn } from "./url-password.ts";

/** Calls something with a directory of its own. Its commands write to no log. */
async function outside<T>({ declaration, asks }: Registered, project: Project, signal: AbortSignal, ask: (context: PinContext) => Promise<T>): Promise<T> {
  const tmp = mkdtempSync(join(tmpdir(), "imgtask-ask-"));
  const logFd = openSync("/dev/null", "w");
  const place = { cwd: tmp, env: { ...process.env, TMPDIR: tmp }, logFd, signal };
  let hush: Hush | undefined;
  try {
    const secrets = asks ?? {}, passwords = passwordsIn(process.env);
    if (Object.keys(secrets).length + passwords.length > 0) hush = await (await import("./hush.ts")).hushFor({ declaration: { ...declaration, secrets: secretRefs(secrets) }, secrets }, passwords, project.directory, signal, logFd);
    return await ask({
      params: declaration.params,
      env: process.env,
      secrets: hush?.values ?? {},
      project: project.directory,
      tmp,
      signal,
      exec: async (argv: Argv, options?: ExecOptions) => {
        hush?.argv(argv);
        return run(argv, place, options);
      },
      log: () => {},
      progress: () => {},
    });
  } catch (error) {
    throw hush === undefined ? error : hush.error(error);
  } finally {
    closeSync(logFd);
    rmSync(tmp, { recursive: true, force: true });
  }
}

/** What a target would pin now, asked of who knows: verified, and not written. `undefined` for targets that pin nothing. */
export async function resolvePin(registered: Registered, project: Project, signal: AbortSignal): Promise<LockEntry | undefined> {
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
  try {
    return await outside(registered, state.project, signal, (context) => notices({ ...context, entry, stored }));
  } catch (error) {
    // A secret that is not there, and the like: what is known of others is told all the same.
    if (signal.aborted || !isImgtaskError(error)) throw error;
    return [{ source: declaration.name, state: "unavailable", why: error.message, code: error.code }];
  }
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}
