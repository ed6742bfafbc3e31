/**
 * Reads scripts of GRUB as far as menus need it: commands, their words, blocks in braces. Positions point into the
 * text, so that what is changed is changed there, and all else stays as it was. Runs nothing and expands nothing.
 *
 * Format: "Shell-like scripting" in the manual of GRUB. Words end at white space and metacharacters; `'…'` is literal,
 * in `"…"` and outside of quotes a backslash takes the meaning off the next character.
 * @module
 */

/** A word of a command. */
export interface Word {
  /** Without quotes; variables as they are written. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A command, and the commands of the block behind it: those of a `menuentry`, a `submenu`, a `function`. */
export interface Command {
  readonly words: readonly Word[];
  readonly start: number;
  /** Behind its last word, or behind the brace that closes its block. */
  readonly end: number;
  /** How many `if`, `while`, `until`, `for` stand around it in the same block. */
  readonly nested: number;
  readonly block?: { readonly commands: readonly Command[]; readonly start: number; readonly end: number };
}

type Token = { readonly kind: "word"; readonly word: Word } | { readonly kind: "end" | "{" | "}"; readonly start: number; readonly end: number };

function* tokens(text: string): Generator<Token> {
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (char === "\n" || char === ";" || char === "|" || char === "&") yield { kind: "end", start: at, end: ++at };
    else if (char === "\\" && text[at + 1] === "\n") at += 2;
    else if (/\s/.test(char)) at++;
    else if (char === "#") while (at < text.length && text[at] !== "\n") at++;
    else if ((char === "{" || char === "}") && /^(\s|;|$)/.test(text.slice(at + 1, at + 2))) yield { kind: char, start: at, end: ++at };
    else {
      const start = at;
      let word = "";
      let quote = "";
      for (; at < text.length; at++) {
        const one = text[at]!;
        if (quote === "" && /[\s;|&]/.test(one)) break;
        if (one === quote) quote = "";
        else if (quote === "" && (one === "'" || one === '"')) quote = one;
        else if (one === "\\" && quote !== "'" && at + 1 < text.length) {
          const next = text[++at]!;
          // In double quotes a backslash is itself but before these.
          if (quote === '"' && !/[$"\\\n]/.test(next)) word += "\\";
          if (next !== "\n") word += next;
        } else word += one;
      }
      yield { kind: "word", word: { text: word, start, end: at } };
    }
  }
}

/** The commands of a script. What is malformed is read as far as it goes. */
export function parseGrub(text: string): readonly Command[] {
  const all = [...tokens(text)];
  let at = 0;
  const block = (): Command[] => {
    const commands: Command[] = [];
    let nested = 0;
    while (at < all.length) {
      const token = all[at]!;
      if (token.kind === "}") break;
      if (token.kind !== "word") {
        at++;
        continue;
      }
      const words: Word[] = [];
      let inner: { readonly commands: readonly Command[]; readonly start: number; readonly end: number } | undefined;
      for (let one = all[at]; one !== undefined; one = all[at]) {
        if (one.kind === "word") {
          words.push(one.word);
          at++;
          // Behind these a command begins on the same line.
          if (words.length === 1 && /^(then|else|do)$/.test(one.word.text)) break;
        } else if (one.kind === "{" && inner === undefined) {
          at++;
          const commands = block();
          const close = all[at];
          inner = { commands, start: one.end, end: close?.kind === "}" ? close.start : text.length };
          if (close?.kind === "}") at++;
          break;
        } else break;
      }
      const name = words[0]!.text;
      if (/^(fi|done)$/.test(name)) nested = Math.max(0, nested - 1);
      const end = inner === undefined ? words.at(-1)!.end : Math.min(text.length, inner.end + 1);
      commands.push({ words, start: words[0]!.start, end, nested, ...(inner === undefined ? {} : { block: inner }) });
      if (/^(if|while|until|for)$/.test(name)) nested++;
    }
    return commands;
  };
  const commands = block();
  // A brace too many: what follows it is read as well.
  while (at < all.length) {
    at++;
    commands.push(...block());
  }
  return commands;
}

/** All commands, those in blocks behind the one they belong to. */
export function everyCommand(commands: readonly Command[]): readonly Command[] {
  return commands.flatMap((command) => [command, ...everyCommand(command.block?.commands ?? [])]);
}

/** A text as one word of a script. */
export function grubWord(text: string): string {
  return /^[A-Za-z0-9_.,:/=+@%^-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
