/**
 * The commit of the imagefile, and whether what stands there differs from it. Knows no document.
 * @module
 */
import type { RunContext } from "../../lib/mod.ts";

/** Where the imagefile comes from. */
export interface Commit {
  readonly id: string;
  /** Something of the project is not as in the commit, or not in it. */
  readonly dirty: boolean;
  /** Directory of the imagefile in the repository, `""` for its root. */
  readonly directory: string;
  /** Where the repository was taken from, without user and password; `undefined` for one without `origin`. */
  readonly origin: string | undefined;
}

/** Where imgtask itself writes: no part of what is built from. */
const written = ["artifacts", "workspaces", "logs", ".imgtask"];

/** A repository's address that may be published; `undefined` for paths of this host and what is no address. */
export function publicAddress(url: string): string | undefined {
  try {
    const parsed = new URL(/^[\w.-]+@[\w.-]+:(?!\/\/)/.test(url) ? `ssh://${url.replace(":", "/")}` : url);
    if (!["https:", "http:", "ssh:", "git:"].includes(parsed.protocol)) return undefined;
    return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
  } catch {
    return undefined;
  }
}

/** Asks git; `undefined` where there is no repository, or no commit in it yet. */
export async function commitOf({ exec, project }: Pick<RunContext, "exec" | "project">): Promise<Commit | undefined> {
  // A checkout of another owner, as in containers of CI, is looked at as well. Nothing of the index is refreshed.
  const git = async (...words: readonly string[]): Promise<string | undefined> => {
    const { code, stdout } = await exec(["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "--no-optional-locks", "-C", project, ...words], { stdout: "capture", ok: [0, 1, 2, 128] });
    return code === 0 ? stdout : undefined;
  };
  const id = (await git("rev-parse", "--verify", "--quiet", "HEAD^{commit}"))?.trim();
  if (id === undefined || !/^[0-9a-f]{40,64}$/.test(id)) return undefined;
  const directory = (await git("rev-parse", "--show-prefix"))?.trim().replace(/\/$/, "") ?? "";
  const status = await git("status", "--porcelain=v1", "-z", "--untracked-files=normal", "--", ".", ...written.map((name) => `:(exclude)${name}`));
  const url = (await git("config", "--get", "remote.origin.url"))?.trim();
  return { id, dirty: status !== "", directory, origin: url === undefined ? undefined : publicAddress(url) };
}
