/**
 * The keyboard of the console, as Debian's family keeps it: the file that says the layout, and what the console needs
 * to follow it. Knows neither images nor installers.
 *
 * Format: keyboard(5).
 * @module
 */

/** Path of the file that says the layout. */
export const keyboardPath = "/etc/default/keyboard";

/** The file of a layout. */
export function keyboardFile(layout: string): string {
  return `XKBMODEL="pc105"\nXKBLAYOUT="${layout}"\nXKBVARIANT=""\nXKBOPTIONS=""\nBACKSPACE="guess"\n`;
}

/** Packages without which the console keeps the kernel's own keymap, which is that of "us". */
export function keyboardPackages({ keyboard }: { readonly keyboard: string }): readonly string[] {
  return keyboard === "us" ? [] : ["console-setup"];
}
