/**
 * Names of published files: what an artifact is called where its path no longer says it, and which names are safe.
 * Pure: knows no place to publish to.
 * @module
 */
import { type Artifact, attestationsName, checksumsName, ExitCode, ImgtaskError, type Input, isPublishedName, manifestName } from "../../lib/mod.ts";

/** The artifact of an input. */
export function artifactOf(input: Input): Artifact {
  return "outputs" in input ? input.outputs.out : input;
}

/**
 * The name under which an artifact is published: its target, its output unless that is the principal one, and the
 * extension of its declared path.
 *
 * @throws {ImgtaskError} IMG2511 for a tree, which is no file.
 *
 * @example
 * ```ts
 * publishedName(kaliIso); // "iso-kali.iso"
 * ```
 */
export function publishedName(input: Input): string {
  const { form, output, path, target } = artifactOf(input);
  if (form !== "file") {
    throw new ImgtaskError("IMG2511", `"${target}" cannot be published: its output "${output}" is a directory tree`, {
      expected: "a file, such as an ISO or a disk image",
      exitCode: ExitCode.usage,
    });
  }
  // From the first dot of an ordinary extension on: "disk.tar.gz" is ".tar.gz", "lab-12.5.iso" is ".iso".
  const extension = /(?:\.tar)?\.[A-Za-z][A-Za-z0-9]*$/.exec(path?.split("/").at(-1) ?? "")?.[0] ?? "";
  return `${target.replaceAll(":", "-")}${output === "out" ? "" : `-${output}`}${extension}`;
}

/**
 * Refuses the name of an artifact that is not safe, or that a document about artifacts may have.
 *
 * @throws {ImgtaskError} IMG2512.
 */
export function checkArtifactName(name: string): void {
  checkPublishedName(name);
  if (![checksumsName, manifestName, attestationsName].includes(name.split("/")[0]!) && !/\.(?:minisig|spdx\.json|cdx\.json|intoto\.jsonl|provenance\.json)$/.test(name)) return;
  throw new ImgtaskError("IMG2512", `The name of a published file is one of a document about such files: "${name}"`, {
    expected: `another than "${checksumsName}", "${manifestName}" and "${attestationsName}/…", and no ending ".minisig", ".spdx.json", ".cdx.json", ".intoto.jsonl" or ".provenance.json"`,
    exitCode: ExitCode.usage,
  });
}

/**
 * Refuses a name that could leave the place it is published to, or hide there.
 *
 * @throws {ImgtaskError} IMG2512.
 */
export function checkPublishedName(name: string): void {
  if (isPublishedName(name)) return;
  throw new ImgtaskError("IMG2512", `Bad name for a published file: ${JSON.stringify(name)}`, {
    expected: `parts of letters, digits, ".", "_", "+", "@", "=", "-", each beginning with a letter or digit, with "/" between; 200 characters at most`,
    exitCode: ExitCode.usage,
  });
}
