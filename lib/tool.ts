/**
 * What a target needs from the host: tools with versions, and files such as kernel interfaces.
 * Plain data: knows no tool by name and runs nothing.
 * @module
 */
import * as fit from "./fit.ts";
import { checkCall, checkOptions, type Fits } from "./option.ts";

/** A program on the host. Its version enters the fingerprint of the targets that use it. */
export interface Tool {
  readonly type: "tool";
  /** Name of the executable, looked up in `PATH` (with the sbin directories added). */
  readonly name: string;
  /** Arguments that print its version. @default ["--version"] */
  readonly versionArgs: readonly string[];
  /** Source of a regular expression whose first group is the version. @default "(\\d+(?:\\.\\d+)+)" */
  readonly versionPattern: string;
  /** Oldest version that will do. */
  readonly min?: string;
  /** Package that has it, by package manager: `{ apt: "xorriso" }`. */
  readonly packages: Readonly<Record<string, string>>;
}

/** A file that must exist on the host: firmware, or a kernel interface. */
export interface HostFile {
  readonly type: "host file";
  /** What it is, for people: `"UEFI firmware"`. */
  readonly name: string;
  /** Absolute paths; one of them must exist. */
  readonly anyOf: readonly string[];
  /** Package that has it, by package manager. */
  readonly packages: Readonly<Record<string, string>>;
  /** What to do when no package helps. */
  readonly hint?: string;
}

/** Something a target needs from the host. */
export type Requirement = Tool | HostFile;

/** What `tool()` takes beside the name. */
export interface ToolOptions {
  /** @default ["--version"] */
  readonly versionArgs?: readonly string[];
  /** @default /(\d+(?:\.\d+)+)/ */
  readonly versionPattern?: RegExp;
  /** Oldest version that will do, as `"1.5"`. */
  readonly min?: string;
  /** Package that has it, by package manager: `{ apt: "xorriso", dnf: "xorriso" }`. */
  readonly packages: Readonly<Record<string, string>>;
}

const fits: Fits<ToolOptions> = {
  versionArgs: fit.texts,
  versionPattern: fit.by("a regular expression", (value) => value instanceof RegExp),
  min: fit.text,
  packages: fit.needed(fit.record),
};
const fileFits: Fits<Omit<HostFile, "type">> = { name: fit.needed(fit.text), anyOf: fit.needed(fit.texts), packages: fit.needed(fit.record), hint: fit.text };

/**
 * Declares a program on the host.
 *
 * @throws {ImgtaskError} IMG2040 for an option that there is not, that is missing, or that is something else.
 *
 * @example
 * ```ts
 * const xorriso = tool("xorriso", { versionArgs: ["-version"], min: "1.5", packages: { apt: "xorriso" } });
 * ```
 */
export function tool(name: string, options: ToolOptions): Tool {
  checkCall("tool", name, options, fits);
  return Object.freeze({
    type: "tool",
    name,
    versionArgs: options.versionArgs ?? ["--version"],
    versionPattern: (options.versionPattern ?? /(\d+(?:\.\d+)+)/).source,
    ...(options.min === undefined ? {} : { min: options.min }),
    packages: options.packages,
  });
}

/** Declares a file that must exist on the host. @throws {ImgtaskError} IMG2040 as {@linkcode tool} */
export function hostFile(options: Omit<HostFile, "type">): HostFile {
  checkOptions("hostFile()", options, fileFits);
  return Object.freeze({ type: "host file", ...options });
}
