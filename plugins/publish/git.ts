/**
 * The commit of the imagefile, and whether what stands there differs from it. Knows no document.
 * @module
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
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

/** How many directories above the imagefile's may be the top of its repository. */
const above = 8;
const parents: readonly string[] = Array.from({ length: above }, (_, index) => "../".repeat(index + 1));

/**
 * What is read to tell the commit, relative to the imagefile's directory: all of that, since something in it may differ from the commit;
 * and above it, where the repository may begin. Untracked: a new commit that changes no artifact is no reason to publish.
 */
export const repositoryReads: readonly string[] = [".", ...parents.flatMap((parent) => [".git", ".gitignore", ".gitattributes"].map((name) => `${parent}${name}`))];

/** The top of the repository around a directory. */
function topOf(directory: string): string | undefined {
  return [".", ...parents].map((parent) => resolve(directory, parent)).find((one) => existsSync(join(one, ".git")));
}

/**
 * Asks git; `undefined` where there is no repository, or no commit in it yet. The repository alone counts: no settings
 * of the user or the host are read, nor their lists of what to ignore.
 */
export async function commitOf({ exec, project, tmp }: Pick<RunContext, "exec" | "project" | "tmp">): Promise<Commit | undefined> {
  const top = topOf(project);
  if (top === undefined) return undefined;
  // Told where the repository is, git looks for none, and takes one of another owner, as in containers of CI.
  const env = { GIT_DIR: join(top, ".git"), GIT_WORK_TREE: top, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null", GIT_ATTR_NOSYSTEM: "1", XDG_CONFIG_HOME: tmp };
  // Nothing of the index is refreshed.
  const git = async (...words: readonly string[]): Promise<string | undefined> => {
    const { code, stdout } = await exec(["git", "-c", "core.fsmonitor=false", "--no-optional-locks", "-C", project, ...words], { stdout: "capture", ok: [0, 1, 2, 128], env });
    return code === 0 ? stdout : undefined;
  };
  const id = (await git("rev-parse", "--verify", "--quiet", "HEAD^{commit}"))?.trim();
  if (id === undefined || !/^[0-9a-f]{40,64}$/.test(id)) return undefined;
  const directory = (await git("rev-parse", "--show-prefix"))?.trim().replace(/\/$/, "") ?? "";
  const status = await git("status", "--porcelain=v1", "-z", "--untracked-files=normal", "--", ".", ...written.map((name) => `:(exclude)${name}`));
  const url = (await git("config", "--get", "remote.origin.url"))?.trim();
  return { id, dirty: status !== "", directory, origin: url === undefined ? undefined : publicAddress(url) };
}
