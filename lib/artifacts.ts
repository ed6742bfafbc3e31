/**
 * Where outputs appear in the project: puts them there from the store, and tells whether they stand there unedited.
 * Knows no target.
 * @module
 */
import { type BigIntStats, chmodSync, constants, copyFileSync, mkdirSync, readlinkSync, renameSync, utimesSync } from "node:fs";
import { chmod, mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Form } from "./artifact.ts";
import type { Content } from "./content.ts";
import { ImgtaskError } from "./error.ts";
import { copyWhole, holdsOnly, statOf } from "./files.ts";
import type { StatCache } from "./stat-cache.ts";
import { type Store, temporaryName, type TreeEntry } from "./store.ts";
import { Witness } from "./witness.ts";

/** Bytes from which a copy gives way to other work. */
const costlyFile = 1024 * 1024;

/** The outputs of a project that stand outside the store. */
export class Artifacts {
  readonly #store: Store;
  readonly #cache: StatCache;
  readonly #directory: string;
  /** As root nothing protects a linked object from being edited through the link, so artifacts are copies then. */
  readonly #linkable: boolean;

  /** @param directory where what replaces an artifact is made, and where a killed run's leftovers are found */
  constructor(store: Store, cache: StatCache, directory: string, options: { readonly uid: number }) {
    this.#store = store;
    this.#cache = cache;
    this.#directory = directory;
    this.#linkable = options.uid !== 0;
  }

  /** Whether what stands at a path is the stored output, edited by nobody. */
  async matches({ digest, executable }: Content, form: Form, path: string, merge: boolean, witness: Witness = new Witness()): Promise<boolean> {
    const stat = form === "tree" ? witness.type(path) : witness.own(path);
    if (stat === undefined) return false;
    if (form === "file") return stat.isFile() && isExecutable(stat) === (executable === true) && (await this.#cache.digest(path, stat)) === digest;
    if (!stat.isDirectory()) return false;
    const entries = await this.#store.tree(digest);
    if (entries === undefined) return false;
    const expected = new Map(entries.map((entry) => [entry.path, entry]));
    for (const entry of entries) if (!(await this.#entryMatches(entry, join(path, entry.path), merge, witness))) return false;
    return merge || holdsOnly(path, expected, (directory) => witness.names(directory));
  }

  async #entryMatches(entry: TreeEntry, path: string, merge: boolean, witness: Witness): Promise<boolean> {
    const stat = merge || entry.type === "directory" ? witness.type(path) : witness.own(path);
    if (stat === undefined) return false;
    if (entry.type === "directory") return stat.isDirectory();
    if (entry.type === "link") return merge || (stat.isSymbolicLink() && readlinkSync(path) === entry.to);
    if (merge) return true;
    return stat.isFile() && isExecutable(stat) === ((entry.mode & 0o111) !== 0) && (await this.#cache.digest(path, stat)) === entry.digest;
  }

  /**
   * Makes an output appear at a path of the project: all at once, replacing what stood there; or, with `merge`,
   * only adding what is missing.
   */
  async restore(content: Content, form: Form, path: string, merge: boolean): Promise<void> {
    mkdirSync(dirname(path), { recursive: true });
    if (form === "tree" && merge) return this.#mergeTree(content, path);
    try {
      await this.#restoreBy(this.#directory, content, form, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      // The project spreads over several file systems.
      await this.#restoreBy(dirname(path), content, form, path);
    }
  }

  /** Lays an output out in `directory`, where a killed run's leftovers are found, and moves it to its place at once. */
  async #restoreBy(directory: string, { digest, executable }: Content, form: Form, path: string): Promise<void> {
    const temporary = join(directory, temporaryName());
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      if (form === "file") {
        const object = this.#store.objectPath(digest, executable);
        await this.#place(object, temporary);
        const stat = statOf(path);
        if (stat?.isDirectory() === true) throw occupied(path);
        renameSync(temporary, path);
        this.#store.remember(path, digest, this.#linkable && !this.#cache.isUnsynced(object));
      } else {
        await mkdir(temporary);
        await this.#store.layTree(digest, temporary, (object, destination) => this.#place(object, destination));
        const old = `${temporary}-old`;
        const stat = statOf(path);
        if (stat !== undefined) await rename(path, old);
        try {
          await rename(temporary, path);
        } catch (error) {
          if (stat !== undefined) await rename(old, path);
          throw error;
        }
        await rm(old, { recursive: true, force: true });
        for (const entry of (await this.#store.tree(digest)) ?? []) if (entry.type === "file") this.#store.remember(join(path, entry.path), entry.digest!, false);
      }
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  async #place(object: string, destination: string): Promise<void> {
    const stat = statOf(object);
    if (this.#linkable) {
      try {
        return this.#store.link(object, destination);
      } catch (error) {
        if (!["EXDEV", "EMLINK", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
      }
    }
    const size = Number(stat?.size ?? 0n);
    if (size < costlyFile) copyFileSync(object, destination, constants.COPYFILE_FICLONE);
    else await copyWhole(object, destination);
    chmodSync(destination, Number((stat?.mode ?? 0o444n) & 0o777n));
    // A later edit gives it another time, however soon it comes.
    utimesSync(destination, 1, 1);
  }

  async #mergeTree({ digest }: Content, path: string): Promise<void> {
    await mkdir(path, { recursive: true });
    for (const entry of (await this.#store.tree(digest)) ?? []) {
      const destination = join(path, entry.path);
      if ((statOf(destination)) !== undefined) continue;
      if (entry.type === "directory") {
        await mkdir(destination, { recursive: true });
        await chmod(destination, entry.mode);
      } else if (entry.type === "link") await symlink(entry.to!, destination);
      else {
        await copyWhole(this.#store.objectPath(entry.digest!, (entry.mode & 0o111) !== 0), destination);
        await chmod(destination, entry.mode);
      }
    }
  }
}

function isExecutable({ mode }: BigIntStats): boolean {
  return (mode & 0o111n) !== 0n;
}

function occupied(path: string): ImgtaskError {
  return new ImgtaskError("IMG3013", `Cannot put an output at "${path}"`, {
    expected: "a file, or nothing",
    found: "a directory",
    hint: "Move the directory away: imgtask does not remove what it has not made",
  });
}
