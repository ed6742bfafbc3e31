/**
 * The log of verifications, `logs/download-YYYYMMDD.md`: a table in Markdown to which lines are only ever added, of what was
 * accepted and what was refused. For people and auditors; imgtask itself never reads it.
 * @module
 */
import { constants, mkdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type ImgtaskError, isImgtaskError } from "../../lib/mod.ts";
import { printable } from "./mirror.ts";

/** One verification. */
export interface Verification {
  readonly target: string;
  /** The media's id. */
  readonly media: string;
  /** Address or mirror, without credentials. */
  readonly from?: string;
  readonly file?: string;
  /** The list that vouches for the file, and its digest. */
  readonly list?: string;
  /** Fingerprint of the signer. */
  readonly signer?: string;
  readonly sha256?: string;
  /** `accepted`, or what was refused and why. */
  readonly verdict: string;
}

const columns = ["Time (UTC)", "Target", "Media", "From", "File", "List", "Signed by", "SHA-256", "Verdict"] as const;

/** Where verifications are logged, below the directory of the imagefile. */
export const logDirectory = "logs";

/** A cell: one line, no column of its own, and nothing that Markdown would make more of. */
function cell(text: string | undefined): string {
  return text === undefined ? "–" : printable(text, 500).replace(/[\\|`*_<>[\]]/g, (character) => `\\${character}`);
}

/**
 * Adds a line.
 *
 * @param project directory of the imagefile.
 * @param now milliseconds since 1970.
 */
export async function logVerification(project: string, entry: Verification, now: number = Date.now()): Promise<void> {
  const time = new Date(now).toISOString();
  const directory = join(project, logDirectory);
  mkdirSync(directory, { recursive: true });
  const { target, media, from, file, list, signer, sha256, verdict } = entry;
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const line = row([time.slice(0, 19).replace("T", " "), ...[target, media, from, file, list, signer, sha256, verdict].map(cell)]);
  const path = join(directory, `download-${time.slice(0, 10).replaceAll("-", "")}.md`);
  // One write each, at the end: what several targets add at once does not mix. A link there is not followed.
  const handle = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o644);
  try {
    const empty = (await handle.stat()).size === 0;
    const head = `# Downloads verified on ${time.slice(0, 10)}\n\n${row(columns)}${row(columns.map(() => "---"))}`;
    await handle.write(empty ? `${head}${line}` : line);
  } finally {
    await handle.close();
  }
}

/** What is to be said of a refusal; `undefined` for errors that refuse nothing. */
export function verdictOf(error: unknown): string | undefined {
  if (!isImgtaskError(error) || !/^IMG(?:4\d{3}|500[3579])$/.test(error.code)) return undefined;
  const { code, message, expected, found } = error as ImgtaskError;
  return `refused, ${code}: ${message}${expected === undefined ? "" : `; expected ${expected}`}${found === undefined ? "" : `; found ${found}`}`;
}
