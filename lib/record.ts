/**
 * The log of results: which fingerprint of a target gave which outputs. Append-only, one checksummed line a
 * result, written after the outputs are safe in the store. A damaged line is a result forgotten, never a wrong one.
 * A line may be signed; whose signature counts is not known here.
 * @module
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync, truncateSync, writeSync } from "node:fs";
import type { Content } from "./content.ts";
import { type Digest, digestOf, isDigest } from "./digest.ts";
import type { Reason } from "./event.ts";
import type { Manifest } from "./fingerprint.ts";
import { guard, type Line, RecordLog } from "./record-log.ts";

/** A stored output. */
export interface StoredOutput extends Content {
  /** Bytes of all its files. */
  readonly size: number;
  /** Where it appeared, relative to the project. */
  readonly path?: string;
}

/** Who made a result, by its own account: believe it only of a record whose signature was verified. */
export interface Producer {
  /** Id of the minisign key that signed. */
  readonly key: string;
  /** `IMGTASK_BUILDER` of the run. */
  readonly builder?: string;
}

/** Whose results are believed, and who signs new ones. */
export interface Trust {
  /** Whether a trusted key signed a line's body as that producer. */
  believes(body: string, signature: string, producer: Producer): boolean;
  /** Asks for the key that signs, if there is one. Before {@linkcode sign}. */
  ready(): Promise<void>;
  /** Who signs; `undefined` when this run has no key. */
  readonly producer: Producer | undefined;
  /** Signature of a line's body. */
  sign(body: string): string;
}

/** The trust of a run that was told to trust somebody, and not yet whom. */
export const nobody: Trust = { believes: () => false, ready: () => Promise.resolve(), producer: undefined, sign: () => "" };

/** One result of one target. */
export interface Record {
  readonly target: string;
  readonly fingerprint: Digest;
  readonly manifest: Manifest;
  readonly outputs: Readonly<{ [name: string]: StoredOutput }>;
  /** Milliseconds since 1970 at the end of the run. */
  readonly time: number;
  /** Milliseconds that the recipe took. */
  readonly duration: number;
  /** Why it ran. */
  readonly reasons: readonly Reason[];
  /** Of a signed result. */
  readonly producer?: Producer;
}

/** A result as it stands in the log. */
class Entry {
  /** The JSON of the record, byte by byte what is signed. */
  readonly body: string;
  readonly fingerprint: Digest;
  readonly signature: string | undefined;
  /** Whether it is believed; found out when it is asked for. */
  believed: boolean | undefined;
  #record: Record | undefined;

  constructor(record: Record, body: string, signature: string | undefined, believed?: boolean) {
    this.#record = record;
    this.fingerprint = record.fingerprint;
    this.believed = believed;
    this.body = body;
    this.signature = signature;
  }

  get record(): Record {
    return (this.#record ??= JSON.parse(this.body) as Record);
  }

  /** Keeps the text alone, which takes a quarter of the memory: few results are asked for again by the run that made them. */
  forget(): this {
    this.#record = undefined;
    return this;
  }
}

/** Results kept of one target, so that going back to an earlier state restores instead of running. */
const keptPerTarget = 8;

function encode({ body, signature }: Entry): string {
  // JSON holds no tab of its own.
  const text = signature === undefined ? body : `${body}\t${signature}`;
  // The newline before it lets reading find this line even when the end of the one before was lost.
  return `\n${digestOf(text).slice(0, guard)} ${text}\n`;
}

/** Writes all of a text: one call may write a part only, as when the disk is nearly full. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function decode(text: string): Entry | undefined {
  const tab = text.lastIndexOf("\t");
  const body = tab < 0 ? text : text.slice(0, tab);
  try {
    const record = JSON.parse(body) as Record | null;
    if (typeof record?.target !== "string" || !isDigest(record.fingerprint)) return undefined;
    return new Entry(record, body, tab < 0 ? undefined : text.slice(tab + 1));
  } catch {
    // The checksum is no secret: whoever can write to the log can make one.
    return undefined;
  }
}

/** Id of the key that a result says it is signed with; `""` when it is not signed. */
const signerOf = (entry: Entry): string => (entry.signature === undefined ? "" : String(entry.record.producer?.key));

/**
 * Of one target's results the newest of each fingerprint and signer, and no more than are kept of a signer: nobody's
 * results push out another's.
 */
function newest(list: readonly Entry[]): Entry[] {
  const seen = new Set<string>(), counts = new Map<string, number>();
  return list.toReversed().filter((entry) => {
    const signer = signerOf(entry), key = `${entry.fingerprint} ${signer}`;
    const count = counts.get(signer) ?? 0;
    if (seen.has(key) || count === keptPerTarget) return false;
    seen.add(key);
    counts.set(signer, count + 1);
    return true;
  }).reverse();
}

/** Targets that are looked up one by one; for more, the whole log is read. */
const few = 16;

/** The results on record. */
export class Records {
  readonly #file: string;
  readonly #trust: Trust | undefined;
  readonly #log: RecordLog;
  /** Newest last. */
  readonly #byTarget = new Map<string, Entry[]>();
  /** Those that were not decoded yet, newest last; `undefined` while the log was not read but for a few targets. */
  #unread: Map<string, Line[]> | undefined;
  /** Those few. */
  readonly #found = new Set<string>();
  #lines = 0;
  /** Lines of each target, superseded ones included. */
  readonly #counts = new Map<string, number>();
  #untrusted = 0;
  #damaged = 0;
  /** Length of the log without its unfinished last line, when there is one. */
  #unfinished: number | undefined;

  /**
   * Reads the log. A damaged line is left out; an unfinished last line is cut off before the next is written.
   *
   * @param trust whose results are believed; the others are as if they were not there. @default everybody's
   */
  constructor(file: string, trust?: Trust) {
    this.#file = file;
    this.#trust = trust;
    let bytes: Buffer = Buffer.alloc(0);
    try {
      bytes = readFileSync(file);
    } catch (error) {
      // No results yet. But where the disk fails, everything would run again.
      if (["EIO", "ESTALE"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
    this.#log = new RecordLog(bytes);
    this.#unfinished = this.#log.unfinished;
  }

  /** Lines that could not be read; each was a result and is forgotten. Reads the whole log. */
  get damaged(): number {
    this.#readAll();
    return this.#damaged;
  }

  /** Whether the whole log was read; as long as few targets are asked for, it need not be. */
  get whole(): boolean {
    return this.#unread !== undefined;
  }

  #readAll(): Map<string, Line[]> {
    if (this.#unread !== undefined) return this.#unread;
    const { byTarget, others, count, damaged } = this.#log.lines();
    this.#unread = byTarget;
    this.#lines += count;
    this.#damaged = damaged;
    for (const [target, lines] of byTarget) this.#count(target, lines.length);
    for (const target of this.#found) byTarget.delete(target);
    for (const line of others) {
      const entry = this.#decode(line);
      if (entry === undefined) this.#damaged++;
      else {
        this.#count(entry.record.target);
        this.#remember(entry);
      }
    }
    return byTarget;
  }

  #count(target: string, lines = 1): void {
    this.#counts.set(target, (this.#counts.get(target) ?? 0) + lines);
  }

  #decode(line: Line): Entry | undefined {
    return decode(this.#log.text(line));
  }

  /** Lines about a target that were not decoded yet. */
  #linesOf(target: string): readonly Line[] | undefined {
    if (this.#unread === undefined && this.#found.has(target)) return undefined;
    if (this.#unread === undefined && this.#found.size < few) {
      this.#found.add(target);
      return this.#log.linesOf(target);
    }
    const unread = this.#readAll(), lines = unread.get(target);
    unread.delete(target);
    return lines;
  }

  /** What is known of a target, newest last. */
  #entries(target: string): readonly Entry[] {
    const lines = this.#linesOf(target);
    if (lines !== undefined) {
      for (const line of lines) {
        const entry = this.#decode(line);
        // What is not about this target was made by somebody who can make checksums.
        if (entry?.record.target === target) this.#remember(entry);
      }
    }
    return this.#byTarget.get(target) ?? [];
  }

  /** Names of all targets that something is known of. */
  #targets(): readonly string[] {
    const unread = this.#readAll();
    return [...new Set([...this.#byTarget.keys(), ...unread.keys()])];
  }

  #remember(entry: Entry): void {
    const { target } = entry.record;
    this.#entries(target);
    const list = this.#byTarget.get(target);
    if (list === undefined) return void this.#byTarget.set(target, [entry]);
    // What claims to be of a trusted key may be forged: nothing gives way to it before its signature was looked at.
    this.#byTarget.set(target, this.#trust === undefined ? newest([...list, entry]) : [...list, entry]);
  }

  /** Whether a result may be used. */
  #believes(entry: Entry): boolean {
    if (this.#trust === undefined) return true;
    if (entry.believed === undefined) {
      const { record: { producer }, body, signature } = entry;
      entry.believed = signature !== undefined && typeof producer?.key === "string" && this.#trust.believes(body, signature, producer);
      if (!entry.believed) this.#untrusted++;
    }
    return entry.believed;
  }

  /** Results that were looked for, found, and not taken, because no trusted key signed them. */
  get untrusted(): number {
    return this.#untrusted;
  }

  /** The result of a target with this fingerprint, or `undefined`. */
  find(target: string, fingerprint: Digest): Record | undefined {
    return this.#entries(target).findLast((entry) => entry.fingerprint === fingerprint && this.#believes(entry))?.record;
  }

  /** Whether {@linkcode find} would find one; reads none. */
  has(target: string, fingerprint: Digest): boolean {
    return this.#entries(target).some((entry) => entry.fingerprint === fingerprint && this.#believes(entry));
  }

  /** The newest result of a target, or `undefined`. */
  latest(target: string): Record | undefined {
    return this.#entries(target).findLast((entry) => this.#believes(entry))?.record;
  }

  /** The results of a target that are kept and believed, the one used last at the end. */
  results(target: string): readonly Record[] {
    return this.#entries(target).filter((entry) => this.#believes(entry)).map(({ record }) => record);
  }

  /** Every result that is kept. */
  *all(): Iterable<Record> {
    for (const target of this.#targets()) for (const entry of newest(this.#entries(target).filter((one) => this.#believes(one)))) yield entry.record;
  }

  /** What others say of a target's results, unverified: for what costs nobody anything if it is a lie. */
  *hearsay(target: string): Iterable<Record> {
    if (this.#trust !== undefined) for (const entry of this.#entries(target)) yield entry.record;
  }

  /** Makes ready to append: asks for the key that signs, if there is one. */
  async ready(): Promise<void> {
    await this.#trust?.ready();
  }

  /**
   * Appends a result. Its outputs must be there already.
   *
   * @param durable whether to wait until it is on disk. What does not is lost with the power, not with the process.
   * @default true
   */
  append(record: Record, durable = true): void {
    // One that came from the log keeps its signature.
    const entry = this.#entries(record.target).find((one) => one.record === record) ?? this.#entryOf(record);
    if (this.#unfinished !== undefined) {
      truncateSync(this.#file, this.#unfinished);
      this.#unfinished = undefined;
    }
    const fd = openSync(this.#file, "a", 0o600);
    const before = fstatSync(fd).size;
    try {
      writeAll(fd, encode(entry));
      if (durable) fsyncSync(fd);
    } catch (error) {
      // A full disk may have taken half of the line.
      ftruncateSync(fd, before);
      throw error;
    } finally {
      closeSync(fd);
    }
    this.#remember(entry);
    entry.forget();
    this.#count(record.target);
    this.#lines++;
  }

  #entryOf(record: Record): Entry {
    const producer = this.#trust?.producer;
    // This run's own, unsigned: not taken by a run that trusts some, and nothing to warn of.
    if (producer === undefined) return new Entry(record, JSON.stringify(record), undefined, this.#trust === undefined ? undefined : false);
    const body = JSON.stringify({ ...record, producer });
    return new Entry(record, body, this.#trust!.sign(body)).forget();
  }

  /** What compacting keeps: of a run that trusts some, also what others may take, but nothing that is forged. */
  *#kept(): Iterable<Entry> {
    for (const target of this.#targets()) {
      const list = this.#entries(target);
      if (this.#trust === undefined) yield* list;
      else {
        const believed = list.filter((entry) => this.#believes(entry));
        const signers = new Set(believed.map(signerOf));
        yield* newest(believed);
        yield* newest(list.filter((entry) => !this.#believes(entry) && !signers.has(signerOf(entry))).slice(-keptPerTarget));
      }
    }
  }

  /** Writes the log anew when most of its lines are superseded or damaged. Failing to is no error: the old one stays. */
  compact(): void {
    this.#readAll();
    // Whether it is worth while to decode all of it.
    let most = 0;
    for (const count of this.#counts.values()) most += Math.min(count, keptPerTarget);
    if (this.#lines < 64 || this.#lines < most * 2) return;
    const kept = [...this.#kept()];
    if (this.#lines < kept.length * 2) return;
    const temporary = `${this.#file}.new`;
    try {
      const fd = openSync(temporary, "w", 0o600);
      try {
        writeAll(fd, kept.map(encode).join(""));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.#file);
      this.#lines = kept.length;
    } catch {
      rmSync(temporary, { force: true });
    }
  }
}
