/**
 * Where in a project's own code something went wrong: by the stack of an error, or by what a file mentions. Knows no target.
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Location } from "./error.ts";

/** The first line of a file that mentions a word; nothing when none does. */
export function mentionIn(file: string, word: string): Location | undefined {
  const whole = new RegExp(`(?<![\\w$])${word.replace(/[^\w]/g, "\\$&")}(?![\\w$])`);
  try {
    for (const [index, line] of readFileSync(file, "utf8").split(/\r?\n/).entries()) {
      const column = line.search(whole);
      if (column >= 0) return { file, line: index + 1, column: column + 1 };
    }
  } catch {
    // Then there is none.
  }
  return undefined;
}

/** The first frame of an error's stack that is in the own code of the project in a directory. */
export function thrownAt(error: unknown, directory: string): Location | undefined {
  for (const line of String((error as Error | undefined)?.stack ?? "").split("\n")) {
    const match = /((?:file:\/\/)?\/[^()\s]+?)(?:\?[^:()]*)?:(\d+):(\d+)\)?$/.exec(line);
    if (match === null) continue;
    const file = match[1]!.startsWith("file:") ? fileURLToPath(match[1]!) : match[1]!;
    if (file.startsWith(`${directory}/`) && !file.includes("/node_modules/") && !/\/(?:dist|\.imgtask)\//.test(file) && existsSync(file) && !isOwn(file)) {
      return { file, line: Number(match[2]), column: Number(match[3]) };
    }
  }
  return undefined;
}

const ownDirectory = fileURLToPath(new URL(".", import.meta.url)).replace(/(?:dist\/)?lib\/$/, "");

function isOwn(file: string): boolean {
  return /^(?:lib|plugins|distros)\//.test(file.startsWith(ownDirectory) ? file.slice(ownDirectory.length) : "");
}
