/**
 * Publishes to a directory of this machine, or of whatever is mounted there.
 * Knows nothing of what the files are.
 * @module
 */
import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { chmod, open, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ExitCode, ImgtaskError, type Publisher, tool } from "../../lib/mod.ts";
import { sha256 } from "./digest.ts";
import { checkPublishedName, checksumsName } from "./names.ts";

const partPattern = /^\.imgtask-[0-9a-f]{16}\.part$/;
/** Milliseconds after which a part file cannot belong to a publication that still runs. */
const partLifetime = 24 * 60 * 60 * 1000;

/** Waits until the bytes, or for a directory the names in it, are on the disk. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether a published file has these bytes already. A link is not a published file: it is replaced. */
async function hasBytes(path: string, size: number, digest: string, signal: AbortSignal): Promise<boolean> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats !== undefined && stats.isFile() && stats.size === size && (await sha256(path, signal)) === digest;
}

/** The entries of a list of checksums, by name. Lines in another form are not ours, and are dropped. */
function readChecksums(path: string): Map<string, string> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return new Map();
  const lines = readFileSync(path, "utf8").split("\n").map((line) => /^([0-9a-f]{64}) [ *]([^/\\]+)$/.exec(line));
  return new Map(lines.flatMap((match) => (match === null ? [] : [[match[2]!, match[1]!] as const])));
}

/** Removes what a publication that was killed left behind. */
function removeOldParts(directory: string): void {
  for (const name of readdirSync(directory).filter((one) => partPattern.test(one))) {
    const stats = lstatSync(join(directory, name), { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > partLifetime) rmSync(join(directory, name), { force: true });
  }
}

/**
 * Publishes to a directory, which is made when it is missing.
 *
 * All files are first written beside their names, then they get them, then `SHA256SUMS` is written: whoever reads the
 * directory sees whole files only. A file that is there with the same bytes is left alone. Other files, and their
 * lines in `SHA256SUMS`, stay.
 *
 * @param path absolute, or relative to the imagefile's directory.
 * @throws {ImgtaskError} IMG2514 for an empty path; when it runs, IMG2512 for a file name that would leave it.
 *
 * @example
 * ```ts
 * publish("release", { artifacts: [debianIso], to: directory("artifacts/release") });
 * ```
 */
export function directory(path: string): Publisher {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new ImgtaskError("IMG2514", `Bad directory to publish to: ${JSON.stringify(path)}`, {
      expected: "a path, absolute or relative to the imagefile's directory",
      exitCode: ExitCode.usage,
    });
  }
  return Object.freeze({
    name: "directory",
    params: { path },
    tools: [tool("cp", { packages: { apt: "coreutils" } })],
    env: [],
    untracked: { writes: [path] },
    module: import.meta.url,
    async publish(files, { exec, log, project, signal }) {
      const place = resolve(project, path);
      for (const { name } of files) checkPublishedName(name);
      mkdirSync(place, { recursive: true });
      removeOldParts(place);
      const parts: { part: string; name: string }[] = [];
      const digests = new Map<string, string>();
      const stage = async (name: string, write: (part: string) => Promise<void>): Promise<void> => {
        const part = join(place, `.imgtask-${randomBytes(8).toString("hex")}.part`);
        parts.push({ part, name });
        await write(part);
        await chmod(part, 0o644);
        await sync(part);
      };
      const expose = async (): Promise<void> => {
        while (parts.length > 0) {
          await rename(parts[0]!.part, join(place, parts[0]!.name));
          parts.shift();
        }
        await sync(place);
      };
      try {
        for (const { name, path: source } of files) {
          const digest = await sha256(source, signal);
          digests.set(name, digest);
          if (await hasBytes(join(place, name), lstatSync(source).size, digest, signal)) continue;
          log(`writing ${name}`);
          // Holes stay holes, and file systems that can share the blocks do.
          await stage(name, async (part) => void (await exec(["cp", "--reflink=auto", "--sparse=always", "--", source, part])));
        }
        const uploaded = new Set(parts.map(({ name }) => name));
        await expose();
        await writeChecksums(place, digests, async (text) => {
          await stage(checksumsName, async (part) => {
            const handle = await open(part, "wx");
            await handle.writeFile(text).finally(() => handle.close());
          });
          await expose();
        });
        return files.map(({ name }) => ({ name, location: join(path, name), uploaded: uploaded.has(name) }));
      } finally {
        for (const { part } of parts) rmSync(part, { force: true });
      }
    },
  } satisfies Publisher);
}

/** Adds to the list of checksums what was published, unless it says so already. */
async function writeChecksums(
  place: string,
  digests: ReadonlyMap<string, string>,
  write: (text: string) => Promise<void>,
): Promise<void> {
  const list = join(place, checksumsName);
  const all = new Map([...readChecksums(list)].filter(([name]) => lstatSync(join(place, name), { throwIfNoEntry: false }) !== undefined));
  for (const [name, digest] of digests) all.set(name, digest);
  const text = [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, digest]) => `${digest}  ${name}\n`).join("");
  if (lstatSync(list, { throwIfNoEntry: false })?.isFile() === true && readFileSync(list, "utf8") === text) return;
  await write(text);
}
