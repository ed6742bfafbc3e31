/**
 * Where this package is installed, for the data it carries. Knows nothing of the user's project.
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bug } from "./error.ts";

let root: string | undefined;

/** Root of the installed package: the directory with its package.json, both in the sources and when built. */
export function packageRoot(): string {
  if (root !== undefined) return root;
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    if (existsSync(join(directory, "package.json"))) return (root = directory);
    if (directory === dirname(directory)) throw bug("package.json not found above the package's own modules");
  }
}

/** Absolute path of a file of this package, such as `vendor/debian/archive.gpg`. */
export function packageFile(path: string): string {
  return join(packageRoot(), path);
}

/** Version of this package. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string }).version;
}
