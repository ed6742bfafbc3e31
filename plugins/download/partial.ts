/**
 * A file that is being brought: its bytes beside a note of which of them are there, so that a run that was killed can go
 * on. Hashes while it writes. Knows no network; what it finds on disk it looks at before it uses it.
 * @module
 */
import { createHash } from "node:crypto";
import { constants, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { copyFile, type FileHandle, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { Coverage, type Span } from "./coverage.ts";
import type { Identity } from "./identity.ts";
import { PrefixHash } from "./prefix-hash.ts";

/** Milliseconds between two notes: what a killed run may have to bring again. */
const interval = 20;

/** Milliseconds after which nobody comes back for what a broken transfer left. */
const keptFor = 14 * 24 * 3600_000;

/** What is noted. */
interface Note {
  readonly version: 1;
  readonly sha256: string;
  readonly identity: Identity;
  readonly landed: readonly Span[];
}

/** Those in use by this process: two targets may want the same file. */
const inUse = new Set<string>();

/** A file on its way. */
export class Partial {
  /** What its bytes belong to; `undefined` while nothing is known. */
  identity: Identity | undefined;
  /** Bytes that an earlier run had brought. */
  readonly found: number;
  #landed: Coverage;
  #hash: PrefixHash;
  #readBack = 0;
  #noted = 0;
  readonly #handle: FileHandle;
  readonly #data: string;
  /** Directory of a file that is kept across runs. */
  readonly #kept: string | undefined;
  readonly #sha256: string | undefined;

  private constructor(handle: FileHandle, data: string, kept: string | undefined, sha256: string | undefined, note: Note | undefined) {
    this.#handle = handle;
    this.#data = data;
    this.#kept = kept;
    this.#sha256 = sha256;
    this.identity = note?.identity;
    this.#landed = new Coverage(note?.landed);
    this.found = this.#landed.bytes;
    this.#hash = new PrefixHash(handle, this.#landed);
  }

  /**
   * Opens one.
   *
   * @param file where the whole file will be; one that is not kept grows beside it.
   * @param kept directory for those of all files, and the digest that this one will have: what an earlier run left of
   * it is taken up. Made when it is not there.
   */
  static async open(file: string, kept?: { readonly directory: string; readonly sha256: string }): Promise<Partial> {
    const place = kept === undefined ? undefined : claim(kept.directory, kept.sha256);
    if (place === undefined) {
      const data = `${file}.part`;
      rmSync(data, { force: true });
      return new Partial(await open(data, "wx+", 0o600), data, undefined, undefined, undefined);
    }
    const data = join(place, "data");
    try {
      const note = readNote(place, kept!.sha256);
      if (note === undefined) rmSync(data, { force: true, recursive: true });
      const handle = await open(data, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      return new Partial(handle, data, place, kept!.sha256, note);
    } catch (error) {
      inUse.delete(place);
      throw error;
    }
  }

  /** Whether a later run finds it. */
  get isKept(): boolean {
    return this.#kept !== undefined && this.identity !== undefined;
  }

  /** Which bytes are there. Not to be changed. */
  get landed(): Coverage {
    return this.#landed;
  }

  /** Bytes that were read from the file again to hash them. */
  get readBack(): number {
    return this.#readBack + this.#hash.readBack;
  }

  /** Writes bytes. What is written reaches the disk when the system sees fit: a digest tells whether it did. */
  async write(offset: number, bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += (await this.#handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
    }
    this.#landed.add(offset, offset + bytes.length);
    this.#hash.take(offset, bytes);
    const now = Date.now();
    if (now - this.#noted < interval) return;
    this.#noted = now;
    this.note();
  }

  /** Notes what is there, for a later run. */
  note(): void {
    if (this.#kept === undefined || this.identity === undefined) return;
    const note: Note = { version: 1, sha256: this.#sha256!, identity: this.identity, landed: this.#landed.spans };
    const body = JSON.stringify(note);
    const file = join(this.#kept, "note");
    writeFileSync(`${file}.new`, `${checksum(body)}\n${body}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** Forgets all bytes. Nobody may be writing. */
  async restart(): Promise<void> {
    if (this.#kept !== undefined) rmSync(join(this.#kept, "note"), { force: true });
    await this.#hash.settle();
    this.#readBack += this.#hash.readBack;
    await this.#handle.truncate(0);
    this.identity = undefined;
    this.#landed = new Coverage();
    this.#hash = new PrefixHash(this.#handle, this.#landed);
  }

  /** Digest of the whole file, 64 hex digits. To be asked for once; a restart makes it possible again. */
  digest(): Promise<string> {
    return this.#hash.digest(this.#landed.prefix);
  }

  /** Puts the file where it belongs, mode 0644. */
  async finish(file: string): Promise<void> {
    await this.#handle.chmod(0o644);
    try {
      await rename(this.#data, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      await copyFile(this.#data, file);
    }
    if (this.#kept !== undefined) rmSync(this.#kept, { recursive: true, force: true });
  }

  /** Closes it. What is not finished stays for a later run when it can be taken up, and is removed otherwise. */
  async close(): Promise<void> {
    await this.#hash.settle();
    await this.#handle.close();
    if (this.#kept === undefined) return rmSync(this.#data, { force: true });
    inUse.delete(this.#kept);
    if (lstatSync(this.#data, { throwIfNoEntry: false }) === undefined) return;
    if (this.identity === undefined || this.#landed.bytes === 0) rmSync(this.#kept, { recursive: true, force: true });
    else this.note();
  }
}

function checksum(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}

/** Whether a directory is this user's alone to write in, and no link. */
function isPrivate(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0;
}

/** The place for a file of a digest; `undefined` when there is none that nobody else can write to, or it is in use. */
function claim(directory: string, sha256: string): string | undefined {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (!isPrivate(directory)) return undefined;
  for (const name of readdirSync(directory)) {
    const old = join(directory, name);
    if (!inUse.has(old) && name !== sha256 && Date.now() - (lstatSync(old, { throwIfNoEntry: false })?.mtimeMs ?? 0) > keptFor) rmSync(old, { recursive: true, force: true });
  }
  const place = join(directory, sha256);
  if (inUse.has(place)) return undefined;
  if (lstatSync(place, { throwIfNoEntry: false }) !== undefined && !isPrivate(place)) rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const now = new Date();
  utimesSync(place, now, now);
  inUse.add(place);
  return place;
}

/** What an earlier run noted, when it fits the file beside it; `undefined` otherwise. */
function readNote(place: string, sha256: string): Note | undefined {
  try {
    const own = (name: string): bigint => {
      const stat = lstatSync(join(place, name), { bigint: true });
      if (!stat.isFile() || stat.nlink !== 1n || Number(stat.uid) !== process.geteuid?.()) throw new Error("not our own file");
      return stat.size;
    };
    own("note");
    const text = readFileSync(join(place, "note"), "utf8");
    const end = text.indexOf("\n"), body = text.slice(end + 1).trimEnd();
    if (text.slice(0, end) !== checksum(body)) return undefined;
    const note = JSON.parse(body) as Note;
    if (note.version !== 1 || note.sha256 !== sha256) return undefined;
    const landed = new Coverage(note.landed);
    return landed.end <= Number(own("data")) && landed.end <= note.identity.size ? note : undefined;
  } catch {
    // None, or one that is not to be believed.
    return undefined;
  }
}
