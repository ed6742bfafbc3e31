/**
 * What a distribution and an architecture must offer. Interfaces and the functions that check them.
 * Knows no distribution or architecture by name.
 * @module
 */
import { ExitCode, ImgtaskError } from "./error.ts";
import * as fit from "./fit.ts";
import type { Machine } from "./machine.ts";
import type { PackageSet } from "./machine/package-set.ts";
import type { AptArchive, Keyring, Media, NoticeSource } from "./media.ts";
import { checkOptions, type Fits } from "./option.ts";
import type { HostFile, Tool } from "./tool.ts";

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

const archFits: Fits<Arch> = {
  name: fit.needed(fit.text),
  node: fit.needed(fit.text),
  oci: fit.needed(fit.text),
  console: fit.needed(fit.text),
  grub: fit.needed(fit.record),
  qemu: fit.needed(fit.record),
  userEmulation: fit.needed(fit.record),
};

/** Checks and freezes an architecture. @throws {ImgtaskError} IMG2040 */
export function defineArch<const Name extends string>(arch: Arch<Name>): Arch<Name> {
  checkOptions("defineArch()", arch, archFits);
  return Object.freeze(arch);
}

/** What a distribution says of one of its releases. */
export interface Release {
  /** Version number: `"12"`. */
  readonly version: string;
}

/** A release that is an archive of packages in Debian's format. */
export interface AptRelease extends Release {
  /** Suites of the archive: the release itself by its name in the archive, then updates and security. */
  readonly suites: readonly {
    readonly suite: string;
    readonly components: readonly string[];
    /** Where the suite is, when not in the distribution's main archive. @default the distribution's `archive` */
    readonly archive?: AptArchive;
  }[];
}

/** Gives installer media; each distribution's own takes what it needs to know, `release` and `arch` at least. */
export type Installer = (options: never) => Media;

/** Of what installer media are asked by beside release, architecture and edition: what each option is. */
export type InstallerFits<I extends (options: never) => Media> = Fits<Omit<Parameters<I>[0], "release" | "arch" | "edition">>;

/**
 * A distribution. A new one is one file in `distros/`. One that has no `archive` has installer media only: no root file
 * system can be built of it.
 */
export interface Distro<Name extends string = string, R extends string = string, A extends string = string, I extends Installer = Installer> {
  readonly name: Name;
  /** For people: `Debian GNU/Linux`. */
  readonly title: string;
  readonly releases: Readonly<Record<R, Release>>;
  /** Canonical architecture → the distribution's own name: `{ x86_64: "amd64" }`. */
  readonly architectures: Readonly<Record<A, string>>;
  /** What its installer media are called: the `edition` of `installer()`. The first is meant where none is named. */
  readonly editions: readonly string[];
  /** Keys that sign its media, and its archive where it has one. */
  readonly keys: Keyring;
  /** Sets of packages that only it has. @default none */
  readonly packages?: Readonly<Record<string, PackageSet>>;
  /** Where security notices of a release are published, and in which format; or that there are none that a machine can read. @default nobody is asked */
  notices?(of: { readonly release: string; readonly arch: string }): NoticeSource;
  /** Installer media. */
  readonly installer: I;
  /** What `installer()` takes beside `release`, `arch` and `edition`. Others are refused. @default nothing */
  readonly installerOptions?: Readonly<Record<string, fit.Fit>>;
}

/** A distribution of which root file systems are built, from an archive in Debian's format. */
export interface AptDistro<Name extends string = string, R extends string = string, A extends string = string, I extends Installer = Installer>
  extends Distro<Name, R, A, I> {
  readonly releases: Readonly<Record<R, AptRelease>>;
  readonly archive: AptArchive;
  /** Packages that a bootable system needs beside the base: kernel, init, what the machine's network needs. */
  bootPackages(arch: A, machine: Machine, release: R): readonly string[];
}

const distroFits: Fits<Distro & Partial<Pick<AptDistro, "archive" | "bootPackages">>> = {
  name: fit.needed(fit.text),
  title: fit.needed(fit.text),
  releases: fit.needed(fit.record),
  architectures: fit.needed(fit.record),
  editions: fit.needed(fit.texts),
  keys: fit.needed(fit.record),
  packages: fit.record,
  notices: fit.callable,
  installer: fit.needed(fit.callable),
  installerOptions: fit.record,
  archive: fit.record,
  bootPackages: fit.callable,
};

/** Refuses a key that an object lacks; for callers that the type checker did not stop. */
function checkKey(code: string, what: string, title: string, known: readonly string[], asked: unknown): void {
  if (known.includes(asked as string)) return;
  throw new ImgtaskError(code, `${title} has no ${what} "${String(asked)}"`, {
    expected: `one of ${known.map((name) => `"${name}"`).join(", ")}`,
    found: JSON.stringify(asked) ?? "nothing",
    exitCode: ExitCode.usage,
  });
}

/** Refuses keys that are pinned by less than their whole fingerprint, or for days that are none. @throws {ImgtaskError} IMG2104 */
export function checkKeyring(title: string, { keys, minisign = [] }: Keyring): void {
  const day = /^\d{4}-\d{2}-\d{2}$/;
  const bad = keys.find(({ fingerprint, from, until }) =>
    !/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(fingerprint) || [from, until].some((one) => one !== undefined && !(day.test(one) && !Number.isNaN(Date.parse(one)))));
  if (bad === undefined && keys.length + minisign.length > 0) return;
  throw new ImgtaskError("IMG2104", `${title} pins no usable key`, {
    expected: "fingerprints of 40 or 64 hex digits, upper case, and days as 2025-04-17",
    found: bad === undefined ? "none" : `"${bad.fingerprint}"${bad.from === undefined ? "" : ` from ${bad.from}`}${bad.until === undefined ? "" : ` until ${bad.until}`}`,
    exitCode: ExitCode.usage,
  });
}

const keyringBrand = Symbol.for("imgtask.keyring@1");

/** Name of the distribution whose keyring this is, as it stands in `keys`; `undefined` of any other, copies included. */
export function keyringOwner(keyring: Keyring): string | undefined {
  return (keyring as { readonly [keyringBrand]?: string })[keyringBrand];
}

/**
 * Checks and freezes a distribution; keeps the names of releases, architectures and editions for the type checker.
 * Its functions refuse releases (IMG2102), architectures (IMG2103) and editions (IMG2106) that it does not have, and
 * `installer()` other options than its own (IMG2040).
 *
 * @throws {ImgtaskError} IMG2104 when a pinned fingerprint is not a full one in upper case, IMG2040 for a field that there is not, is missing or is something else.
 *
 * @example see `distros/debian.ts`
 */
export function defineDistro<const D extends Distro | AptDistro>(distro: D): D {
  checkOptions("defineDistro()", distro, distroFits);
  checkKeyring(distro.title, distro.keys);
  const releases = Object.keys(distro.releases), architectures = Object.keys(distro.architectures);
  const checkArch = (arch: unknown): void => checkKey("IMG2103", "architecture", distro.title, architectures, arch);
  const name = (known: readonly string[]): fit.Optional => fit.by(known.map((one) => `"${one}"`).join(" or "), (value) => typeof value === "string");
  const options = { release: fit.needed(name(releases)), arch: fit.needed(name(architectures)), edition: name(distro.editions), ...distro.installerOptions };
  const installer = distro.installer as unknown as (options: { readonly release?: unknown; readonly arch?: unknown; readonly edition?: unknown }) => Media;
  return Object.freeze({
    ...distro,
    // Not enumerable: it is no part of what is pinned.
    keys: Object.freeze(Object.defineProperty({ ...distro.keys }, keyringBrand, { value: distro.name })),
    ...("bootPackages" in distro
      ? {
          bootPackages(arch: string, machine: Machine, release: string): readonly string[] {
            checkArch(arch);
            return distro.bootPackages(arch, machine, release);
          },
        }
      : {}),
    installer(asked: { readonly release?: unknown; readonly arch?: unknown; readonly edition?: unknown }): Media {
      checkOptions(`installer() of ${distro.title}`, asked, options);
      checkKey("IMG2102", "release", distro.title, releases, asked.release);
      checkArch(asked.arch);
      const { edition = distro.editions[0] } = asked;
      checkKey("IMG2106", "edition", distro.title, distro.editions, edition);
      // The names are checked.
      const notices = distro.notices?.({ release: asked.release as string, arch: asked.arch as string });
      return { ...installer({ ...asked, edition }), ...(notices === undefined ? {} : { notices }) };
    },
  }) as unknown as D;
}
