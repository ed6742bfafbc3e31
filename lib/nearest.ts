/**
 * "Did you mean": the known word that a mistyped one is nearest to. Pure.
 * @module
 */

/** The known word nearest to a mistyped one, or `undefined` when none is near. Edit distance with transpositions. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word, candidate);
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/**
 * What somebody may have meant by a word that is no target: a kind or the name behind it, of one target or as a pattern of
 * several; else the nearest known word.
 */
export function meant(word: string, targets: readonly string[], others: readonly string[] = []): string | undefined {
  const bare = word.replace(/^:|:$/g, "");
  for (const [pattern, fits] of [[`${bare}:*`, (name: string) => name.startsWith(`${bare}:`)], [`*:${bare}`, (name: string) => name.endsWith(`:${bare}`)]] as const) {
    const found = targets.filter(fits);
    if (found.length > 0) return found.length === 1 ? found[0] : pattern;
  }
  return nearest(word, [...others, ...targets]);
}

function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) value = Math.min(value, before[j - 2]! + 1);
      current.push(value);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
}
