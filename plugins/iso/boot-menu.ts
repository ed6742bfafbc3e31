/**
 * Menus of the boot loaders on an ISO: text for ISOLINUX and for GRUB. One entry that starts by itself.
 * Pure; knows no file but the paths on the ISO.
 * @module
 */
import type { Arch } from "../../lib/mod.ts";

/** Where the installer can be seen: on the screen, on the serial line, or on both with its questions on the latter. */
export type Console = "serial" | "vga" | "serial+vga";

/** What the menus depend on. */
export interface BootMenu {
  readonly arch: Arch;
  readonly console: Console;
  /** Seconds in which a key stops the start. */
  readonly timeout: number;
  /** What the entry is called; letters, digits, `.`, `_`, `+`, `-` and spaces. */
  readonly title: string;
}

/** Kernel and initial file systems on the ISO; the second one holds the answers. */
const kernel = "/install/vmlinuz";
const initrds = ["/install/initrd.gz", "/preseed.cpio"] as const;

/**
 * The kernel's command line. What stands behind `---` the installer also gives to the system it installs. The last
 * console becomes `/dev/console`, where the installer speaks; kernel messages go to all of them.
 */
export function kernelArguments(menu: Pick<BootMenu, "arch" | "console">): readonly string[] {
  return ["auto=true", "priority=critical", "---", ...consoleArguments(menu)];
}

/** The part of them that names consoles. */
export function consoleArguments({ arch, console }: Pick<BootMenu, "arch" | "console">): readonly string[] {
  return [
    ...(console === "serial" ? [] : ["console=tty0"]),
    ...(console === "vga" ? [] : [`console=${arch.console}`]),
  ];
}

/** `isolinux.cfg`. */
export function isolinuxConfig(menu: BootMenu): string {
  return [
    ...(menu.console === "vga" ? [] : ["SERIAL 0 115200"]),
    "DEFAULT install",
    "PROMPT 1",
    // In tenths of a second; 0 would wait for ever.
    `TIMEOUT ${Math.max(1, menu.timeout * 10)}`,
    `SAY ${menu.title}: starts in ${menu.timeout} s, a key stops it`,
    "LABEL install",
    `  KERNEL ${kernel}`,
    `  APPEND initrd=${initrds.join(",")} ${kernelArguments(menu).join(" ")}`,
    "",
  ].join("\n");
}

/** `grub.cfg`. */
export function grubConfig(menu: BootMenu): string {
  // UEFI firmware has consoles of its own; the serial line of a PC is driven by GRUB beside them.
  const serial = menu.console !== "vga" && menu.arch.grub.bios !== undefined;
  return [
    ...(serial ? ["if serial --unit=0 --speed=115200; then", "  terminal_input console serial", "  terminal_output console serial", "fi"] : []),
    "set default=install",
    `set timeout=${menu.timeout}`,
    `menuentry "${menu.title}" --id install {`,
    `  linux ${kernel} ${kernelArguments(menu).join(" ")}`,
    `  initrd ${initrds.join(" ")}`,
    "}",
    "",
  ].join("\n");
}

/** Built into the GRUB image: finds the ISO among all disks by a file that only it has, and continues there. */
export function grubEarlyConfig(marker: string): string {
  return [`search --file --set=root ${marker}`, "set prefix=($root)/boot/grub", "configfile ($root)/boot/grub/grub.cfg", ""].join("\n");
}
