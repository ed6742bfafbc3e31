/**
 * `imgtask verify FILE…`: checks published files by what stands beside them, against public keys that the user trusts.
 * @module
 */
import { lstatSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ExitCode, ImgtaskError } from "../error.ts";
import { parsePublicKey, type PublicKey } from "../minisign-key.ts";
import { verifiedData, verifiedText } from "../report/verified.ts";
import { verifyPublished } from "../verify-publication.ts";
import { type CommandContext, dataColor } from "./context.ts";

/** Public keys of a text: between commas, blanks or lines; comments stand in lines of their own. */
function keysIn(text: string): readonly PublicKey[] {
  const lines = text.split("\n").filter((line) => !/^(?:untrusted comment:|#)/.test(line));
  return lines.flatMap((line) => line.split(/[\s,]+/)).filter((word) => word !== "").map(parsePublicKey);
}

/** The keys that the user trusts. @throws {ImgtaskError} IMG2701, IMG2702, IMG2028 */
function trustedKeys({ options, cwd, env }: CommandContext): readonly PublicKey[] {
  const value = options.key ?? env["IMGTASK_PUBLISHER_KEYS"] ?? "";
  if (value === "") {
    throw new ImgtaskError("IMG2701", "No key is known whose signatures are trusted", {
      expected: `"--key" or IMGTASK_PUBLISHER_KEYS: minisign public keys, "RW…" with commas between, or a file with some`,
      hint: "Take the key from where you know it from, not from beside the file: whoever changed the one could change the other",
      exitCode: ExitCode.usage,
    });
  }
  let text = value;
  if (!/^\s*RW[A-Za-z0-9+/]{54}(?:[\s,]|$)/.test(value)) {
    try {
      text = readFileSync(resolve(cwd, value), "utf8");
    } catch (error) {
      throw new ImgtaskError("IMG2702", `The file of trusted keys cannot be read: "${value}"`, { expected: "a public key as minisign writes it, or its second line itself", found: (error as NodeJS.ErrnoException).code ?? "", exitCode: ExitCode.usage });
    }
  }
  const keys = keysIn(text);
  if (keys.length > 0) return keys;
  throw new ImgtaskError("IMG2702", `No public key is in "${value}"`, { expected: "public keys as minisign writes them", found: "none", exitCode: ExitCode.usage });
}

/** Verifies files; ends with 3 when one of them is not all that it should be. */
export async function verifyFile(context: CommandContext): Promise<ExitCode> {
  const { options, cwd } = context;
  if (options.targets.length === 0) {
    throw new ImgtaskError("IMG2703", `Command "verify" needs files, or "--rebuild"`, { hint: "Run `imgtask help verify` to see its options", exitCode: ExitCode.usage });
  }
  for (const file of options.targets) {
    const stat = lstatSync(resolve(cwd, file), { throwIfNoEntry: false });
    if (stat?.isDirectory() === false) continue;
    throw new ImgtaskError("IMG2703", stat === undefined ? `No file "${file}"` : `"${file}" is a directory`, { expected: "a published file, with what was published beside it", exitCode: ExitCode.usage });
  }
  // After the files: a key for nothing need not be looked for.
  const keys = trustedKeys(context);
  const results = [];
  for (const file of options.targets) results.push({ file, findings: await verifyPublished(resolve(cwd, file), keys) });
  context.stdout(options.json ? `${JSON.stringify(verifiedData(results), undefined, 2)}\n` : verifiedText(results, { color: dataColor(context), quiet: options.quiet }));
  return results.every(({ findings }) => findings.every(({ outcome }) => outcome === "ok")) ? ExitCode.ok : ExitCode.refused;
}
