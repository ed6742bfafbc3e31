/**
 * Publishes as the assets of a release on GitHub: a draft first, which becomes public when all of them are there.
 * Knows nothing of what the files are.
 * @module
 */
import { statSync } from "node:fs";
import { checkOptions, fit, type Fits, type PublishContext, type PublishedFile, type FilePublisher, proxyVariables, type Secret, secret } from "../../lib/mod.ts";
import { sha256 } from "./digest.ts";
import { badOption, damagedOnTheWay, otherBytesThere, tooLarge, unexpectedAnswer } from "./failure.ts";
import { type Api, type Asset, assetsOf, createDraft, makePublic, releasesOf, removeAsset, uploadAsset } from "./github-api.ts";
import { checkPublishedName } from "./names.ts";

/** What `github()` takes. */
export interface GithubOptions {
  /** `OWNER/NAME`. */
  readonly repository: string;
  /** Name of the release's tag. GitHub makes the tag when the release becomes public, if there is none. */
  readonly tag: string;
  /** Branch or commit for a tag that is not there yet. @default the repository's default branch */
  readonly commit?: string;
  /** Title. @default the tag */
  readonly title?: string;
  /** Text, in Markdown. @default "" */
  readonly notes?: string;
  /** @default false */
  readonly prerelease?: boolean;
  /** With the permission "Contents: write". @default the one in GITHUB_TOKEN */
  readonly token?: Secret;
}

const fits: Fits<GithubOptions> = {
  repository: fit.needed(fit.text),
  tag: fit.needed(fit.text),
  commit: fit.text,
  title: fit.text,
  notes: fit.text,
  prerelease: fit.flag,
  token: fit.secretHandle,
};

/** Bytes that an asset stays below, by GitHub's documentation. */
const assetLimit = 2 ** 31;

/**
 * Publishes as a release.
 *
 * Assets go to a draft, which nobody else sees; it becomes public by one request when all of them are there with the right
 * size and SHA-256. A later run goes on with the draft, sends what is missing and replaces what is incomplete. A public release is
 * not changed: with the same files there is nothing to do, with others it is refused.
 *
 * @throws {ImgtaskError} IMG2520 for bad options; when it runs, IMG3521 and IMG3523 for a token that is wrong or may not,
 * IMG3524 for a repository that is not there, IMG3526 for a file of 2 GiB or more, IMG3527 for a public release with other
 * files, IMG506x for the network.
 *
 * @example
 * ```ts
 * import { github } from "imgtask/plugins/publish/github";
 *
 * publish("release", { artifacts: [kaliDisk], tests: [kaliTest], to: github({ repository: "example/images", tag: "v1.2" }) });
 * ```
 */
export function github(options: GithubOptions): FilePublisher {
  checkOptions("github()", options, fits);
  const { repository, tag, commit, title = tag, notes = "", prerelease = false, token = secret.env("GITHUB_TOKEN") } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9-]*\/[A-Za-z0-9._-]+$/.test(repository) || /\/\.{1,2}$/.test(repository)) {
    throw badOption("github", "repository", repository, '"OWNER/NAME"');
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._+/-]{0,199}$/.test(tag)) throw badOption("github", "tag", tag, "the name of a tag");
  return Object.freeze({
    name: "github",
    params: { repository, tag, title, notes, prerelease, ...(commit === undefined ? {} : { commit }) },
    tools: [],
    env: ["GITHUB_API_URL"],
    untracked: { env: proxyVariables },
    secrets: { githubToken: token },
    module: import.meta.url,
    flat: true,
    async publish(files, context) {
      for (const { name } of files) checkPublishedName(name);
      const place = `release "${tag}" of ${repository}`;
      const api: Api = {
        base: (context.env["GITHUB_API_URL"] ?? "https://api.github.com").replace(/\/+$/, ""),
        // A file with a token ends in a line break, which no header may hold.
        token: context.secrets["githubToken"]!.trimEnd(),
        place,
        env: context.env,
        signal: context.signal,
      };
      const fields = { tag_name: tag, name: title, body: notes, prerelease, ...(commit === undefined ? {} : { target_commitish: commit }) };
      return await release(files, { api, repository, tag, place, fields, context });
    },
  } satisfies FilePublisher);
}

interface Work {
  readonly api: Api;
  readonly repository: string;
  readonly tag: string;
  readonly place: string;
  readonly fields: Readonly<Record<string, string | boolean>>;
  readonly context: PublishContext;
}

async function release(files: readonly PublishedFile[], { api, repository, tag, place, fields, context }: Work): ReturnType<FilePublisher["publish"]> {
  const all: { name: string; path: string; size: number; digest: string }[] = [];
  for (const { name, path } of files) {
    const { size } = statSync(path);
    if (size >= assetLimit) throw tooLarge(place, name, { expected: "less than 2 GiB", found: `${size} bytes`, hint: "Publish it elsewhere, or compressed: qcow2 instead of raw" });
    all.push({ name, path, size, digest: await sha256(path, context.signal) });
  }
  const isThere = (file: { readonly size: number; readonly digest: string }, asset: Asset | undefined): boolean =>
    asset !== undefined && asset.state === "uploaded" && asset.size === file.size && asset.digest === `sha256:${file.digest}`;
  const found = await releasesOf(api, repository, tag);
  const existing = found.find(({ draft }) => !draft) ?? found[0];
  const current = existing ?? (await createDraft(api, repository, fields));
  const before = new Map((existing === undefined ? [] : await assetsOf(api, repository, current.id)).map((one) => [one.name, one]));
  const wanted = all.filter((file) => !isThere(file, before.get(file.name)));
  const other = current.draft ? undefined : wanted[0];
  if (other !== undefined) {
    throw otherBytesThere(place, other.name, { expected: `SHA-256 ${other.digest}`, found: before.get(other.name)?.digest ?? "no such asset", hint: "A public release stays as it is: publish under another tag" });
  }
  for (const { name, path, size } of wanted) {
    const old = before.get(name);
    // Incomplete, or of an earlier attempt with other bytes: nobody but us sees a draft.
    if (old !== undefined) await removeAsset(api, repository, old.id);
    context.log(`sending ${name}`);
    context.progress(`sending ${name}`);
    const made = await uploadAsset(api, current, name, path, size);
    if (made.name !== name) throw unexpectedAnswer(place, { expected: `an asset named "${name}"`, found: `"${made.name}"` });
  }
  let location = current.html_url;
  if (current.draft) {
    const after = new Map((await assetsOf(api, repository, current.id)).map((one) => [one.name, one]));
    const damaged = all.find((file) => !isThere(file, after.get(file.name)));
    if (damaged !== undefined) throw damagedOnTheWay(place, damaged.name, { expected: `sha256:${damaged.digest}`, found: after.get(damaged.name)?.digest ?? "nothing" });
    // What an earlier attempt left and this release does not have.
    for (const [name, { id }] of after) if (!all.some((file) => file.name === name)) await removeAsset(api, repository, id);
    location = (await makePublic(api, repository, current.id)).html_url;
  }
  return all.map((file) => ({ name: file.name, location: `${location}#${file.name}`, uploaded: wanted.includes(file) }));
}
