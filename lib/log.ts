/**
 * The logs of a target's runs: opened, kept for a while, and encrypted at their end where not everybody may read them.
 * Knows nothing of what is written to them.
 * @module
 */
import { closeSync, createReadStream, createWriteStream, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { ExitCode, ImgtaskError } from "./error.ts";

/** Days for which a log is kept when nothing else is said. */
export const keptDays = 90;

/** An open log. */
export interface Log {
  readonly fd: number;
  /** Absolute path while it is written. */
  readonly path: string;
  /** Whom it is encrypted for at its end: age recipients. `undefined` for a log that may be read. */
  readonly recipients: readonly string[] | undefined;
}

/** The name under which the newest log can be found: a symbolic link beside it. */
export const latestLog = "latest.log";
const day = 24 * 3600 * 1000;

/** When the run of a log began, in milliseconds since 1970; `undefined` for a file that is no log. */
export function logTime(name: string): number | undefined {
  const stamp = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d\.\d+)\.log(?:\.age)?$/.exec(name);
  return stamp === null ? undefined : Date.parse(`${stamp[1]}-${stamp[2]}-${stamp[3]}T${stamp[4]}:${stamp[5]}:${stamp[6]}Z`);
}

/** Paths of the logs below a directory of logs that began before `time`. */
export function logsBefore(time: number, directory: string): readonly string[] {
  return names(directory).flatMap((target) => names(join(directory, target)).filter((name) => (logTime(name) ?? Number.POSITIVE_INFINITY) < time).map((name) => join(directory, target, name)));
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/**
 * Whom sensitive logs are encrypted for, from `IMGTASK_LOG_RECIPIENTS`: age recipients with commas between, or a file
 * with one a line.
 *
 * @throws {ImgtaskError} IMG1008 when there is none.
 */
function recipientsFor(target: string): readonly string[] {
  const said = process.env["IMGTASK_LOG_RECIPIENTS"] ?? "";
  let text = said;
  if (said !== "" && !said.startsWith("age1")) {
    try {
      text = readFileSync(said, "utf8");
    } catch {
      text = "";
    }
  }
  const recipients = text.split(/[,\n]/).map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  const bad = recipients.find((one) => !/^age1[a-z0-9]+$/.test(one));
  if (recipients.length > 0 && bad === undefined) return recipients;
  throw new ImgtaskError("IMG1008", `The log of "${target}" is to be encrypted, and it is not known for whom`, {
    expected: "age recipients (age1…) in IMGTASK_LOG_RECIPIENTS, or a file with some",
    found: bad === undefined ? (said === "" ? "nothing" : "no recipient") : "something that is no recipient",
    hint: "age-keygen -o key.txt makes a key and names its recipient",
    exitCode: ExitCode.prerequisite,
  });
}

/**
 * Opens a new log of a target, and removes those that are older than 90 days.
 *
 * @param logs the project's directory of logs.
 * @throws {ImgtaskError} IMG1008 for a sensitive one that could not be encrypted.
 */
export function openLog(logs: string, target: string, sensitive: boolean): Log {
  const recipients = sensitive ? recipientsFor(target) : undefined;
  const directory = join(logs, target);
  const latest = join(directory, latestLog);
  if (mkdirSync(directory, { recursive: true, mode: 0o700 }) === undefined) {
    const oldest = Date.now() - keptDays * day;
    for (const name of readdirSync(directory)) if ((logTime(name) ?? oldest) < oldest) rmSync(join(directory, name), { force: true });
    rmSync(latest, { force: true });
  }
  const stamp = new Date().toISOString().replaceAll(/[-:]/g, "").replace("T", "-").replace("Z", "");
  const path = join(directory, `${stamp}.log`);
  const fd = openSync(path, "ax", 0o600);
  symlinkSync(`${stamp}.log`, latest);
  return { fd, path, recipients };
}

/** Encrypts a file beside itself, and removes it: at no time is neither there. */
async function seal(path: string, recipients: readonly string[]): Promise<void> {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  const sealed = await encrypter.encrypt(Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>);
  await sealed.pipeTo(Writable.toWeb(createWriteStream(`${path}.new`, { mode: 0o600 })) as WritableStream<Uint8Array>);
  renameSync(`${path}.new`, `${path}.age`);
  rmSync(path);
}

/**
 * Closes a log; encrypts a sensitive one, and those that a killed run left readable.
 *
 * @returns the path under which it stays.
 * @throws when it cannot be encrypted; then it was removed.
 */
export async function closeLog({ fd, path, recipients }: Log): Promise<string> {
  closeSync(fd);
  if (recipients === undefined) return path;
  const directory = join(path, "..");
  for (const name of names(directory).filter((one) => one.endsWith(".log") && one !== latestLog)) {
    try {
      await seal(join(directory, name), recipients);
    } catch (error) {
      for (const left of [name, `${name}.new`]) rmSync(join(directory, left), { force: true });
      throw error;
    }
  }
  rmSync(join(directory, latestLog), { force: true });
  symlinkSync(`${path.slice(directory.length + 1)}.age`, join(directory, latestLog));
  return `${path}.age`;
}
