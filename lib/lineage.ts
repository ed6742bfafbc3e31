/**
 * How inputs came about: the recorded results behind them, followed from output to output. For documents that tell it,
 * such as provenance. Pure: knows neither records nor store.
 * @module
 */

/** An output of a target with known bytes. */
export interface OutputRef {
  readonly target: string;
  readonly output: string;
  /** SHA-256 of a file's bytes, or of the list that stands for a tree. */
  readonly digest: string;
}

/** A recorded result. */
export interface Made {
  readonly target: string;
  readonly fingerprint: string;
  /** All that the result depended on: keys and values, as `why` compares them. */
  readonly manifest: readonly (readonly [key: string, value: string])[];
  readonly outputs: Readonly<Record<string, { readonly digest: string; readonly size: number }>>;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Milliseconds since 1970. */
  readonly finished: number;
  /** Who made it, where that is signed by a key that is trusted. */
  readonly producer?: { readonly key: string; readonly builder?: string };
}

/** What a recipe can learn of its inputs. It is no part of the fingerprint: the same bytes may have been made in several ways, of which this is one. */
export interface Lineage {
  /** The results behind the inputs, nearest first, each once. */
  readonly made: readonly Made[];
  /** Outputs that no record tells of any more. */
  readonly unknown: readonly OutputRef[];
  /** Path of a stored file: an output's, or a file's within the tree that it is. `undefined` when there is none. Read only. */
  fileOf(digest: string, path?: string): Promise<string | undefined>;
}

/** The outputs that a result was made from. */
export function inputsOf({ manifest }: Pick<Made, "manifest">): readonly OutputRef[] {
  return manifest.flatMap(([key, digest]) => {
    const match = /^upstream .* ([^ #]+)#([^ #]+)$/.exec(key);
    return match === null ? [] : [{ target: match[1]!, output: match[2]!, digest: digest.split(" ")[0]! }];
  });
}

/** Follows outputs to the results that made them, and these to theirs. */
export function lineageOf(inputs: readonly OutputRef[], find: (output: OutputRef) => Made | undefined): Pick<Lineage, "made" | "unknown"> {
  const made = new Map<string, Made>(), unknown = new Map<string, OutputRef>();
  const queue = [...inputs];
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
    const result = find(one);
    if (result === undefined) unknown.set(`${one.target}#${one.output} ${one.digest}`, one);
    else {
      const name = `${result.target} ${result.fingerprint}`;
      if (made.has(name)) continue;
      made.set(name, result);
      queue.push(...inputsOf(result));
    }
  }
  return { made: [...made.values()], unknown: [...unknown.values()] };
}
