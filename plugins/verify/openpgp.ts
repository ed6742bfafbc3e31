/**
 * Checks OpenPGP signatures with gpgv against pinned keys, and gives back only what was signed.
 * Knows nothing of what the signed text means.
 * @module
 */
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ExitCode, ImgtaskError, type PinnedKey, type RunContext, tool, type Tool } from "../../lib/mod.ts";
import { printable } from "../download/mirror.ts";
import { packets } from "./keyring.ts";
import { accept, type Block, parseStatus, type Signer } from "./status.ts";

/** The program that checks signatures. */
export const gpgv: Tool = tool("gpgv", { min: "2.2", packages: { apt: "gpgv", dnf: "gnupg2" } });

/** Whom to trust. */
export interface Trust {
  /** Absolute path of a binary keyring. */
  readonly keyring: string;
  /** Keys that are accepted. Others in the keyring do not count. */
  readonly keys: readonly PinnedKey[];
}

type Context = Pick<RunContext, "exec" | "tmp">;

const begin = "-----BEGIN PGP SIGNED MESSAGE-----";
const signature = "-----BEGIN PGP SIGNATURE-----";
const end = "-----END PGP SIGNATURE-----";

function refuse(code: string, message: string, expected: string, found: string): ImgtaskError {
  return new ImgtaskError(code, message, { expected, found: printable(found), exitCode: ExitCode.refused });
}

/**
 * The signed lines of a clearsigned file, which must hold one message and nothing else.
 *
 * gpgv alone is not enough: it skips what stands before, between and after messages, and a program that reads the
 * file itself would believe it.
 *
 * @throws {ImgtaskError} IMG4001 when it is no clearsigned message, IMG4002 when it holds anything beside it.
 */
export function clearsignedBody(content: string, name: string): string {
  const expected = "one clearsigned message and nothing else";
  if (!content.startsWith(`${begin}\n`)) {
    if (content.includes(begin)) throw refuse("IMG4002", `Text stands before the signed message in ${name}`, expected, content.split("\n")[0]!);
    throw refuse("IMG4001", `${name} is not signed`, "a clearsigned message", content.split("\n")[0]!.slice(0, 80));
  }
  // oxlint-disable-next-line no-control-regex
  const control = /[\x00-\x08\x0b-\x1f\x7f]/.exec(content);
  if (control !== null) throw refuse("IMG4002", `${name} holds control characters`, expected, `the character ${control[0].charCodeAt(0)} at byte ${control.index}`);
  const lines = content.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const blank = lines.indexOf("");
  const headers = lines.slice(1, Math.max(1, blank));
  if (blank < 0 || headers.some((line) => !/^Hash: [A-Z0-9, -]+$/.test(line))) {
    throw refuse("IMG4002", `The signed message in ${name} has unknown headers`, `"Hash: …" and an empty line`, headers.find((line) => !line.startsWith("Hash:")) ?? "no empty line");
  }
  const start = lines.indexOf(signature), stop = lines.indexOf(end);
  if (start < 0 || stop < start) throw refuse("IMG4001", `The signature is missing in ${name}`, `a line "${signature}" and its end`, "none");
  if (stop !== lines.length - 1) throw refuse("IMG4002", `Text stands after the signature in ${name}`, expected, lines[stop + 1]!);
  const body = lines.slice(blank + 1, start).map((line) => {
    if (!line.startsWith("-")) return line;
    if (!line.startsWith("- ")) throw refuse("IMG4002", `${name} holds more than one message`, expected, line);
    return line.slice(2);
  });
  const stray = lines.slice(start + 1, stop).find((line) => !/^(|[A-Za-z0-9+/=]+|(Version|Comment|Hash): .*)$/.test(line));
  if (stray !== undefined) throw refuse("IMG4002", `Text stands inside the signature in ${name}`, expected, stray);
  return body.join("\n");
}

async function runGpgv(args: readonly string[], trust: Trust, context: Context): Promise<readonly Block[]> {
  // An empty home of its own, so that neither the user's keys nor options count. The weak digests are gpgv's words.
  const home = await mkdtemp(join(context.tmp, "gnupg-"));
  const { stdout } = await context.exec(
    ["gpgv", "--homedir", home, "--keyring", trust.keyring, "--status-fd", "1", "--weak-digest", "SHA1", "--weak-digest", "RIPEMD160", ...args],
    { stdout: "capture", ok: [0, 1, 2], env: { GNUPGHOME: home, LC_ALL: "C", LANGUAGE: undefined } },
  );
  return parseStatus(stdout);
}

/**
 * Checks a clearsigned file.
 *
 * @param file path, and the name to use for it in messages.
 * @returns the text that was signed, and by whom. Read nothing else of the file.
 * @throws {ImgtaskError} exit code 3: IMG4001 not signed, IMG4002 more than the signed message, IMG4003 signed by
 * another key, IMG4004 expired or revoked, IMG4005 changed after it was signed, IMG4006 weak digest.
 */
export async function verifyClearsigned(
  file: { readonly path: string; readonly name: string },
  trust: Trust,
  context: Context,
): Promise<{ readonly text: string; readonly signer: Signer }> {
  const body = clearsignedBody(await readFile(file.path, "latin1"), file.name);
  const signed = join(await mkdtemp(join(context.tmp, "signed-")), "text");
  const blocks = await runGpgv(["--output", signed, "--", file.path], trust, context);
  const signer = accept(blocks, trust.keys, file.name);
  const bytes = await readFile(signed);
  // Two readers of one message must agree on what it says. OpenPGP does not sign blanks at the ends of lines.
  const normal = (text: string): string => text.replace(/[ \t\r]+$/gm, "").replace(/\n+$/, "");
  if (normal(bytes.toString("latin1")) !== normal(body)) {
    throw refuse("IMG4002", `What gpgv found signed in ${file.name} is not what the file shows`, `${body.length} characters`, `${bytes.length} bytes, or others`);
  }
  return { text: bytes.toString("utf8"), signer };
}

/** Removes the armor of a signature; binary ones stay as they are. */
function dearmor(bytes: Buffer, name: string): Buffer {
  if ((bytes[0]! & 0x80) !== 0) return bytes;
  const match = /^-----BEGIN PGP SIGNATURE-----\r?\n(?:[A-Za-z]+: [^\n]*\n)*\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n(?:=[A-Za-z0-9+/]{4}\r?\n)?-----END PGP SIGNATURE-----\s*$/.exec(bytes.toString("latin1"));
  if (match === null) throw refuse("IMG4001", `${name} is no detached signature`, `a binary signature, or one line "${signature}" and its end`, bytes.subarray(0, 60).toString("latin1"));
  return Buffer.from(match[1]!.replace(/\s/g, ""), "base64");
}

/**
 * Whether bytes are OpenPGP signature packets and nothing else.
 * A message that carries its own text can pose as a detached signature: gpgv would check that text and not the file.
 */
export function isOnlySignatures(bytes: Buffer): boolean {
  const all = packets(bytes);
  return all !== undefined && all.length > 0 && all.every(({ tag }) => tag === 2);
}

/**
 * Checks a file against a detached signature.
 *
 * @throws {ImgtaskError} as {@linkcode verifyClearsigned}; IMG4001 also when the signature carries a text of its own.
 */
export async function verifyDetached(
  file: { readonly path: string; readonly name: string; readonly signature: string },
  trust: Trust,
  context: Context,
): Promise<Signer> {
  const bytes = dearmor(await readFile(file.signature), `The signature of ${file.name}`);
  if (!isOnlySignatures(bytes)) {
    throw refuse("IMG4001", `The signature of ${file.name} is no detached signature`, "signature packets only", "a message that carries a text of its own, or damaged data");
  }
  return accept(await runGpgv(["--", file.signature, file.path], trust, context), trust.keys, file.name);
}
