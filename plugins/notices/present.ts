/**
 * Packages that are on a medium or in an image, as notices are compared with them; by names of files and by lists. Pure.
 * @module
 */
/** A package that is there. */
export interface Present {
  readonly name: string;
  /** `[EPOCH:]VERSION-RELEASE` of RPM packages; as dpkg has it of others, names of files without an epoch. */
  readonly version: string;
  /** The epoch is not known: the name of an RPM's file does not tell it. @default the version has it, if it is not 0 */
  readonly anyEpoch?: true;
  /** Module stream of an RPM package, `nodejs:18`; `"?"` of one that is of some stream, and nothing says of which. @default of no module */
  readonly stream?: string;
  /** Source package of Debian's format. @default it is not known */
  readonly source?: string;
}

/** What notices may concern. */
export interface Subject {
  /** @default it is not known what is there */
  readonly packages?: readonly Present[];
  /** ISO 8601: later notices concern it, where packages are not known. @default it is not known when it was made */
  readonly since?: string;
}

/** Whether a release is one of a module's builds: `1.module+el9.1.0+1`, `1.module_el9…`. */
export function isModular(release: string): boolean {
  return /\.module[+_]/.test(release);
}

/** A package by the name of its file. */
export function packageOfFile(path: string): Present | undefined {
  const parts = path.split("/"), file = parts.at(-1)!;
  const rpm = /^([A-Za-z0-9][A-Za-z0-9._+-]*)-([A-Za-z0-9._+~^]+)-([A-Za-z0-9._+~^]+)\.(?!src\.)[A-Za-z0-9_]+\.rpm$/.exec(file);
  if (rpm !== null) return { name: rpm[1]!, version: `${rpm[2]!}-${rpm[3]!}`, anyEpoch: true, ...(isModular(rpm[3]!) ? { stream: "?" } : {}) };
  const deb = /^([a-z0-9][a-z0-9.+-]*)_([A-Za-z0-9.+~%-]+)_[a-z0-9-]+\.u?deb$/.exec(file);
  if (deb === null) return undefined;
  const source = /(?:^|\/)pool\/[a-z-]+\/[a-z0-9]+\/([a-z0-9][a-z0-9.+-]*)\/[^/]+$/.exec(path)?.[1];
  return { name: deb[1]!, version: deb[2]!.replace(/^(\d+)%3a/i, "$1:"), ...(source === undefined ? {} : { source }) };
}

/** Lines of `NAME VERSION …`, as `dpkg-query --show` prints them; names may say their architecture. */
export function packagesOfList(text: string): readonly Present[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([a-z0-9][a-z0-9.+-]*)(?::[a-z0-9-]+)?[ \t]+([A-Za-z0-9.+~:-]+)(?:[ \t]|$)/.exec(line);
    return match === null ? [] : [{ name: match[1]!, version: match[2]! }];
  });
}
