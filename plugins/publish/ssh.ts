/**
 * Publishes to a directory of another host by OpenSSH and rsync.
 * Knows nothing of what the files are.
 * @module
 */
import { statSync } from "node:fs";
import { checkOptions, fit, type Fits, type PublishContext, type PublishedFile, type FilePublisher, tool } from "../../lib/mod.ts";
import { sha256 } from "./digest.ts";
import { badOption, damagedOnTheWay, unexpectedAnswer } from "./failure.ts";
import { checkLayout, latestLinks, layoutFits, type LayoutOptions, nameOfIn } from "./layout.ts";
import { markOf } from "./mark.ts";
import { checkPublishedName } from "./names.ts";
import { checkHost, hostFiles, hostFits, hostParams, openSession, type SshHost, type SshSession } from "./ssh-session.ts";

/** What `ssh()` takes. */
export interface SshOptions extends SshHost, LayoutOptions {
  /** Directory there: absolute, or relative to the user's home. Made when it is missing. */
  readonly path: string;
}

const fits: Fits<SshOptions> = { ...hostFits, ...layoutFits, path: fit.needed(fit.text) };

/** Goes to the directory, whose path is the first line; 95: there is none. */
const enter = "exec 2>&1; LC_ALL=C; export LC_ALL; umask 022; IFS= read -r root || exit 90; [ -e \"$root\" ] || exit 95; cd -- \"$root\" || exit 91";
const scripts = {
  /** Lines `DIGEST SIZE NAME`. Says of each file `have NAME` or `want NAME`. */
  survey: `exec 2>&1; LC_ALL=C; export LC_ALL; umask 022; IFS= read -r root || exit 90; mkdir -p -- "$root" && cd -- "$root" || exit 91
test -w . || { echo "Permission denied"; exit 91; }
for one in rsync sha256sum mv sync; do command -v "$one" >/dev/null || { echo "$one: not found"; exit 127; }; done
find . -maxdepth 1 -name ".imgtask-*.part" -mtime +1 -exec rm -f -- {} +
while IFS=" " read -r digest size name; do
if [ -f "$name" ] && [ ! -L "$name" ] && [ "$(wc -c <"$name")" -eq "$size" ] && [ "$(sha256sum <"$name")" = "$digest  -" ]; then echo "have $name"; else echo "want $name"; fi
done; echo end`,
  /**
   * Lines `check DIGEST PART`, `place PART NAME`, `link TO LINK`, done in this order; `end` when all of it was. Renaming
   * comes after the last check, and each file has its bytes on the disk before.
   */
  commit: `${enter}
while IFS=" " read -r verb one two; do case "$verb" in
check) [ "$(sha256sum <"$two")" = "$one  -" ] || { rm -f -- "$two"; echo "damaged $two"; exit 93; }; chmod 644 -- "$two" || exit 94; sync -- "$two" 2>/dev/null || sync;;
place) case "$two" in */*) mkdir -p -- "\${two%/*}" || exit 94;; esac; mv -fT -- "$one" "$two" || exit 94;;
link) if [ "$(readlink -- "$two")" != "$one" ]; then ln -sfn -- "$one" ".imgtask-link-$$.part" && mv -fT -- ".imgtask-link-$$.part" "$two" || exit 94; fi;;
end) sync -f -- . 2>/dev/null || sync; echo end;;
esac; done`,
  read: `${enter}; IFS= read -r name; [ -f "$name" ] || exit 95; echo begin; cat -- "$name"`,
  has: `${enter}; while IFS= read -r name; do if [ -e "$name" ]; then echo "have $name"; fi; done; echo end`,
} as const;

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\n`).join("");

/**
 * Publishes to a directory of another host.
 *
 * Files are sent by rsync under hidden names, where an interrupted transfer goes on the next time. The other host
 * computes their SHA-256; when all of them are right and on its disk, they get their names by rename, in the order in
 * which they were given. What is there with the same bytes is not sent. The other host needs a POSIX shell, rsync and GNU
 * coreutils.
 *
 * @throws {ImgtaskError} IMG2520 for bad options; when it runs, IMG3520 for another host key, IMG3521 for a key that is not
 * accepted, IMG3522 and IMG3523 for a place that is full or not writable, IMG5060 and IMG5061 for the network.
 *
 * @example
 * ```ts
 * import { ssh } from "imgtask/plugins/publish/ssh";
 *
 * publish("mirror", {
 *   artifacts: [kaliIso],
 *   tests: [kaliTest],
 *   to: ssh({
 *     host: "files.example.org",
 *     user: "images",
 *     path: "/srv/images",
 *     knownHosts: source("config/known_hosts"),
 *     identity: secret.env("IMAGES_SSH_KEY"),
 *     build: "2026-11-21",
 *   }),
 * });
 * ```
 */
export function ssh(options: SshOptions): FilePublisher {
  checkOptions("ssh()", options, fits);
  checkHost(options, "ssh");
  checkLayout(options, "ssh");
  const { path, identity, build, latest } = options;
  if (typeof path !== "string" || !/^[^~\n\0-][^\n\0]*$/.test(path)) throw badOption("ssh", "path", path, "a directory there: absolute, or relative to the user's home without \"~\"");
  const withSession = async <T>(context: PublishContext, work: (session: SshSession) => Promise<T>): Promise<T> => {
    const session = openSession(options, context, "sshKey");
    try {
      return await work(session);
    } finally {
      session.close();
    }
  };
  return Object.freeze({
    name: "ssh",
    params: { ...hostParams(options), path, ...(build === undefined ? {} : { build, latest: latest !== false }) },
    tools: [
      tool("ssh", { versionArgs: ["-V"], packages: { apt: "openssh-client", dnf: "openssh-clients" } }),
      tool("rsync", { packages: { apt: "rsync", dnf: "rsync" } }),
    ],
    env: [],
    ...(typeof identity === "string" ? {} : { secrets: { sshKey: identity } }),
    untracked: { reads: hostFiles(options) },
    module: import.meta.url,
    ...nameOfIn(options),
    async read(name, context) {
      return await withSession(context, async (session) => {
        const answer = await session.script(scripts.read, lines(path, name));
        if (answer.code === 0 && answer.stdout.startsWith("begin\n")) return Buffer.from(answer.stdout.slice("begin\n".length));
        // Neither the file nor, at first, the directory.
        if (answer.code === 95) return undefined;
        throw session.failure(answer);
      });
    },
    async has(names, context) {
      return await withSession(context, async (session) => {
        const answer = await session.script(scripts.has, lines(path, ...names));
        if (answer.code === 95) return new Set();
        if (!answer.stdout.endsWith("end\n")) throw session.failure(answer);
        return new Set(answer.stdout.split("\n").flatMap((line) => (line.startsWith("have ") ? [line.slice(5)] : [])));
      });
    },
    async publish(files, context) {
      for (const { name } of files) checkPublishedName(name);
      return await withSession(context, async (session) => await send(files, options, session, context));
    },
  } satisfies FilePublisher);
}

async function send(files: readonly PublishedFile[], options: SshOptions, session: SshSession, context: PublishContext): ReturnType<FilePublisher["publish"]> {
  const { log, progress, project, signal } = context;
  const { path } = options;
  const all: { name: string; source: string; size: number; digest: string; part: string }[] = [];
  for (const { name, path: source } of files) {
    const digest = await sha256(source, signal);
    all.push({ name, source, size: statSync(source).size, digest, part: `.imgtask-${markOf(project, name, digest)}.part` });
  }
  const survey = await session.script(scripts.survey, lines(path, ...all.map(({ digest, size, name }) => `${digest} ${size} ${name}`)));
  if (!survey.stdout.endsWith("end\n")) throw session.failure(survey);
  const said = survey.stdout.split("\n");
  const wanted = all.filter(({ name }) => said.includes(`want ${name}`));
  if (wanted.length + said.filter((line) => line.startsWith("have ")).length !== all.length) throw unexpectedAnswer(session.place, { found: `${said.length} lines about ${all.length} files` });
  for (const { name, source, part } of wanted) {
    log(`sending ${name}`);
    progress(`sending ${name}`);
    const there = `place:${path.startsWith("/") ? path : `./${path}`}/${part}`;
    const answer = await session.local([
      "rsync", "--rsh", session.command, "--protect-args", "--ignore-times", "--inplace", "--sparse", "--chmod=F600", "--timeout=120", "--", source, there,
    ]);
    if (answer.code !== 0) throw session.failure(answer);
  }
  const links = latestLinks(all.map(({ name }) => name), options);
  const commit = await session.script(scripts.commit, lines(
    path,
    ...wanted.map(({ digest, part }) => `check ${digest} ${part}`),
    ...wanted.map(({ part, name }) => `place ${part} ${name}`),
    ...links.map(({ link, to }) => `link ${to} ${link}`),
    "end",
  ));
  if (commit.code === 93) throw damagedOnTheWay(session.place, wanted.find(({ part }) => commit.stdout.includes(part))?.name ?? "a file");
  if (!commit.stdout.endsWith("end\n")) throw session.failure(commit);
  return all.map(({ name }) => ({ name, location: `ssh://${session.place}${path.startsWith("/") ? "" : "/~/"}${path}/${name}`, uploaded: wanted.some((one) => one.name === name) }));
}
