/**
 * Which lines of a recipe's code changed, between the declarations that it reached before and those it reaches now.
 * Reads no file; knows no fingerprint.
 * @module
 */

import type { RecipeSheet } from "./recipe-sheet.ts";

type SheetEntry = RecipeSheet[number];

/** Lines at one place that went and came. */
export interface CodeChange {
  readonly file: string;
  /** The declaration that they are part of. */
  readonly name: string;
  /** Line of the first of them, now; before, when they are gone. */
  readonly line: number;
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

/** The changed lines, in the order of the sheet of now; what is gone comes last. */
export async function codeChanges(before: RecipeSheet, now: RecipeSheet): Promise<readonly CodeChange[]> {
  const { diffLines } = await import("diff");
  const old = [...before];
  const take = (fits: (entry: SheetEntry) => boolean): SheetEntry | undefined => {
    const at = old.findIndex(fits);
    return at < 0 ? undefined : old.splice(at, 1)[0];
  };
  // The same text elsewhere is code that moved, which is no change.
  const changed = now.filter((entry) => take(({ name, text }) => name === entry.name && text === entry.text) === undefined);
  const changes: CodeChange[] = [];
  for (const entry of changed) {
    const earlier = take(({ file, name }) => file === entry.file && name === entry.name) ?? take(({ name }) => name === entry.name);
    changes.push(...hunks(earlier, entry, diffLines));
  }
  return [...changes, ...old.map(({ file, name, line, text }) => ({ file, name, line, removed: text.split("\n"), added: [] }))];
}

type Parts = (before: string, now: string) => readonly { readonly added: boolean; readonly removed: boolean; readonly value: string }[];

function hunks(before: SheetEntry | undefined, now: SheetEntry, diffLines: Parts): readonly CodeChange[] {
  const { file, name } = now;
  if (before === undefined) return [{ file, name, line: now.line, removed: [], added: now.text.split("\n") }];
  const found: { line: number; removed: string[]; added: string[] }[] = [];
  let line = now.line;
  let open = false;
  for (const part of diffLines(`${before.text}\n`, `${now.text}\n`)) {
    const lines = part.value.replace(/\n$/, "").split("\n");
    if (!part.added && !part.removed) {
      open = false;
      line += lines.length;
      continue;
    }
    if (!open) found.push({ line, removed: [], added: [] });
    open = true;
    const hunk = found.at(-1)!;
    if (part.removed) hunk.removed.push(...lines);
    else {
      hunk.added.push(...lines);
      line += lines.length;
    }
  }
  const code = (lines: readonly string[]): string => lines.join("").replace(/\s/g, "");
  // Layout is no change.
  return found.filter(({ removed, added }) => code(removed) !== code(added)).map((hunk) => ({ file, name, ...hunk }));
}
