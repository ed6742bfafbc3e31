/**
 * The architectures there are, by name.
 * Adding one is a file beside this one and a line in the list.
 * @module
 */
import { type Arch, ExitCode, ImgtaskError, type Requirement } from "../../lib/mod.ts";
import { aarch64 } from "./aarch64.ts";
import { x86_64 } from "./x86_64.ts";

/** All architectures. */
export const architectures: readonly Arch[] = Object.freeze([x86_64, aarch64]);

/**
 * The architecture of a name.
 *
 * @throws {ImgtaskError} IMG2110 when there is none of that name.
 *
 * @example
 * ```ts
 * archOf("x86_64").oci // "amd64"
 * ```
 */
export function archOf(name: string): Arch {
  const found = architectures.find((arch) => arch.name === name);
  if (found !== undefined) return found;
  // People know an architecture by several names; tell them ours.
  const meant = architectures.find((arch) => arch.oci === name || arch.node === name);
  throw new ImgtaskError("IMG2110", `Unknown architecture "${name}"`, {
    expected: architectures.map((arch) => `"${arch.name}"`).join(" or "),
    exitCode: ExitCode.usage,
    ...(meant === undefined ? {} : { hint: `Did you mean "${meant.name}"?` }),
  });
}

/** What the host needs to run programs of an architecture: nothing when it is the host's own. */
export function emulationOf(arch: Arch): readonly Requirement[] {
  return arch.node === process.arch ? [] : [arch.userEmulation];
}
