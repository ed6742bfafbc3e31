/**
 * Which of two versions of a package is the newer one, as dpkg and as rpm see it. Pure.
 * Sources: deb-version(7); rpm's `rpmvercmp`, as described in rpm-version(7).
 * @module
 */

/** A comparison of versions: negative, zero or positive, as for sorting. */
export type CompareVersions = (a: string, b: string) => number;

/** Order of a character in the parts of a Debian version that are no numbers: `~` before the end, letters before others. */
function debOrder(char: string | undefined): number {
  if (char === undefined) return 0;
  if (char === "~") return -1;
  return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
}

/** Compares numbers of any length, given as digits. */
function compareDigits(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return x.length !== y.length ? x.length - y.length : x < y ? -1 : x > y ? 1 : 0;
}

function compareDebPart(a: string, b: string): number {
  const parts = (text: string): readonly string[] => text.split(/(\d+)/);
  const [xs, ys] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(xs.length, ys.length); i++) {
    const x = xs[i] ?? "", y = ys[i] ?? "";
    if (i % 2 === 1) {
      const order = compareDigits(x, y);
      if (order !== 0) return order;
      continue;
    }
    for (let j = 0; j < Math.max(x.length, y.length); j++) {
      const order = debOrder(x[j]) - debOrder(y[j]);
      if (order !== 0) return order;
    }
  }
  return 0;
}

/** Compares versions of Debian packages: epoch, upstream version, revision. */
export function compareDebVersions(a: string, b: string): number {
  const split = (text: string): readonly [string, string, string] => {
    const [, epoch = "0", rest] = /^(?:(\d+):)?(.*)$/s.exec(text)!;
    const dash = rest!.lastIndexOf("-");
    return dash < 0 ? [epoch, rest!, ""] : [epoch, rest!.slice(0, dash), rest!.slice(dash + 1)];
  };
  const [x, y] = [split(a), split(b)];
  return compareDigits(x[0], y[0]) || compareDebPart(x[1], y[1]) || compareDebPart(x[2], y[2]);
}

function compareRpmPart(a: string, b: string): number {
  let x = a, y = b;
  for (;;) {
    x = x.replace(/^[^A-Za-z0-9~^]+/, "");
    y = y.replace(/^[^A-Za-z0-9~^]+/, "");
    if (x.startsWith("~") || y.startsWith("~")) {
      if (!x.startsWith("~")) return 1;
      if (!y.startsWith("~")) return -1;
      [x, y] = [x.slice(1), y.slice(1)];
      continue;
    }
    if (x.startsWith("^") || y.startsWith("^")) {
      if (x === "") return -1;
      if (y === "") return 1;
      if (!x.startsWith("^")) return 1;
      if (!y.startsWith("^")) return -1;
      [x, y] = [x.slice(1), y.slice(1)];
      continue;
    }
    if (x === "" || y === "") return x === y ? 0 : x === "" ? -1 : 1;
    const digits = /^\d/.test(x), pattern = digits ? /^\d+/ : /^[A-Za-z]+/;
    const one = pattern.exec(x)![0], two = pattern.exec(y)?.[0];
    // A number is newer than letters.
    if (two === undefined) return digits ? 1 : -1;
    const order = digits ? compareDigits(one, two) : one < two ? -1 : one > two ? 1 : 0;
    if (order !== 0) return order;
    [x, y] = [x.slice(one.length), y.slice(two.length)];
  }
}

/** Compares `[EPOCH:]VERSION[-RELEASE]` of RPM packages; no epoch is epoch 0, and no release fits any. */
export function compareRpmVersions(a: string, b: string): number {
  const split = (text: string): readonly [string, string, string] => {
    const [, epoch = "0", plain] = /^(?:(\d+):)?(.*)$/s.exec(text)!, dash = plain!.lastIndexOf("-");
    return dash < 0 ? [epoch, plain!, ""] : [epoch, plain!.slice(0, dash), plain!.slice(dash + 1)];
  };
  const [x, y] = [split(a), split(b)];
  return compareDigits(x[0], y[0]) || compareRpmPart(x[1], y[1]) || (x[2] === "" || y[2] === "" ? 0 : compareRpmPart(x[2], y[2]));
}
