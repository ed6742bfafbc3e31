/**
 * Labels of volumes where boot menus name them: `hd:LABEL=…`, `live:CDLABEL=…`. Pure.
 *
 * Format: the label as udev writes it into `/dev/disk/by-label`, where what is not plain is `\xHH`.
 * @module
 */

/** A label as it stands on a kernel's command line. */
export function labelOnCommandLine(label: string): string {
  return [...Buffer.from(label)].map((byte) => {
    const char = String.fromCodePoint(byte);
    return /[A-Za-z0-9#+\-.:=@_]/.test(char) ? char : `\\x${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}

/** Replaces a label wherever a menu's text names it for the kernel. */
export function relabelArguments(text: string, { from, to }: { readonly from: string; readonly to: string }): string {
  if (from === to) return text;
  const wanted = labelOnCommandLine(from).replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return text.replaceAll(new RegExp(`((?:CD)?LABEL=)${wanted}(?![A-Za-z0-9#+\\-.=@_\\\\])`, "g"), (_, name: string) => name + labelOnCommandLine(to));
}
