/**
 * Finds the mirror of an archive: the environment variable, the host's own apt configuration, or the default.
 * Knows no distribution by name, and fetches nothing.
 * @module
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { type AptArchive, ExitCode, ImgtaskError, type RunContext, type Untracked } from "../../lib/mod.ts";

/** A URL without user name, password and query, for people and logs: addresses that a portal gives out are keys. */
export function redact(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, "$1").replace(/\?.*$/s, "?…");
}

/** Text of foreign origin on one line: control characters shown, and not too long. */
export function printable(text: string, limit = 200): string {
  // oxlint-disable-next-line no-control-regex
  const clean = text.replace(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "?");
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/**
 * Checks a mirror that a person named and brings it into normal form: no slash at the end.
 *
 * @throws {ImgtaskError} IMG2105 when it is no `http:`, `https:` or `file:` URL.
 */
export function checkMirror(url: string, origin: string): string {
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // Told below.
  }
  if (parsed !== undefined && ["http:", "https:", "file:"].includes(parsed.protocol) && parsed.search === "" && parsed.hash === "") {
    return url.replace(/\/+$/, "");
  }
  throw new ImgtaskError("IMG2105", `Bad mirror in ${origin}`, {
    expected: `an http:, https: or file: URL without "?" and "#", such as "http://mirror.example.org/debian"`,
    found: `"${printable(redact(url))}"`,
    exitCode: ExitCode.usage,
  });
}

/** What the host's apt reads to tell its mirrors. Where bytes come from is no part of what they are. */
export const hostMirrors: Required<Pick<Untracked, "reads">> = {
  reads: [
    "/etc/apt", "/var/lib/apt", "/var/cache/apt", "/etc/dpkg", "/var/lib/dpkg", join(homedir(), ".dpkg.cfg"),
    "/usr/bin/apt-get", "/usr/bin/dpkg",
  ],
};

/**
 * Base URL of an archive, without a slash at the end: the archive's environment variable when set, else the first
 * matching source of the host's apt, else the archive's default mirror. Nothing is fetched.
 *
 * The target must declare `archive.mirrorEnv` in its `env`. Sources of apt are matched by the `Origin:` and
 * `Label:` of the lists that `apt-get update` left on the host.
 *
 * @param arch canonical; some architectures have mirrors of their own.
 * @throws {ImgtaskError} IMG2105 when the environment variable is no usable URL.
 *
 * @example
 * ```ts
 * const mirror = await findMirror(distro.archive, context); // "http://mirror.example.org/debian"
 * ```
 */
export async function findMirror(archive: AptArchive, context: Pick<RunContext, "env" | "exec" | "log">, arch?: string): Promise<string> {
  const named = context.env[archive.mirrorEnv];
  if (named !== undefined && named !== "") return checkMirror(named, archive.mirrorEnv);
  // What is in another place for this architecture is not on the host's mirror.
  const other = arch === undefined ? undefined : archive.otherMirrors?.[arch];
  if (other !== undefined) return other;
  return (await hostMirror(archive, context)) ?? archive.defaultMirror;
}

async function hostMirror(archive: AptArchive, context: Pick<RunContext, "exec" | "log">): Promise<string | undefined> {
  let listed: string;
  try {
    const format = "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)";
    const result = await context.exec(["apt-get", "indextargets", "--format", format, "Created-By: Packages"], { stdout: "capture" });
    listed = result.stdout;
  } catch (error) {
    if ((error as { exitCode?: number }).exitCode === ExitCode.interrupted) throw error;
    return undefined; // No apt on this host, or one that cannot say.
  }
  for (const line of listed.split("\n")) {
    const [origin, label, url] = line.split("\t");
    if (origin !== archive.origin || url === undefined) continue;
    if (archive.label !== undefined && label !== archive.label) continue;
    // cdrom:, mirror+file: and the like are apt's own and of no use here.
    if (/^(https?|file):/.test(url)) return url.replace(/\/+$/, "");
  }
  return undefined;
}
