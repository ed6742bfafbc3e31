/**
 * The content-addressed store: every output once, by its SHA-256, read-only. Knows no target and no fingerprint.
 * @module
 */
import type { BigIntStats } from "node:fs";
import { chmod, link, lstat, lutimes, mkdir, open, readdir, readFile, readlink, rename, rm, symlink, unlink, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Form } from "./artifact.ts";
import { type Digest, digestOf } from "./digest.ts";
import { ImgtaskError } from "./error.ts";
import { copyWhole, holdsOnly, statOf, syncPath } from "./files.ts";
import { identityOf, type StatCache } from "./stat-cache.ts";

/** One entry of a stored tree, in code unit order of paths. */
export interface TreeEntry {
  /** Relative to the tree, `/` between parts. */
  readonly path: string;
  readonly type: "file" | "directory" | "link";
  /** Permission bits of files and directories. */
  readonly mode: number;
  /** Of a file. */
  readonly digest?: Digest;
  readonly size?: number;
  /** Of a link. */
  readonly to?: string;
}

/** What was put into the store; `size` in bytes of all its files. */
export interface Stored {
  readonly digest: Digest;
  readonly size: number;
}

/** Bytes from which a file is written back to disk while it is hashed, even if the store turns out to have it. */
const bigFile = 16 * 1024 * 1024;

let serial = 0;
const temporaryName = (): string => `.imgtask-${process.pid}-${serial++}`;

/**
 * A store in a directory of its own.
 *
 * Objects are files `AB/CDEF…` named by digest, mode 0444, or 0555 with `.x` appended when executable. A tree is
 * an object that lists its entries as JSON; its files are objects of their own.
 */
export class Store {
  readonly #directory: string;
  readonly #cache: StatCache;
  /** As root nothing protects a linked object from being edited through the link, so artifacts are copies then. */
  readonly #linkable: boolean;

  constructor(directory: string, cache: StatCache, options: { readonly uid: number }) {
    this.#directory = directory;
    this.#cache = cache;
    this.#linkable = options.uid !== 0;
  }

  /** Path of the object of a digest, whether or not it is there. */
  objectPath(digest: Digest, executable = false): string {
    return join(this.#directory, digest.slice(0, 2), digest.slice(2) + (executable ? ".x" : ""));
  }

  /** Moves a finished file into the store. The file is gone from `path` afterwards. */
  async putFile(path: string): Promise<Stored & { readonly executable: boolean }> {
    const executable = ((await lstat(path)).mode & 0o111) !== 0;
    await chmod(path, executable ? 0o555 : 0o444);
    await utimes(path, 1, 1);
    const before = await lstat(path, { bigint: true });
    const size = Number(before.size);
    // The disk writes a big file while the processor hashes it.
    const [digest] = await Promise.all([this.#cache.digest(path, before), size >= bigFile ? syncPath(path) : undefined]);
    const object = this.objectPath(digest, executable);
    if (await this.#intact(object, digest)) {
      await unlink(path);
      return { digest, size, executable };
    }
    if (identityOf(await lstat(path, { bigint: true })) !== identityOf(before)) throw unfinished(path);
    await mkdir(dirname(object), { recursive: true, mode: 0o700 });
    if (size < bigFile) await syncPath(path);
    try {
      await rename(path, object);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      const temporary = join(dirname(object), temporaryName());
      await copyWhole(path, temporary);
      await chmod(temporary, executable ? 0o555 : 0o444);
      await syncPath(temporary);
      await rename(temporary, object);
      await unlink(path);
    }
    await syncPath(dirname(object));
    this.#cache.remember(object, await lstat(object, { bigint: true }), digest, "own");
    return { digest, size, executable };
  }

  async #putBytes(bytes: Buffer): Promise<Digest> {
    const digest = digestOf(bytes);
    const object = this.objectPath(digest);
    if (await this.#intact(object, digest)) return digest;
    await mkdir(dirname(object), { recursive: true, mode: 0o700 });
    const temporary = join(dirname(object), temporaryName());
    const handle = await open(temporary, "w", 0o444);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, object);
    await syncPath(dirname(object));
    this.#cache.remember(object, await lstat(object, { bigint: true }), digest, "own");
    return digest;
  }

  /** Moves a finished directory tree into the store: files, directories and symbolic links only. */
  async putTree(path: string): Promise<Stored> {
    const entries: TreeEntry[] = [];
    let size = 0;
    const visit = async (relative: string): Promise<void> => {
      const names = (await readdir(join(path, relative))).sort((a, b) => (a < b ? -1 : 1));
      for (const name of names) {
        const inner = relative === "" ? name : `${relative}/${name}`;
        const full = join(path, inner);
        const stat = await lstat(full);
        const mode = stat.mode & 0o7777;
        if (stat.isDirectory()) {
          entries.push({ path: inner, type: "directory", mode });
          await visit(inner);
        } else if (stat.isSymbolicLink()) {
          entries.push({ path: inner, type: "link", mode: 0o777, to: await readlink(full) });
        } else if (stat.isFile()) {
          const stored = await this.putFile(full);
          size += stored.size;
          entries.push({ path: inner, type: "file", mode: stored.executable ? 0o755 : 0o644, digest: stored.digest, size: stored.size });
        } else {
          throw new ImgtaskError("IMG3011", `Output tree has an entry of a kind that cannot be stored: "${inner}"`, {
            expected: "files, directories and symbolic links",
            found: stat.isSocket() ? "a socket" : stat.isFIFO() ? "a pipe" : "a device",
          });
        }
      }
    };
    await visit("");
    const digest = await this.#putBytes(Buffer.from(JSON.stringify({ entries })));
    return { digest, size };
  }

  /** Whether an object is there with the bytes its name promises. */
  async #intact(object: string, digest: Digest): Promise<boolean> {
    const stat = await statOf(object);
    return stat !== undefined && stat.isFile() && (await this.#cache.digest(object, stat)) === digest;
  }

  /** Entries of an object that may be the list of a tree or any other file. */
  async listOf(digest: Digest): Promise<readonly TreeEntry[] | undefined> {
    const begin = Buffer.from('{"entries":[');
    const handle = await open(this.objectPath(digest)).catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const { buffer } = await handle.read(Buffer.alloc(begin.length), 0, begin.length, 0);
      if (!buffer.equals(begin)) return undefined;
    } finally {
      await handle.close();
    }
    // A file that merely begins like one fails to parse.
    return this.tree(digest).catch(() => undefined);
  }

  /** Entries of a stored tree, or `undefined` when its list is missing or damaged. */
  async tree(digest: Digest): Promise<readonly TreeEntry[] | undefined> {
    const object = this.objectPath(digest);
    if (!(await this.#intact(object, digest))) return undefined;
    return (JSON.parse(await readFile(object, "utf8")) as { entries: TreeEntry[] }).entries;
  }

  /** Whether all bytes of a stored output are there: `"intact"`, `"missing"`, or `"damaged"` (then they are removed). */
  async check(digest: Digest, form: Form): Promise<"intact" | "missing" | "damaged"> {
    if (form === "tree") {
      const object = this.objectPath(digest);
      const own = await this.#checkObject(object, digest);
      if (own !== "intact") return own;
      for (const entry of (await this.tree(digest)) ?? []) {
        if (entry.type !== "file") continue;
        const state = await this.#checkObject(this.objectPath(entry.digest!, (entry.mode & 0o111) !== 0), entry.digest!);
        if (state !== "intact") return state;
      }
      return "intact";
    }
    const plain = await this.#checkObject(this.objectPath(digest), digest);
    return plain === "missing" ? this.#checkObject(this.objectPath(digest, true), digest) : plain;
  }

  async #checkObject(object: string, digest: Digest): Promise<"intact" | "missing" | "damaged"> {
    if (await this.#intact(object, digest)) return "intact";
    if ((await statOf(object)) === undefined) return "missing";
    await rm(object, { recursive: true, force: true });
    return "damaged";
  }

  /** Path at which a recipe can read an output; trees are laid out below `directory` as links. */
  async expose(digest: Digest, form: Form, directory: string): Promise<string> {
    if (form === "file") return this.#filePath(digest);
    await mkdir(directory, { recursive: true });
    await this.#layTree(digest, directory, async (object, destination, mode) => {
      const stat = await statOf(object);
      await link(object, destination).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== "EXDEV" && error.code !== "EMLINK") throw error;
        await copyWhole(object, destination);
        await chmod(destination, mode);
      });
      await this.#keepKnown(object, stat);
    });
    return directory;
  }

  async #filePath(digest: Digest): Promise<string> {
    const plain = this.objectPath(digest);
    return (await statOf(plain)) === undefined ? this.objectPath(digest, true) : plain;
  }

  /** After a link was made, the object's ctime is new while its bytes are not: carry the known digest over. */
  async #keepKnown(object: string, before: BigIntStats | undefined): Promise<void> {
    if (before === undefined) return;
    const known = this.#cache.lookup(object, before);
    if (known !== undefined) this.#cache.remember(object, await lstat(object, { bigint: true }), known, "own");
  }

  async #layTree(digest: Digest, root: string, place: (object: string, destination: string, mode: number) => Promise<void>): Promise<void> {
    const entries = await this.tree(digest);
    if (entries === undefined) throw new ImgtaskError("IMG3012", `Stored tree ${digest.slice(0, 12)} is missing or damaged`, { hint: "Run again: it will be made anew" });
    for (const entry of entries) {
      const destination = join(root, entry.path);
      if (entry.type === "directory") await mkdir(destination, { recursive: true, mode: 0o755 });
      else if (entry.type === "link") await symlink(entry.to!, destination);
      else await place(this.objectPath(entry.digest!, (entry.mode & 0o111) !== 0), destination, (entry.mode & 0o111) !== 0 ? 0o555 : 0o444);
    }
    for (const entry of entries.toReversed()) {
      if (entry.type === "directory") await chmod(join(root, entry.path), entry.mode);
      if (entry.type === "link") await lutimes(join(root, entry.path), 1, 1);
    }
  }

  /** Whether what stands at a path is the stored output, edited by nobody. */
  async matches(digest: Digest, form: Form, path: string, merge: boolean): Promise<boolean> {
    const stat = await statOf(path);
    if (stat === undefined) return false;
    if (form === "file") return stat.isFile() && (await this.#cache.digest(path, stat)) === digest;
    if (!stat.isDirectory()) return false;
    const entries = await this.tree(digest);
    if (entries === undefined) return false;
    const expected = new Map(entries.map((entry) => [entry.path, entry]));
    for (const entry of entries) if (!(await this.#entryMatches(entry, join(path, entry.path), merge))) return false;
    return merge || (await holdsOnly(path, expected));
  }

  async #entryMatches(entry: TreeEntry, path: string, merge: boolean): Promise<boolean> {
    const stat = await statOf(path);
    if (stat === undefined) return false;
    if (entry.type === "directory") return stat.isDirectory();
    if (entry.type === "link") return merge || (stat.isSymbolicLink() && (await readlink(path)) === entry.to);
    if (merge) return true;
    return stat.isFile() && ((stat.mode & 0o111n) !== 0n) === ((entry.mode & 0o111) !== 0) && (await this.#cache.digest(path, stat)) === entry.digest;
  }

  /**
   * Makes an output appear at a path of the project: all at once, replacing what stood there; or, with `merge`,
   * only adding what is missing.
   */
  async restore(digest: Digest, form: Form, path: string, merge: boolean): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    if (form === "tree" && merge) return this.#mergeTree(digest, path);
    try {
      await this.#restoreBy(join(this.#directory, "../tmp"), digest, form, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      // The project spreads over several file systems.
      await this.#restoreBy(dirname(path), digest, form, path);
    }
  }

  /** Lays an output out in `directory`, where a killed run's leftovers are found, and moves it to its place at once. */
  async #restoreBy(directory: string, digest: Digest, form: Form, path: string): Promise<void> {
    const temporary = join(directory, temporaryName());
    await mkdir(directory, { recursive: true, mode: 0o700 });
    try {
      if (form === "file") {
        await this.#place(await this.#filePath(digest), temporary);
        const stat = await statOf(path);
        if (stat?.isDirectory() === true) throw occupied(path);
        await rename(temporary, path);
        await this.#rememberArtifact(path, digest);
      } else {
        await mkdir(temporary);
        await this.#layTree(digest, temporary, (object, destination) => this.#place(object, destination));
        const old = `${temporary}-old`;
        const stat = await statOf(path);
        if (stat !== undefined) await rename(path, old);
        try {
          await rename(temporary, path);
        } catch (error) {
          if (stat !== undefined) await rename(old, path);
          throw error;
        }
        await rm(old, { recursive: true, force: true });
      }
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  async #rememberArtifact(path: string, digest: Digest): Promise<void> {
    this.#cache.remember(path, await lstat(path, { bigint: true }), digest, "own");
  }

  async #place(object: string, destination: string): Promise<void> {
    const stat = await statOf(object);
    if (this.#linkable) {
      try {
        await link(object, destination);
        await this.#keepKnown(object, stat);
        return;
      } catch (error) {
        if (!["EXDEV", "EMLINK", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
      }
    }
    await copyWhole(object, destination);
    await chmod(destination, Number((stat?.mode ?? 0o444n) & 0o777n));
    const known = stat === undefined ? undefined : this.#cache.lookup(object, stat);
    if (known !== undefined) await this.#rememberArtifact(destination, known);
  }

  async #mergeTree(digest: Digest, path: string): Promise<void> {
    await mkdir(path, { recursive: true });
    for (const entry of (await this.tree(digest)) ?? []) {
      const destination = join(path, entry.path);
      if ((await statOf(destination)) !== undefined) continue;
      if (entry.type === "directory") {
        await mkdir(destination, { recursive: true });
        await chmod(destination, entry.mode);
      } else if (entry.type === "link") await symlink(entry.to!, destination);
      else {
        await copyWhole(this.objectPath(entry.digest!, (entry.mode & 0o111) !== 0), destination);
        await chmod(destination, entry.mode);
      }
    }
  }

  /** Every object, with its size and the time of its last use in milliseconds. */
  async *objects(): AsyncIterable<{ readonly path: string; readonly size: number; readonly used: number }> {
    for (const prefix of await readdir(this.#directory).catch(() => [])) {
      for (const name of await readdir(join(this.#directory, prefix)).catch(() => [])) {
        const path = join(this.#directory, prefix, name);
        // Left by a process that was killed while it wrote: there is no other one, since the project is locked.
        if (name.startsWith(".imgtask-") && !name.startsWith(`.imgtask-${process.pid}-`)) {
          await rm(path, { force: true });
          continue;
        }
        const stat = await lstat(path).catch(() => undefined);
        if (stat !== undefined) yield { path, size: stat.size, used: Math.max(stat.atimeMs, stat.ctimeMs) };
      }
    }
  }
}

function occupied(path: string): ImgtaskError {
  return new ImgtaskError("IMG3013", `Cannot put an output at "${path}"`, {
    expected: "a file, or nothing",
    found: "a directory",
    hint: "Move the directory away: imgtask does not remove what it has not made",
  });
}

function unfinished(path: string): ImgtaskError {
  return new ImgtaskError("IMG3015", `The output "${basename(path)}" was still being written when the recipe had ended`, {
    expected: "outputs that nothing writes to any more",
    hint: "Wait in the recipe for everything it starts",
  });
}
