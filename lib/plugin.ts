/**
 * What a distribution, an architecture and a publisher must offer. Interfaces and the functions that check them.
 * Knows no distribution, architecture or place by name.
 * @module
 */
import { ExitCode, ImgtaskError } from "./error.ts";
import type { Machine } from "./machine.ts";
import type { Secrets } from "./secret.ts";
import type { RunContext, Untracked } from "./target.ts";
import type { HostFile, Requirement, Tool } from "./tool.ts";

/** An architecture, described by what tools call it. Independent of any distribution. */
export interface Arch<Name extends string = string> {
  /** The one name used in imagefiles: `x86_64`, `aarch64` … as printed by `uname -m`. */
  readonly name: Name;
  /** As Node's `process.arch` calls it. */
  readonly node: string;
  /** As the OCI image specification calls it. */
  readonly oci: string;
  /** Serial console for the kernel command line. */
  readonly console: string;
  /** GRUB platforms, and the removable-media name of the EFI one. */
  readonly grub: { readonly efi: string; readonly removable: string; readonly bios?: string };
  /** How to emulate a whole machine of it. */
  readonly qemu: {
    readonly system: Tool;
    /** Machine type and processor when emulated. */
    readonly machine: readonly string[];
    /** UEFI code and variable store. */
    readonly firmware: { readonly code: HostFile; readonly vars: HostFile };
  };
  /** Kernel interface that runs its programs on a foreign host (binfmt_misc). */
  readonly userEmulation: HostFile;
}

/** Checks and freezes an architecture. */
export function defineArch<const Name extends string>(arch: Arch<Name>): Arch<Name> {
  return Object.freeze(arch);
}

/** Pinned signing keys of a distribution. */
export interface Keyring {
  /** Binary keyring file inside the package, relative to its root: `vendor/debian/….gpg`. */
  readonly file: string;
  /** Primary key fingerprints that are accepted, 40 or 64 hex digits, upper case. */
  readonly fingerprints: readonly string[];
}

/** An archive of packages in Debian's repository format. */
export interface AptArchive {
  /** Environment variable that names a mirror. */
  readonly mirrorEnv: string;
  /** Used when neither the variable nor the host's own apt configuration names a mirror. */
  readonly defaultMirror: string;
  /** Value of `Origin:` by which this archive is recognised in the host's apt configuration. */
  readonly origin: string;
  /** Value of `Label:` beside it, where one origin has several archives. @default any */
  readonly label?: string;
}

/** Media that a distribution publishes, and how to know that they are genuine. */
export interface Media {
  /** For people and file names: `debian-bookworm-netboot-amd64`. */
  readonly id: string;
  readonly release: string;
  /** Canonical architecture. */
  readonly arch: string;
  /** A package in a signed archive that carries installer files. */
  readonly package: {
    readonly archive: AptArchive;
    readonly suite: string;
    readonly component: string;
    /** As the archive calls the architecture whose index lists it. */
    readonly architecture: string;
    readonly name: string;
  };
  /** Paths inside the package. */
  readonly files: { readonly kernel: string; readonly initrd: string };
  /** Format of the answers its installer reads. */
  readonly answers: "preseed";
}

/** What a distribution says of one of its releases. */
export interface Release {
  /** Version number: `"12"`. */
  readonly version: string;
  /** Suites of the archive: the release itself, then updates and security. */
  readonly suites: readonly {
    readonly suite: string;
    readonly components: readonly string[];
    /** Where the suite is, when not in the distribution's main archive. @default the distribution's `archive` */
    readonly archive?: AptArchive;
  }[];
}

/** A distribution. A new one is one file in `distros/`. */
export interface Distro<Name extends string = string, R extends string = string, A extends string = string> {
  readonly name: Name;
  /** For people: `Debian GNU/Linux`. */
  readonly title: string;
  readonly releases: Readonly<Record<R, Release>>;
  /** Canonical architecture → the distribution's own name: `{ x86_64: "amd64" }`. */
  readonly architectures: Readonly<Record<A, string>>;
  readonly archive: AptArchive;
  /** Keys that sign its archive and media. */
  readonly keys: Keyring;
  /** Packages that a bootable system needs beside the base: kernel, init, what the machine's network needs. */
  bootPackages(arch: A, machine: Machine): readonly string[];
  /** Installer media. */
  installer(options: { readonly release: R; readonly arch: A }): Media;
}

/** Refuses a key that an object lacks; for callers that the type checker did not stop. */
function checkKey(code: string, what: string, title: string, known: Readonly<Record<string, unknown>>, asked: string): void {
  if (Object.hasOwn(known, asked)) return;
  throw new ImgtaskError(code, `${title} has no ${what} "${asked}"`, {
    expected: `one of ${Object.keys(known).map((name) => `"${name}"`).join(", ")}`,
    found: `"${asked}"`,
    exitCode: ExitCode.usage,
  });
}

/**
 * Checks and freezes a distribution; keeps the names of releases and architectures for the type checker.
 * Its functions refuse releases (IMG2102) and architectures (IMG2103) that it does not have.
 *
 * @throws {ImgtaskError} IMG2104 when a pinned fingerprint is not a full one in upper case.
 *
 * @example see `distros/debian.ts`
 */
export function defineDistro<const Name extends string, const R extends string, const A extends string>(
  distro: Distro<Name, R, A>,
): Distro<Name, R, A> {
  const bad = distro.keys.fingerprints.find((fingerprint) => !/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(fingerprint));
  if (bad !== undefined || distro.keys.fingerprints.length === 0) {
    throw new ImgtaskError("IMG2104", `${distro.title} pins no usable key`, {
      expected: "fingerprints of 40 or 64 hex digits, upper case",
      found: bad === undefined ? "none" : `"${bad}"`,
      exitCode: ExitCode.usage,
    });
  }
  const checkArch = (arch: A): void => checkKey("IMG2103", "architecture", distro.title, distro.architectures, arch);
  return Object.freeze({
    ...distro,
    bootPackages(arch: A, machine: Machine): readonly string[] {
      checkArch(arch);
      return distro.bootPackages(arch, machine);
    },
    installer(options: { readonly release: R; readonly arch: A }): Media {
      checkKey("IMG2102", "release", distro.title, distro.releases, options.release);
      checkArch(options.arch);
      return distro.installer(options);
    },
  });
}

/** A file to be published. */
export interface PublishedFile {
  /** Its name at the place, `/` between parts: made of names that are safe everywhere. */
  readonly name: string;
  /** Where its bytes are now. */
  readonly path: string;
}

/** What a publisher is given of the run. */
export type PublishContext = Pick<RunContext, "exec" | "log" | "progress" | "signal" | "env" | "tmp" | "project"> & {
  /** Values of the publisher's secrets, by its names for them. */
  readonly secrets: Readonly<Record<string, string>>;
};

/** A place that finished artifacts are published to. Publishing the same twice must change nothing. */
export interface Publisher {
  readonly name: string;
  /** What it publishes to, as JSON: part of the fingerprint, so never a secret. */
  readonly params: Readonly<Record<string, string | number | boolean>>;
  readonly tools: readonly Requirement[];
  readonly env: readonly string[];
  /** Handles to its secrets. @default none */
  readonly secrets?: Secrets;
  /** The place, where it is one of this host. @default nothing */
  readonly untracked?: Untracked;
  /** File URL of the publisher's module: `import.meta.url`. */
  readonly module: string;
  /** Whether the place has no directories: then no name has a `/`. @default false */
  readonly flat?: boolean;
  /**
   * The name of an artifact at the place, where that is another one, as in a layout by date. Pure.
   * @default the name
   */
  nameOf?(artifact: {
    readonly name: string;
    /** The target that made it: `iso:kali`. */
    readonly target: string;
    /** When it was made, milliseconds since 1970. */
    readonly time: number;
  }): string;
  /**
   * A small file of the place, or `undefined` when there is none. A place with this method collects: lists that stand
   * there are carried on. Without it, each publication replaces them.
   */
  read?(name: string, context: PublishContext): Promise<Uint8Array | undefined>;
  /** Those of some names that are at the place. Goes with {@linkcode Publisher.read}. */
  has?(names: readonly string[], context: PublishContext): Promise<ReadonlySet<string>>;
  /**
   * Makes the files readable at the place under their names: all of a file or nothing of it. None is readable before
   * those in front of it are: what vouches for others comes last. What is there with the same bytes is not sent.
   * @returns what is there now, by name.
   */
  publish(
    files: readonly PublishedFile[],
    context: PublishContext,
  ): Promise<readonly { readonly name: string; readonly location: string; readonly uploaded: boolean }[]>;
}
