/**
 * Keeps the store below its size limit. Knows no target: what is needed is told by digest.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Digest } from "./digest.ts";
import type { Store } from "./store.ts";

/** Runs after which the store is looked at whatever is believed of its size. */
const trusted = 32;

/**
 * As {@linkcode collect}, but looks at the store only when it may have grown beyond `cap`: its size is kept in a file,
 * with what every run adds, and looked up every {@linkcode trusted} runs.
 *
 * @param file where the size is kept; losing it costs one look
 * @param needed asked for only when it matters
 * @returns whether it was looked at
 */
export async function collectSometimes(store: Store, file: string, needed: () => ReadonlySet<Digest>, cap: number): Promise<boolean> {
  let known: { readonly bytes: number; readonly runs: number } | undefined;
  try {
    const [bytes, runs] = readFileSync(file, "utf8").split(" ").map(Number);
    if (Number.isSafeInteger(bytes) && Number.isSafeInteger(runs)) known = { bytes: bytes! + store.added, runs: runs! + 1 };
  } catch {
    // Never looked at.
  }
  const looked = known === undefined || known.runs >= trusted || known.bytes > cap;
  if (known === undefined || looked) {
    const { total, freed } = await collect(store, needed(), cap);
    known = { bytes: total - freed, runs: 0 };
  }
  try {
    writeFileSync(file, `${known.bytes} ${known.runs}`, { mode: 0o600 });
  } catch {
    // Looked at again.
  }
  return looked;
}

/**
 * Removes objects, least recently used first, until the store holds no more than `cap` bytes. Objects of
 * `needed` digests stay whatever the cap.
 *
 * @returns bytes that were there, and how many of them were freed
 */
export async function collect(store: Store, needed: ReadonlySet<Digest>, cap: number): Promise<{ readonly total: number; readonly freed: number }> {
  const objects: { path: string; size: number; used: number }[] = [];
  let total = 0;
  for await (const object of store.objects()) {
    total += object.size;
    objects.push(object);
  }
  if (total <= cap) return { total, freed: 0 };
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
  return { total, freed };
}
