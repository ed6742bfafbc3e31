/**
 * What a terminal showed, as plain text. Knows nothing of who wrote it.
 * @module
 */

/** Text without escape sequences and other control characters but line feeds. */
export function plainText(raw: string): string {
  return raw.replaceAll(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Za-z0-9]|[=>78]|\][^\x07]*\x07)/g, "").replaceAll(/[^\n\x20-\x7e\x80-\xff]/g, "");
}
