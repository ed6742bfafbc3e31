/**
 * An empty directory for one test.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** Makes a directory that is removed after the test. */
export function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "imgtask-unit-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
