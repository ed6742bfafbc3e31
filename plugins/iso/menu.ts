/**
 * What boot menus have in common, whatever boot loader shows them: kernels to start, and how the unattended entry
 * differs from the vendor's. Types, and what is true of kernel arguments.
 * @module
 */

/** A kernel, as a menu's entry starts it. */
export interface Boot {
  /** Path on the medium as the menu has it. */
  readonly kernel: string;
  readonly initrds: readonly string[];
  readonly arguments: readonly string[];
}

/** What becomes of a menu. */
export interface MenuChange {
  /** Of the new entry, unlike any of the vendor's. */
  readonly id: string;
  /** What people see. */
  readonly title: string;
  /** Seconds in which a key stops the start. */
  readonly timeout: number;
  /** Whether the menu is shown on the PC's serial line as well. */
  readonly serial: boolean;
  /** Whether an entry of the vendor's is one to make the unattended one of. The first is taken. */
  readonly model: (boot: Boot) => boolean;
  /** What the unattended entry starts. */
  readonly boot: (model: Boot) => Boot;
}

const silencing: ReadonlySet<string> = new Set(["quiet", "splash", "rhgb"]);

/**
 * Adds words to a kernel's arguments. What stands behind `---` the installer also gives to the system it installs;
 * without such a separator all are its own. What keeps the kernel from speaking is left out of its own: nobody sits before
 * an unattended installation, and its console is what tells why it failed.
 */
export function withArguments(boot: Boot, installer: readonly string[], system: readonly string[]): Boot {
  const at = boot.arguments.findIndex((word) => word === "---" || word === "--");
  const split = at < 0 ? boot.arguments.length : at;
  const own = boot.arguments.slice(0, split).filter((word) => !silencing.has(word));
  return { ...boot, arguments: [...own, ...installer, ...boot.arguments.slice(split), ...system] };
}
