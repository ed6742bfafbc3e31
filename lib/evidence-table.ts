/**
 * Evidence as it is kept: targets and facts as columns, numbers referring to numbers. Knows neither how it is gathered
 * nor what follows from it.
 * @module
 */
import { readColumns, writeColumns } from "./columns.ts";
import { statOf } from "./files.ts";

const format = "imgtask evidence 3";
/** Of this process. Times are told apart as finely as it reads them. */
export const runtime: string = `${process.version} ${process.arch}`;

/** What stands before the columns. */
export interface Own {
  readonly runtime: string;
  readonly imagefile: string;
  readonly epoch: number;
  readonly boot: string | null;
  readonly default: string | null;
  readonly snapshot: string;
  /** Salted, since values may be secrets. */
  readonly salt: string;
  readonly env: readonly (readonly [name: string, value: string])[];
  /** How many facts there were when it was last written anew. */
  readonly whole: number;
}

/** What a fact says; `follow` is added to one of the others. */
export const kinds = { gone: 0, identity: 1, type: 2, follow: 4 } as const;
/** What is known of a target: it is a group, it was judged, its outputs are known. */
export const flags = { group: 1, judged: 2, made: 4 } as const;
/** Numbers kept of a fact. */
export const width = 5;

/** The columns of numbers. `…Ends` say where the part of each target in the column after it ends. */
export interface Numbers {
  readonly flags: Uint32Array;
  readonly dependencyEnds: Uint32Array;
  readonly dependencies: Uint32Array;
  readonly used: BigInt64Array;
  readonly made: BigInt64Array;
  readonly factEnds: Uint32Array;
  readonly facts: Uint32Array;
  readonly envEnds: Uint32Array;
  readonly env: Uint32Array;
  readonly basisFacts: Uint32Array;
  readonly basisEnv: Uint32Array;
  readonly kinds: Uint32Array;
  readonly seen: Float64Array;
}

const numberColumns = [
  "flags", "dependencyEnds", "dependencies", "used", "made", "factEnds", "facts", "envEnds", "env", "basisFacts", "basisEnv", "kinds", "seen",
] as const satisfies readonly (keyof Numbers)[];

/** All that is kept. */
export interface EvidenceTable {
  readonly own: Own;
  /** Names of the targets, dependencies first. */
  readonly names: Texts;
  /** Paths of the facts; those below the project are relative. */
  readonly paths: Texts;
  readonly numbers: Numbers;
}

/** Texts, none of them with a NUL byte, and the bytes that they are kept as. */
export interface Texts {
  readonly bytes: Buffer;
  readonly list: readonly string[];
}

/** Texts as bytes, each ended by a NUL byte. */
export function bytesOf(list: readonly string[]): Buffer {
  return Buffer.from(list.length === 0 ? "" : `${list.join("\0")}\0`);
}

function textsOf(bytes: Buffer): Texts {
  return { bytes, list: bytes.length === 0 ? [] : bytes.toString("utf8", 0, bytes.length - 1).split("\0") };
}

/** Reads a table; `undefined` when there is none, or it is damaged. */
export function readTable(file: string): EvidenceTable | undefined {
  const kept = readColumns(file, format);
  if (kept === undefined) return undefined;
  const [names, paths, ...rest] = kept.columns;
  const numbers = Object.fromEntries(numberColumns.map((name, at) => [name, rest[at]])) as unknown as Numbers;
  return { own: kept.own as Own, names: textsOf(names as Buffer), paths: textsOf(paths as Buffer), numbers };
}

/** Writes a table. Failing to is no error. */
export function writeTable(file: string, own: Own, names: Buffer, paths: Buffer, numbers: Numbers): void {
  writeColumns(file, format, own, [names, paths, ...numberColumns.map((name) => numbers[name])]);
}

/** Where the part of a target in a column begins. */
export function begin(ends: Uint32Array, target: number): number {
  return target === 0 ? 0 : ends[target - 1]!;
}

/** Tells one version of a file from another. */
export function versionOf(file: string): string {
  const stat = statOf(file);
  return stat === undefined ? "none" : `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}
