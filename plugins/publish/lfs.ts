/**
 * Publishes to a branch of a repository of git, large files by Git LFS.
 * Knows nothing of what the files are.
 * @module
 */
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { checkOptions, fit, type Fits, type PublishContext, type FilePublisher, proxyVariables, type Secret, tool } from "../../lib/mod.ts";
import { sha256 } from "./digest.ts";
import { badOption } from "./failure.ts";
import { checkLayout, layoutFits, type LayoutOptions, nameOfIn } from "./layout.ts";
import { attributeOf, attributesName, LfsRepository, pointerTo } from "./lfs-repository.ts";
import { checkPublishedName } from "./names.ts";

/** What `lfs()` takes. */
export interface LfsOptions extends Pick<LayoutOptions, "build"> {
  /** Address of the repository: an http or https URL without user and password, a file URL, or the absolute path of a directory. */
  readonly repository: string;
  /** Made when it is missing. Best one of its own: its history holds each publication. @default "main" */
  readonly branch?: string;
  /** With the right to push. Only for http and https. @default none */
  readonly token?: Secret;
  /** Name that goes with the token. @default "x-access-token", which GitHub expects; GitLab: "oauth2" */
  readonly user?: string;
  /** Bytes from which Git LFS keeps a file; smaller ones are in the repository itself. @default 1 MiB */
  readonly largeFrom?: number;
}

const fits: Fits<LfsOptions> = {
  repository: fit.needed(fit.text),
  branch: fit.text,
  token: fit.secretHandle,
  user: fit.text,
  largeFrom: fit.number,
  build: layoutFits.build,
};

function check({ repository, branch, token, user, largeFrom, ...layout }: LfsOptions): void {
  const local = isAbsolute(repository) && !/[\0\n]/.test(repository);
  const url = /^(?:https?:\/\/[^/@?#\s]+\/[^?#\s]+|file:\/\/\/[^?#\s]+)$/.test(repository) && URL.canParse(repository);
  if (!local && !url) throw badOption("lfs", "repository", repository, "an http or https URL without user and password, a file URL, or an absolute path");
  if (branch !== undefined && (!/^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/.test(branch) || /\.\.|\/\/|\/\.|\.lock(?:\/|$)|[./]$/.test(branch))) throw badOption("lfs", "branch", branch, "the name of a branch");
  if (token !== undefined && !/^https?:/.test(repository)) throw badOption("lfs", "token", typeof token, "none: it is for an http or https URL");
  if (user !== undefined && !/^[A-Za-z0-9._@-]+$/.test(user)) throw badOption("lfs", "user", user, "the name of a user");
  if (largeFrom !== undefined && (!Number.isInteger(largeFrom) || largeFrom < 1)) throw badOption("lfs", "largeFrom", largeFrom, "bytes: a whole number above 0");
  checkLayout(layout, "lfs");
}

/**
 * Publishes to a branch.
 *
 * Large files are sent to where Git LFS keeps them; then one commit, with all files of the publication, becomes the
 * newest of the branch in one step: who fetches it gets all of it, or nothing. Files that are there with the same bytes are not
 * sent; where all are, there is no commit. Other files of the branch stay. A branch that somebody else pushed to meanwhile is not
 * overwritten. The host needs git and git-lfs; no settings of git's are read.
 *
 * @throws {ImgtaskError} IMG2520 for bad options; when it runs, IMG3521 and IMG3523 for a token that is wrong or may not
 * push, IMG3522 for a place that is full, IMG3524 for a repository that is not there, IMG506x for the network and for what
 * somebody else pushed meanwhile.
 *
 * @example
 * ```ts
 * import { lfs } from "imgtask/plugins/publish/lfs";
 *
 * publish("images", {
 *   artifacts: [kaliIso],
 *   tests: [kaliTest],
 *   to: lfs({ repository: "https://git.example.org/team/images.git", branch: "images", token: secret.env("LFS_TOKEN") }),
 * });
 * ```
 */
export function lfs(options: LfsOptions): FilePublisher {
  checkOptions("lfs()", options, fits);
  check(options);
  const { repository, branch = "main", token, user = "x-access-token", largeFrom = 2 ** 20, build } = options;
  const url = isAbsolute(repository) ? new URL(`file://${repository.split("/").map(encodeURIComponent).join("/")}`).href : repository;
  const place = `branch "${branch}" of ${url.replace(/^https?:\/\//, "")}`;
  const repositoryFor = (context: PublishContext): LfsRepository => {
    const secret = token === undefined ? undefined : context.secrets["lfsToken"]!;
    return new LfsRepository(context, { url, branch, place, authorization: secret === undefined ? undefined : `Basic ${Buffer.from(`${user}:${secret}`).toString("base64")}` });
  };
  return Object.freeze({
    name: "lfs",
    params: { repository: url, branch, largeFrom, ...(build === undefined ? {} : { build }) },
    tools: [tool("git", { packages: { apt: "git", dnf: "git" } }), tool("git-lfs", { packages: { apt: "git-lfs", dnf: "git-lfs" } })],
    env: [],
    ...(token === undefined ? {} : { secrets: { lfsToken: token } }),
    untracked: { env: proxyVariables, ...(url.startsWith("file:") ? { writes: [decodeURIComponent(new URL(url).pathname)] } : {}) },
    module: import.meta.url,
    ...nameOfIn(options),
    async read(name, context) {
      const there = repositoryFor(context);
      const commit = await there.newest();
      const blob = commit === undefined ? undefined : (await there.entries(commit)).get(name);
      return blob === undefined ? undefined : Buffer.from(await there.content(blob));
    },
    async has(names, context) {
      const there = repositoryFor(context);
      const commit = await there.newest();
      const entries = commit === undefined ? undefined : await there.entries(commit);
      return new Set(names.filter((name) => entries?.has(name) === true));
    },
    async publish(files, context) {
      for (const { name } of files) checkPublishedName(name);
      const there = repositoryFor(context);
      const parent = await there.newest();
      const before = parent === undefined ? new Map<string, string>() : await there.entries(parent);
      const all: { name: string; path: string; digest: string; large: boolean; blob: string }[] = [];
      for (const { name, path } of files) {
        const { size } = statSync(path);
        const large = size >= largeFrom;
        const digest = large ? await sha256(path, context.signal) : "";
        all.push({ name, path, digest, large, blob: await there.blob(large ? pointerTo(digest, size) : { file: path }) });
      }
      const attributes = before.get(attributesName);
      // What is there stays in its order; later lines win.
      const lines = attributes === undefined ? [] : (await there.content(attributes)).replace(/\n$/, "").split("\n");
      for (const { name, large } of all) {
        const line = attributeOf(name), at = lines.indexOf(line);
        if (large && at < 0) lines.push(line);
        if (!large && at >= 0) lines.splice(at, 1);
      }
      const changes = [...all, ...(lines.length === 0 && attributes === undefined ? [] : [{ name: attributesName, blob: await there.blob(lines.map((line) => `${line}\n`).join("")) }])];
      const commit = await there.commit(parent, changes, `Publish ${files.map(({ name }) => name).join(", ")}\n`);
      const wanted = all.filter(({ name, blob }) => before.get(name) !== blob);
      if (commit !== undefined) {
        for (const { name } of wanted) context.log(`sending ${name}`);
        context.progress(`sending ${wanted.length} files`);
        await there.sendLarge(wanted.filter(({ large }) => large));
        await there.push(commit);
      }
      return all.map((file) => ({ name: file.name, location: `${url}#${branch}:${file.name}`, uploaded: wanted.includes(file) }));
    },
  } satisfies FilePublisher);
}
