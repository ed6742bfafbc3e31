/**
 * The system's package manager: which one it is, and the commands that install packages with it.
 * Knows package managers, not distributions; runs nothing unless `install` is called.
 * @module
 */
import { ExitCode, ImgtaskError } from "./error.ts";
import type { Finding } from "./host.ts";
import { quote, run, searchPath, which } from "./process.ts";
import type { Argv } from "./target.ts";

/** Names of package managers, as in the `packages` of a requirement. */
export type PackageManagerName = "apt" | "dnf" | "zypper" | "pacman" | "apk";

/** The package manager of this host, and the way to call it with enough rights. */
export interface PackageManager {
  readonly name: PackageManagerName;
  /** Put before each command: `sudo -n` for an ordinary user, nothing for root. */
  readonly prefix: readonly string[];
  /** Set when packages cannot be installed with what is here. */
  readonly problem?: string;
}

interface Known {
  readonly name: PackageManagerName;
  readonly executable: string;
  readonly commands: (packages: readonly string[]) => readonly Argv[];
}

const apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"] as const;

/** In the order in which they are looked for: some systems carry apt beside their own. */
const known: readonly Known[] = [
  { name: "dnf", executable: "dnf", commands: (packages) => [["dnf", "install", "-y", "--setopt=install_weak_deps=False", ...packages]] },
  { name: "zypper", executable: "zypper", commands: (packages) => [["zypper", "--non-interactive", "install", "--no-recommends", ...packages]] },
  { name: "pacman", executable: "pacman", commands: (packages) => [["pacman", "-S", "--noconfirm", "--needed", ...packages]] },
  { name: "apk", executable: "apk", commands: (packages) => [["apk", "add", ...packages]] },
  { name: "apt", executable: "apt-get", commands: (packages) => [[...apt, "update"], [...apt, "install", "-y", "--no-install-recommends", ...packages]] },
];

/** Where {@linkcode detect} looks. */
export interface DetectOptions {
  /** Directories with executables. @default those of `PATH` and the system's */
  readonly directories?: readonly string[];
  /** Effective user id. @default that of this process */
  readonly uid?: number;
}

/** The package manager of this host, or `undefined` when it has none that is known. */
export function detect(options: DetectOptions = {}): PackageManager | undefined {
  const directories = options.directories ?? searchPath();
  // Debian has packages named dnf, zypper and pacman-package-manager: dpkg decides.
  const order = which("dpkg", directories) === undefined ? known : [...known].sort((a, b) => Number(b.name === "apt") - Number(a.name === "apt"));
  const manager = order.find(({ executable }) => which(executable, directories) !== undefined);
  if (manager === undefined) return undefined;
  const uid = options.uid ?? process.geteuid?.() ?? 0;
  if (uid === 0) return { name: manager.name, prefix: [] };
  if (which("sudo", directories) === undefined) {
    return { name: manager.name, prefix: [], problem: `installing needs root, and "sudo" is not found` };
  }
  return { name: manager.name, prefix: ["sudo", "-n"] };
}

/** The commands that install packages, in order; none for no packages. */
export function installCommand(manager: PackageManager, packages: readonly string[]): readonly Argv[] {
  if (packages.length === 0) return [];
  const { commands } = known.find(({ name }) => name === manager.name)!;
  return commands(packages).map((argv) => [...manager.prefix, ...argv] as unknown as Argv);
}

/** The same as one line to paste: without `-n`, since a person can type a password. */
export function pasteable(manager: PackageManager, packages: readonly string[]): string {
  const prefix = manager.prefix.length === 0 && manager.problem === undefined ? [] : ["sudo"];
  return installCommand({ name: manager.name, prefix }, packages).map((argv) => argv.map(quote).join(" ")).join(" && ");
}

/** What would have to be installed for the findings that are not good enough. */
export interface Missing {
  /** Names of packages, sorted. */
  readonly packages: readonly string[];
  /** Findings that no package of this package manager helps with. */
  readonly helpless: readonly Finding[];
}

/** Packages for the findings that are not good enough. */
export function missing(findings: readonly Finding[], manager: PackageManager | undefined): Missing {
  const packages = new Set<string>();
  const helpless: Finding[] = [];
  for (const finding of findings) {
    if (finding.ok) continue;
    const name = manager === undefined ? undefined : finding.requirement.packages[manager.name];
    if (name === undefined) helpless.push(finding);
    else for (const one of name.split(/\s+/)) packages.add(one);
  }
  return { packages: [...packages].sort(), helpless };
}

/** What {@linkcode install} takes. */
export interface InstallOptions {
  readonly manager: PackageManager;
  readonly packages: readonly string[];
  /** Open file that receives the output of the package manager. @default 2, standard error */
  readonly logFd?: number;
  readonly signal: AbortSignal;
  /** Told before each command. */
  readonly on?: (argv: Argv) => void;
}

/**
 * Installs packages. Called only when the user asked for it with `--install-tools`.
 *
 * @throws {ImgtaskError} IMG1003 when this user may not install, IMG1004 when the package manager fails.
 */
export async function install(options: InstallOptions): Promise<void> {
  const { manager, packages, signal } = options;
  if (packages.length === 0) return;
  const hint = `Install them yourself: ${pasteable(manager, packages)}`;
  if (manager.problem !== undefined) {
    throw new ImgtaskError("IMG1003", `Cannot install ${packages.length === 1 ? "a package" : `${packages.length} packages`}`, {
      expected: `root, or "sudo" without a password`, found: manager.problem, hint, exitCode: ExitCode.prerequisite,
    });
  }
  for (const argv of installCommand(manager, packages)) {
    options.on?.(argv);
    try {
      await run(argv, { cwd: "/", env: process.env, logFd: options.logFd ?? 2, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new ImgtaskError("IMG1004", `The package manager failed: ${argv.map(quote).join(" ")}`, {
        found: (error as ImgtaskError).found ?? (error as Error).message, hint, exitCode: ExitCode.prerequisite, cause: error,
      });
    }
  }
}
