/**
 * What every answer format has in common: what it is given beside a machine, what it gives back, and how it refuses.
 * Knows no format.
 * @module
 */
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";

/** The answers of one format. */
export interface Answers {
  /** Text by path below the root of the answers, as the installer expects it. */
  readonly files: Readonly<Record<string, string>>;
}

/** What answers depend on beside the machine. */
export interface AnswerContext {
  /** Release to install, as its distribution names it: `"bookworm"`. */
  readonly release: string;
  /** `http:` or `https:` address to install from. @default the medium itself, where the format knows it */
  readonly mirror?: string;
  /** Disk to install on, as `/dev/vda`; all that is on it is lost. @default the machine's `storage.disk`, else the only one */
  readonly disk?: string;
  /** What comes after the installation. @default "poweroff" */
  readonly afterwards?: "poweroff" | "reboot";
  /** Where the installer finds the payload: absolute path of a directory. */
  readonly payload: string;
}

/**
 * Refuses what a format cannot express.
 *
 * @param format for people: `"A preseed file"`.
 * @param field of the machine: `"storage"`, `"users[0].uid"`.
 */
export function cannot(format: string, field: string, expected: string, found?: unknown): never {
  throw new ImgtaskError("IMG2312", `${format} cannot express "${field}" of this machine`, {
    expected,
    ...(found === undefined ? {} : { found: JSON.stringify(found) }),
    exitCode: ExitCode.usage,
  });
}

/** An address without user, password, query and fragment, or a refusal. */
export function plainUrl(format: string, field: string, address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "" && url.username === "" && url.password === "") return url;
  return cannot(format, field, "an http: or https: address without credentials, query and fragment", address);
}
