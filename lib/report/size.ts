/**
 * Words sizes for people. Knows no file.
 * @module
 */

const units = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** A size in bytes as text in decimal units: `"61.4 MB"`. */
export function formatSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes, unit = 0;
  // 999.95 would be shown as 1000.0.
  for (; value >= 999.95 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toFixed(1)} ${units[unit]!}`;
}
