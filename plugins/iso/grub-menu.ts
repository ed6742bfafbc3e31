/**
 * A vendor's GRUB menu, made to start an unattended installation by itself. The vendor's entries stay; one more comes
 * first and is the default. It does what the vendor's own entry does, with a few words more for the kernel.
 * Pure: text in, text out. Knows no layout.
 * @module
 */
import { type Command, everyCommand, grubWord, parseGrub } from "./grub-script.ts";
import type { Boot, MenuChange } from "./menu.ts";

const linux = /^linux(16|efi)?$/;
const initrd = /^initrd(16|efi)?$/;

/** The kernel of an entry, as the vendor starts it. */
function bootOf(entry: Command): Boot | undefined {
  const commands = entry.block?.commands ?? [];
  const kernel = commands.find(({ words }) => linux.test(words[0]!.text) && words.length > 1);
  const initrds = commands.find(({ words }) => initrd.test(words[0]!.text));
  if (kernel === undefined || initrds === undefined) return undefined;
  const text = (command: Command): readonly string[] => command.words.slice(1).map((word) => word.text);
  const [path = "", ...args] = text(kernel);
  return { kernel: path, initrds: text(initrds), arguments: args };
}

/** The text of the vendor's block, with other words behind its `linux` and `initrd`. */
function blockWith(text: string, entry: Command, boot: Boot): string {
  const block = entry.block!;
  // Variables are GRUB's own affair, as in `iso-scan/filename=${iso_path}`: such words stay as they were written.
  const written = new Map(everyCommand(block.commands).flatMap(({ words }) => words.map((word) => [word.text, text.slice(word.start, word.end)] as const)));
  const word = (one: string): string => (one.includes("$") ? written.get(one) : undefined) ?? grubWord(one);
  let result = "";
  let from = block.start;
  for (const { words } of block.commands) {
    const name = words[0]!.text;
    const list = linux.test(name) ? [boot.kernel, ...boot.arguments] : initrd.test(name) ? boot.initrds : undefined;
    if (list === undefined) continue;
    result += text.slice(from, words[0]!.end) + list.map((one) => ` ${word(one)}`).join("");
    from = words.at(-1)!.end;
  }
  return result + text.slice(from, block.end);
}

/**
 * A menu with an unattended entry, or `undefined` where the script has no entry to make it of (as one that only leads
 * to another file).
 */
export function unattendedGrub(text: string, change: MenuChange): string | undefined {
  const commands = parseGrub(text);
  const entries = everyCommand(commands).filter(({ words, block }) => words[0]!.text === "menuentry" && block !== undefined);
  const model = entries.map((entry) => ({ entry, boot: bootOf(entry) })).find(({ boot }) => boot !== undefined && change.model(boot));
  if (model?.boot === undefined) return undefined;
  const boot = change.boot(model.boot);
  const own = `menuentry ${grubWord(change.title)} --id ${change.id} {${blockWith(text, model.entry, boot).replace(/\s*$/, "\n")}}\n`;
  // Before the vendor's first one; behind all, where that stands under a condition.
  const first = commands.find(({ words, block }) => /^(menuentry|submenu)$/.test(words[0]!.text) && block !== undefined);
  const at = first === undefined || first.nested > 0 ? text.length : first.start;
  const before = text.slice(0, at);
  const menu = `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}${own}${text.slice(at)}`;
  // Behind everything that the vendor sets, wherever that is.
  return [
    menu.replace(/\n*$/, ""),
    ...(change.serial ? ["if serial --unit=0 --speed=115200; then", "  terminal_input --append serial", "  terminal_output --append serial", "fi"] : []),
    `set default=${change.id}`,
    "set timeout_style=menu",
    `set timeout=${change.timeout}`,
    "",
  ].join("\n");
}

/** Replaces the label that `search` looks for. */
export function relabelGrub(text: string, from: string, to: string): string {
  const words = everyCommand(parseGrub(text)).filter(({ words }) => words[0]!.text === "search").flatMap(({ words }) => words.slice(1)).filter((word) => word.text === from);
  return words.toReversed().reduce((result, { start, end }) => result.slice(0, start) + grubWord(to) + result.slice(end), text);
}
