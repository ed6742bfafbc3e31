/**
 * A repository of git in a scratch directory, by which a branch of another one is read, and carried on by one commit whose
 * large files are kept by Git LFS. No settings of the user or the host are read. Knows nothing of what is published.
 * @module
 */
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PublishContext } from "../../lib/mod.ts";
import { type Answer, answerTo } from "./answer.ts";
import { busy, changedMeanwhile, credentialsRefused, missingThere, placeFull, said, unexpectedAnswer, unreachable, writingDenied } from "./failure.ts";

/** Where the branch is. */
export interface Remote {
  readonly url: string;
  readonly branch: string;
  readonly place: string;
  /** `Authorization` header for the URL's host; of no other. */
  readonly authorization: string | undefined;
}

/** One path of a tree. */
export interface Entry {
  readonly name: string;
  /** Object id of its blob. */
  readonly blob: string;
}

export const attributesName = ".gitattributes";

/** What says that Git LFS keeps a file. Names are letters, digits and `._+@=-/`: none of them means anything in a pattern. */
export const attributeOf = (name: string): string => `/${name} filter=lfs diff=lfs merge=lfs -text`;

/** What stands in the tree for a file that Git LFS keeps. Source: docs/spec.md of Git LFS, version 1. */
export const pointerTo = (digest: string, size: number): string => `version https://git-lfs.github.com/spec/v1\noid sha256:${digest}\nsize ${size}\n`;

/** The scratch repository. */
export class LfsRepository {
  readonly #context: PublishContext;
  readonly #remote: Remote;
  readonly #directory: string;

  constructor(context: PublishContext, remote: Remote) {
    this.#context = context;
    this.#remote = remote;
    this.#directory = join(context.tmp, "lfs.git");
  }

  /** Settings by the environment, which only this user can see, for git and git-lfs alike. */
  #settings(): Readonly<Record<string, string | undefined>> {
    const { url, authorization } = this.#remote;
    const settings: readonly (readonly [string, string])[] = [
      ["core.hooksPath", "/dev/null"], ["credential.helper", ""], ["protocol.allow", "never"], ["protocol.file.allow", "always"], ["protocol.http.allow", "always"], ["protocol.https.allow", "always"],
      ["safe.directory", "*"], ["lfs.locksverify", "false"], ["lfs.basictransfersonly", "true"], ["gc.auto", "0"], ["remote.place.url", url],
      ...(authorization === undefined ? [] : [[`http.${new URL(url).origin}/.extraHeader`, `Authorization: ${authorization}`] as const]),
    ];
    const { env, tmp } = this.#context;
    return {
      GIT_DIR: this.#directory, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_SYSTEM: "/dev/null", GIT_CONFIG_GLOBAL: "/dev/null", GIT_ATTR_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0", HOME: tmp,
      XDG_CONFIG_HOME: tmp, GIT_CONFIG_COUNT: String(settings.length),
      ...Object.fromEntries(settings.flatMap(([key, value], index) => [[`GIT_CONFIG_KEY_${index}`, key], [`GIT_CONFIG_VALUE_${index}`, value]])),
      ...Object.fromEntries(["http_proxy", "https_proxy", "no_proxy"].map((name) => [name, env[name]])),
    };
  }

  async #ask(words: readonly string[], input?: string, env: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return await answerTo(this.#context, ["git", ...words], join(this.#context.tmp, "git.errors"), { env: { ...this.#settings(), ...env }, ...(input === undefined ? {} : { input }) });
  }

  async #git(words: readonly string[], input?: string, env?: Readonly<Record<string, string>>): Promise<string> {
    const answer = await this.#ask(words, input, env);
    if (answer.code !== 0) throw this.#failure(answer);
    return answer.stdout.trimEnd();
  }

  /** The branch's newest commit, brought here without its history; `undefined` when there is no branch. */
  async newest(): Promise<string | undefined> {
    const { branch } = this.#remote;
    if (!existsSync(this.#directory)) await this.#git(["init", "--quiet", "--bare", "--template=", this.#directory]);
    const line = await this.#git(["ls-remote", "--", "place", `refs/heads/${branch}`]);
    const commit = /^([0-9a-f]{40,64})\t/.exec(line)?.[1];
    if (commit === undefined || (await this.#ask(["cat-file", "-e", `${commit}^{tree}`])).code === 0) return commit;
    await this.#git(["fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--", "place", commit]);
    return commit;
  }

  /** Paths of a commit's tree, with their blobs. */
  async entries(commit: string): Promise<ReadonlyMap<string, string>> {
    const { stdout, code } = await this.#ask(["ls-tree", "-r", "-z", commit]);
    if (code !== 0) throw unexpectedAnswer(this.#remote.place, { found: `no tree in ${commit}` });
    return new Map(stdout.split("\0").flatMap((line) => {
      const parsed = /^\d+ \S+ ([0-9a-f]+)\t(.*)$/s.exec(line);
      return parsed === null ? [] : [[parsed[2]!, parsed[1]!] as const];
    }));
  }

  /** Content of a blob. */
  async content(blob: string): Promise<string> {
    return (await this.#ask(["cat-file", "blob", blob])).stdout;
  }

  /** Makes a blob. @returns its id. */
  async blob(content: string | { readonly file: string }): Promise<string> {
    return typeof content === "string" ? await this.#git(["hash-object", "-w", "--stdin"], content) : await this.#git(["hash-object", "-w", "--no-filters", "--", content.file]);
  }

  /** Makes a commit of a parent's tree with some paths changed. @returns its id, or `undefined` when nothing is different. */
  async commit(parent: string | undefined, changes: readonly Entry[], message: string): Promise<string | undefined> {
    const index = { GIT_INDEX_FILE: join(this.#context.tmp, "lfs.index") };
    await this.#git(parent === undefined ? ["read-tree", "--empty"] : ["read-tree", parent], undefined, index);
    await this.#git(["update-index", "-z", "--add", "--replace", "--index-info"], changes.map(({ name, blob }) => `100644 ${blob}\t${name}\0`).join(""), index);
    const tree = await this.#git(["write-tree"], undefined, index);
    if (parent !== undefined && tree === (await this.#git(["rev-parse", `${parent}^{tree}`]))) return undefined;
    const who = { GIT_AUTHOR_NAME: "imgtask", GIT_AUTHOR_EMAIL: "imgtask@localhost", GIT_COMMITTER_NAME: "imgtask", GIT_COMMITTER_EMAIL: "imgtask@localhost" };
    return await this.#git(["commit-tree", tree, ...(parent === undefined ? [] : ["-p", parent])], message, who);
  }

  /** Sends files to where Git LFS keeps them. Nothing points to them yet. Those that are there are not sent. */
  async sendLarge(files: readonly { readonly digest: string; readonly path: string }[]): Promise<void> {
    if (files.length === 0) return;
    for (const { digest, path } of files) {
      const object = join(this.#directory, "lfs", "objects", digest.slice(0, 2), digest.slice(2, 4), digest);
      mkdirSync(dirname(object), { recursive: true });
      if (!existsSync(object)) symlinkSync(path, object);
    }
    await this.#git(["lfs", "push", "--object-id", "place", ...new Set(files.map(({ digest }) => digest))]);
  }

  /** Lets the branch point to a commit, where it still points to the commit's parent. */
  async push(commit: string): Promise<void> {
    await this.#git(["push", "--quiet", "--no-verify", "--", "place", `${commit}:refs/heads/${this.#remote.branch}`]);
  }

  #failure({ code, stdout, stderr }: Answer): Error {
    const { place } = this.#remote;
    const text = `${stderr}\n${stdout}`;
    const found = said(stderr.split("\n").filter((line) => /fatal|error|rejected|denied|batch|LFS/i.test(line)).join("\n") || stderr || stdout);
    if (/\[(?:remote )?rejected\].*(?:fetch first|non-fast-forward|cannot lock ref|failed to update|stale)/.test(text)) return changedMeanwhile(place, { found });
    if (/No space left|quota|\b507\b|\b413\b/i.test(text)) return placeFull(place, { found });
    if (/Authentication failed|could not read Username|Authentication required|Authorization error|\b401\b|Bad credentials/.test(text) && !/\b403\b/.test(text)) {
      return credentialsRefused(place, { found, hint: "Is the token whole, not expired, and of the user that is named?" });
    }
    if (/\b403\b|[Pp]ermission denied|pre-receive hook declined|protected branch|insufficient permission|unable to create|not allowed|Operation not permitted|Read-only/.test(text)) {
      return writingDenied(place, { found, hint: "The token, or this user, needs the right to push to the branch" });
    }
    if (/not found|does not appear to be a git repository|does not exist|No such file|\b404\b/.test(text)) return missingThere(place, "the repository, or Git LFS for it", { found, hint: "Is the address right, and Git LFS on for the repository?" });
    if (/Could not resolve|Failed to connect|Connection (?:refused|reset|timed out)|Couldn't connect|unexpected disconnect|hung up|timeout|EOF/i.test(text)) return unreachable(place, { found });
    if (/\b(?:429|5\d\d)\b/.test(text)) return busy(place, { found });
    // The server's own words for why it takes nothing: git-lfs tells no status beside them.
    if (/^batch response: /m.test(text)) return writingDenied(place, { found, hint: "The token, or this user, needs the right to push to the branch" });
    return unexpectedAnswer(place, { found: `${found} (exit code ${code})` });
  }
}
