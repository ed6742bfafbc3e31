/**
 * Writes plain data as YAML: as JSON, which every reader of YAML 1.1 and 1.2 takes, with the few characters escaped
 * that may stand in JSON and not in YAML. Nothing is ever taken for a number, a truth value or an anchor by its looks.
 *
 * Format: YAML 1.1, 5.1 (printable characters), and RFC 8259.
 * @module
 */
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";

/** Plain data. */
export type Yaml = null | boolean | number | string | readonly Yaml[] | { readonly [key: string]: Yaml | undefined };

/** What a reader of YAML refuses, or takes for a line's end, when it is not escaped. */
const special = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;

/**
 * One document.
 *
 * @throws {ImgtaskError} IMG2313 for text with half of a surrogate pair, which no UTF-8 file can hold.
 */
export function yaml(value: Yaml): string {
  const text = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "string" && /\p{Cs}/u.test(part)) {
      throw new ImgtaskError("IMG2313", `Bad text in answers: ${JSON.stringify(part)}`, { expected: "text that UTF-8 can hold", exitCode: ExitCode.usage });
    }
    return part;
  }, 2);
  return `${text.replace(special, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;
}
