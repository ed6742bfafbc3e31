/**
 * Keeps the store below its size limit. Knows no target: what is needed is told by digest.
 * @module
 */
import { rm } from "node:fs/promises";
import type { Digest } from "./digest.ts";
import type { Store } from "./store.ts";

/**
 * Removes objects, least recently used first, until the store holds no more than `cap` bytes. Objects of
 * `needed` digests stay whatever the cap.
 *
 * @returns the number of bytes freed
 */
export async function collect(store: Store, needed: ReadonlySet<Digest>, cap: number): Promise<number> {
  const objects: { path: string; size: number; used: number }[] = [];
  let total = 0;
  for await (const object of store.objects()) {
    total += object.size;
    objects.push(object);
  }
  if (total <= cap) return 0;
  const kept = new Set<string>();
  for (const digest of needed) {
    for (const path of [store.objectPath(digest), store.objectPath(digest, true)]) kept.add(path);
    for (const entry of (await store.listOf(digest)) ?? []) {
      if (entry.digest !== undefined) kept.add(store.objectPath(entry.digest, (entry.mode & 0o111) !== 0));
    }
  }
  let freed = 0;
  for (const object of objects.filter(({ path }) => !kept.has(path)).sort((a, b) => a.used - b.used)) {
    if (total - freed <= cap) break;
    await rm(object.path, { force: true });
    freed += object.size;
  }
  return freed;
}
