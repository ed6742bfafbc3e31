/**
 * By what a run knows its own unfinished work at a place: stable for one host and project, so that an interrupted
 * transfer goes on or is cleaned up, and nobody else's is. Knows no place.
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** What {@linkcode markOf} reads. */
export const markReads: readonly string[] = ["/etc/machine-id"];

/** 32 hex digits that follow from this host, the project and what is told of the work. */
export function markOf(project: string, ...work: readonly string[]): string {
  let machine = "";
  try {
    machine = readFileSync("/etc/machine-id", "utf8");
  } catch {
    // Containers may have none.
  }
  return createHash("sha256").update([hostname(), machine, project, ...work].join("\0")).digest("hex").slice(0, 32);
}
