/**
 * Where published files stand below a place: by kind and build, `iso/2026-11-21/kali.iso`, with a link `latest` beside.
 * Pure: knows no place to publish to.
 * @module
 */
import { ExitCode, fit, type Fits, ImgtaskError } from "../../lib/mod.ts";

/** What publishers to places with directories take. */
export interface LayoutOptions {
  /**
   * Files artifacts by kind and build: `iso/BUILD/kali.iso`, `disks/BUILD/kali.qcow2`. A date or a build number; where it
   * comes from is up to the imagefile, so that publishing the same again means the same names.
   * @default all artifacts stand side by side, as `iso-kali.iso`
   */
  readonly build?: string;
  /**
   * Whether `iso/latest` becomes a link to `iso/BUILD` once all of it is there. Only with `build`.
   * @default true
   */
  readonly latest?: boolean;
}

/** Of each option what it is. */
export const layoutFits: Fits<LayoutOptions> = { build: fit.text, latest: fit.flag };

/** Directories that are not called as the kind. */
const directories: Readonly<Record<string, string>> = { disk: "disks" };

/**
 * Checks a layout.
 *
 * @throws {ImgtaskError} IMG2520 for a build that is no name of a directory.
 */
export function checkLayout({ build, latest }: LayoutOptions, publisher: string): void {
  if (build !== undefined && (typeof build !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(build) || build === "latest")) {
    throw new ImgtaskError("IMG2520", `Bad build of ${publisher}(): ${JSON.stringify(build)}`, {
      expected: `letters, digits, ".", "_", "+", "-", beginning with a letter or digit; 64 at most; not "latest"`,
      exitCode: ExitCode.usage,
    });
  }
  if (build === undefined && latest !== undefined) {
    throw new ImgtaskError("IMG2520", `${publisher}() has "latest" without "build"`, { expected: "a build that the link can point to", exitCode: ExitCode.usage });
  }
}

/**
 * The name of an artifact in a layout by build.
 *
 * @example
 * ```ts
 * datedName({ name: "iso-kali.iso", target: "iso:kali" }, "2026-11-21"); // "iso/2026-11-21/kali.iso"
 * ```
 */
export function datedName({ name, target }: { readonly name: string; readonly target: string }, build: string): string {
  const [kind, ...rest] = target.split(":");
  const bare = rest.length > 0 && name.startsWith(`${kind!}-`) ? name.slice(kind!.length + 1) : name;
  return `${directories[kind!] ?? kind!}/${build}/${bare}`;
}

/** The links `KIND/latest` that names in a layout by build lead to, and what they point to. */
export function latestLinks(names: readonly string[], { build, latest }: LayoutOptions): readonly { readonly link: string; readonly to: string }[] {
  if (build === undefined || latest === false) return [];
  const kinds = names.flatMap((name) => {
    const parts = name.split("/");
    return parts.length === 3 && parts[1] === build ? [parts[0]!] : [];
  });
  return [...new Set(kinds)].map((kind) => ({ link: `${kind}/latest`, to: build }));
}

/** The part of a `Publisher` that a layout is: nothing where there is no build. */
export function nameOfIn({ build }: LayoutOptions): { nameOf?(artifact: { readonly name: string; readonly target: string }): string } {
  return build === undefined ? {} : { nameOf: (artifact) => datedName(artifact, build) };
}
