/**
 * Publishes to a directory of this machine, or of whatever is mounted there.
 * Knows nothing of what the files are.
 * @module
 */
import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { chmod, open, readlink, rename, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { checkOptions, ExitCode, ImgtaskError, type FilePublisher, tool } from "../../lib/mod.ts";
import { sha256 } from "./digest.ts";
import { checkLayout, latestLinks, layoutFits, type LayoutOptions, nameOfIn } from "./layout.ts";
import { checkPublishedName } from "./names.ts";

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

/** Removes what a publication that was killed left behind. */
function removeOldParts(directory: string): void {
  for (const name of readdirSync(directory).filter((one) => partPattern.test(one))) {
    const stats = lstatSync(join(directory, name), { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > partLifetime) rmSync(join(directory, name), { force: true });
  }
}

/** Makes a link, or lets it point elsewhere: who follows it meanwhile gets to the one or to the other. */
async function pointTo(place: string, link: string, to: string): Promise<void> {
  const path = join(place, link);
  if ((await readlink(path).catch(() => undefined)) === to) return;
  const part = join(place, `.imgtask-${randomBytes(8).toString("hex")}.part`);
  await symlink(to, part);
  await rename(part, path).catch((error: unknown) => {
    rmSync(part, { force: true });
    throw error;
  });
  await sync(dirname(path));
}

/**
 * Publishes to a directory, which is made when it is missing.
 *
 * All files are first written at its top, then they get their names in the order in which they were given: whoever
 * reads the directory sees whole files only. A file that is there with the same bytes is left alone, and so are others.
 *
 * @param path absolute, or relative to the imagefile's directory.
 * @param layout how files are laid out below it. @default side by side
 * @throws {ImgtaskError} IMG2514 for an empty path, IMG2520 for a bad build; when it runs, IMG2512 for a file name that would leave it.
 *
 * @example
 * ```ts
 * publish("release", { artifacts: [debianIso], to: directory("artifacts/release"), tests: [isoTest] });
 * // artifacts/published/iso/2026-11-21/debian.iso, and the link artifacts/published/iso/latest
 * publish("dated", { artifacts: [debianIso], to: directory("artifacts/published", { build: "2026-11-21" }), tests: [isoTest] });
 * ```
 */
export function directory(path: string, layout: LayoutOptions = {}): FilePublisher {
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new ImgtaskError("IMG2514", `Bad directory to publish to: ${JSON.stringify(path)}`, {
      expected: "a path, absolute or relative to the imagefile's directory",
      exitCode: ExitCode.usage,
    });
  }
  checkOptions("directory()", layout, layoutFits);
  checkLayout(layout, "directory");
  const { build, latest } = layout;
  return Object.freeze({
    name: "directory",
    params: { path, ...(build === undefined ? {} : { build, latest: latest !== false }) },
    tools: [tool("cp", { packages: { apt: "coreutils" } })],
    env: [],
    untracked: { writes: [path] },
    module: import.meta.url,
    ...nameOfIn(layout),
    async read(name, { project }) {
      const file = join(resolve(project, path), name);
      return lstatSync(file, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(file) : undefined;
    },
    async has(names, { project }) {
      const place = resolve(project, path);
      return new Set(names.filter((name) => lstatSync(join(place, name), { throwIfNoEntry: false }) !== undefined));
    },
    async publish(files, { exec, log, project, signal }) {
      const place = resolve(project, path);
      for (const { name } of files) checkPublishedName(name);
      mkdirSync(place, { recursive: true });
      removeOldParts(place);
      const parts: { part: string; name: string }[] = [];
      try {
        for (const { name, path: source } of files) {
          if (await hasBytes(join(place, name), lstatSync(source).size, await sha256(source, signal), signal)) continue;
          log(`writing ${name}`);
          const part = join(place, `.imgtask-${randomBytes(8).toString("hex")}.part`);
          parts.push({ part, name });
          // Holes stay holes, and file systems that can share the blocks do.
          await exec(["cp", "--reflink=auto", "--sparse=always", "--", source, part]);
          await chmod(part, 0o644);
          await sync(part);
        }
        const uploaded = new Set(parts.map(({ name }) => name));
        const directories = new Set([place]);
        while (parts.length > 0) {
          const { part, name } = parts[0]!;
          const directory = dirname(join(place, name));
          mkdirSync(directory, { recursive: true });
          directories.add(directory);
          await rename(part, join(place, name));
          parts.shift();
        }
        for (const directory of directories) await sync(directory);
        for (const { link, to } of latestLinks(files.map(({ name }) => name), layout)) await pointTo(place, link, to);
        return files.map(({ name }) => ({ name, location: join(path, name), uploaded: uploaded.has(name) }));
      } finally {
        for (const { part } of parts) rmSync(part, { force: true });
      }
    },
  } satisfies FilePublisher);
}
