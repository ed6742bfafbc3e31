/**
 * The content-addressed store: every output once, by its SHA-256, read-only. Knows no target and no fingerprint.
 * @module
 */
import { chmodSync, linkSync, lstatSync, lutimesSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { chmod, open, readdir, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Form } from "./artifact.ts";
import type { Content } from "./content.ts";
import { type Digest, digestOf } from "./digest.ts";
import { ImgtaskError } from "./error.ts";
import { copyWhole, statOf, syncPath } from "./files.ts";
import { identityOf, type StatCache } from "./stat-cache.ts";
import type { Witness } from "./witness.ts";

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
export interface Stored extends Content {
  readonly size: number;
}

/** Bytes from which a file is written back to disk while it is hashed, even if the store turns out to have it. */
const bigFile = 16 * 1024 * 1024;
/** Bytes from which a file is always on disk before it is in the store. */
const costlyFile = 1024 * 1024;
/** Files of a tree that are written back at once: the disk takes several as quickly as one. */
const atOnce = 16;

let serial = 0;
/** A name that nothing else has, and that is known for a leftover. */
export const temporaryName = (): string => `.imgtask-${process.pid}-${serial++}`;

/**
 * A store in a directory of its own.
 *
 * Objects are files `AB/CDEF…` named by digest, mode 0444, or 0555 with `.x` appended when executable. A tree is
 * an object that lists its entries as JSON; its files are objects of their own.
 */
export class Store {
  readonly #directory: string;
  readonly #cache: StatCache;
  /** Bytes that this process has put in. */
  added = 0;
  /** Those that are known to be there. */
  readonly #directories = new Set<string>();
  /** Links by the directory that they lay out a tree in. */
  readonly #exposed = new Map<string, (readonly [object: string, link: string])[]>();

  readonly #readOnly: boolean;

  /** @param options.readOnly damaged objects stay, for a command that only looks. @default false */
  constructor(directory: string, cache: StatCache, options: { readonly readOnly?: boolean } = {}) {
    this.#directory = directory;
    this.#cache = cache;
    this.#readOnly = options.readOnly ?? false;
  }

  /** Path of the object of a digest, whether or not it is there. */
  objectPath(digest: Digest, executable = false): string {
    return join(this.#directory, digest.slice(0, 2), digest.slice(2) + (executable ? ".x" : ""));
  }

  /**
   * Moves a finished file into the store. The file is gone from `path` afterwards.
   *
   * @param durable whether to wait until it is on disk. What does not is lost with the power, not with the process;
   * and caches do not vouch for it on another boot. @default true
   */
  async putFile(path: string, durable = true): Promise<Stored> {
    const executable = (lstatSync(path).mode & 0o111) !== 0;
    chmodSync(path, executable ? 0o555 : 0o444);
    utimesSync(path, 1, 1);
    const before = lstatSync(path, { bigint: true });
    const size = Number(before.size);
    const sync = durable || size >= costlyFile;
    // The disk writes a big file while the processor hashes it.
    const digest = size < bigFile ? await this.#cache.digest(path, before) : (await Promise.all([this.#cache.digest(path, before), syncPath(path)]))[0];
    const object = this.objectPath(digest, executable);
    const stored: Stored = executable ? { digest, size, executable } : { digest, size };
    if (await this.#intact(object, digest)) {
      unlinkSync(path);
      return stored;
    }
    if (identityOf(lstatSync(path, { bigint: true })) !== identityOf(before)) throw unfinished(path);
    const directory = dirname(object);
    this.#makeDirectory(directory);
    if (sync && size < bigFile) await syncPath(path);
    try {
      renameSync(path, object);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      const temporary = join(directory, temporaryName());
      await copyWhole(path, temporary);
      await chmod(temporary, executable ? 0o555 : 0o444);
      if (sync) await syncPath(temporary);
      await rename(temporary, object);
      await unlink(path);
    }
    if (sync) await syncPath(directory);
    this.remember(object, digest, sync);
    this.added += size;
    return stored;
  }

  #makeDirectory(path: string): void {
    if (this.#directories.has(path)) return;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    this.#directories.add(path);
  }

  /** Lets the caches vouch for a file that imgtask itself has put somewhere. */
  remember(path: string, digest: Digest, synced: boolean): void {
    this.#cache.remember(path, lstatSync(path, { bigint: true }), digest, synced ? "own" : "unsynced");
  }

  async #putBytes(bytes: Buffer, durable: boolean): Promise<Digest> {
    const digest = digestOf(bytes);
    const object = this.objectPath(digest);
    if (await this.#intact(object, digest)) return digest;
    this.#makeDirectory(dirname(object));
    const temporary = join(dirname(object), temporaryName());
    writeFileSync(temporary, bytes, { mode: 0o444 });
    utimesSync(temporary, 1, 1);
    if (durable) await syncPath(temporary);
    renameSync(temporary, object);
    if (durable) await syncPath(dirname(object));
    this.remember(object, digest, durable);
    return digest;
  }

  /** Moves a finished directory tree into the store: files, directories and symbolic links only. As {@linkcode Store.putFile}. */
  async putTree(path: string, durable = true): Promise<Stored> {
    const entries: TreeEntry[] = [];
    const files: { readonly index: number; readonly full: string }[] = [];
    const visit = (relative: string): void => {
      const names = readdirSync(join(path, relative)).sort((a, b) => (a < b ? -1 : 1));
      for (const name of names) {
        const inner = relative === "" ? name : `${relative}/${name}`;
        const full = join(path, inner);
        const stat = lstatSync(full);
        const mode = stat.mode & 0o7777;
        if (stat.isDirectory()) {
          entries.push({ path: inner, type: "directory", mode });
          visit(inner);
        } else if (stat.isSymbolicLink()) {
          entries.push({ path: inner, type: "link", mode: 0o777, to: readlinkSync(full) });
        } else if (stat.isFile()) {
          files.push({ index: entries.length, full });
          entries.push({ path: inner, type: "file", mode: 0 });
        } else {
          throw new ImgtaskError("IMG3011", `Output tree has an entry of a kind that cannot be stored: "${inner}"`, {
            expected: "files, directories and symbolic links",
            found: stat.isSocket() ? "a socket" : stat.isFIFO() ? "a pipe" : "a device",
          });
        }
      }
    };
    visit("");
    let size = 0;
    const objects = new Map<string, Digest>();
    for (const { index, full } of files) {
      const stored = await this.putFile(full, false);
      size += stored.size;
      entries[index] = { path: entries[index]!.path, type: "file", mode: stored.executable === true ? 0o755 : 0o644, digest: stored.digest, size: stored.size };
      objects.set(this.objectPath(stored.digest, stored.executable), stored.digest);
    }
    if (durable) await this.#syncAll(objects);
    return { digest: await this.#putBytes(Buffer.from(JSON.stringify({ entries })), durable), size };
  }

  /** Waits until objects are on disk. */
  async #syncAll(objects: ReadonlyMap<string, Digest>): Promise<void> {
    const waiting = [...objects].filter(([path]) => this.#cache.isUnsynced(path));
    const paths = [...waiting.map(([path]) => path), ...new Set(waiting.map(([path]) => dirname(path)))];
    const work = async (): Promise<void> => {
      for (let path = paths.shift(); path !== undefined; path = paths.shift()) await syncPath(path);
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    for (const [path, digest] of waiting) this.remember(path, digest, true);
  }

  /** Whether an object is there with the bytes its name promises. */
  async #intact(object: string, digest: Digest, witness?: Witness): Promise<boolean> {
    const stat = witness === undefined ? statOf(object) : witness.own(object);
    if (stat === undefined || !stat.isFile() || (await this.#cache.digest(object, stat)) !== digest) return false;
    const mode = object.endsWith(".x") ? 0o555 : 0o444;
    if (this.#readOnly || Number(stat.mode & 0o777n) === mode) return true;
    // Its name says the mode, too. Where artifacts are links, a `chmod` of one is felt here.
    try {
      chmodSync(object, mode);
    } catch {
      return false;
    }
    this.#cache.carry(object, stat);
    return true;
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
    return (JSON.parse(readFileSync(object, "utf8")) as { entries: TreeEntry[] }).entries;
  }

  /** Whether all bytes of a stored output are there: `"intact"`, `"missing"`, or `"damaged"` (then they are removed). */
  async check({ digest, executable }: Content, form: Form, witness?: Witness): Promise<"intact" | "missing" | "damaged"> {
    const own = await this.#checkObject(this.objectPath(digest, executable), digest, witness);
    if (form === "tree" && own === "intact") {
      for (const entry of (await this.tree(digest)) ?? []) {
        if (entry.type !== "file") continue;
        const state = await this.#checkObject(this.objectPath(entry.digest!, (entry.mode & 0o111) !== 0), entry.digest!, witness);
        if (state !== "intact") return state;
      }
    }
    return own;
  }

  async #checkObject(object: string, digest: Digest, witness: Witness | undefined): Promise<"intact" | "missing" | "damaged"> {
    if (await this.#intact(object, digest, witness)) return "intact";
    if ((statOf(object)) === undefined) return "missing";
    if (!this.#readOnly) await rm(object, { recursive: true, force: true });
    return "damaged";
  }

  /**
   * Path at which a recipe can read an output; trees are laid out below `directory` as links, until
   * {@linkcode Store.conceal} removes them.
   */
  async expose({ digest, executable }: Content, form: Form, directory: string): Promise<string> {
    if (form === "file") return this.objectPath(digest, executable);
    mkdirSync(directory, { recursive: true });
    const links: (readonly [object: string, link: string])[] = [];
    this.#exposed.set(directory, links);
    await this.layTree(digest, directory, async (object, destination, mode) => {
      try {
        this.link(object, destination);
        links.push([object, destination]);
      } catch (error) {
        if (!["EXDEV", "EMLINK"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
        await copyWhole(object, destination);
        chmodSync(destination, mode);
      }
    });
    return directory;
  }

  /** Removes the links of the trees that are exposed below a directory; what a recipe did to them does not matter. */
  conceal(below: string): void {
    for (const [directory, links] of this.#exposed) {
      if (dirname(directory) !== below) continue;
      this.#exposed.delete(directory);
      for (const [object, link] of links) {
        const before = statOf(object);
        try {
          rmSync(link, { force: true });
        } catch {
          // In a directory that is read-only; goes with the rest.
        }
        if (before !== undefined) this.#cache.carry(object, before);
      }
    }
  }

  /** Makes a link to an object: its ctime is new then, while its bytes are not. */
  link(object: string, destination: string): void {
    const before = statOf(object);
    linkSync(object, destination);
    if (before !== undefined) this.#cache.carry(object, before);
  }

  /** Makes the directories and symbolic links of a tree, and has `place` make its files. */
  async layTree(digest: Digest, root: string, place: (object: string, destination: string, mode: number) => Promise<void>): Promise<void> {
    const entries = await this.tree(digest);
    if (entries === undefined) throw new ImgtaskError("IMG3012", `Stored tree ${digest.slice(0, 12)} is missing or damaged`, { hint: "Run again: it will be made anew" });
    for (const entry of entries) {
      const destination = join(root, entry.path);
      if (entry.type === "directory") mkdirSync(destination, { recursive: true, mode: 0o755 });
      else if (entry.type === "link") symlinkSync(entry.to!, destination);
      else await place(this.objectPath(entry.digest!, (entry.mode & 0o111) !== 0), destination, (entry.mode & 0o111) !== 0 ? 0o555 : 0o444);
    }
    for (const entry of entries.toReversed()) {
      if (entry.type === "directory") chmodSync(join(root, entry.path), entry.mode);
      if (entry.type === "link") lutimesSync(join(root, entry.path), 1, 1);
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
        const stat = statOf(path);
        if (stat !== undefined) yield { path, size: Number(stat.size), used: Number((stat.atimeMs > stat.ctimeMs ? stat.atimeMs : stat.ctimeMs)) };
      }
    }
  }
}

function unfinished(path: string): ImgtaskError {
  return new ImgtaskError("IMG3015", `The output "${basename(path)}" was still being written when the recipe had ended`, {
    expected: "outputs that nothing writes to any more",
    hint: "Wait in the recipe for everything it starts",
  });
}
