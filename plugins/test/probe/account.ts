/**
 * Probes of accounts, by `getent`, whatever they come from. Pure.
 * @module
 */
import { type Probe, shellQuote } from "./probe.ts";

/** An account as it should be. */
export interface ExpectedUser {
  readonly name: string;
  /** @default true */
  readonly exists?: boolean;
  readonly uid?: number;
  readonly shell?: string;
  readonly home?: string;
  /** Groups that it must be in. @default [] */
  readonly groups?: readonly string[];
  /** Whether no password opens it; only root can see that. @default either */
  readonly locked?: boolean;
}

/** What an account is. */
export function userProbe(expected: ExpectedUser): Probe {
  const { name, exists = true, uid, shell, home, groups = [], locked } = expected;
  const word = shellQuote(name);
  return {
    name: `user "${name}" ${exists ? "is as expected" : "does not exist"}`,
    shell: `getent passwd -- ${word} | sed 's/^/P /'; getent shadow -- ${word} 2>/dev/null | cut -d: -f2 | cut -c1 | sed 's/^/S /'; id -Gn -- ${word} 2>/dev/null | tr ' ' '\\n' | sed 's/^/G /'`,
    judge(printed) {
      const of = (letter: string): readonly string[] => printed.split("\n").flatMap((line) => (line.startsWith(`${letter} `) || line === letter ? [line.slice(2)] : []));
      const [entry] = of("P");
      if (entry === undefined) return exists ? { expected: `an account "${name}"`, found: "no such account" } : undefined;
      if (!exists) return { expected: "no such account", found: entry };
      const [, , id, , , directory, program] = entry.split(":");
      const member = of("G");
      // "!" or "*" at its beginning is no password that anybody could type; nothing at all is an open door.
      const [mark] = of("S");
      const isLocked = mark === undefined ? undefined : mark === "!" || mark === "*";
      const differences = [
        uid === undefined || id === String(uid) ? [] : [[`uid ${uid}`, `uid ${id}`]],
        shell === undefined || program === shell ? [] : [[`shell ${shell}`, `shell ${program}`]],
        home === undefined || directory === home ? [] : [[`home ${home}`, `home ${directory}`]],
        groups.filter((group) => !member.includes(group)).map((group) => [`group ${group}`, `groups ${member.join(", ")}`]),
        locked === undefined || isLocked === locked ? [] : [[locked ? "a locked password" : "a password", isLocked === undefined ? "what only root can see" : isLocked ? "a locked password" : "one that is not locked"]],
      ].flat();
      if (differences.length === 0) return undefined;
      return { expected: differences.map(([want]) => want).join("; "), found: [...new Set(differences.map(([, is]) => is))].join("; ") };
    },
  };
}
