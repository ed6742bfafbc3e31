/**
 * The commands that README.md promises, taken from its marked code blocks, so that what is read is what is tested.
 * Runs nothing.
 * @module
 */
import { readFileSync } from "node:fs";

const readme = new URL("../../README.md", import.meta.url);

/**
 * The one command of the code block after `<!-- fresh-machine: NAME -->`.
 *
 * @throws {Error} when there is no such block, or it is not exactly one line.
 */
export function commandOf(name: string, text: string = readFileSync(readme, "utf8")): string {
  const block = new RegExp(`<!-- fresh-machine: ${name} -->\\s*\`\`\`(?:sh|bash)\\n([^]*?)\\n\`\`\``).exec(text)?.[1];
  if (block === undefined) throw new Error(`README.md has no code block marked "fresh-machine: ${name}"`);
  if (block.includes("\n")) throw new Error(`the block "fresh-machine: ${name}" of README.md is more than one line`);
  return block;
}
