/**
 * Words for a POSIX shell: any text becomes one word that means itself.
 * @module
 */

/**
 * An argument vector as a command line of a POSIX shell. Within single quotes nothing is special but the quote itself.
 *
 * @example
 * ```ts
 * quote(["echo", "it's"]); // 'echo' 'it'\''s'
 * ```
 */
export function quote(argv: readonly string[]): string {
  return argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}
