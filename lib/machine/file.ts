/**
 * Files and lists of directories of a machine.
 * Plain, checked data.
 * @module
 */
import type { Input, Source } from "../artifact.ts";
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { check, checkPart, isMachinePath, isWhole } from "./check.ts";

/** A file on the machine. */
export interface MachineFile {
  /** Absolute path on the machine. */
  readonly path: string;
  /** What it holds: text, or a host file. */
  readonly content: string | Source;
  /** Permission bits. @default 0o644 */
  readonly mode?: number;
  /** User name or numeric id. @default "root" */
  readonly owner?: string;
  /** Group name or numeric id. @default "root" */
  readonly group?: string;
}

/** A list of directories to make on the machine. Made by `dirs.list()`. */
export interface DirectoryList {
  /** One path a line, relative; `#` starts a comment. */
  readonly list: Source | Input<"file">;
  /** Absolute path on the machine below which they are made. */
  readonly under: string;
  /** Permission bits. @default 0o755 */
  readonly mode: number;
  /** @default "root" */
  readonly owner: string;
  /** @default "root" */
  readonly group: string;
}

const fits: Fits<MachineFile> = { path: fit.needed(fit.text), content: fit.needed(fit.either(fit.text, fit.record)), mode: fit.number, owner: fit.text, group: fit.text };
const listFits: Fits<DirectoryList> = { list: fit.needed(fit.either(fit.sourceHandle, fit.handle)), under: fit.needed(fit.text), mode: fit.needed(fit.number), owner: fit.needed(fit.text), group: fit.needed(fit.text) };

const owner = /^([a-z_][a-z0-9_-]{0,31}|\d{1,10})$/;

/** Checks a file and fills in its defaults. */
export function fullFile(file: MachineFile): Required<MachineFile> {
  checkPart(file, fits, "a file");
  check(isMachinePath(file.path), "file path", file.path, `an absolute path without "..", "." and empty parts`);
  check(isWhole(file.mode ?? 0, 0, 0o7777), "file mode", file.mode, "permission bits, 0 to 0o7777");
  // What a handle to a secret holds would be on the image in plain; a file that holds it has to be named as one.
  check(typeof file.content === "string" || file.content?.type === "source", `content of "${file.path}"`, "not shown", `text, or a file, as source("config/app.conf")`);
  if (typeof file.content === "string") check(!/\p{Cs}/u.test(file.content), `content of "${file.path}"`, "not shown", "text without halves of surrogate pairs");
  for (const name of [file.owner ?? "root", file.group ?? "root"]) check(owner.test(name), "owner", name, "a name or numeric id");
  return { path: file.path, content: file.content, mode: file.mode ?? 0o644, owner: file.owner ?? "root", group: file.group ?? "root" };
}

/** Checks lists of directories. */
export function directoryLists(given: DirectoryList | readonly DirectoryList[] | undefined): readonly DirectoryList[] {
  const lists = given === undefined ? [] : Array.isArray(given) ? (given as readonly DirectoryList[]) : [given as DirectoryList];
  for (const list of lists) {
    checkPart(list, listFits, "a list of directories");
    check(isMachinePath(list.under), "directory", list.under, "an absolute path");
    check(isWhole(list.mode, 0, 0o7777), "directory mode", list.mode, "permission bits, 0 to 0o7777");
    for (const name of [list.owner, list.group]) check(owner.test(name), "owner", name, "a name or numeric id");
  }
  return [...lists];
}
